"""Draws boxes, labels and counts on an image. Each verdict has its own words and outline, not only a colour."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from edge.sinks.lettering import text_width, write
from edge.values import BBox, Image, Person, Reading, Verdict
from edge.verdicts import FALLBACK_LANGUAGE

Colour = tuple[int, int, int]
Point = tuple[int, int]

BACKING: Colour = (24, 24, 24)
LEAST_TEXT_HEIGHT = 9
WIDEST_LABEL = 0.5
"""Of the picture's width: a longer one would hide too much of a small picture."""
TEXT_SHARE = 1 / 34
"""Height of a capital letter, relative to the image's shorter side."""


class Mark(NamedTuple):
    """What to draw for one face: its box in pixels of the picture, its verdict, the sureness in [0, 1] if known.

    A note is written behind the verdict, whose words come in the language wanted.
    """

    bbox: BBox
    verdict: Verdict
    sureness: float | None = None
    note: str = ""
    words: str = ""

    @property
    def sentence(self) -> str:
        """The verdict and how sure it is."""
        return self.words if self.sureness is None else f"{self.words} {self.sureness:.0%}"


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
    *,
    scale: float = 1.0,
    language: str = FALLBACK_LANGUAGE,
) -> Image:
    """Draw what was seen in a live picture.

    Args:
        image: (H, W, 3) uint8 BGR; it is not changed.
        seen: Readings, or persons.
        counts: Written along an edge of the picture, where given.
        notes: Written behind the verdict of each of ``seen``, where given.
        scale: The boxes are those of a picture this many times smaller.
        language: Of the verdicts' words.

    Returns:
        A new picture of the same size.
    """
    canvas = image.copy()
    marks = _marks(seen, notes, scale, language)
    boxes = _outlined(canvas, marks)
    strip = [_place_counts(canvas, _count_parts(counts, language), boxes)] if counts is not None else []
    labels = _place_labels(canvas, marks, boxes, [line.place for line in strip])
    for line in [*(label for label in labels if label), *strip]:
        _write(canvas, line)
    return canvas


def annotate_still(image: Image, seen: Sequence[Reading], counts: Mapping[Verdict, int]) -> Image:
    """Draw what was found in a still: every face has a label, or a number that is explained below the picture.

    Args:
        image: (H, W, 3) uint8 BGR; it is not changed.
        seen: The faces.
        counts: Written below the picture.

    Returns:
        A new picture: the given one in its own size, with lines of text below it.
    """
    canvas = image.copy()
    marks = _marks(seen, (), 1.0, FALLBACK_LANGUAGE)
    boxes = _outlined(canvas, marks)
    labels = _place_labels(canvas, marks, boxes, [])
    key = _count_parts(counts, FALLBACK_LANGUAGE)
    for mark, box, label in zip(marks, boxes, labels, strict=True):
        number, colour = str(len(key) - len(counts) + 1), mark.verdict.row.colours.picture_bgr
        if label is None:
            key.append((f"{number}: {mark.sentence}", colour))
        _write(canvas, label or _number(canvas, number, colour, box))
    return with_lines_below(canvas, key)


def with_lines_below(canvas: Image, entries: Sequence[tuple[str, Colour]]) -> Image:
    """The picture on a ground that also has room for ``entries``; as many on a line as fit."""
    letter = max(LEAST_TEXT_HEIGHT + 2, _text_height(canvas))
    gap, row = round(letter), round(letter * 2)
    width = max([canvas.shape[1], *(text_width(text, letter) + 2 * gap for text, _ in entries)])
    x, line, places = gap, 0, []
    for text, _ in entries:
        long = text_width(text, letter)
        if x > gap and x + long + gap > width:
            x, line = gap, line + 1
        places.append((x, line))
        x += long + 2 * gap
    height = canvas.shape[0]
    ground: Image = np.full((height + row * (line + 1) + gap // 2, width, 3), BACKING, np.uint8)
    ground[:height, : canvas.shape[1]] = canvas
    for (text, colour), (x, line) in zip(entries, places, strict=True):
        write(ground, text, (x, height + row * line + round(letter * 1.6)), letter, colour)
    return ground


def banner(canvas: Image, text: str, ink: Colour, ground: Colour) -> None:
    """Write a sentence across the top of ``canvas``, as large as fits."""
    letter = _short_side(canvas) / 16
    letter *= min(1.0, (canvas.shape[1] - 2 * letter) / max(1, text_width(text, letter)))
    cv2.rectangle(canvas, (0, 0), (canvas.shape[1], round(letter * 2.2)), ground, cv2.FILLED)
    write(canvas, text, ((canvas.shape[1] - text_width(text, letter)) / 2, round(letter * 1.6)), letter, ink)


def _marks(seen: Sequence[Reading | Person], notes: Sequence[str], scale: float, language: str) -> list[Mark]:
    noted = zip(seen, notes or itertools.repeat(""), strict=False)
    return [_mark(one, note, scale, language) for one, note in noted]


def _mark(one: Reading | Person, note: str, scale: float, language: str) -> Mark:
    if isinstance(one, Person):
        bbox, verdict, sureness = one.bbox, one.verdict, None
    else:
        bbox, verdict, sureness = one.face.bbox, Verdict(one.label.value), one.confidence
    return Mark(BBox(*(side * scale for side in bbox)), verdict, sureness, note, verdict.named(language))


def _outlined(canvas: Image, marks: Sequence[Mark]) -> list[Rectangle]:
    """Draw the outline of each, and return where."""
    boxes = [_rectangle(mark.bbox, canvas) for mark in marks]
    for mark, box in zip(marks, boxes, strict=True):
        row = mark.verdict.row
        OUTLINES[row.outline](canvas, box, row.colours.picture_bgr, _line_width(canvas, box))
    return boxes


def _rectangle(bbox: BBox, canvas: Image) -> Rectangle:
    height, width = canvas.shape[:2]
    left, top = min(max(round(bbox.x0), 0), width - 1), min(max(round(bbox.y0), 0), height - 1)
    return Rectangle(left, top, min(max(round(bbox.x1), left), width - 1), min(max(round(bbox.y1), top), height - 1))


def _short_side(canvas: Image) -> int:
    height, width, _ = canvas.shape
    return int(min(height, width))


def _line_width(canvas: Image, box: Rectangle) -> int:
    """As the picture allows, and thin enough to leave a small face in a large picture visible."""
    face = min(box.right - box.left, box.bottom - box.top)
    return max(1, round(min(_short_side(canvas) / 300, face / 30)))


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
) -> list[Line | None]:
    """A label for each box that has room for one; None for a small face in a crowd."""
    labels: list[Line | None] = []
    for mark, box in zip(marks, boxes, strict=True):
        used = [*taken, *boxes, *(label.place for label in labels if label)]
        labels.append(_place_label(canvas, mark, box, used))
    return labels


def _number(canvas: Image, number: str, colour: Colour, box: Rectangle) -> Line:
    """The number of a face that has no room for words, above it."""
    width, height = _text_size(number, LEAST_TEXT_HEIGHT)
    place = _inside(canvas, (box.left + box.right - width) // 2, box.top - height, width, height)
    return Line(place, [(number, colour)], LEAST_TEXT_HEIGHT)


def _place_label(canvas: Image, mark: Mark, box: Rectangle, taken: Sequence[Rectangle]) -> Line | None:
    """A label where it hides nothing, the shorter one if need be, else one inside its own box if it fits there."""
    colour = mark.verdict.row.colours.picture_bgr
    letter = min(_text_height(canvas), max(LEAST_TEXT_HEIGHT, (box.right - box.left) / 7))
    texts = list(dict.fromkeys((f"{mark.sentence} {mark.note}".rstrip(), mark.sentence, mark.words)))
    for text in texts:
        width, height = _text_size(text, letter)
        if width > canvas.shape[1] * WIDEST_LABEL:
            continue
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


def _count_parts(counts: Mapping[Verdict, int], language: str) -> list[tuple[str, Colour]]:
    """``with mask: 3`` and so on, in the colours of the verdicts."""
    return [
        (f"{verdict.named(language)}: {counts[verdict]}  ", verdict.row.colours.picture_bgr)
        for verdict in Verdict
        if verdict in counts
    ]


def _place_counts(canvas: Image, parts: Sequence[tuple[str, Colour]], boxes: Sequence[Rectangle]) -> Line:
    """The counts along the bottom, or along the top where that hides fewer faces."""
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
    return text_width(text, letter) + round(letter), round(letter * 1.9)


def _write(canvas: Image, line: Line) -> None:
    """Write a line on a dark backing."""
    cv2.rectangle(canvas, line.place[:2], line.place[2:], BACKING, cv2.FILLED)
    x, baseline = line.place.left + line.letter / 2, line.place.top + round(line.letter * 1.45)
    for text, colour in line.parts:
        x = write(canvas, text, (x, baseline), line.letter, colour)
