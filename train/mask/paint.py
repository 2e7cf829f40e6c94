"""Masks and coverings drawn on bare faces by their landmarks, so that badly worn masks come in every colour.

Positions are given in the face's own axes: ``across`` runs from the left eye of the picture to the right one (the
eyes are at -0.5 and 0.5), ``down`` from between the eyes (0) to between the mouth corners (1). The nose tip is near
0.6, the chin near 1.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Image
from train.mask.augment import to_image

Floats = NDArray[np.float32]
Span = tuple[float, float]

TEXTURE_SIDE = 64
MOST_YAW = 0.45
"""Faces whose nose lies farther from the middle of the eyes than this, in eye distances, are not painted."""


class Wearing(Enum):
    """How a drawn mask sits."""

    PROPERLY = "over nose and mouth"
    UNDER_NOSE = "nose uncovered"
    ON_CHIN = "nose and mouth uncovered"
    OVER_NOSE_ONLY = "mouth uncovered"


BADLY = (Wearing.UNDER_NOSE, Wearing.ON_CHIN, Wearing.OVER_NOSE_ONLY)
BADLY_SHARES = (0.6, 0.35, 0.05)


@dataclass(frozen=True, slots=True)
class Outline:
    """Where a mask's edges may lie, in face axes; each pair is drawn from uniformly."""

    top: Span
    top_sides: Span
    bottom: Span
    bottom_sides: Span
    half_width: Span


OUTLINES = {
    Wearing.PROPERLY: Outline((0.18, 0.38), (0.3, 0.55), (1.45, 1.85), (0.95, 1.3), (0.85, 1.05)),
    Wearing.UNDER_NOSE: Outline((0.7, 0.88), (0.5, 0.85), (1.5, 1.9), (1.1, 1.4), (0.8, 1.05)),
    Wearing.ON_CHIN: Outline((1.18, 1.4), (0.75, 1.15), (1.75, 2.25), (1.3, 1.65), (0.7, 0.95)),
    Wearing.OVER_NOSE_ONLY: Outline((0.2, 0.35), (0.3, 0.5), (0.74, 0.86), (0.65, 0.86), (0.8, 1.0)),
}


class FaceAxes:
    """Maps face axes to pixels.

    Args:
        landmarks: (5, 2) pixels: eye, eye, nose, mouth corner, mouth corner.
    """

    def __init__(self, landmarks: Floats) -> None:
        eyes = landmarks[:2][np.argsort(landmarks[:2, 0])]
        self.origin = eyes.mean(axis=0)
        self.across = eyes[1] - eyes[0]
        self.down = landmarks[3:].mean(axis=0) - self.origin
        basis = np.stack([self.across, self.down], axis=1)
        self.frontal = abs(np.linalg.det(basis)) > 0.3 * float(np.dot(self.down, self.down))
        self.nose: Floats = np.linalg.lstsq(basis, landmarks[2] - self.origin, rcond=None)[0]

    @property
    def paintable(self) -> bool:
        """Whether the face looks enough towards the camera for a flat drawing to pass."""
        return bool(self.frontal and abs(self.nose[0]) < MOST_YAW and 0.3 < self.nose[1] < 0.9)

    @property
    def unit(self) -> float:
        """Eye distance in pixels."""
        return float(np.linalg.norm(self.across))

    def pixels(self, points: NDArray[Any]) -> Floats:
        """(N, 2) face axes to (N, 2) pixels."""
        placed: Floats = (self.origin + points[:, :1] * self.across + points[:, 1:] * self.down).astype(np.float32)
        return placed


def paint_mask(image: Image, landmarks: Floats, wearing: Wearing, texture: Image, rng: np.random.Generator) -> Image:
    """Draw a mask on a bare face.

    Args:
        image: (H, W, 3) uint8, any colour order.
        landmarks: (5, 2) pixels.
        wearing: How the mask sits.
        texture: (64, 64, 3) uint8, same colour order.
        rng: Where the variation comes from.

    Returns:
        A new picture.
    """
    axes = FaceAxes(landmarks)
    outline = OUTLINES[wearing]
    half = rng.uniform(*outline.half_width)
    left = -half + 0.6 * max(0.0, -float(axes.nose[0]))
    right = half - 0.6 * max(0.0, float(axes.nose[0]))
    t = np.linspace(-1, 1, 13)
    a = np.interp(t, (-1, 0, 1), (left, float(axes.nose[0]) * 0.8, right))
    top_sides, bottom_sides = rng.uniform(*outline.top_sides), rng.uniform(*outline.bottom_sides)
    sag = rng.uniform(-0.06, 0.06) * t
    upper = top_sides + (rng.uniform(*outline.top) - top_sides) * (1 - np.abs(t) ** rng.uniform(1.2, 2.5)) + sag
    lower = (
        bottom_sides + (rng.uniform(*outline.bottom) - bottom_sides) * (1 - np.abs(t) ** rng.uniform(1.8, 3.5)) + sag
    )
    edge = np.concatenate([np.stack([a, upper], 1), np.stack([a, lower], 1)[::-1]])
    painted = image.copy()
    if rng.random() < 0.6:
        heights = float(upper[0]), float(lower[0])
        _straps(painted, axes, sides=(left, right), heights=heights, texture=texture, rng=rng)
    corners = np.array(
        [[left, upper.min()], [right, upper.min()], [right, lower.max()], [left, lower.max()]], dtype=np.float32
    )
    return _lay(painted, axes.pixels(edge), axes.pixels(corners), texture=texture, unit=axes.unit, rng=rng)


def paint_covering(image: Image, landmarks: Floats, texture: Image, rng: np.random.Generator) -> Image:
    """Hold something before the mouth of a bare face: a hand, or a thing such as a cup, a phone or a microphone.

    Arguments and result as in `paint_mask`; the face stays bare.
    """
    axes = FaceAxes(landmarks)
    if rng.random() < 0.6:
        return _hand(image, axes, rng)
    centre = np.array([rng.uniform(-0.25, 0.25), rng.uniform(0.85, 1.5)])
    size = np.array([rng.uniform(0.2, 0.6), rng.uniform(0.3, 0.8)])
    power = rng.choice([2.0, 6.0])
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    ring = np.sign(ring) * np.abs(ring) ** (2 / power)
    turn = rng.uniform(-0.6, 0.6)
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    edge, corners = (axes.pixels((shape * size) @ rotate.T + centre) for shape in (ring, square))
    return _lay(image.copy(), edge, corners, texture=texture, unit=axes.unit, rng=rng)


def _hand(image: Image, axes: FaceAxes, rng: np.random.Generator) -> Image:
    """Fingers over the mouth, in the colour of the face's own skin."""
    painted = image.copy()
    cheeks = axes.pixels(np.array([[-0.45, 0.5], [0.45, 0.5], [0, 0.35]])).round().astype(int)
    height, width = image.shape[:2]
    skin = np.median([image[min(max(y, 0), height - 1), min(max(x, 0), width - 1)] for x, y in cheeks], axis=0)
    skin = np.clip(skin * rng.uniform(0.75, 1.15), 0, 255)
    side = rng.choice([-1.0, 1.0])
    start = np.array([side * rng.uniform(0.5, 1.0), rng.uniform(1.2, 2.2)])
    tip = np.array([-side * rng.uniform(0.0, 0.7), rng.uniform(0.75, 1.1)])
    along = (tip - start) / np.linalg.norm(tip - start)
    aside = np.array([-along[1], along[0]])
    thick = max(2, round(axes.unit * rng.uniform(0.2, 0.3)))
    fingers = int(rng.integers(2, 5))
    palm = axes.pixels((start + aside * 0.1)[None])[0]
    reach = (round(axes.unit * 0.55), round(axes.unit * 0.45))
    cv2.ellipse(
        painted, (int(palm[0]), int(palm[1])), reach, rng.uniform(0, 180), 0, 360, skin.tolist(), -1, cv2.LINE_AA
    )
    for finger in range(fingers):
        offset = aside * (finger - (fingers - 1) / 2) * thick / axes.unit * 1.05
        stop = tip + offset + along * rng.uniform(-0.15, 0.1)
        ends = axes.pixels(np.stack([start + offset, stop])).round().astype(int).tolist()
        cv2.line(painted, ends[0], ends[1], (skin * 0.7).tolist(), thick + 2, cv2.LINE_AA)
        cv2.line(painted, ends[0], ends[1], (skin * rng.uniform(0.92, 1.05)).clip(0, 255).tolist(), thick, cv2.LINE_AA)
    if rng.random() < 0.5:
        return cv2.GaussianBlur(painted, (3, 3), 0)  # type: ignore[return-value]
    return painted


def _straps(
    image: Image, axes: FaceAxes, *, sides: Span, heights: Span, texture: Image, rng: np.random.Generator
) -> None:
    """Ear loops, drawn into ``image``."""
    colour = [235.0, 235.0, 235.0] if rng.random() < 0.6 else texture.reshape(-1, 3).mean(axis=0).tolist()
    thickness = max(1, round(axes.unit * 0.04))
    for side, ear in zip(sides, (-1.02, 1.02), strict=True):
        for height, end in zip(heights, (0.15, 0.7), strict=True):
            ends = axes.pixels(np.array([[side, height], [ear, end]])).round().astype(int).tolist()
            cv2.line(image, ends[0], ends[1], colour, thickness, cv2.LINE_AA)


def _lay(
    image: Image, edge: Floats, corners: Floats, *, texture: Image, unit: float, rng: np.random.Generator
) -> Image:
    """Lay a texture over the polygon ``edge``, lit as the face under it is.

    Args:
        image: (H, W, 3) uint8.
        edge: (N, 2) pixels, the outline.
        corners: (4, 2) pixels, where the texture's corners come to lie.
        texture: (64, 64, 3) uint8.
        unit: Eye distance in pixels.
        rng: Where the variation comes from.
    """
    height, width = image.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    cv2.fillPoly(alpha, [edge.round().astype(np.int32)], 255, cv2.LINE_AA)
    if not alpha.any():
        return image
    last = TEXTURE_SIDE - 1
    source = np.array([[0, 0], [last, 0], [last, last], [0, last]], np.float32)
    transform = cv2.getPerspectiveTransform(source, corners)
    cloth = cv2.warpPerspective(texture, transform, (width, height), borderMode=cv2.BORDER_REFLECT).astype(np.float32)
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), (0, 0), max(1.0, 0.25 * unit)).astype(np.float32)
    mean = float(grey[alpha > 127].mean()) if (alpha > 127).any() else 128.0
    light = np.clip(grey / max(mean, 1.0), 0.5, 1.5) ** rng.uniform(0.3, 1.0)
    light *= (min(1.0, mean / 140) + rng.uniform(-0.1, 0.25)) ** rng.uniform(0.4, 1.0)
    blur = max(0.6, rng.uniform(0.01, 0.04) * unit)
    soft = cv2.GaussianBlur(alpha, (0, 0), blur).astype(np.float32)[..., None] / 255
    shadow = cv2.GaussianBlur(alpha, (0, 0), max(1.0, 0.07 * unit)).astype(np.float32)[..., None] / 255
    under = image.astype(np.float32) * (1 - rng.uniform(0.0, 0.35) * shadow)
    rim = 1 - rng.uniform(0.0, 0.35) * (1 - shadow)
    return to_image(cloth * light[..., None] * rim * soft + under * (1 - soft))


def random_texture(rng: np.random.Generator) -> Image:
    """A made-up cloth: (64, 64, 3) uint8; plain, pleated, striped, chequered or blotched."""
    plain = ((240, 240, 240), (225, 190, 150), (30, 30, 30), (200, 170, 120), (150, 150, 150), (120, 60, 40))
    common = rng.random() < 0.6
    colour = np.array(plain[int(rng.integers(len(plain)))] if common else rng.uniform(0, 255, 3), np.float32)
    cloth = np.empty((TEXTURE_SIDE, TEXTURE_SIDE, 3), np.float32)
    cloth[:] = np.clip(colour + rng.normal(0, 12, 3), 0, 255)
    other = rng.uniform(0, 255, 3).astype(np.float32)
    y, x = np.mgrid[:TEXTURE_SIDE, :TEXTURE_SIDE]
    pattern = rng.random()
    if pattern < 0.4:
        folds = np.sin(y / TEXTURE_SIDE * 2 * np.pi * rng.integers(2, 5) + rng.uniform(0, 6))
        cloth *= (1 - rng.uniform(0.03, 0.15) * (folds > 0.7))[..., None]
    elif pattern < 0.52:
        cloth[np.sin((x * rng.uniform(-1, 1) + y) * rng.uniform(0.2, 1.2)) > rng.uniform(-0.3, 0.8)] = other
    elif pattern < 0.6:
        cell = int(rng.integers(4, 14))
        cloth[(x // cell + y // cell) % 2 == 0] = other
    elif pattern < 0.75:
        noise = rng.normal(size=(8, 8)).astype(np.float32)
        blotches = cv2.resize(noise, (TEXTURE_SIDE, TEXTURE_SIDE), interpolation=cv2.INTER_CUBIC)
        cloth[blotches > rng.uniform(0, 1)] = other
    cloth += rng.normal(0, rng.uniform(0, 6), cloth.shape[:2])[..., None].astype(np.float32)
    shade = 1 - rng.uniform(0, 0.25) * ((x / TEXTURE_SIDE * 2 - 1) ** 2)
    return to_image(cloth * shade[..., None])


def cloth_of(image: Image, landmarks: Sequence[tuple[float, float]]) -> Image:
    """The cloth of a real, properly worn mask: what lies around the mouth, (64, 64, 3) uint8, same colour order."""
    axes = FaceAxes(np.array(landmarks, np.float32))
    corners = axes.pixels(np.array([[-0.5, 0.7], [0.5, 0.7], [0.45, 1.35], [-0.45, 1.35]], np.float32))
    last = TEXTURE_SIDE - 1
    target = np.array([[0, 0], [last, 0], [last, last], [0, last]], np.float32)
    transform = cv2.getPerspectiveTransform(corners, target)
    return cv2.warpPerspective(image, transform, (TEXTURE_SIDE, TEXTURE_SIDE), borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]
