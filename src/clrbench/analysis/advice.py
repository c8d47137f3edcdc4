"""What the runs of one data set and model say to somebody who has to choose a policy."""

import shlex
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from clrbench.analysis import stats
from clrbench.analysis.commands import PLACE
from clrbench.analysis.decomposition import best_of, in_words, paired
from clrbench.analysis.readings import cycle_ends
from clrbench.analysis.runs import EVIDENCE, SOURCES, Arm
from clrbench.analysis.verdicts import ALPHA
from clrbench.analysis.wrong_bounds import Deviation, deviations
from clrbench.range_test.records import RANGE_TEST
from clrbench.store import DIVERGED, FAILED

CYCLE, KEEP, FASTER, UNKNOWN = "use CLR", "keep the fixed rate", "use CLR for speed", "not enough runs"
RIGHT, WRONG = "take the bounds that the range test finds", "take other bounds than the range test finds"
MARGIN = 0.5
SEEDS = (1, 2, 3, 4, 5)
_CONSTANT = ("clrbench.schedules.fixed", "clrbench.schedules.step")
# What an experiment sweeps over, as far as runs are typed with it.
_OF_EXPERIMENT = ("experiment=", "arm=", "seed=", "policy", "bounds", "optimizer")
_TOLD = ("base_lr", "max_lr", "step_size", "gamma", "decays", "window")


@dataclass(frozen=True)
class Advice:
    """Which policy to take, and what that rests on.

    choice: one of CYCLE, KEEP, FASTER and UNKNOWN; of bounds alone RIGHT, WRONG and UNKNOWN. gain: of the best cyclical arm
    over the best fixed rate, in percentage points, with its 95% interval. because: sentences. command: what would settle it,
    empty where it is settled.
    """

    data: str
    model: str
    choice: str
    because: Sequence[str]
    source: str = ""
    experiment: str = ""
    optimizer: str = ""
    arithmetic: str = ""
    best: Arm | None = None
    fixed: Arm | None = None
    gain: float | None = None
    interval: tuple[float, float] | None = None
    seeds: int = 0
    command: str = ""


def advise(arms: Sequence[Arm], data: str, model: str) -> list[Advice]:
    """An advice for each source, experiment, optimizer and arithmetic with runs of `data` and `model`; else how to begin."""
    groups: dict[tuple[int, str, str, str], list[Arm]] = defaultdict(list)
    for arm in arms:
        if arm.experiment != RANGE_TEST and arm.task == (data, model):
            groups[SOURCES.index(arm.source), arm.experiment, arm.optimizer, arm.arithmetic].append(arm)
    found = [_advice(groups[key], data, model) for key in sorted(groups)]
    return found or [Advice(data, model, UNKNOWN, [_no_run(arms, data, model)], command=_first_command(data, model))]


def _no_run(arms: Sequence[Arm], data: str, model: str) -> str:
    others = sorted({" on ".join(reversed(arm.task)) for arm in arms})
    return f"no run of {model} on {data}" + (f"; there are runs of {', '.join(others)}" if others else "")


def _advice(arms: Sequence[Arm], data: str, model: str) -> Advice:
    fixed, best = best_of(list(filter(_is_fixed, arms))), best_of(list(filter(_is_cyclical, arms)))
    about: dict[str, Any] = {"data": data, "model": model}
    about |= {name: getattr(arms[0], name) for name in ("source", "experiment", "optimizer", "arithmetic")}
    if fixed is None and (beside := deviations(arms)):
        return _bounds_advice(about, beside)
    if fixed is None or best is None:
        lacking = "a fixed rate" if fixed is None else "a cyclical policy"
        return Advice(
            **about, choice=UNKNOWN, because=[f"no finished run with {lacking}"], command=_rival_command(arms[0], data, model)
        )
    differences = paired(best.accuracies, fixed.accuracies)
    choice = _choice(differences, best.iterations, fixed.iterations)
    return Advice(
        **about,
        choice=choice,
        because=_because(arms, best, fixed, differences, choice),
        best=best,
        fixed=fixed,
        gain=fmean(differences) if differences else None,
        interval=stats.interval(differences),
        seeds=len(differences),
        command=_command(arms[0], data, model) if choice == UNKNOWN else "",
    )


def _bounds_advice(about: Mapping[str, Any], beside: Sequence[Deviation]) -> Advice:
    """What being wrong about the bounds costs, and whether others than those found do better."""
    found = beside[0].found
    seeds = min(len(deviation.differences) for deviation in beside)
    choice = RIGHT if stats.least_p(seeds) <= ALPHA else UNKNOWN
    if any(_shows(stats.p_above, deviation.differences) for deviation in beside):
        choice = WRONG
    chosen = " ".join(f"{key}={shlex.quote(about[key])}" for key in ("experiment", "data", "model"))
    return Advice(
        **about,
        choice=choice,
        because=[f"{found.policy}, {describe(found)}: {_mean(found)}", *map(_cost, beside)],
        command="" if choice != UNKNOWN else f"python train.py -m {chosen} seed={','.join(map(str, SEEDS))}",
    )


def _cost(deviation: Deviation) -> str:
    arm, differences = deviation.arm, deviation.differences
    ended = [f"{count} of {len(arm.runs)} runs {status}" for status in (DIVERGED, FAILED) if (count := arm.count(status))]
    told = [in_words(differences)] if differences else []
    return f"with {deviation.times:g} times these bounds: {', '.join([*told, *ended])}"


def _is_fixed(arm: Arm) -> bool:
    return _target(arm) in _CONSTANT


def _is_cyclical(arm: Arm) -> bool:
    return bool(cycle_ends(arm.runs[0]))


def _target(arm: Arm) -> str:
    return str(_policy(arm)["_target_"])


def _policy(arm: Arm) -> Mapping[str, Any]:
    """The policy's settings; of a dropping one, those of the schedule that drops."""
    policy = arm.runs[0].identity["policy"]
    dropped: Mapping[str, Any] = policy.get("schedule", policy)
    return dropped


def _choice(differences: Sequence[float], budget: int, fixed_budget: int) -> str:
    if stats.least_p(len(differences)) > ALPHA:
        return UNKNOWN
    if _shows(stats.p_above, differences):
        return CYCLE
    is_equal = max(stats.p_within(differences, MARGIN), stats.p_within(differences, MARGIN, stats.exact_p_above)) <= ALPHA
    if is_equal and budget < fixed_budget:
        return FASTER
    if is_equal or _shows(stats.p_above, [-difference for difference in differences]):
        return KEEP
    return UNKNOWN


def _shows(test: Callable[..., float], differences: Sequence[float]) -> bool:
    return max(test(differences), stats.exact_p_above(differences)) <= ALPHA


def _because(arms: Sequence[Arm], best: Arm, fixed: Arm, differences: Sequence[float], choice: str) -> list[str]:
    rivals = sum(_is_cyclical(arm) for arm in arms), sum(_is_fixed(arm) for arm in arms)
    said = [
        f"{best.label}, {describe(best)}: {_mean(best)} after {best.iterations:,} iterations",
        f"the best fixed rate, {fixed.label}, {describe(fixed)}: {_mean(fixed)} after {fixed.iterations:,} iterations",
    ]
    if differences:
        said.append(f"gain {in_words(differences)}")
    said.append(f"it rests on the best of {rivals[0]} cyclical arms and of {rivals[1]} fixed rates, chosen on these same runs")
    if choice == UNKNOWN:
        said.append(f"the difference is not settled: at least {len(SEEDS)} common seeds are needed, or a larger difference")
    elif rivals[1] < 3:
        said.append("another fixed rate could do better: few were tried")
    if best.iterations != fixed.iterations:
        said.append(f"budgets differ{_at_the_same_time(best, fixed)}: with an equal one it may come out otherwise")
    return said


def _at_the_same_time(best: Arm, fixed: Arm) -> str:
    """Where the fixed rate stood, with its drops still to come, when the cyclical arm had ended."""
    before = [[row for row in run.evaluations if row.iteration <= best.iterations] for run in fixed.finished]
    if best.iterations > fixed.iterations or not all(before):
        return ""
    stood = fmean(rows[-1].test_accuracy for rows in before)
    return f" (after {best.iterations:,} iterations the fixed rate stood at {stood:.2f}%)"


def describe(arm: Arm) -> str:
    """An arm's bounds, step size and the like, in words."""
    policy = _policy(arm)
    stages = policy.get("stages")
    told: Mapping[str, Any] = policy if not stages else stages[0]["schedule"]
    scale = arm.runs[0].identity.get("scale", 1)
    stretched = [] if scale == 1 else [f"lengths times {scale:g}"]
    words = ", ".join([*(f"{key} {told[key]}" for key in _TOLD if key in told), *stretched])
    return f"{len(stages)} stages, the first with {words}" if stages else words


def _mean(arm: Arm) -> str:
    return f"{fmean(arm.accuracies.values()):.2f}% (n = {len(arm.accuracies)})"


def _rival_command(arm: Arm, data: str, model: str) -> str:
    """What brings the rival that is lacking: the experiment's other arms; where it has no arms, a comparison of policies."""
    typed = arm.runs[0].config.get("overrides", ())
    if arm.experiment == "adhoc" or not typed or any(text.startswith("arm=") for text in typed):
        return _command(arm, data, model)
    return _first_command(data, model, _typed(arm, _OF_EXPERIMENT))


def _command(arm: Arm, data: str, model: str) -> str:
    if arm.experiment == "adhoc":
        # Data of one's own are not known by their name.
        return _first_command(data, model, _typed(arm, ("policy", "seed=")))
    experiment, seeds = shlex.quote(arm.experiment), ",".join(map(str, SEEDS))
    # Where a sweep begins no arm has chosen the net, so that what the net takes has to be forced.
    if changed := [f"++{text}" if text.startswith("model.net.") else text for text in _typed(arm, _OF_EXPERIMENT)]:
        return f"python train.py -m experiment={experiment} {shlex.join(changed)} seed={seeds}"
    return f"make sweep EXPERIMENT={experiment} SEEDS={seeds}"


def _typed(arm: Arm, but: tuple[str, ...]) -> list[str]:
    """What was typed for a run of `arm`, without what begins like one of `but`, and without the place of what ships."""
    left_out = (*but, *PLACE) if arm.source == EVIDENCE else but
    return [text for text in arm.runs[0].config.get("overrides", ()) if not text.startswith(left_out)]


def _first_command(data: str, model: str, typed: Sequence[str] = ()) -> str:
    groups = {text.partition("=")[0] for text in typed}
    named = [f"{group}={name}" for group, name in (("data", data), ("model", model)) if group not in groups]
    policies, seeds = "policy=fixed,triangular,triangular2,exp_range", ",".join(map(str, SEEDS))
    return f"python train.py -m {shlex.join([*named, *typed])} {policies} seed={seeds}"
