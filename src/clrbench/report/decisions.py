"""The decisions that lie in outputs/decide, as the page shows them."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clrbench.measure import Measure

# With which word the lines of an answer begin that are its reasons; those of its price and its use keep their form.
_REASONS = ("worth", "because", "gain", "diverged", "regret", "turns", "note", "cost", "more")
_PRICE, _USE = ("price",), ("run", "yours")
_WORD = 9


@dataclass(frozen=True)
class Shown:
    """A decision. reasons: (word, line) each; price, use: lines as they were printed; peaks: the rates that were tried.

    values: of each family the metric on held-out data at each of `peaks`, empty where it was not tried or diverged.
    picture: a data URI, empty where there is none.
    """

    anchor: str
    title: str
    answer: str
    reasons: Sequence[tuple[str, str]]
    price: str
    use: str
    heading: str
    peaks: Sequence[str]
    values: Sequence[tuple[str, Sequence[str]]]
    picture: str


def decisions(folder: Path) -> tuple[list[Shown], list[str]]:
    """Those in a folder, by their names, and what could not be read."""
    found, faults = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            found.append(_shown(path, json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, StopIteration):
            faults.append(f"{path}: is no decision of this version: the command that made it makes it anew, without a training")
    return found, faults


def _shown(path: Path, made: dict[str, Any]) -> Shown:
    measure = Measure(made["metric"], made["mode"], made["unit"], made["margin"])
    lines = _by_word(made["text"])
    peaks = sorted({peak for of_family in made["peaks"].values() for peak in of_family}, key=float)
    values = [
        (family, ["" if peak not in tried else measure.value(tried[peak]) for peak in peaks])
        for family, tried in made["peaks"].items()
    ]
    return Shown(
        anchor=f"decision-{path.stem}",
        title=f"{made['model']} on {made['data']}, {made['iterations']:,} iterations",
        answer=next(text for word, text in lines if word == "answer"),
        reasons=[line for line in lines if line[0] in _REASONS],
        price="\n".join(text for word, text in lines if word in _PRICE),
        use="\n".join(text for word, text in lines if word in _USE),
        heading=measure.heading,
        peaks=peaks,
        values=values,
        picture=_picture(path.with_suffix(".svg")),
    )


def _by_word(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Each line with the word that it begins with, or the one above it does."""
    found: list[tuple[str, str]] = []
    for line in lines:
        word = line[:_WORD].strip() or found[-1][0]
        found.append((word, line[_WORD:]))
    return found


def _picture(path: Path) -> str:
    """As an image, in which no script runs."""
    if not path.is_file():
        return ""
    return f"data:image/svg+xml;base64,{base64.b64encode(path.read_bytes()).decode()}"
