"""The answer of a decision as text and as JSON."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from clrbench.checkout import decide_command
from clrbench.decision.conclusion import TRIALS, Conclusion, Gain
from clrbench.decision.strategy import OVER, DecisionState
from clrbench.decision.trials import Candidate, Family
from clrbench.identity import PUBLIC_NAMES, TARGET
from clrbench.measure import Measure
from clrbench.stats import EQUAL, NO_DIFFERENCE, OPEN

_STANDS = {EQUAL: NO_DIFFERENCE, OPEN: "open"}
# What CyclicLR needs none of: whose name, or place, a setting is.
_ASIDE = ("name", TARGET)
# A further look is at so many times the seeds of the last one.
_FURTHER = 5 / 3
# The paper's way: cycles up to the bound that the range test finds.
_STRAIGHT = ("triangular2", 0)


@dataclass(frozen=True)
class Decided:
    """A decision that is over. task: the names of data and model; bounds: of each candidate base_lr and max_lr.

    asked: the whole question, as typed; arms: that each family is, as typed; command: runs the chosen candidate, of seed 1;
    policy: its settings, lengths in iterations. metric: of the final, where that has another. hours: of training.
    range_test: its trainings, in runs.
    """

    task: tuple[str, str]
    measure: Measure
    metric: str
    iterations: int
    conclusion: Conclusion
    state: DecisionState
    bounds: Mapping[Candidate, tuple[float, float]]
    asked: Sequence[str]
    arms: Mapping[Family, str]
    command: str
    policy: Mapping[str, Any]
    runs: int
    hours: float
    range_test: float
    notes: Sequence[str] = ()

    def named(self, candidate: Candidate) -> str:
        """A candidate with its peak."""
        return f"{candidate.family.name} at {self.bounds[candidate][1]:g}"

    def amount(self, worth: float, sign: str = "") -> str:
        """How much better or worse, with its unit. sign: `+` to say that it is better."""
        form, unit = (".2f", "points") if self.measure.is_percent else (".3g", self.measure.unit)
        return f"{worth:{sign}{form}} {unit}".rstrip()

    def interval(self, low: float, high: float) -> str:
        """Both ends, without the unit."""
        form = "+.2f" if self.measure.is_percent else "+.3g"
        return f"[{low:{form}}, {high:{form}}]"

    def value(self, worth: float) -> str:
        """A value of the metric, with its unit."""
        return self.measure.value(self.measure.sign * worth)

    def peaks(self, family: Family) -> dict[float, float]:
        """{peak: value of the metric} on held-out data, with the seed that all have; without those that diverged with it."""
        tried = {one: worths[min(worths)] for one, worths in self.state.screened.items() if one.family == family}
        values = {self.bounds[one][1]: self.measure.sign * worth for one, worth in tried.items() if math.isfinite(worth)}
        return dict(sorted(values.items()))

    @property
    def snippet(self) -> list[str]:
        """The lines for a project of one's own, which make `clr`."""
        made = _call("CyclicLR", self.policy)
        if _is_own(self.policy):
            made = f"CyclicLR({made})"
        own = {str(node[TARGET]): None for node in _policies(self.policy) if _is_own(node)}
        return [
            f"from clrbench import CyclicLR{', schedules' * ('schedules.named(' in made)}",
            *("from {0} import {2}".format(*target.rpartition(".")) for target in own),
            f"clr = {made}",
        ]


def _is_own(policy: Mapping[str, Any]) -> bool:
    """Whether it is a function of the user's, whose name the suite does not know."""
    return policy[TARGET] not in PUBLIC_NAMES


def _policies(node: Any) -> Iterator[Mapping[str, Any]]:
    """A policy and those within its settings."""
    if isinstance(node, Mapping):
        if TARGET in node:
            yield node
        node = list(node.values())
    if isinstance(node, list):
        for one in node:
            yield from _policies(one)


def _call(function: str, policy: Mapping[str, Any]) -> str:
    """The call that makes a policy from its name and its settings; of a function of one's own, a function of the iteration."""
    name, is_own = str(policy[TARGET]).rpartition(".")[2], _is_own(policy)
    # An own function may need its None; a policy of the suite has it by default.
    settings = {key: value for key, value in policy.items() if key not in _ASIDE and (is_own or value is not None)}
    written = [f"{key}={_written(value)}" for key, value in settings.items()]
    if is_own:
        return f"lambda iteration: {name}({', '.join(['iteration', *written])})"
    return f"{function}({', '.join([repr(name), *written])})"


def _written(value: Any) -> str:
    """A setting in Python, with the policies within it."""
    if isinstance(value, Mapping) and TARGET in value:
        return _call("schedules.named", value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{key!r}: {_written(one)}' for key, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_written, value))}]"
    return repr(value)


def how_to_choose(is_of_images: bool = True) -> str:
    """What a comparison leaves open, whose best arm is the best by the runs that show it."""
    command = f"`{decide_command()}`" if is_of_images else "the same command with `experiment=decide` for policies and seeds"
    return f"which to take: {command} tunes the peak of each policy and judges by fresh seeds"


def lines(decided: Decided) -> list[str]:
    """The answer in words, most important first."""
    return [
        _headline(decided),
        *_reasons(decided),
        f"regret   {_regret(decided)}",
        *(f"turns    {line}" for line in _turns(decided)),
        *(f"note     {line}" for line in decided.notes),
        f"cost     {decided.runs} runs of {decided.iterations:,} iterations, {decided.hours:.2f} h of training",
        *_price(decided),
        *to_copy(decided),
        *_more(decided),
    ]


def to_copy(decided: Decided) -> list[str]:
    """The lines of the answer that one copies: a command, and Python."""
    trainer = f"Trainer(max_steps={decided.iterations}, callbacks=[clr])  # or clr.attach(optimizer) in a loop of your own"
    yours = [*decided.snippet, trainer]
    return [
        f"run      {decided.command}",
        *(f"{head:<9}{line}" for head, line in zip_longest(["yours"], yours, fillvalue="")),
    ]


def _more(decided: Decided) -> Iterable[str]:
    """What may settle an open decision, and what that costs; of one that its hours ended, a note says so."""
    final = decided.state.final
    if final is not None and decided.state.stage == OVER and not decided.conclusion.is_settled:
        looks = [*final.rules.looks, round(final.rules.looks[-1] * _FURTHER)]
        cost = f"added after an open end, they make an error likelier than {final.rules.error:.0%}"
        yield f"more     decide.looks=[{','.join(map(str, looks))}] takes more seeds; {cost}"


def _headline(decided: Decided) -> str:
    conclusion = decided.conclusion
    base_lr, max_lr = decided.bounds[conclusion.chosen]
    step_size = decided.policy.get("step_size")
    rates = f"max_lr {max_lr:g}" if "max_lr" in decided.policy else f"rate {max_lr:g}"
    rates += f", base_lr {base_lr:g}" if "max_lr" in decided.policy and "base_lr" in decided.policy else ""
    rates += f", step_size {step_size:,}" if step_size else ""
    guess = "" if conclusion.is_settled else " (not settled: the best guess)"
    return f"answer   {conclusion.verdict}{guess}: {conclusion.chosen.family.name} with {rates}"


def _reasons(decided: Decided) -> Iterable[str]:
    conclusion, final = decided.conclusion, decided.state.final
    assert final is not None
    seeds = final.seeds[conclusion.chosen]
    yield f"worth    {decided.metric.replace('_', ' ')} {decided.value(conclusion.worth)}, the mean of {seeds} fresh seeds"
    if conclusion.equals:
        names = " and ".join(decided.named(one) for one in conclusion.equals)
        yield f"because  {NO_DIFFERENCE} parts it from {names}, and it is the simplest"
    for gain in conclusion.gains:
        yield f"{'gain':<9}{_gain(decided, gain)}"
    for one in final.diverged:
        yield f"diverged {decided.named(one)}, with a fresh seed"


def _gain(decided: Decided, gain: Gain) -> str:
    stands = _STANDS.get(gain.relation, gain.relation)
    if math.isnan(gain.mean):
        return f"{decided.named(gain.one)} beside {decided.named(gain.other)}: one of them diverged"
    amount = f"{decided.amount(gain.mean, sign='+')} {decided.interval(gain.low, gain.high)}"
    return f"{decided.named(gain.one)} over {decided.named(gain.other)}: {amount}, {gain.seeds} seeds: {stands}"


def _regret(decided: Decided) -> str:
    conclusion = decided.conclusion
    beside = f"at most {decided.amount(conclusion.regret_beside_finalists)} beside the other finalists"
    if conclusion.regret_beside_all is None:
        return beside
    of_all = decided.amount(conclusion.regret_beside_all)
    return f"{beside}; at most {of_all} beside every candidate tried, on held-out data (95% each)"


def _turns(decided: Decided) -> Iterable[str]:
    conclusion, margin = decided.conclusion, decided.amount(decided.measure.margin)
    family = conclusion.chosen.family
    rates = sorted(decided.bounds[one][1] for one in decided.bounds if one.family == family and _is_flat(conclusion, one))
    if len(rates) > 1:
        between = f"between {rates[0]:g} and {rates[-1]:g}"
        yield f"any peak of {family.name} {between} does: it loses at most {margin} on held-out data"
    else:
        near = sorted(
            one.rung for one in decided.bounds if one.family == family and abs(one.rung - conclusion.chosen.rung) == 1
        )
        tried = " and ".join(f"{decided.bounds[Candidate(family, rung)][1]:g}" for rung in near)
        yield f"no other peak of {family.name} does: {tried} lose{'s' * (len(near) == 1)} more than {margin} on held-out data"
    for one in conclusion.edges:
        yield f"the best peak of {one.name} lies at the edge of what was tried: a farther one may be better"
    yield f"another budget than {decided.iterations:,} iterations, or other data, need another decision"


def _is_flat(conclusion: Conclusion, candidate: Candidate) -> bool:
    return conclusion.flat[0] <= candidate.rung <= conclusion.flat[1]


def _price(decided: Decided) -> Iterable[str]:
    """What a search of a person reaches, from the trials with seed 1."""
    shown = [family for family in decided.conclusion.price if decided.conclusion.price[family]]
    width = max(len(family.name) for family in shown)
    trials = ", ".join(map(str, TRIALS))
    yield f"price    expected best on held-out data after {trials} random trials, a run each, among the peaks tried"
    for family in shown:
        values = "  ".join(decided.value(worth) for worth in decided.conclusion.price[family])
        yield f"         {family.name:<{width}}  {values}"
    for one, worths in decided.state.screened.items():
        first = worths[min(worths)]  # the seed that the others were tried with
        if (one.family.name, one.rung) == _STRAIGHT and math.isfinite(first):
            tested = (
                f"after a range test as long as {decided.range_test:.2g} runs" if decided.range_test else "at the first peak"
            )
            yield f"         {decided.named(one)}, {tested}, without a search: {decided.value(first)}"


def as_json(decided: Decided) -> dict[str, Any]:
    """All of it, for programs; worths as values of the metric, amounts positive where the first is better."""
    conclusion, final = decided.conclusion, decided.state.final
    assert final is not None
    return {
        "data": decided.task[0],
        "model": decided.task[1],
        "iterations": decided.iterations,
        "metric": decided.metric,
        "mode": decided.measure.mode,
        "unit": decided.measure.unit,
        "margin": decided.measure.margin,
        "verdict": conclusion.verdict,
        "settled": conclusion.is_settled,
        "chosen": _candidate(decided, conclusion.chosen),
        "policy": {key: value for key, value in decided.policy.items() if value is not None},
        "asked": list(decided.asked),
        "command": decided.command,
        "arms": {family.name: arm for family, arm in decided.arms.items()},
        "value": _finite(decided.measure.sign * conclusion.worth),
        "equal": [_candidate(decided, one) for one in conclusion.equals],
        "finalists": [
            {
                **_candidate(decided, one),
                "values": _values(decided, final.worths(one, final.seeds[one])),
            }
            for one in final.finalists
        ],
        "gains": [_gain_of(decided, gain) for gain in conclusion.gains],
        "regret_beside_finalists": _finite(conclusion.regret_beside_finalists),
        "regret_beside_all": _finite(conclusion.regret_beside_all),
        "peaks": {
            family.name: {f"{peak:g}": value for peak, value in decided.peaks(family).items()} for family in conclusion.price
        },
        "price": {
            family.name: dict(zip(map(str, TRIALS), _values(decided, worths), strict=False))
            for family, worths in conclusion.price.items()
        },
        "runs": decided.runs,
        "hours": round(decided.hours, 4),
        "notes": list(decided.notes),
        "text": lines(decided),
    }


def _finite(value: float | None) -> float | None:
    """None in the place of what JSON has no number for."""
    return value if value is not None and math.isfinite(value) else None


def _values(decided: Decided, worths: Iterable[float]) -> list[float | None]:
    return [_finite(decided.measure.sign * worth) for worth in worths]


def _candidate(decided: Decided, one: Candidate) -> dict[str, Any]:
    base_lr, max_lr = decided.bounds[one]
    return {"family": one.family.name, "kind": one.family.kind, "base_lr": base_lr, "max_lr": max_lr}


def _gain_of(decided: Decided, gain: Gain) -> dict[str, Any]:
    finite = {key: _finite(value) for key, value in (("mean", gain.mean), ("low", gain.low), ("high", gain.high))}
    ends = {"of": _candidate(decided, gain.one), "over": _candidate(decided, gain.other)}
    return {**ends, **finite, "seeds": gain.seeds, "relation": gain.relation}
