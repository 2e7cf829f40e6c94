"""``python -m train mask``: the mask classifier, from labelled pictures to a Keras model with its figures.

The default recipe keeps three classes in the order of `edge.values.LABELS`: MobileNetV2, head first, then the upper
layers on a cosine schedule, over views that are cut, varied and degraded alike for all classes. ``--preset report``
follows the student report instead (`train.mask_report`).
"""

from __future__ import annotations

import argparse
import math
import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import LABELS, Image, Label
from train import plots
from train.average import Average, in_place
from train.calibration import Judged, fit_temperature, tempered
from train.checkpoints import RunFolder, epoch_verbosity, save_model
from train.mask_data import Sample, YuNet, drop_unreadable, hold_out, locate, read
from train.mask_figures import RATES, describe, figures
from train.mask_views import CLASS_SHARES, LEAST_PAINTED_SIDE, Deck, plain_view
from train.options import add_shared, require_at_least
from train.reproducible import command, versions, write_json
from train.soup import Soup

LEAST_TRAINED_SIDE = 12.0
"""Annotated faces with a shorter side in pixels show no mask; they are left out."""

OBSERVED_SHARES = {Label.WITH_MASK: 0.80, Label.WITHOUT_MASK: 0.11, Label.MASK_WORN_INCORRECTLY: 0.09}
"""What observers counted where masks had to be worn (https://doi.org/10.54111/0001/cc18)."""

OVERLOOKED = 4.0
"""A bare face taken for a masked one weighs as much as this many false alarms: it is what the door is for."""

LEAST_REPORTED_SIDE = 40.0
"""Figures are given over annotated faces of at least this short side in pixels, and over all."""

HELD_OUT = 0.1
"""Of the groups, for calibrating the probabilities and following the training."""

EPILOG = """\
data layouts (--data may be repeated and mixed):
  a folder          with_mask/, without_mask/, mask_worn_incorrectly/ with pictures in them
  labels.csv        file,label[,source,group,split]; rows with split=val are kept for validation
  COCO json         boxes in whole photos; categories with_mask, without_mask, mask_worn_incorrectly,
                    and face (mask state not annotated: taken as without_mask)

what is written to --out (default runs/mask, which git ignores):
  mask.keras        the members' mean so far, from the first epoch on; takes RGB in [-1, 1], gives probabilities
  last.keras        the last epoch with its optimiser; state.json, *.npz: what --resume continues from
  metrics.json      command, seed, seconds, versions and figures; curves*.png, confusion*.png
  boxes.json        faces that --detector found, so that the next run need not look again

examples:
  python -m train mask --data faces/train.json --data masks/labels.csv --validation faces/val.json \\
      --weights imagenet --detector yunet.onnx
  python -m train mask --data faces/train.json --resume           goes on where it was stopped
  python -m train mask --preset report --data dataset             two folders: with_mask, without_mask
"""


AT_LEAST = {"size": 32, "epochs": 1, "faces": 1, "batch": 1, "workers": 1, "warmup_epochs": 0, "members": 1}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``python -m train mask``."""
    parser.epilog = EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--data", action="append", type=Path, required=True, metavar="PATH", help="folder, labels.csv or COCO json")
    add("--preset", choices=("default", "report"), default="default", help="recipe; report: the student report's")
    add("--weights", default="imagenet", metavar="imagenet|PATH|none", help="of the backbone (default: %(default)s)")
    add(
        "--leave-out",
        action="append",
        default=[],
        metavar="SOURCE",
        help="a source of --data to measure on and not to learn from: how faces of unknown origin are judged",
    )
    add(
        "--start-from",
        type=Path,
        metavar="MODEL",
        help="last.keras of a run to train further; keep its --seed, for the split",
    )
    add("--detector", type=Path, metavar="PATH", help="YuNet .onnx: finds faces in crops, and landmarks to paint by")
    add("--size", type=int, help="input side in pixels (default: 128; report: 224)")
    add("--width", type=float, default=1.0, help="MobileNetV2's channel multiplier (default: %(default)s)")
    add(
        "--margin",
        type=float,
        default=0.2273,
        help="around a face, of the longer side of its box as the detector draws it, each side (default: %(default)s)",
    )
    add("--epochs", type=int, help="of a member, warm-up included (default: 8; report: 20)")
    add("--warmup-epochs", type=int, default=1, help="with the backbone frozen (default: %(default)s)")
    add(
        "--members",
        type=int,
        default=4,
        help="trainings from the same start, of whose weights the mean is taken (default: %(default)s)",
    )
    add(
        "--keep-start",
        type=float,
        default=0.2,
        metavar="SHARE",
        help="of the weights after warm-up, in that mean (default: %(default)s)",
    )
    add("--faces", type=int, default=3200, help="drawn an epoch (default: %(default)s)")
    add("--batch", type=int, default=32, help="faces in a batch (default: %(default)s)")
    add("--learning-rate", type=float, help="peak while fine-tuning (default: 3e-4; report: 1e-4)")
    add(
        "--train-from",
        default="block_4",
        metavar="LAYER",
        help="first backbone layer tuned, or all (default: %(default)s)",
    )
    add("--no-paint", action="store_true", help="draw no masks or hands on bare faces")
    add_shared(parser, Path("runs/mask"), seed=1)


def run(args: argparse.Namespace) -> int:
    """Train as the options say.

    Returns:
        0.

    Raises:
        ConfigError: The options or the data cannot be used.
    """
    _check(args)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if args.preset == "report":
        from train import mask_report  # noqa: PLC0415

        mask_report.ReportRun(args).run()
    else:
        _Run(args).run()
    return 0


def _check(args: argparse.Namespace) -> None:
    require_at_least(args, AT_LEAST)
    if not 0 <= args.margin <= 2:
        raise ConfigError(f"--margin is {args.margin}: give a fraction of the face between 0 and 2.")
    if not 0 <= args.keep_start < 1:
        raise ConfigError(f"--keep-start is {args.keep_start}: give a share of at least 0 and below 1.")


@dataclass(frozen=True)
class Faces:
    """What a run works on."""

    train: list[Sample]
    held_out: list[Sample]
    left_out: list[Sample]
    validation: list[Sample]
    unreadable: list[Path]

    def counts(self) -> Counter[Label]:
        """Faces to train on, by class."""
        return Counter(sample.label for sample in self.train)

    def reported(self) -> dict[str, list[Sample]]:
        """The sets that figures are given for, by name, empty ones left out."""
        annotated = [s for s in self.validation if s.annotated]
        sets = {
            "held_out": self.held_out,
            "left_out": self.left_out,
            "validation": self.validation,
            "validation_annotated": annotated,
            "validation_annotated_40px": [s for s in annotated if s.short_side >= LEAST_REPORTED_SIDE],
        }
        return {name: samples for name, samples in sets.items() if samples}


def gather(args: argparse.Namespace) -> Faces:
    """Read, check, locate and split the faces that the options name, saying what was found."""
    samples = [sample for path in args.data for sample in read(path)]
    _check_sources(args.leave_out, samples)
    reported = [replace(sample, validation=True) for path in args.validation for sample in read(path)]
    samples = [s for s in samples if s.short_side >= LEAST_TRAINED_SIDE]
    kept, unreadable = drop_unreadable([*samples, *reported], say)
    if args.detector is not None:
        kept = locate(kept, YuNet(args.detector), args.out / "boxes.json", LEAST_PAINTED_SIDE, say)
    validation = [sample for sample in kept if sample.validation]
    left = [sample for sample in kept if not sample.validation and sample.source in args.leave_out]
    training = [sample for sample in kept if not sample.validation and sample.source not in args.leave_out]
    if not training:
        raise ConfigError("None of the --data can be trained on: every picture is unreadable or kept from training.")
    train, held = hold_out(training, HELD_OUT, args.seed)
    for name, part in (("training", train), ("held out", held), ("left out", left), ("validation", validation)):
        counts = Counter(str(sample.label) for sample in part)
        say(f"{name}: {len(part)} faces, " + ", ".join(f"{label} {counts[label]}" for label in LABELS))
    if unreadable:
        say(f"Skipped {len(unreadable)} unreadable images")
    return Faces(train, held, left, validation, unreadable)


def _check_sources(names: Sequence[str], samples: Sequence[Sample]) -> None:
    sources = {sample.source for sample in samples}
    for name in names:
        if name not in sources:
            raise ConfigError(
                f"--leave-out {name}: no face of --data has this source; there are {', '.join(sorted(sources))}."
            )


def say(line: str) -> None:
    """Tell the operator how far the run is."""
    print(line, flush=True)


class _Run:
    """One run of the default recipe. An epoch is one call of fit, so that stopping between epochs loses nothing."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.size: int = args.size or 128
        self.epochs: int = args.epochs or 8
        self.peak: float = args.learning_rate or 3e-4
        self.folder = RunFolder(args.out, self._settings())
        self.warmup: int = min(args.warmup_epochs, self.epochs - 1)
        self.total = self.warmup + args.members * (self.epochs - self.warmup)
        self.soup = Soup(args.keep_start if self.warmup or args.start_from else 0.0)
        self.average: Average
        self.state: dict[str, Any] = {"history": [], "seconds": 0.0}

    def _settings(self) -> dict[str, Any]:
        kept = ["width", "margin", "warmup_epochs", "members", "keep_start", "faces", "batch", "train_from", "seed"]
        kept += ["no_paint", "leave_out"]
        return {
            **{name: getattr(self.args, name) for name in kept},
            "size": self.size,
            "epochs": self.epochs,
            "learning_rate": self.peak,
            "start_from": self.args.start_from and str(self.args.start_from),
            "data": [str(path) for path in self.args.data],
        }

    def run(self) -> None:
        """Train what is left to train, then report on what it comes to."""
        import keras  # noqa: PLC0415

        from train.mask_model import adopt, classifier  # noqa: PLC0415

        keras.utils.set_random_seed(self.args.seed)
        if self.args.resume:
            model, self.state = self.folder.resume()
            say(f"Resuming {self.folder.path} after epoch {len(self.state['history'])} of {self.total}")
        else:
            model = classifier(self.size, self.args.width, self.args.weights, len(LABELS), dropout=0.3)
            if self.args.start_from is not None:
                adopt(model, self.args.start_from)
        self.average = Average(model)
        if self.args.resume:
            self.average.load(self.folder.average)
            self.soup.load(self.folder.soup)
        faces = gather(self.args)
        deck = Deck(faces.train, LABELS, paint=not self.args.no_paint)
        say(f"{len(deck.canvases)} bare faces can be painted on, with the cloth of {len(deck.cloths)} real masks")
        for epoch in range(len(self.state["history"]), self.total):
            began = time.monotonic()
            self._enter_phase(model, epoch)
            row = self._epoch(model, deck, epoch)
            row |= self._take_stock(model, faces.held_out, epoch)
            self.state["seconds"] += time.monotonic() - began
            self.state["history"].append(row)
            self.average.save(self.folder.average)
            self.soup.save(self.folder.soup)
            self.folder.save(model, self.state)
        self._report(faces)

    def _enter_phase(self, model: Any, epoch: int) -> None:
        """Compile anew where a phase begins: the head alone, then each member's upper layers; else change nothing."""
        import keras  # noqa: PLC0415

        from train.mask_model import thaw  # noqa: PLC0415

        if epoch >= self.warmup and self._member_epoch(epoch) == 0:
            if epoch == self.warmup:
                self.soup.begin(model.get_weights())
            model.set_weights(self.soup.start)
            self.average = Average(model)
            thaw(model, self.args.train_from)
            optimizer = keras.optimizers.AdamW(self._schedule(), weight_decay=1e-4, global_clipnorm=5.0)
        elif epoch == 0:
            thaw(model, None)
            optimizer = keras.optimizers.Adam(1e-3)
        else:
            return
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=0.05)
        model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"], jit_compile=False)

    def _member_epoch(self, epoch: int) -> int:
        """Which epoch of its member this is, from 0; negative while the head warms up."""
        return (epoch - self.warmup) % (self.epochs - self.warmup) if epoch >= self.warmup else epoch - self.warmup

    def _schedule(self) -> Any:
        """Half an epoch up to the peak, then a cosine down to a thousandth of it."""
        import keras  # noqa: PLC0415

        steps = math.ceil(self.args.faces / self.args.batch)
        rise = steps // 2
        return keras.optimizers.schedules.CosineDecay(
            self.peak * 0.1,
            steps * (self.epochs - self.warmup) - rise,
            alpha=0.001,
            warmup_target=self.peak,
            warmup_steps=rise,
        )

    def _epoch(self, model: Any, deck: Deck, epoch: int) -> dict[str, Any]:
        import keras  # noqa: PLC0415

        from train.mask_batches import Batches  # noqa: PLC0415
        from train.mask_model import reseed_dropout  # noqa: PLC0415

        args = self.args
        reseed_dropout(model, args.seed, epoch)

        def make(_: int, rng: np.random.Generator) -> tuple[Image, Label]:
            draw = deck.draw(rng)
            return deck.view(draw, self.size, args.margin, rng), draw.label

        views = Batches(
            make, count=args.faces, batch=args.batch, labels=LABELS, seed=(args.seed, epoch), workers=args.workers
        )
        averaging = keras.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs: self.average.after_batch(batch + 1, len(views))  # noqa: ARG005 - Keras's own
        )
        seen = model.fit(
            views,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=epoch_verbosity(),
            shuffle=False,
            callbacks=[averaging],
        ).history
        return {"epoch": epoch + 1, "loss": seen["loss"][-1], "accuracy": seen["accuracy"][-1]}

    def _take_stock(self, model: Any, held_out: Sequence[Sample], epoch: int) -> dict[str, Any]:
        """Measure what the members come to so far, and write it; a member after the first counts at its end only."""
        ended = self._member_epoch(epoch) == self.epochs - self.warmup - 1
        if self.soup.members and not ended:
            return {}
        if ended:
            self.soup.add(self.average.weights)
        with in_place(model, self.soup.weights(self.average.weights)):
            found = self._write(model, held_out)
        self.state["kept_epoch"] = epoch + 1
        self._write_metrics({"held_out": found})
        if found is None:
            return {}
        say(describe(f"epoch {epoch + 1} of {self.total}, held out", found) + f", loss {found['balanced_loss']}")
        return {f"held_out_{key}": found[key] for key in (*RATES, "balanced_loss", "temperature")}

    def _write(self, model: Any, held_out: Sequence[Sample]) -> dict[str, Any] | None:
        """Save the model for the door, calibrated on the held-out faces, and tell its figures on them."""
        from train.mask_model import for_door  # noqa: PLC0415

        shares = door_shares()
        log_ratios = [math.log(shares[label] / CLASS_SHARES[label]) for label in LABELS]
        temperature, found = 1.0, None
        if held_out:
            judged = Judged(predict(model, held_out, self.size, self.args.margin), indices(held_out, LABELS))
            temperature = fit_temperature(judged, balancing(judged.truth))
            calibrated = tempered(judged.probabilities, temperature)
            weighed = calibrated * np.exp(log_ratios)
            found = figures(judged.truth, weighed / weighed.sum(axis=1, keepdims=True))
            found["balanced_loss"] = figures(judged.truth, calibrated)["balanced_loss"]
            found["temperature"] = round(temperature, 3)
        save_model(for_door(model, log_ratios, temperature), self.folder.model)
        return found

    def _write_metrics(self, found: dict[str, Any]) -> None:
        metrics = {
            "task": "mask",
            "preset": "default",
            "command": command(),
            "seed": self.args.seed,
            "seconds": round(self.state["seconds"], 1),
            "versions": versions(),
            "size": self.size,
            "margin": self.args.margin,
            "width": self.args.width,
            "labels": [str(label) for label in LABELS],
            "kept_epoch": self.state.get("kept_epoch"),
            "settings": self.folder.settings,
            "history": self.state["history"],
        }
        write_json(self.folder.metrics, metrics | found)

    def _report(self, faces: Faces) -> None:
        """Measure the model on everything held back, and draw the plots."""
        import keras  # noqa: PLC0415

        model = keras.models.load_model(self.folder.model)
        found: dict[str, Any] = {}
        for name, samples in faces.reported().items():
            probabilities = predict(model, samples, self.size, self.args.margin)
            found[name] = figures(indices(samples, LABELS), probabilities)
            say(describe(name, found[name]))
            picture = self.folder.path / f"confusion_{name}.png"
            plots.confusion(picture, name.replace("_", " "), found[name]["confusion"], LABELS)
        found["training_faces"] = {str(label): count for label, count in faces.counts().items()}
        found["unreadable"] = [str(path) for path in faces.unreadable]
        self._write_metrics(found)
        draw_history(self.folder.path, self.state["history"])
        say(f"Wrote {self.folder.model} (of {self.soup.members} trainings) and {self.folder.metrics}")


def door_shares() -> dict[Label, float]:
    """The class shares that the saved model answers for, not those that training drew; they sum to 1."""
    weighed = {
        label: share * (OVERLOOKED if label is Label.WITHOUT_MASK else 1) for label, share in OBSERVED_SHARES.items()
    }
    return {label: share / sum(weighed.values()) for label, share in weighed.items()}


def balancing(truth: NDArray[np.intp]) -> NDArray[np.float64]:
    """(N,) weights that make every class that occurs count alike; ``truth`` holds class indices."""
    counts = np.bincount(truth)
    return 1 / counts[truth]


def indices(samples: Sequence[Sample], labels: Sequence[Label]) -> NDArray[np.intp]:
    """(N,) positions of the samples' labels in ``labels``."""
    return np.array([labels.index(sample.label) for sample in samples], np.intp)


def predict(model: Any, samples: Sequence[Sample], size: int, margin: float, batch: int = 64) -> NDArray[Any]:
    """(N, classes) probabilities of faces cut as the device cuts them."""
    from train.mask_batches import Batches  # noqa: PLC0415

    def make(position: int, _: np.random.Generator) -> tuple[Image, Label]:
        return plain_view(samples[position], size, margin), samples[position].label

    return np.asarray(model.predict(Batches(make, count=len(samples), batch=batch), verbose=0))


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
