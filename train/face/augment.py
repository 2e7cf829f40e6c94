"""Training pictures: near faces become faces of every size, in every light."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Image
from edge.vision.preprocess import PAD_VALUE
from train.face.loss import FACE, IGNORE, PADDING

MAX_FACES = 48
"""Rows of a target; of a busier picture the largest are kept."""


SMALLEST_SIDE = 5.0
"""Pixels of the model's input; smaller faces are ignore regions."""


LEAST_VISIBLE = 0.4
"""The share of a face's box that must be in the picture; of less, what is left is an ignore region."""


WHOLE_SHARE = 0.3
"""Share of the pictures of one photo that are not zoomed in on a face, as a camera's picture is not."""


Generator = np.random.Generator


@dataclass(slots=True, eq=False)
class Scene:
    """A picture in the making.

    Attributes:
        image: (H, W, 3) uint8 BGR.
        boxes: (N, 5) float32 as in a target's rows.
        focus: The row of the face to zoom in on, or None where there is none.
    """

    image: Image
    boxes: NDArray[np.float32]
    focus: int | None = None


def augment(draw: Callable[[Generator], Scene], size: int, rng: Generator) -> Scene:
    """Make one training picture of ``size`` x ``size``: one photo, or a mosaic of 4 or 9."""
    across = int(rng.choice([1, 2, 3], p=[0.5, 0.35, 0.15]))
    edges = _grid(size, across, rng)
    canvas = np.full((size, size, 3), PAD_VALUE, np.uint8)
    zoom = across == 1 and rng.random() >= WHOLE_SHARE
    boxes = []
    for row in range(across):
        for column in range(across):
            x0, x1, y0, y1 = edges[column], edges[column + 1], edges[row], edges[row + 1]
            tile = place(draw(rng), x1 - x0, y1 - y0, rng, zoom_on_face=zoom)
            canvas[y0:y1, x0:x1] = tile.image
            boxes.append(tile.boxes + np.array([x0, y0, x0, y0, 0], np.float32))
    scene = Scene(canvas, np.concatenate(boxes))
    cover_faces(scene, rng)
    scene.image = relight(scene, rng)
    return scene


def place(scene: Scene, width: int, height: int, rng: Generator, zoom_on_face: bool) -> Scene:
    """Cut a photo, scaled, turned by up to 35 degrees and perhaps flipped, into ``width`` x ``height``.

    Args:
        scene: The photo.
        width: Of the result, in pixels.
        height: Of the result, in pixels.
        rng: Source of randomness.
        zoom_on_face: Choose the scale so that the scene's focus gets a side between 12 pixels and most of the
            result; otherwise about what fits the whole photo in.
    """
    image, boxes = scene.image, scene.boxes
    fitting = min(width / image.shape[1], height / image.shape[0])
    scale = fitting * float(np.exp(rng.uniform(np.log(0.75), np.log(1.9))))
    focus = np.array([image.shape[1] / 2, image.shape[0] / 2])
    if zoom_on_face and scene.focus is not None:
        face = boxes[scene.focus]
        side = float(np.exp(rng.uniform(np.log(12), np.log(0.95 * width))))
        scale = float(np.clip(side / max(face[2] - face[0], face[3] - face[1]), 0.8 * fitting, 4 * fitting))
        focus = (face[:2] + face[2:4]) / 2
    if scale < 0.6:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        boxes, focus, scale = boxes * np.array([scale] * 4 + [1], np.float32), focus * scale, 1.0
    matrix = _affine(focus, scale, _landing(image, focus, scale, np.array([width, height], np.float64), rng), rng)
    warped = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(PAD_VALUE,) * 3)
    return Scene(warped, clip_boxes(_move(boxes, matrix), width, height))  # type: ignore[arg-type]


def clip_boxes(boxes: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    """Cut (N, 5) boxes at the picture's edge; drop what is outside, ignore what is hardly visible or too small."""
    limits = np.array([width, height, width, height], np.float32)
    clipped = boxes.copy()
    clipped[:, :4] = np.clip(boxes[:, :4], 0, limits)
    sides = clipped[:, 2:4] - clipped[:, :2]
    area = np.prod(boxes[:, 2:4] - boxes[:, :2], axis=1)
    visible = np.prod(sides, axis=1) / np.maximum(area, 1e-6)
    clipped[(visible < LEAST_VISIBLE) | (sides.min(axis=1) < SMALLEST_SIDE), 4] = IGNORE
    return clipped[sides.min(axis=1) > 0.5]  # type: ignore[no-any-return]


def to_target(boxes: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Pad (N, 5) boxes to (``MAX_FACES``, 5); of more, keep the faces first and the largest of them."""
    clipped = clip_boxes(boxes, size, size)
    area = np.prod(clipped[:, 2:4] - clipped[:, :2], axis=1)
    order = np.lexsort((-area, clipped[:, 4] != FACE))[:MAX_FACES]
    target = np.full((MAX_FACES, 5), PADDING, np.float32)
    target[: len(order)] = clipped[order]
    return target


def cover_faces(scene: Scene, rng: Generator, probability: float = 0.18) -> None:
    """Paint something over a part of some faces, in place: masks, hands, scarves, caps and hair hide as much."""
    for x0, y0, x1, y1, kind in scene.boxes:
        if kind != FACE or rng.random() >= probability:
            continue
        place, size = np.array([x0, y0]), np.array([x1 - x0, y1 - y0])
        outline = np.round((place + _cover(rng) * size) * 8).astype(np.int32)
        colour = rng.integers(0, 256, 3) if rng.random() < 0.6 else np.repeat(rng.integers(0, 256), 3)
        cv2.fillPoly(scene.image, [outline], tuple(int(c) for c in colour), cv2.LINE_AA, shift=3)
        if rng.random() < 0.4:
            _decorate(scene.image, outline, rng)


def _cover(rng: Generator) -> NDArray[np.float64]:
    """The corners of what covers a face, as parts of its box: mostly below the eyes, else a cap or a hand."""
    left, right = rng.uniform(-0.1, 0.3), 1 - rng.uniform(-0.1, 0.3)
    kind = rng.random()
    if kind < 0.65:
        top, middle = rng.uniform(0.42, 0.7), (left + right) / 2
        upper = [(left, top), (middle, top - rng.uniform(-0.05, 0.1)), (right, top)]
        return np.array([*upper, (right - 0.12, 1), (middle, 1.08), (left + 0.12, 1)])
    if kind < 0.85:
        brim = rng.uniform(0.1, 0.32)
        return np.array([(-0.1, brim), (0, -0.2), (0.5, -0.35), (1, -0.2), (1.1, brim), (0.5, brim - 0.06)])
    reach, top = rng.uniform(0.2, 0.5), rng.uniform(0.1, 0.6)
    side = np.array([(-0.15, top), (reach, top + 0.1), (reach * 0.8, 0.95), (-0.15, 1.1)])
    return side if rng.random() < 0.5 else side * np.array([-1, 1]) + np.array([1, 0])


def _decorate(image: Image, outline: NDArray[np.int32], rng: Generator) -> None:
    """Draw stripes or dots within an outline, in eighths of a pixel, as on patterned cloth."""
    left, top, width, height = cv2.boundingRect(outline // 8)
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [outline], 255, cv2.LINE_AA, shift=3)
    drawn, step = image.copy(), max(2, int(rng.uniform(0.08, 0.3) * width))
    colour = tuple(int(c) for c in rng.integers(0, 256, 3))
    for x in range(left, left + width + height, step):
        if rng.random() < 0.5:
            cv2.line(drawn, (x, top), (x - height // 2, top + height), colour, max(1, step // 3), cv2.LINE_AA)
        else:
            cv2.circle(drawn, (x, top + int(rng.integers(0, height + 1))), max(1, step // 3), colour, -1, cv2.LINE_AA)
    image[inside > 0] = drawn[inside > 0]


def relight(scene: Scene, rng: Generator) -> Image:
    """Vary light, colour, sharpness and compression as cheap cameras and difficult rooms do."""
    image = _colour(scene.image, rng)
    if rng.random() < 0.15:
        image = _backlight(image, scene.boxes, rng)
    if rng.random() < 0.12:
        image = np.repeat(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)[..., None], 3, axis=2)
    if rng.random() < 0.2:
        image = _blur(image, rng)
    if rng.random() < 0.25:
        noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(2, 14))
        image = cv2.add(image, noise, dtype=cv2.CV_8U)  # type: ignore[assignment]
    if rng.random() < 0.3:
        _, coded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 85))])
        image = cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[assignment]
    return image


def _colour(image: Image, rng: Generator) -> Image:
    """Gain, offset, gamma and tint through one table per channel."""
    levels = np.arange(256, dtype=np.float32) / 255
    gain, offset = rng.uniform(0.7, 1.3), rng.uniform(-0.1, 0.1)
    gamma = float(np.exp(rng.uniform(np.log(0.65), np.log(1.5))))
    if rng.random() < 0.12:
        gain, gamma = rng.uniform(0.2, 0.6), rng.uniform(1, 1.8)
    tint = rng.uniform(0.88, 1.12, 3)
    curves = [np.clip((levels**gamma * gain * t + offset) * 255, 0, 255) for t in tint]
    table = np.stack(curves, -1).astype(np.uint8)[None]
    image = cv2.LUT(image, table)  # type: ignore[assignment]
    if rng.random() < 0.3:
        grey = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
        saturation = rng.uniform(0.2, 1.6)
        image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)  # type: ignore[assignment]
    return image


def _backlight(image: Image, boxes: NDArray[np.float32], rng: Generator) -> Image:
    """Brighten everything but soft spots around the faces, as a window or an open door behind people does."""
    size = image.shape[0]
    shade = np.zeros((size // 8, size // 8), np.float32)
    for x0, y0, x1, y1, _ in boxes / 8:
        axes = (max(1, int((x1 - x0) * 0.9)), max(1, int((y1 - y0) * 1.2)))
        cv2.ellipse(shade, (int((x0 + x1) / 2), int((y0 + y1) / 2)), axes, 0, 0, 360, 1.0, -1)
    soft = np.asarray(cv2.resize(cv2.GaussianBlur(shade, (0, 0), 2), (size, size)), np.float32)[..., None]
    dark, bright = rng.uniform(0.25, 0.7), rng.uniform(1.0, 1.7)
    return np.clip(image * (soft * dark + (1 - soft) * bright), 0, 255).astype(np.uint8)


def _blur(image: Image, rng: Generator) -> Image:
    """Out of focus, or moved in some direction."""
    if rng.random() < 0.6:
        return cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6)))  # type: ignore[return-value]
    length = int(rng.integers(3, 8))
    kernel = np.zeros((length, length), np.float32)
    angle = rng.uniform(0, np.pi)
    reach = np.array([np.cos(angle), np.sin(angle)]) * (length - 1) / 2
    middle = (length - 1) / 2
    ends = [tuple(round(v) for v in middle + sign * reach) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    return cv2.filter2D(image, -1, kernel / kernel.sum())  # type: ignore[return-value]


def _grid(size: int, across: int, rng: Generator) -> list[int]:
    """Borders of a mosaic's columns and rows, jittered."""
    jitter = rng.uniform(-0.15, 0.15, across + 1) * size / across
    borders = np.round(np.arange(across + 1) * size / across + jitter).astype(int)
    return [0, *borders[1:-1].tolist(), size]


def _landing(
    image: Image, focus: NDArray[np.float64], scale: float, sides: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    """Where the focus comes to lie: at random, but with as little empty canvas as the scale allows."""
    low = sides - (np.array([image.shape[1], image.shape[0]]) - focus) * scale
    high = focus * scale
    low, high = np.minimum(low, high), np.maximum(low, high)
    inner_low, inner_high = np.maximum(low, 0.1 * sides), np.minimum(high, 0.9 * sides)
    return np.where(inner_low < inner_high, rng.uniform(inner_low, np.maximum(inner_low, inner_high)), (low + high) / 2)


def _affine(
    focus: NDArray[np.float64], scale: float, landing: NDArray[np.float64], rng: Generator
) -> NDArray[np.float64]:
    """The 2x3 matrix that takes ``focus`` to ``landing``, scaling, slightly stretching, turning, perhaps flipping."""
    angle = np.deg2rad(rng.normal(0, 7) if rng.random() < 0.7 else rng.uniform(-35, 35))
    stretch = float(np.exp(rng.normal(0, 0.06)))
    flip = -1.0 if rng.random() < 0.5 else 1.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = turn @ np.diag([flip * scale * stretch, scale / stretch])
    return np.column_stack([linear, landing - linear @ focus])


def _move(boxes: NDArray[np.float32], matrix: NDArray[np.float64]) -> NDArray[np.float32]:
    """Move boxes with a picture. They keep their own width and height, scaled: a head fills no box's corners."""
    centres = (boxes[:, :2] + boxes[:, 2:4]) / 2 @ matrix[:, :2].T + matrix[:, 2]
    half = (boxes[:, 2:4] - boxes[:, :2]) / 2 * np.linalg.norm(matrix[:, :2], axis=0)
    return np.column_stack([centres - half, centres + half, boxes[:, 4]]).astype(np.float32)
