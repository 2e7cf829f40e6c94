"""What a picture costs in work rather than time, and an estimate of what that takes on boards not measured."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from convert.tflite_file import Operation, read
from edge.vision.models import FaceEntry, MaskEntry, ModelFile, load_first_look, load_model
from edge.vision.pipeline import load_pipeline
from tests.bench.results import Options, Section, Table
from tests.bench.scenes import crowds, settings

ROOT = Path(__file__).parents[2]

REFERENCE_MACS = 300e6
"""Of MobileNetV2 1.0 at 224x224: Sandler et al., https://arxiv.org/abs/1801.04381, table 4."""


class Board(NamedTuple):
    """Published milliseconds of int8 MobileNetV2 1.0 at 224x224: the quickest and the slowest that fit, and where."""

    name: str
    quick: float
    slow: float
    source: str


XNNPACK = "XNNPACK's README, INT8 MobileNet v2, all cores"
CORAL = "google-coral/pycoral, benchmarks/reference"
BOARDS = (
    Board("Raspberry Pi 3B+, 4 threads", 30, 30, XNNPACK),
    Board("Raspberry Pi 4B, 64-bit, 4 threads", 17, 17, XNNPACK),
    Board(
        "Raspberry Pi 5, 4 threads",
        17 / (112.6 / 23.5),
        17 / (483.5 / 148.9),
        "the Pi 4B's, by its ratios to the Pi 5 in aallan/benchmarking-ml-on-the-edge (4.8 and 3.2)",
    ),
    Board("Coral Dev Board, Edge TPU", 2.56, 2.56, CORAL),
    Board("Raspberry Pi 4B with Coral USB, Edge TPU", 4.55, 4.55, CORAL),
    Board("Raspberry Pi 3B+ with Coral USB, Edge TPU", 10.61, 10.61, CORAL),
)


def run(options: Options) -> Section:
    """Multiply-accumulates, instructions, and the estimate."""
    section = Section()
    config = settings()
    models: dict[str, ModelFile[Any]] = {
        "face": load_model(config.face.model, FaceEntry),
        "mask": load_model(config.mask.model, MaskEntry),
    }
    if first := load_first_look(config.mask.model):
        models["mask, first look"] = first
    macs = {name: multiply_accumulates(read(model.content).operations) for name, model in models.items()}
    rows = [
        (
            name,
            f"{model.entry.input.width}x{model.entry.input.height}",
            f"{sum(macs[name].values()) / 1e6:.1f}",
            *_shares(macs[name]),
        )
        for name, model in models.items()
    ]
    head = ("model", "input", "million MACs", "of them CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    section.tables.append(Table("Multiply-accumulates (MACs) of the shipped models:", head, rows))
    section.data["macs"] = {name: sum(counted.values()) for name, counted in macs.items()}
    _instructions(options, section)
    face, mask = (sum(macs[name].values()) for name in ("face", "mask"))
    section.tables.append(_estimate(face, mask))
    return section


def multiply_accumulates(operations: tuple[Operation, ...]) -> Counter[str]:
    """By kind of operation; additions, activations and scaling are not counted."""
    counted: Counter[str] = Counter()
    for operation in operations:
        if operation.name in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            weights, output = operation.inputs[1].shape, operation.outputs[0].shape
            # A weight of shape (out, height, width, in), (1, height, width, out) or (out, in).
            each = math.prod(weights[1:3]) if operation.name == "DEPTHWISE_CONV_2D" else math.prod(weights[1:])
            counted[operation.name] += math.prod(output) * each
    return counted


def _shares(counted: Counter[str]) -> list[str]:
    kinds = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    return [f"{100 * counted[kind] / sum(counted.values()):.1f} %" for kind in kinds]


def _instructions(options: Options, section: Section) -> None:
    """Instructions of a picture with one person and with nobody, by callgrind."""
    if options.quick or shutil.which("valgrind") is None:
        section.notes.append("Instructions are not counted: that needs valgrind, and minutes.")
        return
    rows, pipeline = [], load_pipeline(settings())
    for name, people in (("nobody", 0), ("one person", 1), ("ten people", 10)):
        with tempfile.TemporaryDirectory() as folder:
            picture = Path(folder, "picture.png")
            cv2.imwrite(str(picture), crowds(pipeline, [people])[0])
            few, many = (_collected(picture, number) for number in (2, 6))
        each = (many - few) / 4
        rows.append((name, f"{each / 1e6:.1f}"))
        section.data.setdefault("instructions", {})[name] = each
    about = "Instructions of a picture of 640x480, found and judged, by callgrind (which has AVX2, no AVX-512 or VNNI):"
    section.tables.append(Table(about, ("in view", "million instructions"), rows))


def _collected(picture: Path, number: int) -> int:
    command = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]
    program = [sys.executable, "-m", "tests.bench.instructions", str(picture), str(number)]
    told = subprocess.run([*command, *program], cwd=ROOT, capture_output=True, text=True, check=True).stderr
    (counted,) = re.findall(r"I +refs: +([\d,]+)", told)
    return int(counted.replace(",", ""))


def _estimate(face: float, mask: float) -> Table:
    rows = []
    for board in BOARDS:
        times = [
            tuple(milliseconds * macs / REFERENCE_MACS for macs in (face, mask))
            for milliseconds in (board.quick, board.slow)
        ]
        (face_quick, mask_quick), (face_slow, mask_slow) = times
        rows.append(
            (
                board.name,
                _range(face_quick, face_slow),
                _range(mask_quick, mask_slow),
                _range(1e3 / (face_slow + mask_slow), 1e3 / (face_quick + mask_quick), 0),
                board.source,
            )
        )
    about = (
        "An estimate, not a measurement: published times of int8 MobileNetV2 1.0 224 (300 million MACs), scaled by "
        "MACs. What surrounds the models, the camera, and other kinds of layers come on top:"
    )
    head = ("board", "face model, ms", "mask model, ms", "frames per second at most, one face judged in each", "from")
    return Table(about, head, rows)


def _range(low: float, high: float, digits: int = 1) -> str:
    return f"{low:.{digits}f}" if low == high else f"{low:.{digits}f} to {high:.{digits}f}"
