"""The one preprocessing that training, conversion and the device share.

A model's input is RGB, x / 127.5 - 1, so that 0 maps to -1 and 255 to 1: what the ImageNet weights of MobileNetV2
were trained with (keras.applications.mobilenet_v2.preprocess_input).
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Image

PAD_VALUE = 114
"""Grey level of letterbox padding, as in YOLOX."""

TIE = 1e-3
"""Tolerance for values half-way between two int8 values; a float32 scale deviates by less."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How a model's input encodes grey levels from 0 to 255: level * scale + offset.

    Attributes:
        scale: Real numbers per grey level.
        offset: The input value of grey level 0.
        bgr: Whether the colour order is BGR.
    """

    scale: float
    offset: float
    bgr: bool = False


SYMMETRIC = Levels(1 / 127.5, -1.0)
"""-1 to 1, red first: the input of maskgate's own models."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """How a frame was fitted into a model's input: scaled by ``scale``, placed at the top left, the rest padded."""

    scale: float

    def to_frame(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (N, 4) boxes from pixels of the model's input back to pixels of the frame."""
        return boxes / np.float32(self.scale)


def letterbox(
    image: Image, width: int, height: int, canvas: Image | None = None, *, bgr: bool = False
) -> tuple[Image, Letterbox]:
    """Fit a BGR picture into ``width`` x ``height`` without distortion.

    Args:
        image: (H, W, 3) uint8 BGR.
        width: Of the model's input, in pixels.
        height: Of the model's input, in pixels.
        canvas: (height, width, 3) uint8 to draw on; a new one by default.
        bgr: Leave blue first, for a model that wants it so.

    Returns:
        (height, width, 3) uint8 **RGB** unless ``bgr``, padded right and below, and how to map boxes back.
    """
    fitted_width, fitted_height, scale = fitted_size(image.shape[1], image.shape[0], width, height)
    if canvas is None:
        canvas = np.empty((height, width, 3), np.uint8)
    resized = resize(image, fitted_width, fitted_height)
    if bgr:
        canvas[:fitted_height, :fitted_width] = resized
    else:
        cv2.cvtColor(resized, cv2.COLOR_BGR2RGB, dst=canvas[:fitted_height, :fitted_width])
    canvas[:fitted_height, fitted_width:] = PAD_VALUE
    canvas[fitted_height:] = PAD_VALUE
    return canvas, Letterbox(scale)


def fitted_size(frame_width: int, frame_height: int, width: int, height: int) -> tuple[int, int, float]:
    """Width and height in pixels at which a picture fits into ``width`` x ``height``, and the scale that takes."""
    scale = min(width / frame_width, height / frame_height)
    fitted_width = min(width, max(1, round(frame_width * scale)))
    fitted_height = min(height, max(1, round(frame_height * scale)))
    return fitted_width, fitted_height, scale


def shrunk(image: Image, width: int, height: int) -> Image | None:
    """An image scaled down as ``letterbox`` does, to fit into ``width`` x ``height``; None if it already fits."""
    fitted_width, fitted_height, scale = fitted_size(image.shape[1], image.shape[0], width, height)
    return resize(image, fitted_width, fitted_height) if scale < 1 else None


def crop_face(image: Image, bbox: BBox, size: int, margin: float) -> Image:
    """Cut a square around a face and scale it to the classifier's input.

    The square is centred on the box; its side is the box's longer side times ``1 + 2 * margin``. Where it leaves
    the picture, the picture's edge is repeated, so that no black border tells where a face was.

    Args:
        image: (H, W, 3) uint8 BGR.
        bbox: In pixels of ``image``.
        size: Of the model's input, in pixels.
        margin: Added on each side, as a fraction of the box's longer side.

    Returns:
        (size, size, 3) uint8 **RGB**.
    """
    height, width = image.shape[:2]
    side = max(1, round(max(bbox.width, bbox.height) * (1 + 2 * margin)))
    centre_x, centre_y = bbox.centre
    left, top = round(centre_x - side / 2), round(centre_y - side / 2)
    x0, y0 = min(max(left, 0), width - 1), min(max(top, 0), height - 1)
    x1, y1 = max(min(left + side, width), x0 + 1), max(min(top + side, height), y0 + 1)
    patch: Image = image[y0:y1, x0:x1]
    if patch.shape[:2] != (side, side):
        patch = cv2.copyMakeBorder(  # type: ignore[assignment]
            patch,
            max(0, y0 - top),
            max(0, top + side - y1),
            max(0, x0 - left),
            max(0, left + side - x1),
            cv2.BORDER_REPLICATE,
        )
    return cv2.cvtColor(resize(patch, size, size), cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def resize(image: Image, width: int, height: int) -> Image:
    """Scale to ``width`` x ``height`` pixels: halved as often as that leaves enough, then bilinear, as mipmaps are.

    OpenCV is fastest at averaging two by two, and bilinear scaling by less than a half skips no pixel.
    An odd last row or column is left out where a picture is halved.
    """
    while image.shape[1] >= 2 * width and image.shape[0] >= 2 * height:
        halves = image.shape[1] // 2, image.shape[0] // 2
        even = image[: 2 * halves[1], : 2 * halves[0]]
        image = cv2.resize(even, halves, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if image.shape[1] == width and image.shape[0] == height:
        return image
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


def normalise(image: Image, levels: Levels = SYMMETRIC) -> NDArray[np.float32]:
    """(…, 3) uint8 in [0, 255] to float32, in [-1, 1] unless other ``levels`` are asked for: a float model's input."""
    if levels == SYMMETRIC:  # dividing rounds otherwise than multiplying by the inverse, and training divides
        return image.astype(np.float32) / np.float32(127.5) - np.float32(1)
    return image.astype(np.float32) * np.float32(levels.scale) + np.float32(levels.offset)


def quantization_table(scale: float, zero_point: int, levels: Levels = SYMMETRIC) -> NDArray[np.int8]:
    """The 256 int8 values that ``normalise`` followed by quantization gives for the grey levels 0 to 255.

    The usual scale of 2/255 puts every level half-way between two values: all are rounded up, so that no two fall
    together by the noise of floating point.

    Source of the formula: https://ai.google.dev/edge/litert/models/quantization_spec (real = (q - zero_point) * scale).
    """
    real = np.arange(256) / 127.5 - 1 if levels == SYMMETRIC else np.arange(256) * levels.scale + levels.offset
    quantized: NDArray[np.int8] = np.clip(np.floor(real / scale + zero_point + 0.5 + TIE), -128, 127).astype(np.int8)
    return quantized
