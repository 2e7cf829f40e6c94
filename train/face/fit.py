"""Fits the face detector: optimiser, schedule, what happens after each epoch, and what is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import Image
from train.common import plots, resumable
from train.common.average import Average
from train.common.checkpoints import read_model, save_model
from train.common.resumable import BACKUP_FOLDER, RunMetrics
from train.common.scalars import Scalars
from train.common.schedule import warmed_cosine
from train.common.start_models import FACE, SHIPPED, start_record
from train.common.terminal import say, say_written
from train.face.batches import FaceBatches
from train.face.data import Faces, Photo, read_image
from train.face.distil import DenseScores
from train.face.figures import SIZES, THRESHOLDS, describe, detect, score
from train.face.hard import weigh
from train.face.loss import FaceTrainer
from train.face.merge import with_merged_scores
from train.face.model import build_face_model
from train.face.narrow import narrowed
from train.face.preview import draw_preview
from train.face.yunet import adopt_yunet

WARMUP_BATCHES = 300
WEIGHT_DECAY = 0.01
GRADIENT_NORM = 10.0

MODEL_FILE = "face.keras"
AVERAGE_FILE, HARDNESS_FILE = "average.npz", "hardness.json"


@dataclass(frozen=True, slots=True)
class Settings:
    """What shapes a result, and must not change between a run and its resumption.

    Attributes:
        data: COCO files.
        teacher: YuNet file, or None.
        weights: Trained model to start from, or None.
        size: Width and height of the finished model's input, in pixels.
        train_size: Side of training pictures, in pixels.
        epochs: In all.
        batches: Per epoch.
        batch: Pictures per batch.
        learning_rate: Its peak.
        hold_out: Share of the photos that the best epoch is chosen by.
        keep_split: ``split.json`` of an earlier run, whose held-out photos stay held out, or None.
        seek_hard: How many times more often a face is drawn that the ``weights`` miss.
        draw: How many times more often photos of a source are drawn.
        negatives: The share of photos drawn that have no face.
        thorough: Sources whose annotators are trusted more than the teacher.
        distil: YuNet file whose scores are learned in addition to boxes, or None.
        seed: Of the split, the weights and the draws.
    """

    data: tuple[str, ...]
    teacher: str | None
    weights: str | None
    size: tuple[int, int]
    train_size: int
    epochs: int
    batches: int
    batch: int
    learning_rate: float
    hold_out: float
    keep_split: str | None
    seek_hard: float
    draw: dict[str, float]
    negatives: float
    thorough: tuple[str, ...]
    distil: str | None
    seed: int


class Run:
    """One training run, new or resumed.

    Args:
        settings: What to do.
        out: Folder of results.
        workers: Threads that prepare batches.
        resume: Go on from what is in ``out``.
        tensorboard: Write the figures of each epoch for TensorBoard, too.

    Raises:
        ConfigError: There is nothing to resume, or what is there was made with other settings, or an input size is not
            possible.
    """

    def __init__(self, settings: Settings, out: Path, workers: int, resume: bool, *, tensorboard: bool = False) -> None:
        self._settings = settings
        self._out = out
        self._workers = workers
        self._scalars = Scalars(out / "tensorboard" if tensorboard else None)
        self._metrics = RunMetrics("face", asdict(settings), start_of(settings.weights), out, resume=resume)
        keras.utils.set_random_seed(settings.seed)
        self._trainer = FaceTrainer(build_face_model(settings.train_size, settings.train_size))
        self._detector = build_face_model(*settings.size)
        if settings.weights is not None:
            start_from(settings.weights, self._trainer.detector)
        self._average = Average(self._trainer.detector)
        if resume:
            self._average.load(out / BACKUP_FOLDER / AVERAGE_FILE)
        self._metrics.values["parameters"] = self._detector.count_params()

    def fit(self, faces: Faces) -> None:
        """Train, keeping the best epoch on the held-out photos."""
        settings = self._settings
        if settings.seek_hard and settings.weights is not None:
            faces = replace(faces, training=self._weigh(faces.training, weights_file(settings.weights)))
        self._metrics.values["photos"] = faces.counts()
        say(f"photos: {faces.counts()}")
        side = settings.train_size
        self._trainer.build((None, side, side, 3))
        self._trainer.compile(optimizer=optimiser(settings), jit_compile=False)
        batches = FaceBatches(
            faces.training,
            size=side,
            batch_size=settings.batch,
            batches=settings.batches,
            seed=settings.seed,
            workers=self._workers,
            seek_hard=settings.seek_hard,
            draw=settings.draw,
            negatives=settings.negatives,
            distil=None if settings.distil is None else DenseScores(Path(settings.distil)),
        )
        draw_preview(self._out / "augmented.jpg", batches)
        images = {photo.path: read_image(photo.path) for photo in faces.held_out}
        resumable.fit(
            self._trainer,
            batches,
            self._metrics,
            epochs=settings.epochs,
            measure=lambda epoch, logs: self.choose(epoch, logs, faces.held_out, images),
            callbacks=[self._average.callback(len(batches))],
        )

    def choose(
        self, epoch: int, logs: Mapping[str, float], photos: Sequence[Photo], images: Mapping[Path, Image]
    ) -> None:
        """Measure the averaged weights; keep the model where it is the best so far, and write the figures."""
        self._average.save(self._out / BACKUP_FOLDER / AVERAGE_FILE)
        self._detector.set_weights(self._average.weights)
        figures = self._measure(photos, images)
        row = {
            "epoch": epoch + 1,
            "learning_rate": float(keras.ops.convert_to_numpy(self._trainer.optimizer.learning_rate)),
            **{name: round(float(value), 5) for name, value in logs.items()},
            "held_out": figures,
        }
        if self._metrics.add_epoch(row, lambda each: float(each["held_out"]["ap"])):
            save_model(self._detector, self._out / MODEL_FILE)
        say(f"{self._metrics.progress(self._settings.epochs)}: {describe(figures)}")
        self._metrics.write()
        draw_history(self._out, self._metrics.history)
        self._scalars.add(epoch + 1, row)

    def report(self, validation: Sequence[Photo]) -> None:
        """Measure the best epoch's model on photos that had no part in training or choosing."""
        self._detector = keras.models.load_model(self._out / MODEL_FILE, compile=False)
        if validation:
            figures = self._metrics.values["validation"] = self._measure(validation)
            say(f"validation: {describe(figures)}")
            self._metrics.write()
        say_written("face", self._out / MODEL_FILE, self._metrics.path)

    def _measure(self, photos: Sequence[Photo], known: Mapping[Path, Image] = MappingProxyType({})) -> dict[str, Any]:
        width, height = self._settings.size
        pictures = (known[p.path] if p.path in known else read_image(p.path) for p in photos)
        return score(photos, detect(pictures, self._predict, width, height))

    def _predict(self, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        return _maps(self._detector, images)

    def _weigh(self, photos: Sequence[Photo], weights: Path) -> list[Photo]:
        trained = read_model(weights, "--weights")
        _, height, width, _ = trained.input_shape
        return weigh(photos, partial(_maps, trained), (width, height), self._out / HARDNESS_FILE, print)


def _maps(detector: keras.Model, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    return {name: np.asarray(value) for name, value in detector.predict_on_batch(images).items()}


def start_from(weights: str, detector: keras.Model) -> None:
    """Give a detector the weights of a saved one, or of YuNet where they are ``yunet=PATH``.

    Raises:
        ConfigError: The file is absent, or is not such a detector.
    """
    kind, _, path = weights.partition("=")
    if kind == "yunet":
        adopt_yunet(Path(path), detector)
    else:
        adopt(weights_file(weights), detector)


def start_of(weights: str | None) -> dict[str, str]:
    """What the weights start from, for the run's metrics."""
    if weights is None:
        return {"model": "random numbers"}
    path = weights_file(weights.removeprefix("yunet="))
    return start_record(path, "the shipped face model of maskgate" if weights == SHIPPED else path.name)


def weights_file(weights: str) -> Path:
    """The file of ``--weights``."""
    return FACE if weights == SHIPPED else Path(weights)


def adopt(path: Path, detector: keras.Model) -> None:
    """Give a detector the weights of a saved one; layers that the saved one lacks keep their own, a wider one is cut.

    Raises:
        ConfigError: The file is absent, or is not a detector like this one.
    """
    trained = read_model(path, "--weights")
    saved = {layer.name: layer.get_weights() for layer in trained.layers if layer.weights}
    known = narrowed(with_merged_scores(saved), detector)
    mine = {layer.name: layer for layer in detector.layers if layer.weights}
    alike = [name for name in known if name in mine and _shapes(known[name]) == _shapes(mine[name].get_weights())]
    if len(alike) < len(known):
        raise ConfigError(f"--weights {path} is of another network: name a face.keras of this version.")
    for name in alike:
        mine[name].set_weights(known[name])


def _shapes(weights: Sequence[NDArray[np.float32]]) -> list[tuple[int, ...]]:
    return [weight.shape for weight in weights]


def optimiser(settings: Settings) -> keras.optimizers.Optimizer:
    """AdamW with a linear warm-up, then a cosine to a hundredth of the peak."""
    total = settings.epochs * settings.batches
    warmup = min(WARMUP_BATCHES, total // 10)
    rate = warmed_cosine(settings.learning_rate, total, warmup=warmup, first=1 / 20, last=1 / 100)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, global_clipnorm=GRADIENT_NORM)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer


def draw_history(out: Path, history: Sequence[dict[str, Any]]) -> None:
    """Losses, and recall, average precision and unmatched boxes on held-out photos, over epochs, as PNG in ``out``."""
    losses: dict[str, Sequence[float | None]] = {
        name: [row[name] for row in history] for name in ("score_loss", "bbox_loss")
    }
    plots.curves(out / "curves_loss.png", "Training loss", losses, "loss per positive cell")
    least = f"at_{THRESHOLDS[0]}"
    rates: dict[str, Sequence[float | None]] = {
        f"recall {name}": [row["held_out"][least]["recall"][name] for row in history] for name in SIZES
    }
    rates["AP"] = [row["held_out"]["ap"] for row in history]
    plots.curves(out / "curves_held_out.png", f"Held-out photos, threshold {THRESHOLDS[0]}", rates, "rate")
