"""Plots of a training run, as PNG: curves over epochs and a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any


def _figure(width: float, height: float) -> tuple[Any, Any]:
    """A matplotlib figure that needs no screen, and its canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, FigureCanvasAgg(figure)


def curves(path: Path, title: str, series: Mapping[str, Sequence[float | None]], ylabel: str) -> None:
    """Draw one line per series over epochs, counted from 1.

    Args:
        path: PNG to write.
        title: Above the plot.
        series: Values per epoch by name; None for an epoch without one.
        ylabel: What is plotted, with its unit.
    """
    figure, canvas = _figure(7, 4.5)
    axes = figure.add_subplot()
    for (name, values), style in zip(series.items(), ("-o", "--s", "-.^", ":d"), strict=False):
        points = [(epoch, value) for epoch, value in enumerate(values, 1) if value is not None]
        if points:
            axes.plot(*zip(*points, strict=True), style, markersize=3, label=name)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(title=title, xlabel="epoch", ylabel=ylabel)
    axes.grid(alpha=0.3)
    if axes.lines:
        figure.legend(loc="outside lower center", ncols=len(series))
    canvas.print_png(str(path))


def confusion(path: Path, title: str, matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> None:
    """Draw a confusion matrix: rows are the truth; each cell gives its count and its share of the row.

    Args:
        path: PNG to write.
        title: Above the plot.
        matrix: Counts, (N, N).
        labels: N names.
    """
    figure, canvas = _figure(6.4, 5.4)
    axes = figure.add_subplot()
    shares = [[count / max(1, sum(row)) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for y, row in enumerate(matrix):
        for x, count in enumerate(row):
            colour = "white" if shares[y][x] > 0.5 else "black"
            axes.text(x, y, f"{count}\n{100 * shares[y][x]:.1f} %", ha="center", va="center", color=colour)
    names = [label.replace("mask_worn_", "mask_worn_\n") for label in labels]
    axes.set_xticks(range(len(labels)), names)
    axes.set_yticks(range(len(labels)), names)
    axes.set(title=title, xlabel="answered", ylabel="true")
    canvas.print_png(str(path))


def trade_off(path: Path, panels: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]], x: str, y: str) -> None:
    """Draw curves of what is gained against what it costs, one panel per group, two panels per row.

    Args:
        path: PNG to write.
        panels: Title to series: (y, x) points by name.
        x: What it costs, with its unit.
        y: What is gained; the axis ends at 1.
    """
    figure, canvas = _figure(11, 4.2 * ((len(panels) + 1) // 2))
    for number, (title, series) in enumerate(panels.items(), 1):
        axes = figure.add_subplot((len(panels) + 1) // 2, 2, number)
        for (name, points), style in zip(series.items(), cycle(("-", "--", "-.", ":")), strict=False):
            axes.plot([point[1] for point in points], [point[0] for point in points], style, label=name)
        axes.set(title=title, xlabel=x, ylabel=y, xlim=(0, 2), ylim=(0, 1))
        axes.grid(alpha=0.3)
    figure.axes[0].legend(loc="lower right")
    canvas.print_png(str(path))
