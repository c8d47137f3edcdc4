"""What a search costs: the expected best of k trials (Dodge et al., "Show Your Work", EMNLP 2019, equation 3)."""

from collections.abc import Sequence


def expected_best(worths: Sequence[float], trials: int) -> float:
    """The expected highest of `trials` draws from `worths`, with replacement, each as likely as any other."""
    ordered, number = sorted(worths), len(worths)
    return sum(
        worth * ((place / number) ** trials - ((place - 1) / number) ** trials) for place, worth in enumerate(ordered, start=1)
    )
