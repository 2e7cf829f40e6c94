"""Fits the face detector: optimiser, schedule, what happens after each epoch, and what is written."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import Image
from train.common import plots
from train.common.average import Average
from train.common.checkpoints import read_model, save_model
from train.common.options import say_written
from train.common.reproducible import METRICS_FILE, write_json
from train.common.run_metrics import BACKUP_FOLDER, add_seconds, begun, recall
from train.common.scalars import Scalars
from train.common.start_models import FACE, SHIPPED, told
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
        batches: In an epoch.
        batch: Pictures in a batch.
        learning_rate: At its peak.
        hold_out: The part of the photos that the epoch is chosen by.
        seek_hard: How many times more often a face is drawn that the ``weights`` miss.
        draw: How many times more often photos of a source are drawn.
        negatives: The share of photos drawn that have no face.
        thorough: Sources whose annotators are trusted more than the teacher.
        distil: YuNet file whose scores are learned beside the boxes, or None.
        seed: Of everything random.
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
        ConfigError: There is nothing to resume, or what is there was made with other settings, or a new run would
            overwrite an old one, or an input size is not possible.
    """

    def __init__(self, settings: Settings, out: Path, workers: int, resume: bool, *, tensorboard: bool = False) -> None:
        self._settings = settings
        self._out = out
        self._workers = workers
        self._scalars = Scalars(out / "tensorboard" if tensorboard else None)
        self._metrics = begun("face", asdict(settings), start_of(settings.weights))
        if resume:
            recall(self._metrics, out)
        elif (out / METRICS_FILE).exists():
            raise ConfigError(f"{out} holds an earlier run: go on with --resume, or name another --out.")
        keras.utils.set_random_seed(settings.seed)
        self._trainer = FaceTrainer(build_face_model(settings.train_size, settings.train_size))
        self._detector = build_face_model(*settings.size)
        if settings.weights is not None:
            start_from(settings.weights, self._trainer.detector)
        self._average = Average(self._trainer.detector)
        if resume:
            self._average.load(out / BACKUP_FOLDER / AVERAGE_FILE)
        self._metrics["parameters"] = self._detector.count_params()

    def fit(self, faces: Faces) -> None:
        """Train, keeping the best epoch on the held-out photos. An epoch that was finished is never lost."""
        settings = self._settings
        self._out.mkdir(parents=True, exist_ok=True)
        if settings.seek_hard and settings.weights is not None:
            faces = replace(faces, training=self._weigh(faces.training, weights_file(settings.weights)))
        self._metrics["photos"] = faces.counts()
        print(f"photos: {faces.counts()}", flush=True)
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
        backup = keras.callbacks.BackupAndRestore(
            self._out / BACKUP_FOLDER, double_checkpoint=True, delete_checkpoint=False
        )
        epoch_ends = _EpochEnds(self, batches, faces.held_out, self._average)
        callbacks = [backup, epoch_ends, keras.callbacks.TerminateOnNaN()]
        self._trainer.fit(batches, epochs=settings.epochs, verbose=2, shuffle=False, callbacks=callbacks)

    def choose(self, epoch: int, logs: dict[str, float], photos: Sequence[Photo], images: dict[Path, Image]) -> None:
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
        history = self._metrics["history"] = [*self._metrics["history"][:epoch], row]
        if max(history, key=lambda each: float(each["held_out"]["ap"])) is row:
            self._metrics["best_epoch"] = epoch + 1
            save_model(self._detector, self._out / MODEL_FILE)
        minutes = self._metrics["seconds"] / 60
        print(f"epoch {epoch + 1} of {self._settings.epochs}, {minutes:.1f} min: {describe(figures)}", flush=True)
        write_json(self._out / METRICS_FILE, self._metrics)
        draw_history(self._out, history)
        self._scalars.add(epoch + 1, row)

    def add_seconds(self, seconds: float) -> None:
        """Count time spent, over all resumptions."""
        add_seconds(self._metrics, seconds)

    def report(self, validation: Sequence[Photo]) -> None:
        """Measure the best epoch's model on photos that had no part in training or choosing."""
        self._detector = keras.models.load_model(self._out / MODEL_FILE, compile=False)
        if validation:
            self._metrics["validation"] = self._measure(validation)
            print(f"validation: {describe(self._metrics['validation'])}")
            write_json(self._out / METRICS_FILE, self._metrics)
        say_written("face", self._out / MODEL_FILE, self._out / METRICS_FILE)

    def _measure(self, photos: Sequence[Photo], images: dict[Path, Image] | None = None) -> dict[str, Any]:
        width, height = self._settings.size
        known = images or {}
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
    return told(path, "the shipped face model of maskgate" if weights == SHIPPED else path.name)


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


class _EpochEnds(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the batches their epoch, averages weights, and has each finished epoch measured."""

    def __init__(self, run: Run, batches: FaceBatches, held_out: Sequence[Photo], average: Average) -> None:
        super().__init__()
        self._run = run
        self._average = average
        self._batches = batches
        self._held_out = held_out
        self._images = {photo.path: read_image(photo.path) for photo in held_out}
        self._counted = time.monotonic()

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's own
        self._batches.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002 - Keras's own
        self._average.after_batch(batch + 1, len(self._batches))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        self._run.add_seconds(now - self._counted)
        self._counted = now
        self._run.choose(epoch, logs or {}, self._held_out, self._images)


def optimiser(settings: Settings) -> keras.optimizers.Optimizer:
    """AdamW with a linear warm-up, then a cosine to a hundredth of the peak."""
    total = settings.epochs * settings.batches
    warmup = min(WARMUP_BATCHES, total // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate / 20,
        decay_steps=total - warmup,
        alpha=0.01,
        warmup_target=settings.learning_rate,
        warmup_steps=warmup,
    )
    optimizer = keras.optimizers.AdamW(
        schedule,
        weight_decay=WEIGHT_DECAY,
        global_clipnorm=GRADIENT_NORM,
    )
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
