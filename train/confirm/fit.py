"""Fits the confirmation model: what it starts from, the schedule, and what is written after each epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import LABELS
from edge.vision.preprocess import normalise
from train.common import plots, resumable
from train.common.checkpoints import read_model, save_model
from train.common.resumable import Row, RunMetrics
from train.common.schedule import warmed_cosine
from train.common.start_models import MASK, SHIPPED, start_record
from train.common.terminal import say, say_written
from train.confirm.batches import ConfirmBatches
from train.confirm.candidates import Candidate
from train.confirm.views import plain
from train.mask.model import classifier, thaw
from train.mask.start import adopt

MODEL_FILE = "confirm.keras"
DROPOUT = 0.2
WARMUP = 1 / 12
WEIGHT_DECAY = 0.02
FOR_STATISTICS = 512
"""Training views on which the channels to keep of a wider start model are chosen."""

PREDICT_BATCH = 128


@dataclass(frozen=True, slots=True)
class Settings:
    """What shapes a result, and must not change between a run and its resumption.

    Attributes:
        data: COCO files.
        teacher: What ``python -m train.face.fuse`` wrote, or None.
        thorough: Sources whose annotators are trusted more than the teachers.
        start_from: A mask classifier, or the confirmation model of an earlier run.
        hidden: Share of the channels inside its blocks to keep.
        size: Of the model's input, in pixels.
        margin: Around the box on each side, as a share of its longer side.
        epochs: In all.
        batches: Per epoch.
        batch: Candidates per batch.
        learning_rate: Its peak.
        hold_out: Share of the photos that the best epoch is chosen by.
        keep_split: ``split.json`` of an earlier run, whose held-out photos stay held out, or None.
        draw: How many times more often candidates of a source are drawn.
        seed: Of the split, the weights and the draws.
    """

    data: tuple[str, ...]
    teacher: str | None
    thorough: tuple[str, ...]
    start_from: str
    hidden: float
    size: int
    margin: float
    epochs: int
    batches: int
    batch: int
    learning_rate: float
    hold_out: float
    keep_split: str | None
    draw: dict[str, float]
    seed: int


class Run:
    """One training run, new or resumed.

    Args:
        settings: What to do.
        out: Folder of results.
        workers: Threads that prepare batches.
        resume: Go on from what is in ``out``.

    Raises:
        ConfigError: There is nothing to resume, or what is there was made with other settings.
    """

    def __init__(self, settings: Settings, out: Path, workers: int, resume: bool) -> None:
        self._settings, self._out, self._workers = settings, out, workers
        start = start_record(start_file(settings.start_from), Path(settings.start_from).name)
        self._metrics = RunMetrics("confirm", asdict(settings), start, out, resume=resume)

    def fit(self, training: Sequence[Candidate], held_out: Sequence[Candidate]) -> None:
        """Train, keeping the epoch whose answers on held-out candidates are the best."""
        settings = self._settings
        keras.utils.set_random_seed(settings.seed)
        numbers = {"training": counts(training), "held_out": counts(held_out)}
        say(f"candidates: {numbers}")
        batches = ConfirmBatches(
            training,
            size=settings.size,
            margin=settings.margin,
            batch=settings.batch,
            batches=settings.batches,
            draw=settings.draw,
            seed=settings.seed,
            workers=self._workers,
        )
        views = np.concatenate([batches[index][0] for index in range(-(-FOR_STATISTICS // settings.batch))])
        model = build(settings.size, settings.hidden, start_file(settings.start_from), views)
        model.compile(optimiser(settings), keras.losses.BinaryCrossentropy(), jit_compile=False)
        self._metrics.values |= {"candidates": numbers, "parameters": model.count_params()}
        pictures = normalise(np.stack(plain(held_out, settings.size, settings.margin)))
        truth = np.array([one.face for one in held_out], np.float32)

        def measure(epoch: int, logs: Mapping[str, float]) -> None:
            answers = np.asarray(model.predict(pictures, batch_size=PREDICT_BATCH, verbose=0))[:, 0]
            self._keep(model, {"epoch": epoch + 1, "loss": round(logs["loss"], 5), "held_out": figures(answers, truth)})

        resumable.fit(model, batches, self._metrics, epochs=settings.epochs, measure=measure)
        say_written("confirm", self._out / MODEL_FILE, self._metrics.path)

    def _keep(self, model: Any, row: Row) -> None:
        """Keep the model where it is the best so far, and write the figures."""
        if self._metrics.add_epoch(row, lambda each: -float(each["held_out"]["loss"])):
            save_model(model, self._out / MODEL_FILE)
        say(f"{self._metrics.progress(self._settings.epochs)}: {row['held_out']}")
        self._metrics.write()
        losses: dict[str, Sequence[float | None]] = {
            "training": [each["loss"] for each in self._metrics.history],
            "held out": [each["held_out"]["loss"] for each in self._metrics.history],
        }
        plots.curves(self._out / "curves_loss.png", "Loss", losses, "cross-entropy")


def start_file(start_from: str) -> Path:
    """The file of ``--start-from``."""
    return MASK if start_from == SHIPPED else Path(start_from)


def build(size: int, hidden: float, start: Path, views: NDArray[np.float32]) -> Any:
    """The confirmation model: as an earlier run left it, or with the features of a mask classifier, which knows faces.

    Args:
        size: Of the input, in pixels.
        hidden: Share of the channels inside the classifier's blocks that are kept.
        start: The classifier, a .keras file, or ``MODEL_FILE`` of an earlier run.
        views: (N, size, size, 3) training views in [-1, 1], to choose those channels on.

    Returns:
        A keras.Model from (N, size, size, 3) float32 RGB in [-1, 1] to (N, 1), the probability that it shows a face.

    Raises:
        ConfigError: The file is absent, broken or of another shape.
    """
    features = classifier(size, 1.0, "none", len(LABELS), DROPOUT, hidden=hidden)
    if start.name != MODEL_FILE:
        adopt(features, start, views)
    thaw(features, "all")
    outputs = keras.layers.Dense(1, activation="sigmoid", name="face")(features.get_layer("dropout").output)
    model = keras.Model(features.input, outputs, name="confirm")
    if start.name == MODEL_FILE:
        _continue_from(model, start)
    return model


def _continue_from(model: Any, start: Path) -> None:
    """Give the model the weights of an earlier run."""
    trained = read_model(start, "--start-from")
    if [weight.shape for weight in trained.weights] != [weight.shape for weight in model.weights]:
        raise ConfigError(f"{start} has another shape: repeat the --hidden of its run.")
    model.set_weights(trained.get_weights())


def optimiser(settings: Settings) -> keras.optimizers.Optimizer:
    """AdamW with a linear warm-up, then a cosine to a fiftieth of the peak."""
    total = settings.epochs * settings.batches
    warmup = max(1, round(total * WARMUP))
    rate = warmed_cosine(settings.learning_rate, total, warmup=warmup, first=1 / 20, last=1 / 50)
    return keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY)


def figures(answers: NDArray[np.float32], truth: NDArray[np.float32]) -> dict[str, float]:
    """The cross-entropy of answers, (N,), averaged over both classes, and the area under their ROC curve."""
    from sklearn.metrics import roc_auc_score

    sure = np.clip(answers.astype(np.float64), 1e-6, 1 - 1e-6)
    losses = [-np.log(sure[truth == 1]).mean(), -np.log(1 - sure[truth == 0]).mean()]
    return {"loss": round(float(np.mean(losses)), 4), "auc": round(float(roc_auc_score(truth, answers)), 4)}


def counts(candidates: Sequence[Candidate]) -> dict[str, int]:
    """How many candidates are faces, and how many are not."""
    faces = sum(one.face for one in candidates)
    return {"faces": faces, "others": len(candidates) - faces}
