"""Write the report, or compare it with what the records say."""

from collections.abc import Mapping
from pathlib import Path

from clrbench.analysis.runs import EVIDENCE
from clrbench.errors import ClrbenchError
from clrbench.files import write_text
from clrbench.report.contents import gather
from clrbench.report.page import render
from clrbench.report.summary import readme_block, summary, with_block


def built(results: Path, conf: Path, readme: Path | None) -> dict[Path, str]:
    """The files of the report and what belongs into each: the page, the summary, and the README with its table of results."""
    folder = results / "report"
    contents = gather(results, conf)
    files = {folder / "index.html": render(contents, folder, conf), folder / "summary.md": summary(contents)}
    if readme is not None:
        shipped = gather(results, conf, [EVIDENCE])
        files[readme] = with_block(readme.read_text(encoding="utf-8"), readme_block(shipped, conf))
    return files


def write(files: Mapping[Path, str]) -> None:
    """Write what has changed."""
    for path, text in files.items():
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)


def verify(files: Mapping[Path, str]) -> None:
    """Raise ClrbenchError, with the first line that differs, where a file is not what the records make."""
    for path, text in files.items():
        if not path.is_file():
            raise ClrbenchError(f"{path}: is missing: `make report` makes it")
        shown, wanted = path.read_text(encoding="utf-8").splitlines(), text.splitlines()
        for number, (one, other) in enumerate(zip(shown, wanted, strict=False), 1):
            if one != other:
                at = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
                start = max(0, at - 30)
                raise ClrbenchError(
                    f"{path}, line {number}: has '{one[start : at + 30]}' where the records say '{other[start : at + 30]}': "
                    "`make report` makes it anew"
                )
        if len(shown) != len(wanted):
            raise ClrbenchError(f"{path}: has {len(shown)} lines, not {len(wanted)}: `make report` makes it anew")
