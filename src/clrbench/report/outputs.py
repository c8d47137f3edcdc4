"""Write the report, or compare it with what the records say."""

from collections.abc import Mapping
from pathlib import Path

from clrbench.errors import ClrbenchError
from clrbench.files import write_text
from clrbench.report.answer_picture import pictures
from clrbench.report.contents import Contents, gather
from clrbench.report.page import render
from clrbench.report.summary import readme_block, summary, with_block
from clrbench.runs import EVIDENCE


def own(results: Path, outputs: Path, conf: Path) -> dict[Path, str]:
    """Your own report, in OUTPUTS/report, of all records below `results`: its files, and what belongs into each."""
    return files(gather(results, conf, outputs=outputs), outputs / "report", conf)


def shipped(root: Path, conf: Path) -> dict[Path, str]:
    """The report and the README of the checkout at `root`, of the records that ship alone."""
    contents, readme = gather(root / "results", conf, [EVIDENCE]), root / "README.md"
    text = with_block(readme.read_text(encoding="utf-8"), readme_block(contents))
    return {**files(contents, root / "results" / "report", conf, "make ship"), readme: text}


def files(contents: Contents, folder: Path, conf: Path, maker: str = "make report") -> dict[Path, str]:
    """A report's files in `folder`, which the command `maker` makes, and what belongs into each."""
    drawn = pictures(contents.answer) if contents.answer else {}
    made = {"index.html": render(contents, folder, conf), "summary.md": summary(contents, conf, maker), **drawn}
    return {folder / name: text for name, text in made.items()}


def write(files: Mapping[Path, str]) -> None:
    """Write what has changed."""
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def verify(files: Mapping[Path, str], remedy: str) -> None:
    """Raise ClrbenchError, with the first line that differs, where a file is not what the records make.

    remedy: the command that makes the files.
    """
    for path, text in files.items():
        if not path.is_file():
            raise ClrbenchError(f"{path}: is missing: `{remedy}` makes it")
        shown, wanted = path.read_text(encoding="utf-8").splitlines(), text.splitlines()
        for number, (one, other) in enumerate(zip(shown, wanted, strict=False), 1):
            if one != other:
                at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
                start = max(0, at - 30)
                raise ClrbenchError(
                    f"{path}, line {number}: has '{one[start : at + 30]}' where the records say '{other[start : at + 30]}': "
                    f"`{remedy}` makes it anew"
                )
        if len(shown) != len(wanted):
            raise ClrbenchError(f"{path}: has {len(shown)} lines, not {len(wanted)}: `{remedy}` makes it anew")
