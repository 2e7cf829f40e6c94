"""``maskgate look``: is the camera set up well? One picture, judged, and written only where that is asked for."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from edge.errors import ConfigError
from edge.people.zone import in_zone
from edge.sinks.draw import annotate
from edge.text import plural
from edge.values import Frame, Image, Reading, Verdict
from edge.vision.aim import Advice, advise
from edge.vision.pipeline import load_pipeline

if TYPE_CHECKING:
    from edge.config import Config, Settings

SUMMARY = "take one picture, and say whether the camera is set up well"
ABOUT = (
    "Take one picture from the camera, through the running maskgate where one runs, and say who is in it, how large "
    "faces are, and what to change about light and distance."
)
ZONE_COLOUR = (255, 200, 0)
FORMATS = (".jpg", ".jpeg", ".png", ".webp")
"""Of the picture, by the ending of its name."""


class View(NamedTuple):
    """One picture, and what is in it.

    Attributes:
        camera: Whose picture it is.
        image: (H, W, 3) uint8 BGR.
        readings: Of each face, the surest face first.
        advice: What to change; empty if all is well.
        through_door: Whether a running door gave it.
    """

    camera: str
    image: Image
    readings: Sequence[Reading]
    advice: Sequence[Advice]
    through_door: bool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="write the picture there, for you alone, with boxes, scores and face sizes; replaces a file of that name",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--source", dest="camera.source", metavar="S", help="another camera than the configured one")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Take the picture, say what is in it, and return the exit code.

    Raises:
        CameraError: There is no camera, or it sends no picture.
        ConfigError: The picture cannot be written.
        RefusedError: The running door has no picture; the text says why.
    """
    if args.output and args.output.suffix.lower() not in FORMATS:
        raise ConfigError(f"--output {args.output} must end with one of {', '.join(FORMATS)}.")
    config = settings.config
    view = _view(settings, own_camera=bool(getattr(args, "camera.source", None)))
    if args.json:
        print(json.dumps(_record(view, config)))
    else:
        print("\n".join(_sentences(view, config)))
    if args.output:
        _write(args.output, _drawn(view, config))
        if not args.json:
            print(f"{args.output} shows who is at the door. It was written because you asked: delete it afterwards.")
    return 0


def _view(settings: Settings, *, own_camera: bool) -> View:
    from edge.cameras.one_picture import take_picture
    from edge.running import find

    config = settings.config
    door = None if own_camera else find(settings)
    image, camera = door.picture() if door else take_picture(config)
    pipeline = load_pipeline(config)
    readings = pipeline.process(Frame.still(image))
    advice = advise(image, [reading.face.bbox for reading in readings], config.people.min_face)
    return View(camera, image, readings, advice, through_door=door is not None)


def _sentences(view: View, config: Config) -> list[str]:
    height, width = view.image.shape[:2]
    through = ", through the running maskgate" if view.through_door else ""
    lines = [f"Camera: {view.camera}, {width}x{height}{through}"]
    lines.append(f"In the picture: {plural(len(view.readings), 'face')}")
    lines += [f"  {_sentence(reading, view, config)}" for reading in view.readings]
    if not view.readings:
        lines.append("  Let somebody stand where visitors stand, and look again: distance cannot be judged yet.")
    return [*lines, *(one.text for one in view.advice)] if view.advice else [*lines, _well(view)]


def _sentence(reading: Reading, view: View, config: Config) -> str:
    words = Verdict(reading.label.value).words
    size = f"face {_size(reading)} px, score {reading.face.score:.2f}"
    return f"{words} {reading.confidence:.0%}, {size}{_not_counted(reading, view, config)}"


def _well(view: View) -> str:
    return "Light and distance look right." if view.readings else "Light looks right."


def _size(reading: Reading) -> int:
    return round(reading.face.bbox.short_side)


def _not_counted(reading: Reading, view: View, config: Config) -> str:
    if not _counts(reading, view, config):
        return ", outside the zone: not counted"
    return ", too small for a verdict" if reading.face.bbox.short_side < config.people.min_face else ""


def _counts(reading: Reading, view: View, config: Config) -> bool:
    height, width = view.image.shape[:2]
    return in_zone(reading.face.bbox, config.people.zone, (width, height))


def _record(view: View, config: Config) -> dict[str, object]:
    height, width = view.image.shape[:2]
    return {
        "camera": view.camera,
        "running": view.through_door,
        "width": width,
        "height": height,
        "faces": [
            {
                "bbox": [round(side, 1) for side in reading.face.bbox],
                "score": round(reading.face.score, 4),
                "label": str(reading.label),
                "confidence": round(reading.confidence, 4),
                "pixels": _size(reading),
                "in_zone": _counts(reading, view, config),
            }
            for reading in view.readings
        ],
        "advice": [{"key": one.key, "text": one.text} for one in view.advice],
    }


def _drawn(view: View, config: Config) -> Image:
    """The picture with boxes, verdicts, scores, face sizes and the zone."""
    image = view.image.copy()
    height, width = image.shape[:2]
    if config.people.zone:
        corners = np.rint(np.array(config.people.zone) * (width, height)).astype(np.int32)
        cv2.polylines(image, [corners], isClosed=True, color=ZONE_COLOUR, thickness=2)
    notes = [f"{_size(reading)} px, score {reading.face.score:.2f}" for reading in view.readings]
    return annotate(image, view.readings, notes=notes)


def _write(path: Path, image: Image) -> None:
    content = cv2.imencode(path.suffix, image)[1].tobytes()
    try:
        # For the person who called this alone, also through sudo.
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(handle, "wb") as file:
                if os.geteuid() == 0 and "SUDO_UID" in os.environ:
                    os.fchown(handle, int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"]))
                file.write(content)
        except OSError:
            path.unlink()  # a part of a picture of somebody
            raise
    except OSError as error:
        raise ConfigError(f"Cannot write {path}: {error.strerror}; name a file in a folder of yours.") from error
