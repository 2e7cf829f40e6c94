"""Draws boxes, labels and counts on an image. Each verdict has its own words and outline, not only a colour."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from edge.values import BBox, Image, Person, Reading, Verdict

Colour = tuple[int, int, int]
Point = tuple[int, int]

BACKING: Colour = (24, 24, 24)
FONT = cv2.FONT_HERSHEY_SIMPLEX
LEAST_PICTURE_SIDE = 240
"""Smaller images are enlarged so that text on them can be read."""
LEAST_TEXT_HEIGHT = 9
TEXT_SHARE = 1 / 34
"""Height of a capital letter, relative to the image's shorter side."""


class Mark(NamedTuple):
    """What to draw for one face: its box in pixels of the picture, its verdict, the sureness in [0, 1] if known.

    A note is written behind the verdict.
    """

    bbox: BBox
    verdict: Verdict
    sureness: float | None = None
    note: str = ""


class Rectangle(NamedTuple):
    """Whole pixels: left, top, and right and bottom of the last pixel inside."""

    left: int
    top: int
    right: int
    bottom: int

    def meets(self, other: Rectangle) -> bool:
        """Whether the two have a pixel in common."""
        return (
            self.left <= other.right
            and other.left <= self.right
            and self.top <= other.bottom
            and other.top <= self.bottom
        )


class Line(NamedTuple):
    """A line of text: where its backing lies, its parts with their colours, the height of a capital in pixels."""

    place: Rectangle
    parts: Sequence[tuple[str, Colour]]
    letter: float


Outline = Callable[[Image, Rectangle, Colour, int], None]


def annotate(
    image: Image,
    seen: Sequence[Reading | Person],
    counts: Mapping[Verdict, int] | None = None,
    notes: Sequence[str] = (),
) -> Image:
    """Draw what was seen.

    Args:
        image: (H, W, 3) uint8 BGR; it is not changed.
        seen: Readings of a still, or the persons of a live picture.
        counts: Written along an edge of the picture, where given.
        notes: Written behind the verdict of each of ``seen``, where given.

    Returns:
        A new (H, W, 3) uint8 BGR picture; one with a side below 240 pixels is enlarged by a whole factor.
    """
    factor = max(1, math.ceil(LEAST_PICTURE_SIDE / _short_side(image)))
    canvas: Image = np.repeat(np.repeat(image, factor, axis=0), factor, axis=1)
    noted = zip(seen, notes or itertools.repeat(""), strict=False)
    marks = [_enlarge(_mark(one), factor)._replace(note=note) for one, note in noted]
    boxes = [_rectangle(mark.bbox, canvas) for mark in marks]
    strip = [_place_counts(canvas, counts, boxes)] if counts is not None else []
    for mark, box in zip(marks, boxes, strict=True):
        row = mark.verdict.row
        OUTLINES[row.outline](canvas, box, row.colours.picture_bgr, _line_width(canvas))
    labels = _place_labels(canvas, marks, boxes, [line.place for line in strip])
    for line in labels + strip:
        _write(canvas, line)
    return canvas


def _mark(one: Reading | Person) -> Mark:
    if isinstance(one, Person):
        return Mark(one.bbox, one.verdict)
    return Mark(one.face.bbox, Verdict(one.label.value), one.confidence)


def _enlarge(mark: Mark, factor: int) -> Mark:
    return mark._replace(bbox=BBox(*(side * factor for side in mark.bbox)))


def _rectangle(bbox: BBox, canvas: Image) -> Rectangle:
    height, width = canvas.shape[:2]
    left, top = min(max(round(bbox.x0), 0), width - 1), min(max(round(bbox.y0), 0), height - 1)
    return Rectangle(left, top, min(max(round(bbox.x1), left), width - 1), min(max(round(bbox.y1), top), height - 1))


def _short_side(canvas: Image) -> int:
    height, width, _ = canvas.shape
    return int(min(height, width))


def _line_width(canvas: Image) -> int:
    return max(1, round(_short_side(canvas) / 300))


def _single(canvas: Image, box: Rectangle, colour: Colour, width: int) -> None:
    cv2.rectangle(canvas, box[:2], box[2:], colour, 2 * width)


def _double(canvas: Image, box: Rectangle, colour: Colour, width: int) -> None:
    """Two heavy lines, one inside the other."""
    gap = 4 * width
    cv2.rectangle(canvas, box[:2], box[2:], colour, 2 * width)
    if min(box.right - box.left, box.bottom - box.top) > 4 * gap:
        cv2.rectangle(canvas, (box.left + gap, box.top + gap), (box.right - gap, box.bottom - gap), colour, width)


def _dashed(canvas: Image, box: Rectangle, colour: Colour, width: int) -> None:
    for start, end in _dashes(box, dash=8 * width, gap=5 * width):
        cv2.line(canvas, start, end, colour, 2 * width)


def _dotted(canvas: Image, box: Rectangle, colour: Colour, width: int) -> None:
    for start, end in _dashes(box, dash=width, gap=4 * width):
        cv2.line(canvas, start, end, colour, width)


def _dashes(box: Rectangle, dash: int, gap: int) -> Iterator[tuple[Point, Point]]:
    for left in range(box.left, box.right, dash + gap):
        right = min(left + dash, box.right)
        yield (left, box.top), (right, box.top)
        yield (left, box.bottom), (right, box.bottom)
    for top in range(box.top, box.bottom, dash + gap):
        bottom = min(top + dash, box.bottom)
        yield (box.left, top), (box.left, bottom)
        yield (box.right, top), (box.right, bottom)


OUTLINES: Mapping[str, Outline] = {"single": _single, "double": _double, "dashed": _dashed, "dotted": _dotted}


def _place_labels(
    canvas: Image, marks: Sequence[Mark], boxes: Sequence[Rectangle], taken: Sequence[Rectangle]
) -> list[Line]:
    """A label for each box that has room for one; in a crowd the smallest faces make do with their outline."""
    labels: list[Line] = []
    for mark, box in zip(marks, boxes, strict=True):
        label = _place_label(canvas, mark, box, [*taken, *boxes, *(label.place for label in labels)])
        if label is not None:
            labels.append(label)
    return labels


def _place_label(canvas: Image, mark: Mark, box: Rectangle, taken: Sequence[Rectangle]) -> Line | None:
    """A label where it hides nothing, the shorter one if need be, else one inside its own box if it fits there."""
    words, colour = mark.verdict.words, mark.verdict.row.colours.picture_bgr
    letter = min(_text_height(canvas), max(LEAST_TEXT_HEIGHT, (box.right - box.left) / 7))
    sure = words if mark.sureness is None else f"{words} {mark.sureness:.0%}"
    texts = list(dict.fromkeys((f"{sure} {mark.note}".rstrip(), sure, words)))
    for text in texts:
        width, height = _text_size(text, letter)
        for left, top in _places(box, width, height):
            place = _inside(canvas, left, top, width, height)
            if not any(place.meets(other) for other in taken):
                return Line(place, [(text, colour)], letter)
    if width > box.right - box.left:
        return None
    return Line(_inside(canvas, box.left, box.top, width, height), [(text, colour)], letter)


def _places(box: Rectangle, width: int, height: int) -> list[Point]:
    """Left top corners for a label, the most readable first: above, below, right, left, above and below its middle."""
    middle = (box.left + box.right - width) // 2
    return [
        (box.left, box.top - height),
        (box.left, box.bottom + 1),
        (middle, box.top - height),
        (middle, box.bottom + 1),
        (box.right + 1, box.top),
        (box.left - width, box.top),
    ]


def _inside(canvas: Image, left: int, top: int, width: int, height: int) -> Rectangle:
    left = max(0, min(left, canvas.shape[1] - width))
    top = max(0, min(top, canvas.shape[0] - height))
    return Rectangle(left, top, left + width - 1, top + height - 1)


def _place_counts(canvas: Image, counts: Mapping[Verdict, int], boxes: Sequence[Rectangle]) -> Line:
    """The counts along the bottom, or along the top where that hides fewer faces."""
    parts = [
        (f"{verdict.words}: {counts[verdict]}  ", verdict.row.colours.picture_bgr)
        for verdict in Verdict
        if verdict in counts
    ]
    text = "".join(words for words, _ in parts)
    letter = _text_height(canvas)
    width, height = _text_size(text, letter)
    if width > canvas.shape[1]:
        letter *= canvas.shape[1] / width
        width, height = _text_size(text, letter)
    bottom = _inside(canvas, 0, canvas.shape[0], width, height)
    top = _inside(canvas, 0, 0, width, height)
    place = min((bottom, top), key=lambda strip: sum(strip.meets(box) for box in boxes))
    return Line(place, parts, letter)


def _text_height(canvas: Image) -> float:
    return max(LEAST_TEXT_HEIGHT, _short_side(canvas) * TEXT_SHARE)


def _text_size(text: str, letter: float) -> tuple[int, int]:
    """Width and height in pixels of the backing of a line whose capital letters are ``letter`` pixels high."""
    (width, _), _ = cv2.getTextSize(text, FONT, _font_scale(letter), _stroke(letter))
    return math.ceil(width + letter), math.ceil(letter * 1.9)


def _font_scale(letter: float) -> float:
    return letter / cv2.getTextSize("M", FONT, 1.0, 1)[0][1]


def _stroke(letter: float) -> int:
    return max(1, round(letter / 9))


def _write(canvas: Image, line: Line) -> None:
    """Write a line on a dark backing."""
    cv2.rectangle(canvas, line.place[:2], line.place[2:], BACKING, cv2.FILLED)
    scale, stroke = _font_scale(line.letter), _stroke(line.letter)
    x, baseline = line.place.left + line.letter / 2, line.place.top + round(line.letter * 1.45)
    for text, colour in line.parts:
        cv2.putText(canvas, text, (round(x), baseline), FONT, scale, colour, stroke, cv2.LINE_AA)
        x += cv2.getTextSize(text, FONT, scale, stroke)[0][0]
