"""What the runs of one data set and model say to somebody who has to choose a policy."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from clrbench import stats
from clrbench.analysis.arms import Arm
from clrbench.analysis.commands import PLACE
from clrbench.analysis.pairs import RATES, best_of, comparisons, in_words, paired, untuned
from clrbench.analysis.relations import ALPHA
from clrbench.analysis.wrong_bounds import Deviation, deviations
from clrbench.range_test.records import RANGE_TEST
from clrbench.runs import EVIDENCE, SOURCES
from clrbench.store import DIVERGED, FAILED

CYCLE, KEEP, UNKNOWN = "use CLR", "keep the fixed rate", "not enough runs"
RIGHT, WRONG = "take the bounds that the range test finds", "take other bounds than the range test finds"
BETTER, EQUAL, WORSE, OPEN = "better", "equal", "worse", "open"
_CHOICES = {BETTER: CYCLE, EQUAL: KEEP, WORSE: KEEP, OPEN: UNKNOWN}
SEEDS = 5
# What an experiment sweeps over, as far as runs are typed with it.
_OF_EXPERIMENT = ("experiment=", "arm=", "seed=", "policy", "bounds", "optimizer")
_TOLD = ("base_lr", "max_lr", "step_size", "gamma", "decays", "window")


@dataclass(frozen=True)
class Advice:
    """Which policy to take, and what that rests on.

    choice: one of CYCLE, KEEP and UNKNOWN; of bounds alone RIGHT, WRONG and UNKNOWN. gain: of the best cyclical arm
    over the best fixed rate, in the unit of their measure, with its 95% interval. because: sentences. command: what would
    settle it, empty where it is settled.
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
    """An advice for each comparison with runs of `data` and `model` on test images; else how to begin."""
    candidates = [arm for arm in arms if not _is_for_a_choice(arm) and arm.task == (data, model)]
    order = {id(arm): (SOURCES.index(arm.source), arm.experiment, arm.optimizer, arm.arithmetic) for arm in candidates}
    groups = sorted(comparisons(candidates), key=lambda rivals: order[id(rivals[0])])
    found = [_advice(group, data, model) for group in groups]
    return found or [Advice(data, model, UNKNOWN, [_no_run(arms, data, model)], command=_first_command(data, model))]


def _is_for_a_choice(arm: Arm) -> bool:
    """Whether its runs choose bounds: ramps, and screenings on held-out images."""
    return arm.experiment == RANGE_TEST or arm.runs[0].settings.get("data.evaluate") == "validation"


def _no_run(arms: Sequence[Arm], data: str, model: str) -> str:
    others = sorted({" on ".join(reversed(arm.task)) for arm in arms})
    return f"no run of {model} on {data}" + (f"; there are runs of {', '.join(others)}" if others else "")


def _advice(arms: Sequence[Arm], data: str, model: str) -> Advice:
    rivals = _with_equal_budgets(arms)
    fixed, best = best_of([arm for arm in rivals if arm.is_fixed]), best_of([arm for arm in rivals if arm.is_cyclical])
    about: dict[str, Any] = {"data": data, "model": model}
    about |= {name: getattr(arms[0], name) for name in ("source", "experiment", "optimizer", "arithmetic")}
    if fixed is None and (beside := deviations(arms)):
        return _bounds_advice(about, beside)
    if fixed is None or best is None:
        command = _rival_command(arms[0], data, model)
        return Advice(**about, choice=UNKNOWN, because=[_lacking(arms)], command=command)
    differences, measure = paired(best.accuracies, fixed.accuracies), best.measure
    is_tuned = fixed.is_screened or len(_rates(rivals)) >= RATES
    gains = [measure.sign * value for value in differences]
    choice = _CHOICES[standing(gains, measure.margin)] if is_tuned else UNKNOWN
    return Advice(
        **about,
        choice=choice,
        because=_because(rivals, best, fixed, differences, choice),
        best=best,
        fixed=fixed,
        gain=fmean(differences) if differences else None,
        interval=stats.interval(differences),
        seeds=len(differences),
        command=_command(min(best, fixed, key=_seeds_of), data, model, is_tuned) if choice == UNKNOWN else "",
    )


def _with_equal_budgets(arms: Sequence[Arm]) -> list[Arm]:
    """The arms with the longest budget at which both a fixed rate and cycles have ended; none where there is no such."""
    trained = [arm for arm in arms if arm.accuracies]
    budgets = {arm.iterations for arm in trained if arm.is_fixed} & {arm.iterations for arm in trained if arm.is_cyclical}
    return [arm for arm in trained if budgets and arm.iterations == max(budgets)]


def _lacking(arms: Sequence[Arm]) -> str:
    fixed, cyclical = ([arm for arm in arms if arm.accuracies and getattr(arm, kind)] for kind in ("is_fixed", "is_cyclical"))
    if fixed and cyclical:
        return "no fixed rate has the same budget as cycles, so there is nothing to compare"
    return f"no finished run with {'a cyclical policy' if fixed else 'a fixed rate'}"


def _rates(arms: Sequence[Arm]) -> list[float]:
    """The fixed rates that were tried."""
    return sorted({float(arm.runs[0].policy["base_lr"]) for arm in arms if arm.is_fixed})


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
        because=[f"{found.name}, {describe(found)}: {_mean(found)}", *map(_cost, beside)],
        command="" if choice != UNKNOWN else f"python train.py -m {chosen} seed={_seeds()}",
    )


def _cost(deviation: Deviation) -> str:
    arm, differences = deviation.arm, deviation.differences
    ended = [f"{count} of {len(arm.runs)} runs {status}" for status in (DIVERGED, FAILED) if (count := arm.count(status))]
    notes = [in_words(differences)] if differences else []
    return f"with {deviation.times:g} times these bounds: {', '.join([*notes, *ended])}"


def standing(gains: Sequence[float], margin: float) -> str:
    """What paired gains, each of which is better where it is more, say: BETTER, EQUAL within the margin, WORSE, or OPEN.

    Both the t test and the exact one have to agree, at the level 0.05.
    """
    if stats.least_p(len(gains)) > ALPHA:
        return OPEN
    if _shows(stats.p_above, gains):
        return BETTER
    if max(stats.p_within(gains, margin), stats.p_within(gains, margin, stats.exact_p_above)) <= ALPHA:
        return EQUAL
    return WORSE if _shows(stats.p_above, [-gain for gain in gains]) else OPEN


def _shows(test: Callable[..., float], differences: Sequence[float]) -> bool:
    return max(test(differences), stats.exact_p_above(differences)) <= ALPHA


def _because(arms: Sequence[Arm], best: Arm, fixed: Arm, differences: Sequence[float], choice: str) -> list[str]:
    cyclical, rates = sum(arm.is_cyclical for arm in arms), _rates(arms)
    tried = ", ".join(f"{rate:g}" for rate in rates)
    said = [
        f"{best.label}, {describe(best)}: {_mean(best)} after {best.iterations:,} iterations",
        f"the best fixed rate, {fixed.label}, {describe(fixed)}: {_mean(fixed)} after {fixed.iterations:,} iterations",
    ]
    if differences:
        said.append(f"gain {in_words(differences, best.measure)}")
    if fixed.is_screened:
        said.append("each has the best of the bounds that were tried for it, chosen on held-out images by other runs")
    else:
        said.append(
            f"it rests on the best of {cyclical} cyclical arms and of the fixed rates {tried}, chosen on these same runs"
        )
    if not fixed.is_screened and len(rates) < RATES:
        said.append(untuned(set(rates)))
    elif choice == UNKNOWN:
        said.append(f"the difference is not settled: at least {SEEDS} common seeds are needed, or a larger difference")
    return said


def describe(arm: Arm) -> str:
    """An arm's bounds, step size and the like, in words."""
    policy = arm.runs[0].policy
    stages = policy.get("stages")
    told: Mapping[str, Any] = policy if not stages else stages[0]["schedule"]
    scale = arm.runs[0].identity.get("scale", 1)
    stretched = [] if scale == 1 else [f"lengths times {scale:g}"]
    words = ", ".join([*(f"{key} {told[key]}" for key in _TOLD if key in told), *stretched])
    return f"{len(stages)} stages, the first with {words}" if stages else words


def _mean(arm: Arm) -> str:
    return f"{arm.measure.value(fmean(arm.accuracies.values()))} (n = {len(arm.accuracies)})"


def _rival_command(arm: Arm, data: str, model: str) -> str:
    """What brings the rival that is lacking: the experiment's other arms; where it has no arms, a comparison of policies."""
    typed = arm.runs[0].config.get("overrides", ())
    if arm.experiment == "adhoc" or not typed or any(text.startswith("arm=") for text in typed):
        return _command(arm, data, model)
    return _first_command(data, model, _typed(arm, _OF_EXPERIMENT), arm)


def _command(arm: Arm, data: str, model: str, is_tuned: bool = True) -> str:
    if arm.experiment == "adhoc" or not is_tuned:
        # Data of one's own are not known by their name.
        return _first_command(data, model, _typed(arm, ("policy", *_OF_EXPERIMENT[:3])), arm)
    experiment, seeds = shlex.quote(arm.experiment), _seeds(arm)
    # The bounds of an experiment are those of images: a module of one's own brings others.
    of_experiment = _OF_EXPERIMENT if arm.runs[0].is_of_images else tuple(key for key in _OF_EXPERIMENT if key != "bounds")
    # Where a sweep begins no arm has chosen the net, so that what the net takes has to be forced.
    if changed := [f"++{text}" if text.startswith("model.net.") else text for text in _typed(arm, of_experiment)]:
        return _of_notebook(changed, seeds) or f"python train.py -m experiment={experiment} {shlex.join(changed)} seed={seeds}"
    return f"make sweep EXPERIMENT={experiment} SEEDS={seeds}"


def _typed(arm: Arm, but: tuple[str, ...]) -> list[str]:
    """What was typed for a run of `arm`, without what begins like one of `but`, and without the place of what ships."""
    left_out = (*but, *PLACE) if arm.source == EVIDENCE else but
    return [text for text in arm.runs[0].config.get("overrides", ()) if not text.startswith(left_out)]


def _seeds_of(arm: Arm) -> int:
    return len(arm.accuracies)


def _seeds(arm: Arm | None = None) -> str:
    """The first five seeds; the five behind those that have run, where so many have: the same ones would run nothing."""
    ran = {} if arm is None else arm.accuracies
    first = max(ran) + 1 if len(ran) >= SEEDS else 1
    return ",".join(map(str, range(first, first + SEEDS)))


def _first_command(data: str, model: str, typed: Sequence[str] = (), arm: Arm | None = None) -> str:
    groups = {text.partition("=")[0] for text in typed}
    named = [f"{group}={name}" for group, name in (("data", data), ("model", model)) if not {group, "task"} & groups]
    command = f"python train.py -m {shlex.join(['experiment=compare', *named, *typed])} seed={_seeds(arm)}"
    return _of_notebook(typed, _seeds(arm)) or command


def _of_notebook(typed: Sequence[str], seeds: str) -> str | None:
    """What to call where a class is defined in a notebook, in which no command would find it."""
    is_there = any("_target_=__main__." in text for text in typed)
    return f"clrbench.compare(..., seeds=({seeds})), without policies=" if is_there else None
