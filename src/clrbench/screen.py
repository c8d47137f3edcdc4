"""What a person reads on a terminal: sentences that break between words, and commands in one piece, to be copied."""

import re
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

# A word, with the blanks before it. What stands in backticks, a command, is one.
_WORD = re.compile(r"\s*(?:`[^`]*`|\S)+")
# What the lines below the first one are indented by: the width of a mark, or of a label with its blanks.
_LABEL = re.compile(r"\s*(?:- |\S+ {2,})?")


def screen(**settings: Any) -> Console:
    """A console that leaves colours and line breaks to those who print."""
    return Console(highlight=False, soft_wrap=True, **settings)


def say(console: Console, sentence: str, label: str = "") -> None:
    """Print a sentence, as it is: on a terminal in lines of its width. label: stands before it, in bold."""
    whole = label + sentence
    lines = folded(whole, console.width, len(label) or None) if console.is_terminal else [whole]
    for at, line in enumerate(lines):
        console.print(Text.assemble((line[: len(label)], "bold"), line[len(label) :]) if at == 0 else Text(line))


def folded(sentence: str, width: int, indent: int | None = None) -> Iterator[str]:
    """The lines of at most `width` columns that a sentence takes; a longer word, or command, has one of its own.

    indent: of all lines but the first; by default as far as the first one's words are.
    """
    line, rest = "", " " * (_LABEL.match(sentence).end() if indent is None else indent)  # type: ignore[union-attr]
    for word in _WORD.findall(sentence):
        if line.strip() and len(line) + len(word) > width:
            yield line
            line = rest + word.lstrip()
        else:
            line += word
    yield line
