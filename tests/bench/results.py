"""What the parts of the benchmark hand back, and the few statistics that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.spread import Method, Spread
from train.evaluate.report import markdown_table


@dataclass(frozen=True)
class Options:
    """What the command line asks for.

    Attributes:
        out: Folder for the plots and the JSON.
        quick: A few rounds of everything: whether it works, not how fast it is.
        peers: Folder with the published models.
        weights: ImageNet weights for the report's model; random ones take the same time.
        data: A COCO file with photos.
    """

    out: Path
    quick: bool = False
    peers: Path | None = None
    weights: Path | None = None
    data: Path | None = None

    def some(self, full: int, quick: int) -> int:
        """How often to do something."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Table:
    """Rows of text under a sentence that says what they are."""

    about: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        return f"{self.about}\n\n{markdown_table(self.head, [list(row) for row in self.rows])}"


@dataclass
class Section:
    """One part's outcome: what is read, what programs read, what was left out and why, what is drawn."""

    tables: list[Table] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    plots: list[Path] = field(default_factory=list)


class Quartiles(Spread):
    """The median and the middle half of some measurements."""

    @classmethod
    def of(cls, values: Sequence[float], parts: int = 4, method: Method = "inclusive") -> Quartiles:
        return super().of(values, parts, method)

    def json(self) -> dict[str, float]:
        return {"median": round(self.median, 4), "p25": round(self.low, 4), "p75": round(self.high, 4)}


def ratios(values: Sequence[float], others: Sequence[float]) -> Quartiles:
    """Of measurements that were taken in turn, pair by pair."""
    return Quartiles.of([one / other for one, other in zip(values, others, strict=True)])


def plot(
    path: Path, title: str, x: str, y: str, lines: Mapping[str, Sequence[tuple[float, float]]], **axes: Any
) -> Path:
    """Draw (x, y) points joined by lines, a line a name; ``axes`` goes to matplotlib's ``Axes.set``."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    panel = figure.add_subplot()
    for (name, points), style in zip(lines.items(), ("-o", "--s", "-.^", ":d", "-v", "--<"), strict=False):
        panel.plot(*zip(*points, strict=True), style, markersize=4, label=name)
    panel.set(title=title, xlabel=x, ylabel=y, **axes)
    if panel.get_yscale() == "linear":
        panel.set_ylim(0, 1.15 * max(y for points in lines.values() for _, y in points))
    panel.grid(alpha=0.3)
    panel.legend()
    canvas.print_png(str(path))
    return path
