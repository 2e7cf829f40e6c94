"""Large photos are decoded once, not at each draw."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.errors import ConfigError
from edge.values import LABELS, BBox, Label
from train.mask.data import Sample
from train.mask.regions import Regions
from train.mask.views import Deck

LANDMARKS = ((40.0, 40.0), (60.0, 40.0), (50.0, 52.0), (42.0, 62.0), (58.0, 62.0))


@pytest.fixture
def face(tmp_path: Path) -> Sample:
    image = np.random.default_rng(1).integers(0, 256, (100, 100, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "face.png"), image)
    return Sample(tmp_path / "face.png", Label.WITH_MASK, "door", "g", bbox=BBox(25, 25, 75, 75), landmarks=LANDMARKS)


def test_a_face_is_cut_once(face: Sample) -> None:
    kept = Regions()
    first = kept.of(face)
    face.path.unlink()
    assert kept.of(face) is first
    with pytest.raises(ValueError, match="read-only"):
        first.image[0] = 0


def test_short_memory_drops_the_oldest(face: Sample) -> None:
    side = Regions().of(face).image.nbytes
    kept = Regions(budget=side + 1)
    kept.of(face)
    other = Sample(face.path, face.label, face.source, face.group, bbox=BBox(30, 30, 80, 80))
    kept.of(other)
    face.path.unlink()
    kept.of(other)
    with pytest.raises(ConfigError, match="Cannot read"):
        kept.of(face)


def test_views_do_not_open_photos_again(face: Sample) -> None:
    deck, rng = Deck([face], LABELS), np.random.default_rng(2)
    first = deck.view(deck.draw(rng), 32, 0.2, np.random.default_rng(3))
    face.path.unlink()
    again = deck.view(deck.draw(rng), 32, 0.2, np.random.default_rng(3))
    np.testing.assert_array_equal(first, again)
