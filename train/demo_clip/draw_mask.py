"""Face masks drawn onto portraits by landmarks.

A drawn mask follows the face: its lower edge runs along the jaw, its upper edge over the bridge of the nose (or, badly
worn, under the nose or under the lip), and it takes the light that falls on the face below it. Each kind has its own
build: pleats and a nose wire (surgical), a raised middle fold and welded seams (FFP2), a hem and a centre seam (cloth).

Coordinates are pixels of the portrait, x to the right, y down; the head is upright to within some ten degrees.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Image, Label

Point = tuple[float, float]
Map = NDArray[np.float32]

UPPER_POINTS = 60
"""How many points of an outline lie on the upper edge."""


@dataclass(frozen=True, slots=True)
class Landmarks:
    """Where a face is. Left and right are those of the picture.

    Attributes:
        bridge: Of the nose, between the eyes.
        nose_base: Where the nose meets the upper lip.
        lower_lip: Its lower edge, in the middle.
        jaw: The outline of the face from the left ear over the chin to the right ear, seven points or more.
        left_ear: Where a loop passes behind the left ear: above and below.
        right_ear: The same for the right ear.
    """

    bridge: Point
    nose_base: Point
    lower_lip: Point
    jaw: tuple[Point, ...]
    left_ear: tuple[Point, Point]
    right_ear: tuple[Point, Point]

    @property
    def chin(self) -> Point:
        """The lowest point of the jaw."""
        return max(self.jaw, key=lambda point: point[1])

    @property
    def width(self) -> float:
        """Of the face between the ears, in pixels."""
        return self.jaw[-1][0] - self.jaw[0][0]

    def scaled(self, factor: float, shift: Point = (0.0, 0.0)) -> Landmarks:
        """As they are after the portrait was enlarged by ``factor`` and then moved by ``shift``."""

        def move(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple((x * factor + shift[0], y * factor + shift[1]) for x, y in points)

        bridge, base, lip = move((self.bridge, self.nose_base, self.lower_lip))
        left, right = move(self.left_ear), move(self.right_ear)
        return Landmarks(bridge, base, lip, move(self.jaw), (left[0], left[1]), (right[0], right[1]))

    def mirrored(self, width: int) -> Landmarks:
        """As they are after the portrait of ``width`` pixels was flipped left to right."""

        def flip(points: tuple[Point, ...]) -> tuple[Point, ...]:
            return tuple((width - 1 - x, y) for x, y in points)

        bridge, base, lip = flip((self.bridge, self.nose_base, self.lower_lip))
        left, right = flip(self.right_ear), flip(self.left_ear)
        return Landmarks(bridge, base, lip, flip(self.jaw)[::-1], (left[0], left[1]), (right[0], right[1]))


class Build(Enum):
    """What kind of mask it is."""

    SURGICAL = "surgical"
    FFP2 = "ffp2"
    CLOTH = "cloth"


class Wear(Enum):
    """How it is worn."""

    PROPERLY = "properly"
    NOSE_BARE = "nose bare"
    UNDER_CHIN = "under the chin"

    @property
    def label(self) -> Label:
        """The class that a face with a mask worn so belongs to."""
        return Label.WITH_MASK if self is Wear.PROPERLY else Label.MASK_WORN_INCORRECTLY


@dataclass(frozen=True, slots=True)
class Mask:
    """A mask to draw: its build, its colour as (blue, green, red) 0 to 255, and how it is worn."""

    build: Build
    colour: tuple[int, int, int]
    wear: Wear = Wear.PROPERLY


def draw_mask(portrait: Image, landmarks: Landmarks, mask: Mask, seed: int = 0) -> Image:
    """Draw a mask onto a portrait.

    Args:
        portrait: (H, W, 3) uint8 BGR; not changed.
        landmarks: Of the face in it, in its pixels.
        mask: What to draw.
        seed: Of the wrinkles and the weave; the same seed draws the same picture.

    Returns:
        (H, W, 3) uint8 BGR, a new array.
    """
    random = np.random.default_rng(seed)
    outline = mask_outline(landmarks, mask)
    size = (portrait.shape[0], portrait.shape[1])
    cover = _coverage(outline, size, landmarks.width)
    across, down = _surface(outline, cover, landmarks)
    shade = _light(portrait, cover, landmarks) * _relief(mask, across, down, landmarks, random)
    cloth = np.array(mask.colour, np.float32) * shade[..., None]
    picture = _cast_shadow(portrait.astype(np.float32), cover, landmarks)
    picture = _draw_loops(picture, outline, landmarks, mask)
    picture += cover[..., None] * (cloth - picture)
    return np.asarray(np.clip(picture + 0.5, 0, 255), np.uint8)


def mask_outline(landmarks: Landmarks, mask: Mask) -> NDArray[np.float32]:
    """The edge of a worn mask.

    Returns:
        (N, 2) float32 points in pixels: along the upper edge from left to right, then along the jaw back to the left.
    """
    (top_x, top_y), side_y = _upper_edge(landmarks, mask.wear)
    puff = landmarks.width * (0.035 if mask.build is Build.FFP2 else 0.02)
    jaw = _smooth_curve(landmarks.jaw)
    jaw = jaw + _outward(jaw) * (puff * (2.2 if mask.wear is Wear.UNDER_CHIN else 1.0))
    lower = jaw[jaw[:, 1] >= side_y][::-1]
    (right_x, right_y), (left_x, left_y) = lower[0], lower[-1]
    span = np.linspace(-1, 1, UPPER_POINTS, dtype=np.float32)
    peak = np.exp(-((span / 0.42) ** 2)) if mask.wear is Wear.PROPERLY else 1 - span**2
    off_middle = (top_x - (left_x + right_x) / 2) * (1 - np.abs(span))
    side = np.linspace(left_y, right_y, UPPER_POINTS)
    upper = np.stack([np.linspace(left_x, right_x, UPPER_POINTS) + off_middle, side + (top_y - side) * peak], axis=1)
    return np.asarray(np.concatenate([upper, lower]), np.float32)


def _upper_edge(landmarks: Landmarks, wear: Wear) -> tuple[Point, float]:
    """Where the upper edge is highest, (x, y), and the y at which it meets the sides of the face."""
    (bridge_x, bridge_y), (base_x, base_y) = landmarks.bridge, landmarks.nose_base
    lip_x, lip_y = landmarks.lower_lip
    nose, chin = base_y - bridge_y, landmarks.chin[1] - lip_y
    if wear is Wear.PROPERLY:
        return (bridge_x, bridge_y + 0.28 * nose), bridge_y + 0.68 * nose
    if wear is Wear.NOSE_BARE:
        return (base_x, base_y + 0.06 * nose), base_y - 0.1 * nose
    return (lip_x, lip_y + 0.3 * chin), lip_y - 0.25 * chin


def _smooth_curve(corners: tuple[Point, ...], count: int = 200) -> NDArray[np.float32]:
    """``count`` points along the polyline through ``corners``, which are rounded off."""
    points = np.array(corners)
    steps = np.r_[0, np.cumsum(np.hypot(*np.diff(points, axis=0).T))]
    at = np.linspace(0, steps[-1], count)
    dense = np.stack([np.interp(at, steps, along) for along in points.T], axis=1)
    radius = count // (2 * len(points)) * 2 + 1
    padded = np.pad(dense, ((radius, radius), (0, 0)), mode="reflect", reflect_type="odd")
    kernel = np.hanning(2 * radius + 3)[1:-1]
    kernel /= kernel.sum()
    return np.stack([np.convolve(along, kernel, mode="valid") for along in padded.T], axis=1).astype(np.float32)


def _outward(curve: NDArray[np.float32]) -> NDArray[np.float32]:
    """Unit normals of a curve that runs from the left over the bottom to the right, pointing away from the face."""
    tangent = np.gradient(curve, axis=0)
    normal = np.stack([-tangent[:, 1], tangent[:, 0]], axis=1)
    return np.asarray(normal / np.maximum(np.hypot(*normal.T), 1e-6)[:, None], np.float32)


def _coverage(outline: NDArray[np.float32], size: tuple[int, int], width: float) -> Map:
    """(H, W) float32 in [0, 1]: how much of each pixel the mask covers."""
    cover = np.zeros(size, np.uint8)
    cv2.fillPoly(cover, [np.round(outline * 16).astype(np.int32)], 255, cv2.LINE_AA, shift=4)
    return cv2.GaussianBlur(cover.astype(np.float32) / 255, (0, 0), max(0.5, width / 220))  # type: ignore[return-value]


def _surface(outline: NDArray[np.float32], cover: Map, landmarks: Landmarks) -> tuple[Map, Map]:
    """Coordinates on the mask: across, -1 at its left edge to 1 at its right; down, 0 at its top to 1 at its bottom."""
    height, width = cover.shape
    columns = np.arange(width, dtype=np.float32)
    upper, lower = outline[:UPPER_POINTS], outline[UPPER_POINTS:]
    top = np.interp(columns, upper[:, 0], upper[:, 1])
    lower = lower[np.argsort(lower[:, 0])]
    bottom = np.interp(columns, lower[:, 0], lower[:, 1])
    rows = np.arange(height, dtype=np.float32)[:, None]
    down = (rows - top) / np.maximum(bottom - top, 1)
    middle = landmarks.nose_base[0]
    left, right = outline[:, 0].min(), outline[:, 0].max()
    side = np.where(columns < middle, middle - left, right - middle)
    across = np.broadcast_to((columns - middle) / side, cover.shape)
    return across.astype(np.float32), np.clip(down, 0, 1).astype(np.float32)


def _light(portrait: Image, cover: Map, landmarks: Landmarks) -> Map:
    """The light on the face, smoothed: about 1 in the middle of the mask, less where the face turns away."""
    grey = cv2.cvtColor(portrait, cv2.COLOR_BGR2GRAY).astype(np.float32)
    smooth = np.asarray(cv2.GaussianBlur(grey, (0, 0), landmarks.width * 0.09), np.float32)
    inside = smooth[cover > 0.5]
    return np.asarray(np.clip((smooth / np.percentile(inside, 70)) ** 0.45, 0.6, 1.1), np.float32)


def _relief(mask: Mask, across: Map, down: Map, landmarks: Landmarks, random: np.random.Generator) -> Map:
    """Brightness of the cloth: its roundness, its build, its wrinkles and its weave; about 1 where it faces us."""
    shade = 1.02 - 0.3 * np.abs(across) ** 2.6 - 0.22 * np.clip(down - 0.62, 0, 1) ** 1.3
    shade *= _BUILDS[mask.build](across, down)
    wrinkles = _noise(random, across.shape, landmarks.width * 0.09, landmarks.width * 0.018)
    weave = _noise(random, across.shape, landmarks.width / 300, landmarks.width / 300)
    return np.asarray(shade + 0.022 * wrinkles + 0.012 * weave, np.float32)


def _noise(random: np.random.Generator, size: tuple[int, ...], across: float, down: float) -> Map:
    """Gaussian noise smoothed over so many pixels across and down, scaled to a standard deviation of 1."""
    noise = cv2.GaussianBlur(random.standard_normal(size), (0, 0), across, sigmaY=down)
    return np.asarray(noise / noise.std(), np.float32)


def _groove(position: Map, at: float, width: float, depth: float) -> Map:
    """A fold at ``position == at``: dark on its lower side, lit on its upper."""
    distance = (position - at) / width
    return np.asarray(-depth * distance * np.exp(0.5 - distance**2 / 2), np.float32)


def _line(position: Map, at: float, width: float, depth: float) -> Map:
    """A dark line at ``position == at``."""
    return np.asarray(-depth * np.exp(-(((position - at) / width) ** 2)), np.float32)


def _surgical(across: Map, down: Map) -> Map:
    sag = down + 0.05 * across**2
    pleats = sum(_groove(sag, at, 0.022, 0.13) for at in (0.36, 0.53, 0.7))
    wire = _groove(down, 0.11, 0.03, -0.08) * (np.abs(across) < 0.45)
    hems = _line(down, 0.05, 0.012, 0.1) + _line(down, 0.95, 0.015, 0.1)
    return np.asarray(1 + pleats + wire + hems, np.float32)


def _ffp2(across: Map, down: Map) -> Map:
    ridge = 0.07 * np.exp(-((across / 0.05) ** 2)) - 0.1 * np.tanh(across / 0.12) * np.exp(-((across / 0.6) ** 2))
    seams = _line(np.abs(across), 0.86, 0.02, 0.1) + _line(down, 0.07, 0.012, 0.1) + _line(down, 0.93, 0.014, 0.1)
    return np.asarray(1 + ridge + seams, np.float32)


def _cloth(across: Map, down: Map) -> Map:
    hem = _line(down, 0.06, 0.012, 0.22) + _line(down, 0.94, 0.015, 0.22) + _line(np.abs(across), 0.92, 0.015, 0.2)
    seam = _line(across, 0.0, 0.02, 0.25) + 0.12 * np.exp(-(((across + 0.06) / 0.05) ** 2))
    return np.asarray(1 + hem + seam, np.float32)


_BUILDS = {Build.SURGICAL: _surgical, Build.FFP2: _ffp2, Build.CLOTH: _cloth}


def _cast_shadow(picture: Map, cover: Map, landmarks: Landmarks) -> Map:
    """Darken the skin around the mask, more below it than above."""
    drop = landmarks.width * 0.025
    moved = cv2.warpAffine(cover, np.array([[1, 0, 0], [0, 1, drop]], np.float32), cover.shape[::-1])
    soft = np.maximum(cv2.GaussianBlur(moved, (0, 0), drop), cv2.GaussianBlur(cover, (0, 0), drop * 0.6))
    return np.asarray(picture * (1 - 0.38 * soft[..., None]), np.float32)


def _draw_loops(picture: Map, outline: NDArray[np.float32], landmarks: Landmarks, mask: Mask) -> Map:
    """The two elastic loops, from the mask's corners to above and below each ear, with their shadow."""
    upper_left, upper_right, lower = outline[0], outline[UPPER_POINTS - 1], outline[UPPER_POINTS:]
    reach = upper_left[1] + 0.55 * (landmarks.chin[1] - upper_left[1])
    lower_left = lower[lower[:, 0] < landmarks.chin[0]]
    lower_right = lower[lower[:, 0] >= landmarks.chin[0]]
    ends = [
        (upper_left, landmarks.left_ear[0]),
        (lower_left[np.argmin(np.abs(lower_left[:, 1] - reach))], landmarks.left_ear[1]),
        (upper_right, landmarks.right_ear[0]),
        (lower_right[np.argmin(np.abs(lower_right[:, 1] - reach))], landmarks.right_ear[1]),
    ]
    thick = max(1, round(landmarks.width * 0.016))
    elastic = 0.55 * np.array(mask.colour, np.float32) + 0.45 * np.array((225, 225, 225), np.float32)
    for colour, offset, strength in ((np.zeros(3, np.float32), thick, 0.35), (elastic, 0, 0.95)):
        strokes = np.zeros(picture.shape[:2], np.uint8)
        for begin, end in ends:
            start, stop = ((round(x * 16), round((y + offset) * 16)) for x, y in (begin, end))
            cv2.line(strokes, start, stop, 255, thick, cv2.LINE_AA, shift=4)
        alpha = cv2.GaussianBlur(strokes.astype(np.float32) / 255, (0, 0), 0.7 + offset * 0.5) * strength
        picture = picture + alpha[..., None] * (colour - picture)
    return picture
