"""Small SVG pictures for README and docs: lines, bands and words that follow the reader's light or dark screen."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from clrbench.report.palette import style

# What tells lines apart where colours don't: strokes and gaps in pixels; page.js and page.css have the same four.
DASHES = ("", "8 4", "2 3", "8 3 2 3")
_INK = (
    "text{font:13px system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1f2328}"
    ".soft{fill:#59636e}.grid{stroke:#8b949e;stroke-opacity:.3}.halo{paint-order:stroke;stroke:#fff;stroke-width:4px}"
    "@media (prefers-color-scheme: dark){text{fill:#e6edf3}.soft{fill:#9aa4af}.halo{stroke:#0d1117}}"
)


def document(width: int, height: int, title: str, words: str, parts: Iterable[str]) -> str:
    """A whole picture, in pixels; `words` say what it shows to somebody who does not see it."""
    colours = style(lambda name, colour: f".{name}{{color:{colour}}}")
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'
        f"<title>{escape(title)}</title><desc>{escape(words)}</desc><style>{_INK}{colours}</style>"
    )
    return "\n".join([head, *parts, "</svg>"]) + "\n"


def words(x: float, y: float, said: str, anchor: str = "start", kind: str = "") -> str:
    """Text whose baseline is at y."""
    style_of = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style_of}>{escape(said)}</text>'


def sample(x: float, y: float, length: float, kind: str, width: float, dash: str = "") -> str:
    """A stroke of a line, as a key shows it. dash: see Axes.line."""
    dashed = f'stroke-dasharray="{dash}" ' if dash else ""
    return f'<path class="{kind}" d="M{x:.1f} {y:.1f}h{length:g}" stroke="currentColor" {dashed}stroke-width="{width:g}"/>'


@dataclass(frozen=True)
class Axes:
    """A rectangle of the picture, in pixels, and the values at its edges."""

    left: float
    top: float
    width: float
    height: float
    x: tuple[float, float]
    y: tuple[float, float]

    @property
    def bottom(self) -> float:
        """The lower edge."""
        return self.top + self.height

    def at_x(self, value: float) -> float:
        """Where a value lies."""
        return self.left + self.width * (value - self.x[0]) / (self.x[1] - self.x[0])

    def at_y(self, value: float) -> float:
        """Where a value lies."""
        return self.bottom - self.height * (value - self.y[0]) / (self.y[1] - self.y[0])

    def clip(self, name: str) -> str:
        """What keeps lines within the rectangle: they refer to it by `name`."""
        area = f'x="{self.left:.1f}" y="{self.top:.1f}" width="{self.width:.1f}" height="{self.height:.1f}"'
        return f'<clipPath id="{name}"><rect {area}/></clipPath>'

    def line(self, xs: Sequence[float], ys: Sequence[float], kind: str, width: float, clip: str, dash: str = "") -> str:
        """A curve in the colour of a policy. dash: lengths of strokes and gaps in pixels, none for a whole line."""
        dashed = f'stroke-dasharray="{dash}" ' if dash else ""
        return (
            f'<path class="{kind}" clip-path="url(#{clip})" d="M{self._points(xs, ys)}" fill="none" stroke="currentColor" '
            f'{dashed}stroke-width="{width:g}" stroke-linejoin="round"/>'
        )

    def band(self, xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], kind: str, clip: str) -> str:
        """The area between two curves."""
        there, back = self._points(xs, highs), self._points(xs[::-1], lows[::-1])
        return f'<path class="{kind}" clip-path="url(#{clip})" d="M{there}L{back}Z" fill="currentColor" fill-opacity=".18"/>'

    def mark(self, x: float, y: float, kind: str) -> str:
        """A hollow diamond."""
        return (
            f'<path class="{kind}" d="M{self.at_x(x):.1f} {self.at_y(y) - 7:.1f}l7 7l-7 7l-7 -7Z" fill="none" '
            'stroke="currentColor" stroke-width="2"/>'
        )

    def rule(self, value: float, said: str) -> str:
        """A horizontal line of the grid, and its label on the left."""
        y = self.at_y(value)
        line = f'<path class="grid" d="M{self.left:.1f} {y:.1f}H{self.left + self.width:.1f}"/>'
        return line + words(self.left - 6, y + 4.5, said, "end", "soft")

    def tick(self, value: float, said: str) -> str:
        """A label below the rectangle."""
        return words(self.at_x(value), self.bottom + 17, said, "middle", "soft")

    def _points(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return "L".join(f"{self.at_x(x):.1f} {self.at_y(y):.1f}" for x, y in zip(xs, ys, strict=True))
