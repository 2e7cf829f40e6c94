"""The people of the demo clip: two public-domain portraits, cut out, and dressed in other colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from edge.values import Image
from train.demo_clip.draw_mask import Landmarks, Map

Polygon = tuple[tuple[int, int], ...]
Point3 = tuple[float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Portrait:
    """Somebody, cut out.

    Attributes:
        image: (H, W, 3) uint8 BGR; also outside the silhouette its colours go on, so that no old background shows.
        alpha: (H, W) float32 in [0, 1]: 1 inside the silhouette.
        landmarks: Of the face, in pixels of ``image``.
    """

    image: Image
    alpha: Map
    landmarks: Landmarks

    def mirrored(self) -> Portrait:
        """Flipped left to right."""
        image = np.ascontiguousarray(self.image[:, ::-1])
        alpha = np.ascontiguousarray(self.alpha[:, ::-1])
        return Portrait(image, alpha, self.landmarks.mirrored(image.shape[1]))


@cache
def eileen() -> Portrait:
    """Astronaut Eileen Collins (NASA), from scikit-image; at twice the size of the original."""
    from skimage import data

    load: Callable[[], Image] = data.astronaut
    original = np.ascontiguousarray(load()[..., ::-1])
    alpha = _silhouette(original, _EILEEN_OUTLINE)
    image = cv2.resize(_without_background(original, alpha), None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    soft = cv2.GaussianBlur(cv2.resize(alpha, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC), (0, 0), 2.0)
    alpha = np.asarray(np.clip((soft - 0.5) * 1.6 + 0.45, 0, 1), np.float32)
    return Portrait(np.asarray(image, np.uint8), alpha, _EILEEN_LANDMARKS.scaled(2))


@cache
def grace() -> Portrait:
    """Rear Admiral Grace Hopper (US Navy), from matplotlib; the jacket is carried on below the picture."""
    from matplotlib import get_data_path

    file = Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"
    original = np.asarray(cv2.imdecode(np.frombuffer(file.read_bytes(), np.uint8), cv2.IMREAD_COLOR), np.uint8)
    alpha = _silhouette(original, _GRACE_OUTLINE)
    image = _cooler(_without_background(original, alpha))
    return _with_longer_jacket(Portrait(image, alpha, _GRACE_LANDMARKS))


def _cooler(picture: Image) -> Image:
    """The print's red cast and its hard contrast taken back, towards the light of the room."""
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)[..., None].astype(np.float32)
    calm = grey + 0.78 * (picture - grey)
    return np.asarray(np.clip(10 + 0.94 * calm, 0, 255), np.uint8)


def _silhouette(picture: Image, outline: Polygon) -> Map:
    """(H, W) float32 in [0, 1]: ``outline`` drawn by hand, moved onto the true edge by GrabCut where it is near."""
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(outline, np.int32)], 1)
    reach = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    hint = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    hint[cv2.dilate(inside, reach) == 0] = cv2.GC_BGD
    hint[cv2.erode(inside, reach, borderValue=1) == 1] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    cv2.grabCut(picture, hint, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    found = np.isin(hint, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    smooth = cv2.GaussianBlur(found, (0, 0), 1.5)
    return np.asarray(np.clip((smooth - 0.5) * 2.0 + 0.4, 0, 1), np.float32)


def _without_background(picture: Image, alpha: Map) -> Image:
    """The colours just inside the silhouette, carried on outwards."""
    sure = cv2.erode(alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    sure = np.where(sure > 0.95, np.float32(1), np.float32(0))
    spread = cv2.GaussianBlur(np.asarray(picture * sure[..., None], np.float32), (0, 0), 2.5)
    weight = cv2.GaussianBlur(sure, (0, 0), 2.5)[..., None]
    around = spread / np.maximum(weight, 1e-4)
    keep = sure[..., None]
    return np.asarray(np.clip(picture * keep + around * (1 - keep), 0, 255), np.uint8)


def _with_longer_jacket(portrait: Portrait) -> Portrait:
    """Carry Grace Hopper's jacket on to the hips and past the right edge, in its own cloth and with its own buttons."""
    left, right, below = 80, 120, 440
    old_height, old_width = portrait.alpha.shape
    border = (0, below, left, right, cv2.BORDER_CONSTANT)
    image = cv2.copyMakeBorder(portrait.image, *border, value=(0, 0, 0)).astype(np.float32)
    alpha = cv2.copyMakeBorder(portrait.alpha, *border, value=0)
    body = np.zeros(alpha.shape, np.uint8)
    cv2.fillPoly(body, [np.array(_GRACE_JACKET, np.int32) + np.array((left, 0))], 255, cv2.LINE_AA)
    drawn = cv2.GaussianBlur(body.astype(np.float32) / 255, (0, 0), 1.2)
    cloth = _more_cloth(portrait.image[540:600, 330:470], alpha.shape)
    for (x0, y0), (x1, y1) in _GRACE_FOLDS:
        fold = np.zeros(alpha.shape, np.uint8)
        cv2.line(fold, (x0 + left, y0), (x1 + left, y1), 255, 5, cv2.LINE_AA)
        cloth *= 1 - 0.6 * cv2.GaussianBlur(fold.astype(np.float32) / 255, (0, 0), 3)[..., None]
    inside = np.zeros(alpha.shape, np.float32)
    inside[: old_height - 30, left : left + old_width - 20] = 1
    blend = np.asarray(cv2.GaussianBlur(inside, (0, 0), 12) * alpha, np.float32)
    button = image[570:600, 230 + left : 262 + left].copy()
    image = cloth + blend[..., None] * (image - cloth)
    disc = np.zeros(button.shape[:2], np.uint8)
    cv2.circle(disc, (15, 18), 13, 255, -1, cv2.LINE_AA)
    for y in (570, 702, 834, 966):
        place = image[y : y + 30, 230 + left : 262 + left]
        place += (disc / np.float32(255))[..., None] * (button - place)
    landmarks = portrait.landmarks.scaled(1, (left, 0))
    return Portrait(np.asarray(image, np.uint8), np.asarray(np.maximum(drawn, alpha), np.float32), landmarks)


def _more_cloth(sample: Image | Map, size: tuple[int, ...]) -> Map:
    """(H, W, 3) float32: cloth like ``sample``, evened out and mirrored over and over."""
    smooth = cv2.GaussianBlur(sample.astype(np.float32), (0, 0), 6)
    sample = sample - smooth + smooth.mean(axis=(0, 1))
    height, width = size[0] // sample.shape[0] // 2 + 1, size[1] // sample.shape[1] // 2 + 1
    tile = np.concatenate([sample, sample[::-1]])
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    return np.tile(tile, (height, width, 1))[: size[0], : size[1]].astype(np.float32)


def in_other_suit(portrait: Portrait, hue: int, vivid: float, hair: Point3) -> Portrait:
    """Eileen Collins with her orange suit turned by ``hue`` (OpenCV's 0 to 180) and her hair multiplied by ``hair``.

    Args:
        portrait: As ``eileen`` gives it.
        hue: Added to the hue of what is orange.
        vivid: Factor for the saturation of what was orange.
        hair: Factors for blue, green and red.
    """
    hsv = cv2.cvtColor(portrait.image, cv2.COLOR_BGR2HSV).astype(np.int16)
    rows = np.arange(hsv.shape[0])[:, None]
    orange = ((hsv[..., 0] < 20) | (hsv[..., 0] > 172)) & (hsv[..., 1] > 90) & (rows > 2 * 192)
    hsv[..., 0] = np.where(orange, (hsv[..., 0] + hue) % 180, hsv[..., 0])
    hsv[..., 1] = np.where(orange, hsv[..., 1] * vivid, hsv[..., 1])
    hsv[..., 2] = np.where(orange, hsv[..., 2] * (0.45 + 0.55 * vivid), hsv[..., 2])
    image = cv2.cvtColor(hsv.astype(np.uint8), cv2.COLOR_HSV2BGR).astype(np.float32)
    skin = np.zeros(portrait.alpha.shape, np.uint8)
    cv2.fillPoly(skin, [np.array(_EILEEN_SKIN, np.int32) * 2], 255)
    outside = cv2.GaussianBlur(1 - skin.astype(np.float32) / 255, (0, 0), 5) * (rows < 2 * 145)
    tone = 1 + outside[..., None] * (np.array(hair, np.float32) - 1)
    return replace(portrait, image=_plain(np.clip(image * tone, 0, 255).astype(np.uint8), _EILEEN_TAGS))


def in_other_jacket(portrait: Portrait, colour: Point3) -> Portrait:
    """Grace Hopper with a jacket lightened by ``colour`` (blue, green, red) and a plain name tag."""
    grey = cv2.cvtColor(portrait.image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    rows = np.arange(grey.shape[0])[:, None]
    neck = np.zeros(grey.shape, np.uint8)
    cv2.fillPoly(neck, [np.array(_GRACE_NECK, np.int32)], 1)
    dark = cv2.GaussianBlur(((grey < 75) & (rows > 330) & (neck == 0)).astype(np.float32), (0, 0), 1.5)
    texture = np.clip(0.5 + cv2.GaussianBlur(grey, (0, 0), 1.5) / 40, 0.3, 1.4)
    image = portrait.image + (dark * texture)[..., None] * np.array(colour, np.float32)
    return replace(portrait, image=_plain(np.clip(image, 0, 255).astype(np.uint8), _GRACE_TAGS))


def _plain(image: Image, tags: tuple[Polygon, ...]) -> Image:
    """Blur name tags: the dressed-up people are nobody in particular."""
    soft = cv2.GaussianBlur(image, (0, 0), 9)
    for tag in tags:
        place = np.zeros(image.shape[:2], np.uint8)
        cv2.fillPoly(place, [np.array(tag, np.int32)], 1)
        image = np.asarray(np.where(place[..., None] == 1, soft, image), np.uint8)
    return image


_EILEEN_OUTLINE: Polygon = (
    (150, 70), (155, 53), (168, 42), (185, 31), (200, 22), (216, 17), (232, 14), (252, 19), (275, 31), (289, 44),
    (297, 60), (301, 80), (301, 92), (296, 109), (285, 122), (278, 131), (272, 137), (268, 138), (262, 151),
    (257, 163), (255, 173), (272, 183), (290, 202), (301, 222), (304, 234), (325, 245), (345, 264), (354, 285),
    (360, 315), (362, 348), (385, 345), (420, 346), (455, 358), (480, 380), (494, 410), (498, 450), (505, 460),
    (511, 490), (511, 511), (25, 511), (22, 490), (20, 460), (25, 420), (20, 390), (30, 330), (40, 285), (60, 255),
    (85, 228), (110, 212), (112, 190), (125, 168), (148, 152), (168, 147), (184, 150), (183, 133), (176, 131),
    (169, 119), (158, 108), (153, 95),
)  # fmt: skip
_EILEEN_LANDMARKS = Landmarks(
    bridge=(223, 103),
    nose_base=(223, 131),
    lower_lip=(222, 154),
    jaw=(
        (180, 108), (182, 130), (186, 150), (195, 164), (208, 174), (223, 178), (238, 174), (250, 165), (260, 150),
        (267, 132), (269, 110),
    ),
    left_ear=((179, 112), (177, 130)),
    right_ear=((270, 114), (273, 135)),
)  # fmt: skip
_GRACE_OUTLINE: Polygon = (
    (262, 22), (235, 26), (216, 42), (195, 50), (180, 65), (174, 82), (165, 95), (154, 103), (148, 130), (148, 160),
    (154, 185), (152, 200), (158, 225), (160, 250), (164, 275), (175, 288), (192, 294), (205, 312), (188, 335),
    (150, 352), (110, 368), (60, 384), (42, 408), (32, 450), (26, 500), (18, 550), (8, 599), (511, 599), (511, 440),
    (497, 398), (450, 376), (390, 350), (345, 325), (334, 308), (350, 298), (360, 272), (366, 240), (375, 208),
    (374, 190), (367, 176), (371, 150), (371, 118), (366, 95), (358, 86), (350, 82), (345, 65), (330, 50), (302, 38),
    (288, 28),
)  # fmt: skip
_GRACE_LANDMARKS = Landmarks(
    bridge=(264, 187),
    nose_base=(266, 247),
    lower_lip=(268, 290),
    jaw=(
        (178, 200), (186, 235), (193, 270), (203, 300), (220, 318), (242, 326), (264, 328), (290, 326), (314, 317),
        (330, 298), (338, 270), (344, 235), (352, 195),
    ),
    left_ear=((172, 196), (178, 262)),
    right_ear=((358, 192), (350, 262)),
)  # fmt: skip
_EILEEN_SKIN: Polygon = (
    (186, 82), (200, 80), (225, 81), (245, 86), (266, 92), (268, 110), (276, 128), (276, 140), (262, 150), (250, 190),
    (186, 190), (182, 140), (170, 128), (176, 118), (181, 108),
)  # fmt: skip
_EILEEN_TAGS: tuple[Polygon, ...] = (
    ((560, 690), (660, 690), (656, 752), (562, 748)),
    ((300, 700), (380, 694), (418, 740), (412, 800), (360, 840), (300, 836), (270, 790), (276, 730)),
)  # fmt: skip
_GRACE_JACKET: Polygon = (
    (120, 420), (400, 420), (500, 430), (512, 450), (524, 520), (536, 600), (548, 740), (552, 900), (546, 1039),
    (-24, 1039), (-30, 900), (-24, 740), (-4, 640), (22, 540), (60, 500),
)  # fmt: skip
_GRACE_FOLDS = (((62, 540), (70, 1040)), ((468, 540), (462, 1040)), ((268, 600), (272, 1040)))
_GRACE_TAGS: tuple[Polygon, ...] = (((160, 486), (244, 488), (248, 516), (158, 513)),)
_GRACE_NECK: Polygon = ((285, 300), (415, 300), (408, 380), (380, 440), (300, 440), (290, 390))
