"""Pictures to look at before the figures are believed: what training shows the model, and where it errs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Image, Label
from train.common import plots
from train.common.contact_sheet import Tile, write_sheet
from train.mask.data import Sample
from train.mask.figures import answers, indices
from train.mask.views import Deck

VIEWS, ERRORS = 48, 64
"""Pictures on a sheet."""


def draw_views(path: Path, make: Callable[[int, np.random.Generator], tuple[Image, str]], seed: int) -> None:
    """Write a sheet of what the model is shown in training: varied and degraded.

    Args:
        path: Where to.
        make: Given a position and a generator, a view in RGB and what to write below it.
        seed: Of the generator.
    """
    rng = np.random.default_rng([seed])
    made = [make(position, rng) for position in range(VIEWS)]
    write_sheet(path, "What training shows the model", [_tile(view, *said.split("\n")) for view, said in made])


def from_deck(deck: Deck, size: int, margin: float) -> Callable[[int, np.random.Generator], tuple[Image, str]]:
    """What `draw_views` takes, of the default recipe's faces."""

    def make(_: int, rng: np.random.Generator) -> tuple[Image, str]:
        draw = deck.draw(rng)
        painted = ", painted" if draw.painted else ""
        return deck.view(draw, size, margin, rng), f"{_brief(draw.label)}{painted}\n{draw.sample.source}"

    return make


def worst(
    truth: NDArray[np.intp], probabilities: NDArray[np.float64], labels: Sequence[Label], alarm_below: float | None
) -> list[int]:
    """Positions of the wrong answers; first those that gave the truth the least probability.

    Args:
        truth: (N,) indices into ``labels``.
        probabilities: (N, len(labels)).
        labels: Names of the columns.
        alarm_below: See `train.mask.figures.figures`.
    """
    wrong = np.flatnonzero(answers(probabilities, labels, alarm_below) != truth)
    return [int(each) for each in wrong[np.argsort(probabilities[wrong, truth[wrong]], kind="stable")]]


def draw_errors(
    path: Path,
    samples: Sequence[Sample],
    probabilities: NDArray[np.float64],
    view: Callable[[Sample], Image],
    *,
    labels: Sequence[Label] = LABELS,
    alarm_below: float | None = None,
) -> None:
    """Write a sheet of the worst errors, see `worst`; ``view`` gives a face in RGB."""
    truth = indices(samples, labels)
    wrong = worst(truth, probabilities, labels, alarm_below)
    said = answers(probabilities, labels, alarm_below)
    tiles = [
        _tile(
            view(samples[at]),
            f"is {_brief(labels[truth[at]])}",
            f"not {_brief(labels[said[at]])} {probabilities[at, said[at]]:.2f}",
        )
        for at in wrong[:ERRORS]
    ]
    write_sheet(path, f"{len(wrong)} of {len(samples)} faces wrong; the worst {len(tiles)}", tiles)


def draw_history(out: Path, history: Sequence[dict[str, Any]]) -> None:
    """Loss, accuracy and the rates that matter, over epochs, as PNG in ``out``."""

    def series(**keys: str) -> dict[str, list[float | None]]:
        return {name.replace("_", " "): [row.get(key) for row in history] for name, key in keys.items()}

    loss = series(training="loss", held_out="held_out_balanced_loss")
    plots.curves(out / "curves_loss.png", "Loss (held out: plain views, balanced)", loss, "cross-entropy, nats")
    accuracy = series(training="accuracy", held_out="held_out_accuracy")
    plots.curves(out / "curves_accuracy.png", "Accuracy (training: degraded views)", accuracy, "accuracy")
    rates = series(
        bare_alarmed="held_out_bare_alarmed",
        masked_wrongly_alarmed="held_out_masked_wrongly_alarmed",
        badly_worn_flagged="held_out_badly_worn_flagged",
    )
    plots.curves(out / "curves_rates.png", "Held-out faces", rates, "rate")


def _tile(view: Image, *lines: str) -> Tile:
    """Of an RGB picture."""
    return Tile(cv2.cvtColor(view, cv2.COLOR_RGB2BGR), lines)  # type: ignore[arg-type]


def _brief(label: Label) -> str:
    """Fits below a picture."""
    return str(label).removeprefix("mask_worn_")
