"""``--preset report``: the student report's recipe, as its well-known tutorial gives it.

224 pixels, frozen MobileNetV2, AveragePooling2D 7x7, Flatten, Dense 128 ReLU, dropout 0.5, softmax over the classes
found, Adam at 1e-4, 20 epochs, batches of 32, a stratified 80/20 split, rotation 20 degrees, zoom 0.15, shift 0.2,
shear 0.15 and mirroring. Whole pictures are used, as face crops; annotated boxes are cut out tightly. A run says where
it is not the report's, see `DIFFERENCES`.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.values import LABELS, Image, Label
from edge.vision.preprocess import crop_face, resize
from train.common import accelerator, plots
from train.common.checkpoints import RunFolder, epoch_verbosity, save_model
from train.common.dataset import Names
from train.common.reproducible import command, versions, write_json
from train.common.scalars import Scalars
from train.common.terminal import say, say_written
from train.mask import gallery
from train.mask.data import Sample, load
from train.mask.figures import describe, figures, indices
from train.mask.photos import read_checked
from train.mask.recipe import start_of
from train.mask.split import SPLIT_FILE, write_split

DIFFERENCES = (
    "Other than in the report, near duplicates stay on one side of the split, and photos that the data set keeps for "
    "validation or test are the test set"
)

TEST_SHARE = 0.2
ROTATION, ZOOM, SHIFT, SHEAR = 20.0, 0.15, 0.2, 0.15


def stratified(samples: Sequence[Sample], seed: int) -> tuple[list[Sample], list[Sample]]:
    """80 % to train on and 20 % to test on, with the classes in the same proportions and groups whole.

    A split that the data set names is kept.
    """
    if any(sample.validation for sample in samples):
        return [s for s in samples if not s.validation], [s for s in samples if s.validation]
    from sklearn.model_selection import StratifiedGroupKFold

    folds = StratifiedGroupKFold(round(1 / TEST_SHARE), shuffle=True, random_state=seed)
    labels, groups = [str(sample.label) for sample in samples], [sample.group for sample in samples]
    try:
        train, test = next(folds.split(labels, labels, groups))
    except ValueError as error:
        raise ConfigError(f"Too few pictures for a stratified 80/20 split, add some to each class: {error}") from error
    return [samples[index] for index in train], [samples[index] for index in test]


def picture(sample: Sample, size: int) -> Image:
    """The face stretched to (size, size, 3) uint8 RGB: the whole picture, or its box where one is annotated."""
    image = load(sample.path)
    if sample.bbox is not None:
        return crop_face(image, sample.bbox, size, margin=0.0)
    return cv2.cvtColor(resize(image, size, size), cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def augment(image: Image, rng: np.random.Generator) -> Image:
    """Rotate, shear, zoom, shift and mirror at random, repeating the border, as the report's ImageDataGenerator does.

    Args:
        image: (S, S, 3) uint8 RGB.
        rng: Where the variation comes from.

    Returns:
        The same shape and order.
    """
    side = image.shape[0]
    angle = np.deg2rad(rng.uniform(-ROTATION, ROTATION))
    shear = np.deg2rad(rng.uniform(-SHEAR, SHEAR))
    rotate = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    lean = np.array([[1, -np.sin(shear)], [0, np.cos(shear)]])
    linear = rotate @ lean @ np.diag(rng.uniform(1 - ZOOM, 1 + ZOOM, 2))
    if rng.random() < 0.5:
        linear = linear @ np.diag([-1.0, 1.0])
    middle = np.full(2, (side - 1) / 2)
    offset = middle - linear @ middle + rng.uniform(-SHIFT, SHIFT, 2) * side
    matrix = np.hstack([linear, offset[:, None]])
    return cv2.warpAffine(image, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


class ReportRun:
    """One run of the report's recipe; the options are those of `train.mask.command.add_arguments`."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.size: int = args.size or 224
        self.epochs: int = args.epochs or 20
        self.rate: float = args.learning_rate or 1e-4
        samples, found_in = read_checked(args.data, Names.parse(args.label), args.out)
        self.unreadable = list(found_in.unreadable)
        self.labels = [label for label in LABELS if any(sample.label is label for sample in samples)]
        if len(self.labels) < 2:
            found = ", ".join(self.labels) or "no readable picture"
            raise ConfigError(f"Two classes are needed, but --data has {found}: add a folder with another class.")
        self.train, self.test = stratified(samples, args.seed)
        write_split(args.out / SPLIT_FILE, self.train, self.test, [])
        self.folder = RunFolder(args.out, self._settings())
        self.scalars = Scalars(args.out / "tensorboard" if args.tensorboard else None)
        self.state: dict[str, Any] = {"history": [], "seconds": 0.0}

    def _settings(self) -> dict[str, Any]:
        return {
            "preset": "report",
            "size": self.size,
            "width": self.args.width,
            "epochs": self.epochs,
            "learning_rate": self.rate,
            "batch": self.args.batch,
            "seed": self.args.seed,
            "labels": [str(label) for label in self.labels],
            "data": [str(path) for path in self.args.data],
        }

    def run(self) -> None:
        """Train what is left to train, then report on the last epoch, as the report does."""
        say(f"{len(self.train)} faces to train on, {len(self.test)} to test on; classes {', '.join(self.labels)}")
        say(DIFFERENCES)
        from train.mask.model import reseed_dropout

        say(accelerator.use(self.args.mixed_precision))
        model = self._model()
        gallery.draw_views(self.folder.path / "views.jpg", self._varied, self.args.seed)
        for epoch in range(len(self.state["history"]), self.epochs):
            began = time.monotonic()
            reseed_dropout(model, self.args.seed, epoch)
            seen = model.fit(
                self._batches(self.train, (self.args.seed, epoch)),
                validation_data=self._batches(self.test, None),
                initial_epoch=epoch,
                epochs=epoch + 1,
                shuffle=False,
                verbose=epoch_verbosity(),
            ).history
            self.state["seconds"] += time.monotonic() - began
            self.state["history"].append({"epoch": epoch + 1, **{name: values[-1] for name, values in seen.items()}})
            self.folder.save(model, self.state)
            self._write_metrics()
            self._draw_history()
            self.scalars.add(epoch + 1, self.state["history"][-1])
        self._report(model)

    def _model(self) -> Any:
        import keras

        from train.mask.model import report_classifier

        keras.utils.set_random_seed(self.args.seed)
        if self.args.resume:
            model, self.state = self.folder.resume()
            say(f"Resuming {self.folder.path} after epoch {len(self.state['history'])} of {self.epochs}")
            return model
        model = report_classifier(self.size, self.args.width, self.args.weights, len(self.labels))
        optimizer = keras.optimizers.Adam(self.rate)
        model.compile(optimizer=optimizer, loss="categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
        return model

    def _batches(self, samples: Sequence[Sample], seed: tuple[int, int] | None) -> Any:
        """The pictures in order, or, given a seed, shuffled and varied by it."""
        from train.mask.batches import Batches

        order = np.arange(len(samples)) if seed is None else np.random.default_rng(seed).permutation(len(samples))

        def make(position: int, rng: np.random.Generator) -> tuple[Image, Label]:
            sample = samples[order[position]]
            image = picture(sample, self.size)
            return (image if seed is None else augment(image, rng)), sample.label

        return Batches(
            make,
            count=len(samples),
            batch=self.args.batch,
            labels=self.labels,
            seed=seed or (self.args.seed,),
            workers=self.args.workers,
        )

    def _shown(self, sample: Sample) -> Image:
        return picture(sample, self.size)

    def _varied(self, _: int, rng: np.random.Generator) -> tuple[Image, str]:
        sample = self.train[rng.integers(len(self.train))]
        return augment(picture(sample, self.size), rng), f"{sample.label}\n{sample.source}"

    def _draw_history(self) -> None:
        for key, unit in (("accuracy", "accuracy"), ("loss", "cross-entropy, nats")):
            series = {
                name: [row[f] for row in self.state["history"]]
                for name, f in (("training", key), ("test", f"val_{key}"))
            }
            plots.curves(self.folder.path / f"curves_{key}.png", f"Training {key}, report's recipe", series, unit)

    def _report(self, model: Any) -> None:
        import keras
        from sklearn.metrics import classification_report

        plain = accelerator.in_32_bits(model)
        save_model(keras.Model(plain.inputs, plain.outputs, name="mask"), self.folder.model)
        truth = indices(self.test, self.labels)
        probabilities = np.asarray(model.predict(self._batches(self.test, None), verbose=0))
        found = figures(truth, probabilities, self.labels)
        names = [str(label) for label in self.labels]
        named = {"labels": list(range(len(names))), "target_names": names, "zero_division": 0}
        answers = probabilities.argmax(axis=1)
        text = classification_report(truth, answers, **named)
        say(text)
        say(describe("test", found))
        out = self.folder.path
        (out / "classification_report.txt").write_text(text, encoding="utf-8")
        plots.confusion(out / "confusion_test.png", "test", found["confusion"], names)
        gallery.draw_errors(out / "errors_test.jpg", self.test, probabilities, self._shown, labels=self.labels)
        by_sklearn = classification_report(truth, answers, output_dict=True, **named)
        self._write_metrics(test=found, classification_report=by_sklearn)
        say_written("mask", self.folder.model, self.folder.metrics)

    def _write_metrics(self, **found: Any) -> None:
        metrics = {
            "task": "mask",
            "preset": "report",
            "command": command(),
            "seed": self.args.seed,
            "seconds": round(self.state["seconds"], 1),
            "versions": versions(),
            "size": self.size,
            "margin": 0.0,
            "width": self.args.width,
            "labels": [str(label) for label in self.labels],
            "settings": self.folder.settings,
            "start": start_of(self.args),
            "training_faces": {str(k): v for k, v in Counter(s.label for s in self.train).items()},
            "unreadable": [str(path) for path in self.unreadable],
            "history": self.state["history"],
        }
        write_json(self.folder.metrics, metrics | found)
