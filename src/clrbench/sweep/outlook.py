"""What a decision will do, before it begins: its stages, its runs and its hours."""

import math
from collections.abc import Iterable, Iterator, Sequence

from clrbench.decision.peaks import START
from clrbench.decision.strategy import FINAL, PEAKS, RACE, DecisionState
from clrbench.decision.trials import KINDS, Rules
from clrbench.decision.worlds import expected_runs
from clrbench.sweep.question import Question

_DOES = {
    PEAKS: "each family at peaks in factors of two, on held-out data",
    RACE: "more seeds for what is not clearly worse, on held-out data",
    FINAL: "the best of each kind with fresh seeds, on test data where there are any",
}


def outlook(question: Question, seconds: float | None, workers: int, is_measured: bool, hours: float | None) -> Iterator[str]:
    """The plan, a line a stage. seconds: an iteration takes, None where no run tells; hours: the limit by the clock, if any."""
    config, rules, families = question.config, question.rules, question.families
    names = ", ".join(family.name for family in families)
    yield f"decision on {config.model.name}, {config.data.name}: {question.iterations:,} iterations a run; families {names}"
    if is_measured:
        test = config.range_test
        yield f"start    the range test: {len(test.seeds)} ramps of {test.epochs:g} epochs"
    else:
        yield f"start    first peak {question.first_peak:g}, from bounds.max_lr"
    stages = {PEAKS: _peaks(len(families), rules), RACE: _race(question), FINAL: _final(question)}
    for stage, ends in stages.items():
        yield f"{stage:<9}{_span(ends)} runs: {_DOES[stage]}"
    totals = [sum(ends) for ends in zip(*stages.values(), strict=True)]
    expected = expected_runs(families, rules)
    line = f"in all   {_span(totals)} runs, {expected} expected"
    if seconds is None:
        yield f"{line}; the hours are unknown: no run on this machine has measured one of this kind yet"
        return
    of_run = question.iterations * seconds / 3600 / workers
    usual = expected * of_run
    hours_of = [_duration(count * of_run) for count in totals]
    yield f"{line}; {_span(hours_of)} with {workers} worker{'s' * (workers > 1)}, {_duration(usual)} expected"
    if hours is not None and usual > hours:
        yield f"warning: decide.hours={hours:g} may end it before its answer: lower iterations, or name fewer decide.families"


def _span(ends: Iterable[int | str]) -> str:
    """From the least to the most; one of them where they are the same."""
    return " to ".join(dict.fromkeys(map(str, ends)))


def _duration(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{math.ceil(60 * hours)} min"


def stage_line(state: DecisionState) -> str:
    """What begins."""
    return f"{state.stage}: {_DOES[state.stage]}"


def _peaks(families: int, rules: Rules) -> tuple[int, int]:
    """A family's grid and the second seed at its first peak; at most out to its limit on one side."""
    least = len(START) + 1
    return families * least, families * (least + rules.most_rungs - max(START))


def _race(question: Question) -> tuple[int, int]:
    kinds = _kinds(question)
    return 0, len(kinds) * question.rules.contenders * (len(question.rules.race_seeds) - 1)


def _final(question: Question) -> tuple[int, int]:
    kinds, looks = _kinds(question), question.rules.looks
    return (len(kinds) * looks[0], len(kinds) * looks[-1]) if len(kinds) > 1 else (0, 0)


def _kinds(question: Question) -> Sequence[str]:
    return [kind for kind in KINDS if any(family.kind == kind for family in question.families)]
