"""``maskgate check``: judge the faces in pictures, one line per image.

maskgate check a.jpg holiday/ --output marked
maskgate check a.jpg --json | jq .without_mask
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TextIO

import cv2

from edge.cameras.picture import SUFFIXES, PictureError, contents_of, read_picture
from edge.config import Settings
from edge.errors import ConfigError
from edge.sinks.draw import annotate_still
from edge.text import plural, printable
from edge.values import LABELS, Frame, Image, Label, Reading, Verdict
from edge.vision.pipeline import Pipeline, load_pipeline

log = logging.getLogger(__name__)

SUMMARY = "judge the faces in images"
ABOUT = "Judge the faces in images, one line each."

STILL_MAX_FACES = 200
"""Maximum faces judged in an image: it may show a group, and nobody at the door waits for it."""

LONGEST_NAME = 255
"""Of a file, in bytes."""
WRITABLE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff"})


class Picture(NamedTuple):
    """A file to check: what the operator calls it, or what is wrong before it is even opened."""

    name: str
    problem: str = ""


@dataclass(slots=True)
class Totals:
    """Over all pictures of a check."""

    pictures: int = 0
    unreadable: int = 0
    labels: Counter[Label] = field(default_factory=Counter)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="an image, or a folder of images")
    parser.add_argument("--json", action="store_true", help="print one JSON object per image")
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="write each image there with boxes, labels and counts; never overwrites a file",
    )
    parser.add_argument(
        "--fast", action="store_true", help="search each image once, like a video frame; misses small faces"
    )
    parser.add_argument(
        "--face-threshold",
        type=_threshold,
        metavar="SCORE",
        help="minimum face score, 0 to 1 (default: face.still_threshold)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Run ``maskgate check`` on the process's streams.

    Args:
        args: Of ``add_arguments``.
        settings: The effective configuration.

    Returns:
        The exit code: 0, or 1 where a picture could not be read.

    Raises:
        ConfigError: The output folder cannot be written.
        ModelError: The models cannot be used.
    """
    if args.output is not None:
        _make_folder(args.output)
    threshold = args.face_threshold or settings.config.face.still_threshold
    pipeline = load_pipeline(settings.config, threshold, STILL_MAX_FACES, closely=not args.fast)
    return run_check(args.images, pipeline, as_json=args.json, output=args.output, out=sys.stdout, err=sys.stderr)


def run_check(
    images: Sequence[str], pipeline: Pipeline, *, as_json: bool, output: Path | None, out: TextIO, err: TextIO
) -> int:
    """Check pictures one after the other.

    Args:
        images: Paths of pictures and of folders of pictures.
        pipeline: Finds and judges the faces.
        as_json: Print JSON Lines instead of text for people.
        output: An existing folder for the marked pictures, or None.
        out: Takes a line a picture.
        err: Takes what is wrong with a picture, where the lines are for people.

    Returns:
        The exit code: 0, or 1 where a picture could not be read.

    Raises:
        ConfigError: A marked picture cannot be written.
    """
    totals = Totals()
    pictures = list(itertools.chain.from_iterable(map(_expand, images)))
    for picture in pictures:
        _show_progress(totals.pictures, len(pictures), out, err)
        totals.pictures += 1
        try:
            image = _open(picture)
        except PictureError as error:
            totals.unreadable += 1
            _report_problem(picture, error, out if as_json else err, as_json)
            continue
        readings = pipeline.judge(image, pipeline.detect(Frame.still(image)))
        totals.labels.update(reading.label for reading in readings)
        written = _write_marked(output, Path(picture.name), image, readings) if output else None
        line = json.dumps(record(picture.name, image, readings)) if as_json else _sentence(picture, readings, written)
        print(line, file=out, flush=True)
    _show_progress(len(pictures), len(pictures), out, err)
    if not as_json:
        print(_summary(totals), file=out, flush=True)
    return 1 if totals.unreadable else 0


def record(name: str, image: Image, readings: Sequence[Reading]) -> dict[str, Any]:
    """One picture's line, JSON-ready, its keys in the order that others script against."""
    counts = Counter(reading.label for reading in readings)
    return {
        "image": name,
        "width": image.shape[1],
        "height": image.shape[0],
        "faces": [
            {
                "bbox": [round(side, 1) for side in reading.face.bbox],
                "score": round(reading.face.score, 4),
                "label": str(reading.label),
                "probabilities": {
                    str(label): round(probability, 4)
                    for label, probability in zip(LABELS, reading.probabilities, strict=True)
                },
            }
            for reading in readings
        ],
        **{str(label): counts[label] for label in LABELS},
    }


def _show_progress(done: int, total: int, out: TextIO, err: TextIO) -> None:
    """Keep a line on the terminal up to date, unless the results are shown there anyway."""
    if total > 1 and err.isatty() and not out.isatty():
        end = "\n" if done == total else ""
        print(f"\rChecked {done} of {plural(total, 'picture')}", file=err, end=end, flush=True)


def _report_problem(picture: Picture, error: PictureError, stream: TextIO, as_json: bool) -> None:
    if as_json:
        line = json.dumps({"image": picture.name, "error": str(error)})
    else:
        line = f"{printable(picture.name)}: {error}"
    print(line, file=stream, flush=True)


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from error
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _expand(name: str) -> list[Picture]:
    """The picture of that name; of a folder the pictures in it, in the order of their names."""
    try:
        images, skipped = contents_of(Path(name))
    except (NotADirectoryError, FileNotFoundError):
        return [Picture(name)]
    except OSError as error:
        return [Picture(name, f"it cannot be opened ({error.strerror})")]
    if images and skipped:
        log.warning("%s: skipped %s.", name, skipped)
    also = f", only {skipped}" if skipped else ""
    nothing = Picture(name, f"the folder holds no picture ({', '.join(sorted(SUFFIXES))}){also}")
    return [Picture(str(path)) for path in images] or [nothing]


def _open(picture: Picture) -> Image:
    if picture.problem:
        raise PictureError(picture.problem)
    return read_picture(Path(picture.name))


def _write_marked(folder: Path, source: Path, image: Image, readings: Sequence[Reading]) -> Path:
    counts = Counter(reading.label for reading in readings)
    marked = annotate_still(image, readings, {Verdict(label.value): counts[label] for label in LABELS})
    suffix = source.suffix if source.suffix.lower() in WRITABLE_SUFFIXES else ".png"
    suffix, content = next(_encodings(marked, suffix))
    return _write_new(folder, source.stem, suffix, content)


def _encodings(image: Image, suffix: str) -> Iterator[tuple[str, bytes]]:
    """``image`` in the first of these formats that can be so large: the counts below it can make it too high."""
    for name in (suffix, ".png", ".bmp"):
        with suppress(cv2.error):
            encoded, content = cv2.imencode(name.lower(), image)
            if encoded:
                yield name, content.tobytes()


def _write_new(folder: Path, stem: str, suffix: str, content: bytes) -> Path:
    """Write under the first free name, so that neither an input nor an image of the same name is overwritten."""
    number = 1
    while True:
        path = folder / _name(stem, suffix if number == 1 else f"-{number}{suffix}")
        try:
            file = path.open("xb")
        except FileExistsError:
            number += 1
        except OSError as error:
            raise _unwritable(folder, error) from error
        else:
            _fill(file, path, content)
            return path


def _name(stem: str, ending: str) -> str:
    """A name that file systems take: what is too long loses the end of its stem."""
    while len(os.fsencode(stem + ending)) > LONGEST_NAME:
        stem = stem[:-1]
    return stem + ending


def _fill(file: BinaryIO, path: Path, content: bytes) -> None:
    try:
        with file:
            file.write(content)
    except OSError as error:
        path.unlink()  # a part of a picture
        raise _unwritable(path.parent, error) from error


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ConfigError(f"{folder} is a file, and copies go into a folder; choose another --output.") from error
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> ConfigError:
    return ConfigError(f"Cannot write to {folder}: {error.strerror}; choose another --output.")


def _sentence(picture: Picture, readings: Sequence[Reading], written: Path | None) -> str:
    counts = Counter(reading.label for reading in readings)
    found = [f"{counts[label]} {Verdict(label).words}" for label in LABELS if counts[label]]
    faces = f"{plural(len(readings), 'face')}: {', '.join(found)}" if found else "no face"
    ending = f" (marked: {printable(str(written))})" if written else ""
    return f"{printable(picture.name)}: {faces}{ending}"


def _summary(totals: Totals) -> str:
    found = ", ".join(f"{totals.labels[label]} {Verdict(label).words}" for label in LABELS)
    unreadable = f"; {totals.unreadable} could not be read" if totals.unreadable else ""
    faces = plural(totals.labels.total(), "face")
    return f"{plural(totals.pictures, 'picture')}, {faces}: {found}{unreadable}"
