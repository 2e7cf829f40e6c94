"""Published face detectors that label photos for training, run by OpenVINO on photos scaled to 640 pixels.

Face-detection-0204 and -0205 (https://docs.openvino.ai/archive/2023.3/omz_models_group_intel.html), YuNet
(https://github.com/ShiqiYu/libfacedetection.train) and CenterFace (https://arxiv.org/abs/1911.03599).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ConfigError
from edge.values import Image
from edge.vision.preprocess import letterbox

SIDE = 640
"""Pixels of the square that photos are scaled into, also up: small faces are what annotators miss."""

LEAST_SCORE = 0.05
YUNET_LEAST_SCORE = 0.2
"""Its scores lie higher; see ``train.face.fuse.EVEN``."""

NMS_IOU = 0.45
STRIDES = (8, 16, 32)

Found = NDArray[np.float32]
"""(N, 5): x0, y0, x1, y1 in pixels of the stored photo, and the score."""

Run = Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]
"""(1, 3, SIDE, SIDE) float32 in [0, 255] to the outputs, in the order of the file."""


def open_detectors(files: Mapping[str, Path]) -> dict[str, Callable[[Image], Found]]:
    """Load detectors.

    Args:
        files: By name, one of ``DETECTORS``.

    Returns:
        By name what finds faces in (H, W, 3) uint8 BGR.

    Raises:
        ConfigError: OpenVINO is not installed, or cannot read a file.
    """
    try:
        import openvino
    except ImportError as error:
        raise ConfigError("The detectors run on OpenVINO, which is not installed: pip install openvino.") from error
    core = openvino.Core()
    return {name: partial(_look, DETECTORS[name], _open(core, path)) for name, path in files.items()}


def _open(core: Any, path: Path) -> Run:
    try:
        network = core.read_model(path)
        network.reshape([1, 3, SIDE, SIDE])
        compiled = core.compile_model(network, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    except RuntimeError as error:
        reason = next(iter(str(error).splitlines()), "")
        raise ConfigError(f"{path} cannot be used as a detector ({reason}): restore it.") from error
    return lambda values: [np.asarray(value) for value in compiled(values).values()]


def _look(decode: Callable[[Run, Image], Found], run: Run, image: Image) -> Found:
    fitted, placed = letterbox(image, SIDE, SIDE)
    found = _best(decode(run, fitted))
    return np.column_stack([placed.to_frame(found[:, :4]), found[:, 4]])


def _ssd(run: Run, image: Image) -> Found:
    rows = run(_values(image[..., ::-1]))[0].reshape(-1, 7)
    return np.column_stack([rows[:, 3:] * SIDE, rows[:, 2]])[rows[:, 2] >= LEAST_SCORE]


def _fcos(run: Run, image: Image) -> Found:
    rows = next(output for output in run(_values(image[..., ::-1])) if output.shape[-1] == 5).reshape(-1, 5)
    found: Found = np.compress(rows[:, 4] >= LEAST_SCORE, rows, axis=0)
    return found


def _yunet(run: Run, image: Image) -> Found:
    outputs = run(_values(image[..., ::-1]))
    face, thing, offsets = (np.concatenate([part[0] for part in outputs[k : k + 3]]) for k in (0, 3, 6))
    scores = np.sqrt(np.clip(face, 0, 1) * np.clip(thing, 0, 1))[:, 0]
    corners, strides = _cells()
    centres, halves = (corners + offsets[:, :2]) * strides, np.exp(offsets[:, 2:]) * strides / 2
    rows: Found = np.column_stack([centres - halves, centres + halves, scores])
    return np.compress(scores >= YUNET_LEAST_SCORE, rows, axis=0)


def _centerface(run: Run, image: Image) -> Found:
    heat, sides, offsets, _ = run(_values(image))
    y, x = np.nonzero(heat[0, 0] > 2 * LEAST_SCORE)
    centres = np.stack([x + offsets[0, 1, y, x], y + offsets[0, 0, y, x]], axis=1) * 4 + 2
    halves = np.exp(np.stack([sides[0, 1, y, x], sides[0, 0, y, x]], axis=1)) * 2
    return np.column_stack([centres - halves, centres + halves, heat[0, 0, y, x]])


DETECTORS: dict[str, Callable[[Run, Image], Found]] = {
    "0204": _ssd,
    "0205": _fcos,
    "yunet": _yunet,
    "centerface": _centerface,
}
"""How each is fed and decoded: with (SIDE, SIDE, 3) uint8 RGB, to (N, 5) in pixels of that."""


def _values(image: Image) -> NDArray[np.float32]:
    return np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32)


def _cells() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Column and row of each of YuNet's cells (N, 2), and its stride (N, 1)."""
    places = [np.indices((SIDE // stride, SIDE // stride))[::-1].reshape(2, -1).T for stride in STRIDES]
    strides = np.repeat(STRIDES, [len(each) for each in places])[:, None]
    return np.concatenate(places).astype(np.float32), strides.astype(np.float32)


def _best(found: Found) -> Found:
    sides = np.concatenate([found[:, :2], found[:, 2:4] - found[:, :2]], axis=1)
    kept = cv2.dnn.NMSBoxes(sides.tolist(), found[:, 4].tolist(), 0.0, NMS_IOU)
    return found[np.asarray(kept, np.intp).reshape(-1)]
