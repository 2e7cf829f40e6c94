"""The default recipe: warm the head up, tune members from there, and take the mean of their weights."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.values import LABELS, Image, Label
from edge.vision.preprocess import normalise
from train.common import accelerator, plots
from train.common.average import Average, in_place
from train.common.checkpoints import RunFolder, epoch_verbosity, save_model
from train.common.reproducible import command, versions, write_json
from train.common.scalars import Scalars
from train.common.schedule import warmed_cosine
from train.common.start_models import SHIPPED
from train.common.terminal import say, say_written
from train.mask import door, gallery
from train.mask.data import Sample
from train.mask.device_boxes import DeviceDetector
from train.mask.faces import Faces, gather
from train.mask.figures import RATES, describe, figures, indices
from train.mask.kept import Kept
from train.mask.recipe import start_file, start_of
from train.mask.soup import Soup
from train.mask.start import adopt, settled_of
from train.mask.teachers import Teachers
from train.mask.views import Deck, plain_view

TAUGHT = 0.7
"""The teachers' share of what a view is said to be, where there are any; the rest is its label."""

MEASURED_VIEWS = 512
"""How many views tell what a model that is started from does with them."""


class Run:
    """One run of the default recipe. An epoch is one call of fit, so that stopping between epochs loses nothing."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.detector = DeviceDetector()
        self.size: int = args.size or 128
        self.epochs: int = args.epochs
        self.peak: float = args.learning_rate
        self.folder = RunFolder(args.out, self._settings())
        self.resumes: bool = args.resume and self.folder.begun
        self.warmup: int = min(args.warmup_epochs, self.epochs - 1)
        self.total = self.warmup + args.members * (self.epochs - self.warmup)
        self.soup = Soup(args.keep_start if self.warmup or args.start_from else 0.0)
        self.average: Average
        self.teachers = Teachers(args.teacher) if args.teacher else None
        self.kept: Kept | None = None
        start = start_file(args)
        self.started = settled_of(start) if start else door.UNSETTLED
        self.scalars = Scalars(args.out / "tensorboard" if args.tensorboard else None)
        self.state: dict[str, Any] = {"history": [], "seconds": 0.0, "alarm_below": self.started.alarm_below}

    def _settings(self) -> dict[str, Any]:
        kept = ["width", "margin", "warmup_epochs", "members", "keep_start", "faces", "batch", "train_from", "seed"]
        kept += ["no_paint", "leave_out", "split", "hidden", "draw", "mixed_precision"]
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
        faces = gather(self.args, self.detector)
        say(accelerator.use(self.args.mixed_precision))
        import keras

        keras.utils.set_random_seed(self.args.seed)
        if self.resumes:
            model, self.state = self.folder.resume()
            say(f"Resuming {self.folder.path} after epoch {len(self.state['history'])} of {self.total}")
        else:
            model = self._classifier()
        self.average = Average(model)
        if self.resumes:
            self.average.load(self.folder.average)
            self.soup.load(self.folder.soup)
        deck = Deck(faces.train, LABELS, not self.args.no_paint, self.args.draw)
        self._start_from(model, deck)
        say(f"{len(deck.canvases)} bare faces can be painted on, with the cloth of {len(deck.cloths)} real masks")
        gallery.draw_views(
            self.folder.path / "views.jpg", gallery.from_deck(deck, self.size, self.args.margin), self.args.seed
        )
        self._foresee_calibration(faces)
        for epoch in range(len(self.state["history"]), self.total):
            if self._stalled():
                say(f"The held-out loss has not fallen for {self.args.patience} epochs: stopping (--patience)")
                break
            began = time.monotonic()
            self._enter_phase(model, epoch)
            row = self._epoch(model, deck, epoch)
            row |= self._take_stock(model, faces.held_out, epoch)
            self.state["seconds"] += time.monotonic() - began
            self._note(model, faces, row)
        self._report(faces)

    def _classifier(self) -> Any:
        from train.mask.model import classifier

        return classifier(self.size, self.args.width, self.args.weights, len(LABELS), 0.3, hidden=self.args.hidden)

    def _start_from(self, model: Any, deck: Deck) -> None:
        """Give the model its start, and keep what that knows of classes without an example."""
        path = start_file(self.args)
        say_absent(deck, kept=path is not None)
        if path is None or (self.resumes and not deck.absent):
            return
        start = self._classifier()
        adopt(start, path, self._some_views(deck))
        if not self.resumes:
            model.set_weights(start.get_weights())
            self.average = Average(model)
        if deck.absent:
            self.kept = Kept(start, deck.absent)

    def _note(self, model: Any, faces: Faces, row: dict[str, Any]) -> None:
        """Keep a finished epoch on the disk: the model to go on from, then its figures."""
        self.state["history"].append(row)
        others = {self.folder.average: self.average.save, self.folder.soup: self.soup.save}
        self.folder.save(model, self.state, others)
        self._write_metrics(faces)
        gallery.draw_history(self.folder.path, self.state["history"])
        self.scalars.add(row["epoch"], row)

    def _foresee_calibration(self, faces: Faces) -> None:
        """Say before the first epoch if there will be no calibration."""
        why = door.uncalibrated(faces.held_out, faces.counts())
        if why and start_file(self.args):
            temperature, threshold, _ = self.started
            why += f"; the start model's temperature {temperature:g} and alarm threshold {threshold:g} are kept"
        self.state["uncalibrated"] = why
        if why:
            say(f"No temperature and no alarm threshold will be fitted: {why}")

    def _enter_phase(self, model: Any, epoch: int) -> None:
        """Compile again when a phase starts: the head alone, then each member's upper layers; else change nothing."""
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
        steps = math.ceil(self.args.faces / self.args.batch)
        total = steps * (self.epochs - self.warmup)
        return warmed_cosine(self.peak, total, warmup=steps // 2, first=0.1, last=0.001)

    def _epoch(self, model: Any, deck: Deck, epoch: int) -> dict[str, Any]:
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
        seen = model.fit(
            views,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=epoch_verbosity(),
            shuffle=False,
            callbacks=[self.average.callback(len(views))],
        ).history
        return {"epoch": epoch + 1, "loss": seen["loss"][-1], "accuracy": seen["accuracy"][-1]}

    def _take_stock(self, model: Any, held_out: Sequence[Sample], epoch: int) -> dict[str, Any]:
        """Measure what the members come to so far; a member after the first counts at its end only."""
        ended = self._member_epoch(epoch) == self.epochs - self.warmup - 1
        if self.soup.members and not ended:
            return {}
        if ended:
            self.soup.add(self.average.weights)
        with in_place(model, self.soup.weights(self.average.weights)):
            found = self._keep_best(model, held_out, epoch)
        if found is None:
            return {}
        say(describe(f"epoch {epoch + 1} of {self.total}, held out", found) + f", loss {found['balanced_loss']}")
        return {f"held_out_{key}": found[key] for key in (*RATES, "balanced_loss", "temperature")}

    def _keep_best(self, model: Any, held_out: Sequence[Sample], epoch: int) -> dict[str, Any] | None:
        """Save the model for the door if its held-out loss is the least so far, and tell its figures."""
        from train.mask.batches import predict
        from train.mask.model import for_door

        settled = self.started
        if held_out:
            probabilities = predict(model, held_out, self.size, self.args.margin)
            enough = not self.state["uncalibrated"]
            surer = self.args.start_from != Path(SHIPPED)
            settled = door.settle(probabilities, held_out, self.args.draw, enough, self.started, surer=surer)
        if settled.found is None or settled.found["balanced_loss"] < self._least_loss():
            save_model(for_door(model, np.log(door.ratios()).tolist(), settled.temperature), self.folder.model)
            best = {"kept_epoch": epoch + 1, "alarm_below": settled.alarm_below, "held_out": settled.found}
            self.state.update(best)
        return settled.found

    def _measured(self) -> list[dict[str, Any]]:
        """Epochs whose held-out loss is known."""
        return [row for row in self.state["history"] if "held_out_balanced_loss" in row]

    def _least_loss(self) -> float:
        return min((float(row["held_out_balanced_loss"]) for row in self._measured()), default=math.inf)

    def _stalled(self) -> bool:
        """Whether ``--patience`` is at its end."""
        measured = self._measured()
        if self.args.patience is None or not measured:
            return False
        losses = [float(row["held_out_balanced_loss"]) for row in measured]
        best = losses.index(min(losses))
        return bool(len(measured) - 1 - best >= self.args.patience)

    def _write_metrics(self, faces: Faces, more: Mapping[str, Any] = MappingProxyType({})) -> None:
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
            "door_ratios": door.ratios().tolist(),
            "alarm_below": self.state["alarm_below"],
            "uncalibrated": self.state["uncalibrated"],
            "kept_epoch": self.state.get("kept_epoch"),
            "settings": self.folder.settings,
            "start": start_of(self.args),
            "training_faces": {str(label): count for label, count in faces.counts().items()},
            "unreadable": [str(path) for path in faces.unreadable],
            "history": self.state["history"],
            "held_out": self.state.get("held_out"),
        }
        write_json(self.folder.metrics, {**metrics, **more})

    def _shown(self, sample: Sample) -> Image:
        return plain_view(sample, self.size, self.args.margin)

    def _report(self, faces: Faces) -> None:
        """Measure the model on everything held back, and draw the plots."""
        import keras

        from train.mask.batches import predict

        accelerator.use(mixed_precision=False)
        model = keras.models.load_model(self.folder.model)
        found: dict[str, Any] = {}
        for name, samples in faces.reported().items():
            probabilities = predict(model, samples, self.size, self.args.margin)
            found[name] = figures(indices(samples, LABELS), probabilities, alarm_below=self.state["alarm_below"])
            say(describe(name, found[name]))
            picture = self.folder.path / f"confusion_{name}.png"
            plots.confusion(picture, name.replace("_", " "), found[name]["confusion"], LABELS)
            errors = self.folder.path / f"errors_{name}.jpg"
            gallery.draw_errors(errors, samples, probabilities, self._shown, alarm_below=self.state["alarm_below"])
        self._write_metrics(faces, found)
        many = self.soup.members > 1
        say_written(
            "mask", self.folder.model, self.folder.metrics, f" (mean of {self.soup.members} trainings)" if many else ""
        )


def say_absent(deck: Deck, kept: bool) -> None:
    """Say what becomes of each class that has no example."""
    for label in deck.absent:
        drawn = "masks are drawn on bare faces instead" if deck.canvases else "nothing of it is learned"
        start = "what the start model knows of it is kept" if kept else "start from the shipped model to keep it"
        say(f"{label}: no example to learn from; {drawn}, and {start}.")
