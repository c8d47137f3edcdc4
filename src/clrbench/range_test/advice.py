"""What to try where an answer is doubtful or missing.

Each advice sets something once: whoever follows all that an answer says comes to an end in three steps at most.
"""

FOUND = "leave `high` out (range_test.high=auto), so that the range is found"
SEEDS = "take at least 12 `seeds`"
LENGTH = "take at least 60 `points` in at least 1,000 `iterations`"
_ENOUGH_SEEDS = 12


def range_found(is_given: bool) -> str:
    """To have the range found, where it was given."""
    return FOUND if is_given else ""


def more_seeds(seeds: int) -> str:
    """To take more of them, where that is not done."""
    return SEEDS if seeds < _ENOUGH_SEEDS else ""


def sentence(fact: str, *advice: str) -> str:
    """What was seen, and what to try; empty advice is left out."""
    attempts = ", or ".join(filter(None, advice))
    return f"{fact}: {attempts}." if attempts else f"{fact}."
