"""The place of the demo clip: a corridor, the wall with the doorway in front of it, and a desk nearest to the camera.

The camera stands behind the desk at eye level, so faces stay on the horizon and only grow as they come near.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.values import Image
from train.demo_clip.draw_mask import Map

Colour = tuple[float, ...]
Box = tuple[float, float, float, float]

WIDTH, HEIGHT = 640, 480
HORIZON = 200
"""Row of the camera's eye level, in pixels."""
DOOR = (162, 24, 478, HEIGHT)
"""The opening: left, top, right, bottom, in pixels."""
DOOR_FACE = 52.0
"""Width of a face that stands in the opening, in pixels; smaller ones are behind the wall."""
DESK_TOP = 408

NOISE = 1.0
"""Standard deviation of the camera's noise, in grey levels."""

_FINE = 3
_TRIM = 15


@dataclass(frozen=True, slots=True, eq=False)
class Room:
    """The set, in layers from far to near.

    Attributes:
        corridor: (HEIGHT, WIDTH, 3) float32 BGR: what is seen through the door.
        wall: The same size: the wall with the door frame.
        wall_cover: (HEIGHT, WIDTH) float32 in [0, 1]: 0 in the opening.
        desk: (HEIGHT, WIDTH, 3) float32 BGR.
        desk_cover: (HEIGHT, WIDTH) float32 in [0, 1].
    """

    corridor: Map
    wall: Map
    wall_cover: Map
    desk: Map
    desk_cover: Map


def build_room(seed: int) -> Room:
    """Draw the set; the same seed draws the same."""
    random = np.random.default_rng(seed)
    wall, cover = _wall(random)
    desk, desk_cover = _desk(random)
    return Room(_small(_corridor()), _small(wall), _small(cover), _small(desk), _small(desk_cover))


def _small(picture: Map) -> Map:
    return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _points(*points: tuple[float, float]) -> NDArray[np.int32]:
    return np.round(np.array(points) * _FINE * 16).astype(np.int32)


def _fill(picture: Map, colour: Colour, *points: tuple[float, float]) -> None:
    cv2.fillPoly(picture, [_points(*points)], colour, cv2.LINE_AA, shift=4)


def _box(picture: Map, colour: Colour, box: Box) -> None:
    x0, y0, x1, y1 = box
    _fill(picture, colour, (x0, y0), (x1, y0), (x1, y1), (x0, y1))


def _round_box(picture: Map, colour: Colour, box: Box, r: float) -> None:
    x0, y0, x1, y1 = box
    _box(picture, colour, (x0 + r, y0, x1 - r, y1))
    _box(picture, colour, (x0, y0 + r, x1, y1 - r))
    for x, y in ((x0 + r, y0 + r), (x1 - r, y0 + r), (x0 + r, y1 - r), (x1 - r, y1 - r)):
        _disc(picture, colour, x, y, r)


def _disc(picture: Map, colour: Colour, x: float, y: float, radius: float) -> None:
    centre = _points((x, y))[0]
    cv2.circle(picture, (int(centre[0]), int(centre[1])), round(radius * _FINE * 16), colour, -1, cv2.LINE_AA, 4)


def _shadowed(picture: Map, strength: float, blur: float, box: Box) -> None:
    """Darken ``picture`` softly around a box, as the thing in it would."""
    shade = np.zeros(picture.shape[:2], np.uint8)
    x0, y0, x1, y1 = box
    cv2.fillPoly(shade, [_points((x0, y0), (x1, y0), (x1, y1), (x0, y1))], 255, cv2.LINE_AA, shift=4)
    soft = cv2.GaussianBlur(shade.astype(np.float32) / 255, (0, 0), blur * _FINE)
    picture *= 1 - strength * soft[..., None]


def _canvas(colour: tuple[float, float, float]) -> Map:
    return np.full((HEIGHT * _FINE, WIDTH * _FINE, 3), colour, np.float32)


def _corridor() -> Map:
    """Walls, ceiling and floor run towards a glazed door that daylight comes through."""
    picture = _canvas((176, 186, 190))
    left, top, right, bottom = 222, 66, 418, 520
    _fill(picture, (196, 204, 207), (120, -40), (520, -40), (right, top), (left, top))
    _fill(picture, (160, 172, 178), (0, -120), (left, top), (left, bottom), (0, 900))
    _fill(picture, (150, 162, 168), (640, -120), (right, top), (right, bottom), (640, 900))
    for depth in (0.28, 0.62):
        x0, x1, y = 120 + depth * (left - 120), 520 - depth * (520 - right), -40 + depth * (top + 40)
        inner, lamp = 0.32 * (x1 - x0), 13 * (1 - 0.5 * depth)
        left_end, right_end = x0 + inner, x1 - inner
        corners = (left_end, y), (right_end, y), (right_end - 3, y + lamp), (left_end + 3, y + lamp)
        _fill(picture, (248, 252, 252), *corners)
    _box(picture, (186, 194, 196), (left, top, right, bottom))
    _box(picture, (92, 98, 104), (left + 22, top + 26, right - 22, bottom))
    for x0, x1 in ((left + 28, 317), (323, right - 28)):
        _box(picture, (226, 224, 214), (x0, top + 32, x1, bottom))
        _outdoors(picture, x0, top + 32, x1)
    for x in (312, 328):
        _round_box(picture, (150, 156, 160), (x - 1.5, 214, x + 1.5, 270), 1.4)
    _box(picture, (92, 150, 66), (302, top + 6, 338, top + 20))
    cv2.putText(
        picture, "EXIT", (306 * _FINE, (top + 17) * _FINE), cv2.FONT_HERSHEY_DUPLEX, 0.36 * _FINE, (250, 255, 250),
        _FINE // 2, cv2.LINE_AA,
    )  # fmt: skip
    return cv2.GaussianBlur(picture, (0, 0), 1.6 * _FINE)  # type: ignore[return-value]


def _outdoors(picture: Map, x0: float, y0: float, x1: float) -> None:
    """A bright, blurred garden behind a pane."""
    a, b, c = round(x0 * _FINE), round(x1 * _FINE), round(y0 * _FINE)
    rows = np.linspace(0, 1, picture.shape[0] - c, dtype=np.float32)[:, None]
    sky, trees = np.array((246, 238, 222), np.float32), np.array((150, 190, 166), np.float32)
    green = 1 / (1 + np.exp(-(rows - 0.36) / 0.06))
    picture[c:, a:b] = (sky + green * (trees - sky))[:, None, :]


def _wall(random: np.random.Generator) -> tuple[Map, Map]:
    """The wall that faces the camera: light from above, a poster, a dispenser, a switch, and the door frame."""
    picture = _canvas((204, 214, 218))
    rough = random.standard_normal(picture.shape[:2]).astype(np.float32)
    picture += np.asarray(cv2.GaussianBlur(rough, (0, 0), _FINE), np.float32)[..., None] * 3
    x = np.linspace(-1, 1, picture.shape[1], dtype=np.float32)
    y = np.linspace(-1, 1, picture.shape[0], dtype=np.float32)[:, None]
    picture *= (1.02 - 0.1 * x**2 - 0.07 * (y + 0.5) ** 2)[..., None]
    _poster(picture)
    _dispenser(picture)
    _switch(picture)
    left, top, right, bottom = DOOR
    _shadowed(picture, 0.3, 7, (left - _TRIM, top - _TRIM, right + _TRIM + 4, bottom + 40))
    trim = (_TRIM, (108, 120, 132)), (_TRIM - 1.5, (138, 152, 164)), (4, (118, 131, 143)), (2, (84, 94, 104))
    for inset, colour in trim:
        _box(picture, colour, (left - inset, top - inset, right + inset, bottom + 60))
    cover = np.ones(picture.shape[:2], np.float32)
    _box(cover, (0.0,), (left, top, right, bottom + 60))
    return picture, cover


def _poster(picture: Map) -> None:
    """A sign that asks for masks: a mask by itself, with no face that a detector could find, and words."""
    x0, y0, x1, y1 = 24, 118, 124, 262
    _shadowed(picture, 0.35, 4, (x0 + 2, y0 + 3, x1 + 3, y1 + 5))
    _box(picture, (250, 250, 248), (x0, y0, x1, y1))
    _box(picture, (146, 92, 26), (x0, y0, x1, y0 + 26))
    _words(picture, "MASKS ON", (x0 + 9, y0 + 18), 0.5, (255, 255, 255))
    _round_box(picture, (226, 198, 150), (40, 172, 108, 216), 9)
    for y in (183, 194, 205):
        _box(picture, (196, 164, 112), (46, y, 102, y + 1.6))
    for side in (-1, 1):
        loop = [(74 + side * (34 + 11 * np.sin(t)), 178 + 32 * t / np.pi) for t in np.linspace(0, np.pi, 24)]
        cv2.polylines(picture, [_points(*loop)], False, (190, 158, 106), 2 * _FINE, cv2.LINE_AA, 4)
    _words(picture, "Thank you", (x0 + 16, y0 + 130), 0.42, (120, 84, 40))


def _words(picture: Map, text: str, at: tuple[float, float], size: float, colour: Colour) -> None:
    where = (round(at[0] * _FINE), round(at[1] * _FINE))
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_DUPLEX, size * _FINE, colour, _FINE // 2 + 1, cv2.LINE_AA)


def _dispenser(picture: Map) -> None:
    """Hand sanitiser on the wall to the right."""
    _shadowed(picture, 0.35, 4, (553, 196, 606, 292))
    _round_box(picture, (232, 234, 234), (550, 190, 600, 284), 7)
    _round_box(picture, (206, 212, 214), (554, 194, 596, 240), 5)
    _round_box(picture, (196, 168, 96), (566, 204, 584, 230), 4)
    _round_box(picture, (150, 156, 160), (558, 250, 592, 268), 4)
    _box(picture, (120, 126, 130), (571, 268, 579, 276))


def _switch(picture: Map) -> None:
    _shadowed(picture, 0.3, 2, (513, 226, 529, 250))
    _round_box(picture, (238, 240, 240), (511, 223, 527, 247), 2)
    _round_box(picture, (222, 226, 226), (514, 227, 524, 243), 1)


def _desk(random: np.random.Generator) -> tuple[Map, Map]:
    """The desk across the foot of the picture, with a pump bottle and a box of masks on it."""
    picture, cover = _canvas((0, 0, 0)), np.zeros((HEIGHT * _FINE, WIDTH * _FINE), np.float32)
    grain = cv2.GaussianBlur(random.standard_normal(cover.shape).astype(np.float32), (0, 0), 40, sigmaY=0.8)
    _box(picture, (118, 158, 190), (0, DESK_TOP, WIDTH, HEIGHT))
    _box(picture, (140, 182, 212), (0, DESK_TOP, WIDTH, DESK_TOP + 7))
    picture *= (1 + 0.05 * grain / grain.std())[..., None]
    rows = np.arange(HEIGHT * _FINE, dtype=np.float32)[:, None, None] / _FINE
    picture *= np.clip(1.04 - 0.0035 * (rows - DESK_TOP), 0.7, 1.04)
    _shadowed(picture, 0.45, 5, (0, DESK_TOP + 8, WIDTH, DESK_TOP + 12))
    _box(cover, (1.0,), (0, DESK_TOP, WIDTH, HEIGHT))
    _mask_box(picture, cover)
    _bottle(picture, cover)
    return picture, cover


def _mask_box(picture: Map, cover: Map) -> None:
    _fill(picture, (232, 226, 214), (26, 392), (112, 392), (118, 402), (20, 402))
    _fill(picture, (206, 176, 120), (20, 402), (118, 402), (118, 444), (20, 444))
    _fill(picture, (246, 240, 232), (50, 394), (90, 394), (96, 386), (72, 379), (46, 386))
    _words(picture, "MASKS", (38, 429), 0.55, (255, 255, 255))
    _fill(cover, (1.0,), (50, 394), (90, 394), (96, 386), (72, 379), (46, 386))
    _fill(cover, (1.0,), (26, 392), (112, 392), (118, 402), (118, 444), (20, 444), (20, 402))


def _bottle(picture: Map, cover: Map) -> None:
    for target, body, pump in ((picture, (214, 206, 180), (96, 92, 88)), (cover, (1.0,), (1.0,))):
        _round_box(target, body, (582, 380, 612, 446), 6)
        _box(target, pump, (592, 368, 602, 381))
        _round_box(target, pump, (578, 361, 604, 368), 2)
    _round_box(picture, (236, 230, 210), (586, 386, 591, 440), 2)
    _box(picture, (168, 128, 62), (583, 400, 611, 428))


def graded(picture: Map, seed: int) -> Image:
    """What the camera makes of it: a soft lens, falling off to the corners, and a little noise.

    Args:
        picture: (HEIGHT, WIDTH, 3) float32 BGR, 0 to 255.
        seed: Of the noise.

    Returns:
        (HEIGHT, WIDTH, 3) uint8 BGR.
    """
    x = np.linspace(-1, 1, WIDTH, dtype=np.float32)
    y = np.linspace(-1, 1, HEIGHT, dtype=np.float32)[:, None]
    soft = cv2.GaussianBlur(picture, (0, 0), 0.6) * (1.02 - 0.1 * (x**2 + y**2) ** 1.5)[..., None]
    noise = np.random.default_rng(seed).standard_normal((HEIGHT, WIDTH)).astype(np.float32) * NOISE
    return np.asarray(np.clip(soft + noise[..., None] + 0.5, 0, 255), np.uint8)
