"""What a person reads on a terminal: whole words, and commands that can be copied."""

import io

import pytest
from rich.console import Console

from clrbench.screen import folded, say

COMMAND = "`python train.py -m experiment=controls arm=controls/mean_drops seed=1,2,3,4,5`"


def shown(sentence: str, label: str = "", **settings: object) -> str:
    file = io.StringIO()
    say(Console(file=file, highlight=False, soft_wrap=True, no_color=True, **settings), sentence, label)  # type: ignore[arg-type]
    return file.getvalue()


def test_a_sentence_breaks_between_words_on_a_terminal_and_a_file_gets_it_in_one_line() -> None:
    sentence = "triangular2 is behind linear: -0.45 points [-1.60, +0.70], n = 5 common seeds"
    assert shown(sentence, width=40) == f"{sentence}\n"
    lines = shown(sentence, width=40, force_terminal=True).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= 40
    assert " ".join(lines) == sentence


def test_a_command_stays_in_one_piece_on_a_line_of_its_own_where_it_does_not_fit() -> None:
    lines = list(folded(f"Which of both, {COMMAND} tells, in a while.", 60))
    assert lines == ["Which of both,", COMMAND, "tells, in a while."]
    assert list(folded("a (`make sweep SEEDS=1`), b", 20)) == ["a", "(`make sweep SEEDS=1`),", "b"]
    assert list(folded("a lonely ` is a word", 10)) == ["a lonely `", "is a word"]


@pytest.mark.parametrize("mark", ["note     ", "  - ", "    "])
def test_lines_go_on_below_the_words_of_the_first_one(mark: str) -> None:
    first, *others = folded(f"{mark}one two three four five six seven", 20)
    assert first.startswith(f"{mark}one")
    assert others
    assert all(line.startswith(" " * len(mark)) and line[len(mark)] != " " for line in others)


def test_a_label_is_bold_and_what_looks_like_markup_is_a_text() -> None:
    said = shown("[bold] of :smile:, 1,302 images", "optimizer ", width=25, force_terminal=True)
    assert said.splitlines() == ["\x1b[1moptimizer \x1b[0m[bold] of", "          :smile:, 1,302", "          images"]


def test_columns_keep_their_distance() -> None:
    row = "policy       mean rank       better, worse"
    assert list(folded(row, 80)) == [row]
    assert next(folded(row, 30)) == "policy       mean rank"
