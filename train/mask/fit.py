"""The default recipe: warm the head up, tune members from there, and take the mean of their weights."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Image, Label
from edge.vision.preprocess import normalise
from train.common import plots
from train.common.average import Average, in_place
from train.common.checkpoints import RunFolder, epoch_verbosity, save_model
from train.common.device_boxes import DeviceDetector
from train.common.options import say
from train.common.reproducible import command, versions, write_json
from train.mask.calibration import Judged, fit_temperature, tempered
from train.mask.data import Sample
from train.mask.faces import Faces, gather
from train.mask.figures import RATES, balancing, describe, figures, indices
from train.mask.kept import Kept
from train.mask.recipe import start_file
from train.mask.soup import Soup
from train.mask.teachers import Teachers
from train.mask.threshold import cheapest
from train.mask.views import CLASS_SHARES, Deck, weights

OBSERVED_SHARES = {Label.WITH_MASK: 0.80, Label.WITHOUT_MASK: 0.11, Label.MASK_WORN_INCORRECTLY: 0.09}
"""What observers counted where masks had to be worn (https://doi.org/10.54111/0001/cc18)."""

TAUGHT = 0.7
"""The teachers' share of what a view is said to be, where there are any; the rest is its label."""

MEASURED_VIEWS = 512
"""How many views tell what a model that is started from does with them."""

OVERLOOKED = {Label.WITH_MASK: 1.0, Label.WITHOUT_MASK: 2.5, Label.MASK_WORN_INCORRECTLY: 1.0}
"""What it weighs to take a face of this class for masked, in false alarms on masked ones.

Settled on held-out faces of 40 pixels and more of three trainings, each with another ``--split`` (961 masked, 1,738
bare, 165 worn badly), so that 1.5 % of the bare missed, 1.5 % of the masked alarmed and 20 % of the badly worn missed
are all kept well below; of weights that do so about equally, these name the most labels right.
"""


class Run:
    """One run of the default recipe. An epoch is one call of fit, so that stopping between epochs loses nothing."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.detector = DeviceDetector()
        self.size: int = args.size or 128
        self.epochs: int = args.epochs
        self.peak: float = args.learning_rate
        self.folder = RunFolder(args.out, self._settings())
        self.warmup: int = min(args.warmup_epochs, self.epochs - 1)
        self.total = self.warmup + args.members * (self.epochs - self.warmup)
        self.soup = Soup(args.keep_start if self.warmup or args.start_from else 0.0)
        self.average: Average
        self.teachers = Teachers(args.teacher) if args.teacher else None
        self.kept: Kept | None = None
        self.state: dict[str, Any] = {"history": [], "seconds": 0.0, "alarm_below": 0.5}

    def _settings(self) -> dict[str, Any]:
        kept = ["width", "margin", "warmup_epochs", "members", "keep_start", "faces", "batch", "train_from", "seed"]
        kept += ["no_paint", "leave_out", "split", "hidden", "draw"]
        return {
            **{name: getattr(self.args, name) for name in kept},
            "size": self.size,
            "epochs": self.epochs,
            "learning_rate": self.peak,
            "face_model": self.detector.sha256,
            "teacher": [str(path) for path in self.args.teacher],
            "start_from": self.args.start_from and str(self.args.start_from),
            "data": [str(path) for path in self.args.data],
        }

    def run(self) -> None:
        """Train what is left to train, then report on what it comes to."""
        import keras

        keras.utils.set_random_seed(self.args.seed)
        if self.args.resume:
            model, self.state = self.folder.resume()
            say(f"Resuming {self.folder.path} after epoch {len(self.state['history'])} of {self.total}")
        else:
            model = self._classifier()
        self.average = Average(model)
        if self.args.resume:
            self.average.load(self.folder.average)
            self.soup.load(self.folder.soup)
        faces = gather(self.args, self.detector)
        deck = Deck(faces.train, LABELS, not self.args.no_paint, self.args.draw)
        self._start_from(model, deck)
        say(f"{len(deck.canvases)} bare faces can be painted on, with the cloth of {len(deck.cloths)} real masks")
        for epoch in range(len(self.state["history"]), self.total):
            began = time.monotonic()
            self._enter_phase(model, epoch)
            row = self._epoch(model, deck, epoch)
            row |= self._take_stock(model, faces.held_out, epoch)
            self.state["seconds"] += time.monotonic() - began
            self.state["history"].append(row)
            others = {self.folder.average: self.average.save, self.folder.soup: self.soup.save}
            self.folder.save(model, self.state, others)
        self._report(faces)

    def _classifier(self) -> Any:
        from train.mask.model import classifier

        return classifier(self.size, self.args.width, self.args.weights, len(LABELS), 0.3, hidden=self.args.hidden)

    def _start_from(self, model: Any, deck: Deck) -> None:
        """Give the model its start, and keep what that knows of classes without an example."""
        from train.mask.start import adopt

        path = start_file(self.args)
        say_absent(deck, kept=path is not None)
        if path is None or (self.args.resume and not deck.absent):
            return
        start = self._classifier()
        adopt(start, path, self._some_views(deck))
        if not self.args.resume:
            model.set_weights(start.get_weights())
            self.average = Average(model)
        if deck.absent:
            self.kept = Kept(start, deck.absent)

    def _enter_phase(self, model: Any, epoch: int) -> None:
        """Compile anew where a phase begins: the head alone, then each member's upper layers; else change nothing."""
        import keras

        from train.mask.model import thaw

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

    def _some_views(self, deck: Deck) -> NDArray[np.float32]:
        """Training views to measure activations on, (N, size, size, 3)."""
        rng = np.random.default_rng([self.args.seed])
        views = [deck.view(deck.draw(rng), self.size, self.args.margin, rng) for _ in range(MEASURED_VIEWS)]
        return normalise(np.stack(views))

    def _member_epoch(self, epoch: int) -> int:
        """Which epoch of its member this is, from 0; negative while the head warms up."""
        return (epoch - self.warmup) % (self.epochs - self.warmup) if epoch >= self.warmup else epoch - self.warmup

    def _schedule(self) -> Any:
        """Half an epoch up to the peak, then a cosine down to a thousandth of it."""
        import keras

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
        import keras

        from train.mask.batches import Batches
        from train.mask.model import reseed_dropout

        args = self.args
        reseed_dropout(model, args.seed, epoch)
        side = max(self.size, self.teachers.size) if self.teachers else self.size

        def make(_: int, rng: np.random.Generator) -> tuple[Image, Label]:
            draw = deck.draw(rng)
            return deck.view(draw, side, args.margin, rng), draw.label

        views = Batches(
            make,
            count=args.faces,
            batch=args.batch,
            labels=LABELS,
            seed=(args.seed, epoch),
            workers=args.workers,
            teach=self.teachers,
            taught=TAUGHT,
            keep=self.kept,
            size=self.size,
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
        from train.mask.batches import predict
        from train.mask.model import for_door

        ratios = door_ratios()
        temperature, found = 1.0, None
        if held_out:
            judged = Judged(predict(model, held_out, self.size, self.args.margin), indices(held_out, LABELS))
            temperature = fit_temperature(judged, balancing(judged.truth))
            calibrated = tempered(judged.probabilities, temperature)
            weighed = calibrated * ratios
            answers = weighed / weighed.sum(axis=1, keepdims=True)
            self.state["alarm_below"] = cheapest(Judged(answers, judged.truth), weights(held_out, self.args.draw))
            found = figures(judged.truth, answers, alarm_below=self.state["alarm_below"])
            found["balanced_loss"] = figures(judged.truth, calibrated)["balanced_loss"]
            found["temperature"] = round(temperature, 3)
        save_model(for_door(model, np.log(ratios).tolist(), temperature), self.folder.model)
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
            "door_ratios": door_ratios().tolist(),
            "alarm_below": self.state["alarm_below"],
            "kept_epoch": self.state.get("kept_epoch"),
            "settings": self.folder.settings,
            "history": self.state["history"],
        }
        write_json(self.folder.metrics, metrics | found)

    def _report(self, faces: Faces) -> None:
        """Measure the model on everything held back, and draw the plots."""
        import keras

        from train.mask.batches import predict

        model = keras.models.load_model(self.folder.model)
        found: dict[str, Any] = {}
        for name, samples in faces.reported().items():
            probabilities = predict(model, samples, self.size, self.args.margin)
            found[name] = figures(indices(samples, LABELS), probabilities, alarm_below=self.state["alarm_below"])
            say(describe(name, found[name]))
            picture = self.folder.path / f"confusion_{name}.png"
            plots.confusion(picture, name.replace("_", " "), found[name]["confusion"], LABELS)
        found["training_faces"] = {str(label): count for label, count in faces.counts().items()}
        found["unreadable"] = [str(path) for path in faces.unreadable]
        self._write_metrics(found)
        draw_history(self.folder.path, self.state["history"])
        say(f"Wrote {self.folder.model} (of {self.soup.members} trainings) and {self.folder.metrics}")


def say_absent(deck: Deck, kept: bool) -> None:
    """Say what becomes of each class that has no example."""
    for label in deck.absent:
        drawn = "masks are drawn on bare faces instead" if deck.canvases else "nothing of it is learned"
        start = "what the start model knows of it is kept" if kept else "start from the shipped model to keep it"
        say(f"{label}: no example to learn from; {drawn}, and {start}.")


def door_shares() -> dict[Label, float]:
    """The class shares that the saved model answers for, not those that training drew; they sum to 1."""
    weighed = {label: share * OVERLOOKED[label] for label, share in OBSERVED_SHARES.items()}
    return {label: share / sum(weighed.values()) for label, share in weighed.items()}


def door_ratios() -> NDArray[np.float64]:
    """(classes,) expected shares over drawn ones, in the order of the labels."""
    shares = door_shares()
    return np.array([shares[label] / CLASS_SHARES[label] for label in LABELS])


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
