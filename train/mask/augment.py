"""From a labelled face to a training view: cut as the device cuts, then varied and degraded, all classes alike.

Sources differ in sharpness, size and compression, and those differences go with the class (see `degrade`): every view
is therefore brought to a random face size, blur, noise and JPEG quality, so that none of them tells the class.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import BBox, Image
from edge.vision.preprocess import crop_face, resize

ROI_MARGIN = 0.7
"""Context kept around a face while it is varied, as a fraction of the box's longer side on each side."""

LONGEST_FACE = 150
"""Faces larger than this many pixels are shrunk first: nothing in the views is finer."""

FACE_SIDES = (22.0, 130.0)
"""Face sizes in pixels that views are degraded to; uniform in the logarithm."""

GREY = 0.2
"""How many views have no colour, so that grey pictures of one class do not teach that grey is that class."""

Landmarks = NDArray[np.float32]


def to_image(values: NDArray[Any]) -> Image:
    """Grey levels of any number type, cut off at 0 and 255, as contiguous uint8."""
    return np.ascontiguousarray(np.clip(values, 0, 255), np.uint8)


def region(image: Image, bbox: BBox, landmarks: Landmarks | None) -> tuple[Image, BBox, Landmarks | None]:
    """Cut a face out with context.

    Args:
        image: (H, W, 3) uint8 BGR.
        bbox: In pixels of ``image``.
        landmarks: (5, 2) pixels of ``image``, or None.

    Returns:
        A square BGR cut-out, and the box and landmarks in its pixels.
    """
    longer = max(bbox.width, bbox.height)
    side = max(8, round(min(longer, LONGEST_FACE) * (1 + 2 * ROI_MARGIN)))
    cut = crop_face(image, bbox, side, ROI_MARGIN)[..., ::-1]
    scale = side / max(1, round(longer * (1 + 2 * ROI_MARGIN)))
    centre = np.array(bbox.centre)
    half = np.array([bbox.width, bbox.height]) * scale / 2
    box = BBox(*(side / 2 - half), *(side / 2 + half))
    moved = None if landmarks is None else ((landmarks - centre) * scale + side / 2).astype(np.float32)
    return np.ascontiguousarray(cut), box, moved


def turn(image: Image, landmarks: Landmarks | None, degrees: float, mirror: bool) -> tuple[Image, Landmarks | None]:
    """Rotate a square cut-out about its middle, and mirror it left to right; landmarks follow."""
    side = image.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), degrees, 1.0)
    if mirror:
        matrix = matrix @ np.array([[-1, 0, side - 1], [0, 1, 0], [0, 0, 1]], np.float64)
    turned = cv2.warpAffine(image, matrix, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if landmarks is not None:
        landmarks = (landmarks @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return turned, landmarks  # type: ignore[return-value]


def jitter(bbox: BBox, rng: np.random.Generator) -> BBox:
    """Move, scale and stretch a box as a detector's boxes scatter about the annotated ones."""
    centre_x, centre_y = bbox.centre
    scale = float(np.exp(np.clip(rng.normal(0, 0.1), -0.25, 0.25)))
    stretch = float(np.exp(np.clip(rng.normal(0, 0.05), -0.12, 0.12)))
    x = centre_x + np.clip(rng.normal(0, 0.05), -0.14, 0.14) * bbox.width
    y = centre_y + np.clip(rng.normal(0, 0.06), -0.16, 0.16) * bbox.height
    half_width, half_height = bbox.width * scale * stretch / 2, bbox.height * scale / stretch / 2
    return BBox(x - half_width, y - half_height, x + half_width, y + half_height)


def trim(image: Image, bbox: BBox, rng: np.random.Generator) -> tuple[Image, BBox]:
    """Cut context away at random, as tight web crops come, so that repeated borders do not go with a source."""
    side = image.shape[0]
    reach = rng.uniform(0.0, 0.4, 4) * max(bbox.width, bbox.height)
    x0, y0 = max(0, int(bbox.x0 - reach[0])), max(0, int(bbox.y0 - reach[1]))
    x1, y1 = min(side, int(bbox.x1 + reach[2]) + 1), min(side, int(bbox.y1 + reach[3]) + 1)
    return image[y0:y1, x0:x1], BBox(bbox.x0 - x0, bbox.y0 - y0, bbox.x1 - x0, bbox.y1 - y0)


def recolour(image: Image, rng: np.random.Generator) -> Image:
    """Vary light and colour: exposure, contrast, white balance, saturation, hue, light from one side, greyscale.

    Args:
        image: (H, W, 3) uint8 RGB.
        rng: Where the variation comes from.

    Returns:
        The same shape and order.
    """
    if rng.random() < 0.3:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(rng.integers(-10, 11))) % 180
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)  # type: ignore[assignment]
    levels = np.linspace(0, 1, 256)[:, None] ** np.exp(rng.normal(0, 0.35))
    levels = (levels - 0.5) * rng.uniform(0.6, 1.3) + 0.5 + rng.normal(0, 0.07)
    levels = levels * (1 + rng.normal(0, 0.07, (1, 3)))
    table = np.clip(levels * 255, 0, 255).astype(np.uint8)[None]
    image = cv2.LUT(image, table)  # type: ignore[assignment]
    if rng.random() < 0.2:
        image = _side_light(image, rng)
    grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    colourful = 0.0 if rng.random() < GREY else rng.uniform(0.4, 1.4)
    return cv2.addWeighted(image, colourful, grey, 1 - colourful, 0)  # type: ignore[return-value]


def _side_light(image: Image, rng: np.random.Generator) -> Image:
    height, width = image.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    ramp = (1 + rng.uniform(0.2, 0.7) * (np.cos(angle) * x + np.sin(angle) * y)).astype(np.float32)
    return to_image(image * ramp[..., None])


def degrade(image: Image, face_side: float, rng: np.random.Generator) -> Image:
    """Bring a view to a random sharpness: blur, then a random face size, noise and JPEG, then back to size.

    Args:
        image: (S, S, 3) uint8 RGB.
        face_side: How large the face is in it, in pixels.
        rng: Where the variation comes from.

    Returns:
        The same shape and order.
    """
    side = image.shape[0]
    if rng.random() < 0.2:
        image = _motion_blur(image, rng)
    low, high = np.log(FACE_SIDES)
    target = float(np.exp(rng.uniform(low, high)))
    small = image
    if rng.random() < 0.75 and target < face_side:
        shrunk = max(8, round(side * target / face_side))
        how = cv2.INTER_AREA if rng.random() < 0.7 else cv2.INTER_LINEAR
        small = cv2.resize(image, (shrunk, shrunk), interpolation=how)  # type: ignore[assignment]
    if rng.random() < 0.4:
        noise = rng.normal(0, rng.uniform(1, 12), small.shape).astype(np.float32)
        small = to_image(small + noise)
    if rng.random() < 0.6:
        _, coded = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 95))])
        small = to_image(np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR))[..., ::-1])
    if rng.random() < 0.15:
        return cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)  # type: ignore[return-value]
    return resize(small, side, side)


def _motion_blur(image: Image, rng: np.random.Generator) -> Image:
    length = int(rng.integers(2, 7)) * image.shape[0] // 128 + 1
    kernel = np.zeros((length, length), np.float32)
    middle = (length / 2 - 0.5, length / 2 - 0.5)
    kernel[length // 2] = 1 / length
    tilt = cv2.getRotationMatrix2D(middle, rng.uniform(0, 180), 1.0)
    tilted = np.asarray(cv2.warpAffine(kernel, tilt, (length, length)), np.float32)
    return cv2.filter2D(image, -1, tilted / np.float32(max(float(tilted.sum()), 1e-6)))  # type: ignore[return-value]


def training_view(image: Image, bbox: BBox, size: int, margin: float, rng: np.random.Generator) -> Image:
    """Cut a varied view of a face out of its region.

    Args:
        image: A square cut-out from `region` or `turn`, BGR.
        bbox: The face in it.
        size: Of the model's input, in pixels.
        margin: As on the device, see `edge.vision.preprocess.crop_face`.
        rng: Where the variation comes from.

    Returns:
        (size, size, 3) uint8 RGB.
    """
    if rng.random() < 0.3:
        image, bbox = trim(image, bbox, rng)
    bbox = jitter(bbox, rng)
    crop = crop_face(image, bbox, size, margin)
    return degrade(recolour(crop, rng), size / (1 + 2 * margin), rng)
