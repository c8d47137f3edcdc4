"""How the policies of the league stand, in words and as a table of a terminal."""

from collections.abc import Iterator, Sequence

from clrbench.decision.trials import CYCLICAL, OTHER
from clrbench.league.entry import Tuning
from clrbench.league.rows import Row
from clrbench.league.scores import Score, friedman_p
from clrbench.league.standing import REFERENCE, Standing, edges, standings
from clrbench.stats import BETTER, WORSE


def plan_lines(
    tasks: Sequence[str], policies: Sequence[str], parts: Sequence[int], tuning: Tuning, hours: float, unknown: Sequence[str]
) -> Iterator[str]:
    """What the league will do. parts: of all contests; hours: of training, of the tasks that are not unknown."""
    finals = len(tuning.final_seeds)
    runs = len(parts) * len(policies) * (tuning.trials + finals)
    yield f"league of {len(policies)} policies on {counted(len(tasks))}: {', '.join(tasks)}"
    yield f"policies {', '.join(policies)}"
    yield f"budgets  {' and '.join(budget(part) for part in sorted(set(parts)))}"
    yield f"trials   {tuning.trials} for each peak of policy, task and budget, then {finals} fresh seeds: {runs:,} runs in all"
    known = f"{hours:.1f} h of training of one worker in all"
    lacking = f"; no run on this machine tells of {', '.join(unknown)} yet" if unknown else ""
    yield f"time     {known}{lacking}; what has run before is not run again"


def budget(part: int) -> str:
    """A budget in words."""
    return {1: "the whole budget", 2: "half of it", 3: "a third of it"}.get(part, f"a {part}th of it")


def standing_lines(rows: Sequence[Row]) -> Iterator[str]:
    """The tables of all budgets and the sentences computed from them."""
    for standing in standings(rows):
        yield from _table(standing)
        yield from sentences(standing)
        for task, policy, peak in edges(rows, standing.part):
            yield f"edge     {task}: the peak of {policy}, {peak:g}, lies at the edge of its grid: a farther one may be better"
    yield from unranked_lines(rows)


def unranked_lines(rows: Sequence[Row]) -> Iterator[str]:
    """The budgets of which there are finals, and no table."""
    ranked = {standing.part for standing in standings(rows)}
    for part in sorted({row.part for row in rows if row.is_final} - ranked):
        yield (
            f"no table for {budget(part)}: no task has a final of {REFERENCE}, which the others are held against, with the "
            "seeds of most finals: run `make league` without POLICIES"
        )


def _table(standing: Standing) -> Iterator[str]:
    yield ""
    yield f"{budget(standing.part)}, {counted(len(standing.tasks))}, {standing.seeds} seeds, 95% intervals in brackets"
    lines = [("policy", "mean rank", "as good as best", "time to fixed", "better, worse")]
    for at in sorted(range(len(standing.policies)), key=lambda at: standing.ranks[at].value):
        policy = standing.policies[at]
        better, worse = (count(standing, policy, verdict) for verdict in (BETTER, WORSE))
        rank, speed = score_text(standing.ranks[at], ".1f"), score_text(standing.speeds[at], ".0%")
        against = "-" if at == standing.reference else f"{better}, {worse}"
        lines.append((policy, rank, score_text(standing.as_good[at], ".0%"), speed, against))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        yield "  ".join(f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()


def score_text(score: Score, form: str) -> str:
    """A score with its interval, each number in the same form."""
    return f"{score.value:{form}} [{score.low:{form}}, {score.high:{form}}]"


def count(standing: Standing, policy: str, verdict: str) -> int:
    """On how many tasks a policy has a verdict beside the fixed rate."""
    at = list(standing.policies).index(policy)
    return sum((gain := cells[at]) is not None and gain.verdict == verdict for cells in standing.gains)


def main_sentences(standing: Standing) -> Iterator[str]:
    """Does any policy win everywhere, and when do cycles, or other schedules, pay; nothing of a kind that did not take part."""
    tasks = len(standing.tasks)
    if standing.winners:
        names = " or ".join(standing.winners)
        yield f"No policy beats {names} by more than the margin on any of {counted(tasks)}."
    else:
        most = max(map(standing.tasks_as_good, standing.policies))
        nearest = [policy for policy in standing.policies if standing.tasks_as_good(policy) == most]
        come = f"{' and '.join(nearest)} come{'s' * (len(nearest) == 1)} nearest"
        yield f"No policy wins everywhere: {come}, within the margin of the best on {most} of {counted(tasks)}."
    for name, kind in (("A cyclical policy", CYCLICAL), ("Another schedule", OTHER)):
        if standing.places_of(kind):
            better, worse = (_named(standing.tasks_where(verdict, kind)) for verdict in (BETTER, WORSE))
            yield f"{name} is better than the tuned fixed rate on {better} of {counted(tasks)}, and one is worse on {worse}."


def sentences(standing: Standing) -> Iterator[str]:
    """The main sentences, whether all policies are alike, and what hangs on one task."""
    tasks = len(standing.tasks)
    yield from main_sentences(standing)
    if len(standing.policies) > 2 and tasks > 2:
        yield f"Friedman's test that all policies are alike: p = {friedman_p(standing.worths):.2g} over {tasks} tasks."
    yield from _without_each(standing)
    if standing.left_out:
        yield f"Left out: {'; '.join(standing.left_out)}."


def counted(tasks: int) -> str:
    """A number of tasks in words."""
    return f"{tasks} task{'s' * (tasks != 1)}"


def _named(tasks: Sequence[str]) -> str:
    return f"{len(tasks)} ({', '.join(tasks)})" if tasks else "none"


def _without_each(standing: Standing) -> Iterator[str]:
    if standing.without_each is None:
        return
    leader = standing.policies[min(range(len(standing.policies)), key=lambda at: standing.ranks[at].value)]
    leaders = [standing.policies[int(row.argmin())] for row in standing.without_each]
    others = {task: one for task, one in zip(standing.tasks, leaders, strict=True) if one != leader}
    if others:
        changes = ", ".join(f"{one} without {task}" for task, one in others.items())
        yield f"The best mean rank is that of {leader}; leaving one task out changes that: {changes}."
    else:
        yield f"The best mean rank is that of {leader}, whichever task is left out."
