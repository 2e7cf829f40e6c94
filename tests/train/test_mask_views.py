"""What a mask training shows the model: balanced draws, varied views and painted masks."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.values import LABELS, BBox, Label
from tests.nonempty import some
from tests.train.mask_photos import LANDMARKS, picture, sample
from train.mask import augment as mask_augment
from train.mask import paint as mask_paint
from train.mask.data import Sample
from train.mask.paint import FaceAxes, Wearing
from train.mask.views import CLASS_SHARES, Deck, plain_view


class TestViews:
    def test_classes_are_drawn_by_their_share(self) -> None:
        many = [sample(str(n)) for n in range(500)]
        few = [sample("m", Label.WITH_MASK), sample("i", Label.MASK_WORN_INCORRECTLY)]
        deck, rng = Deck([*many, *few], LABELS), np.random.default_rng(0)
        drawn = [deck.draw(rng).label for _ in range(3000)]
        assert drawn.count(Label.WITH_MASK) / 3000 == pytest.approx(CLASS_SHARES[Label.WITH_MASK], abs=0.03)
        assert drawn.count(Label.MASK_WORN_INCORRECTLY) / 3000 == pytest.approx(
            CLASS_SHARES[Label.MASK_WORN_INCORRECTLY], abs=0.03
        )

    def test_only_bare_faces_are_painted(self) -> None:
        box = BBox(30, 25, 70, 75)
        bare = sample("bare", bbox=box, landmarks=LANDMARKS)
        masked = sample("masked", Label.WITH_MASK, bbox=box, landmarks=LANDMARKS)
        deck, rng = Deck([bare, masked, sample("nolandmarks")], LABELS), np.random.default_rng(1)
        draws = [deck.draw(rng) for _ in range(500)]
        assert {draw.sample.group for draw in draws if draw.painted} == {"bare"}
        badly_worn = (draw for draw in draws if draw.label is Label.MASK_WORN_INCORRECTLY)
        assert all(draw.painted for draw in some(badly_worn))

    def test_views_depend_only_on_seed(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "a.png", (120, 120, 120), side=100)
        face = Sample(path, Label.WITHOUT_MASK, "s", "g", bbox=BBox(30, 25, 70, 75), landmarks=LANDMARKS)
        deck = Deck([face], LABELS)

        def view(seed: int) -> np.ndarray:
            rng = np.random.default_rng(seed)
            return deck.view(deck.draw(rng), 32, 0.3, rng)

        assert view(3).shape == (32, 32, 3)
        assert np.array_equal(view(3), view(3))
        assert not np.array_equal(view(3), view(4))

    def test_a_plain_view_is_rgb(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "blue.png", (250, 0, 0))
        assert plain_view(Sample(path, Label.WITH_MASK, "s", "g"), 16, 0.3)[8, 8, 2] > 150

    @given(
        corner=st.tuples(st.floats(-20, 150), st.floats(-20, 110)),
        extent=st.tuples(st.floats(4, 120), st.floats(4, 120)),
        size=st.sampled_from([16, 33, 64]),
        seed=st.integers(0, 2**16),
    )
    @settings(max_examples=40, deadline=None)
    def test_views_have_the_models_size(
        self, corner: tuple[float, float], extent: tuple[float, float], size: int, seed: int
    ) -> None:
        image = np.full((120, 160, 3), 128, np.uint8)
        bbox = BBox(*corner, corner[0] + extent[0], corner[1] + extent[1])
        cut, box, _ = mask_augment.region(image, bbox, None)
        view = mask_augment.training_view(cut, box, size, 0.3, np.random.default_rng(seed))
        assert view.shape == (size, size, 3)
        assert view.dtype == np.uint8

    def test_degrading_evens_out_sharpness(self) -> None:
        rng = np.random.default_rng(0)
        sharp = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
        blurred = cv2.GaussianBlur(sharp, (0, 0), 4)

        def sharpness(image: np.ndarray) -> float:
            seeds = range(40)
            views = [mask_augment.degrade(image, 40, np.random.default_rng(seed)) for seed in seeds]
            return float(np.mean([cv2.Laplacian(view, cv2.CV_32F).std() for view in views]))

        before = cv2.Laplacian(sharp, cv2.CV_32F).std() / cv2.Laplacian(blurred, cv2.CV_32F).std()
        assert sharpness(sharp) / sharpness(blurred) < before / 4

    def test_landmarks_follow_crop_and_turn(self) -> None:
        image = np.zeros((100, 100, 3), np.uint8)
        image[50:55, 48:53] = 255
        landmarks = np.array([[50, 52]], np.float32)
        cut, _, moved = mask_augment.region(image, BBox(30, 30, 70, 75), landmarks)
        turned, moved = mask_augment.turn(cut, moved, 20, mirror=True)
        assert moved is not None
        bright = np.argwhere(turned[..., 0] > 128).mean(axis=0)[::-1]
        assert np.abs(bright - moved[0]).max() < 1.5


class TestPaint:
    face = np.full((100, 100, 3), 150, np.uint8)
    landmarks = np.array(LANDMARKS, np.float32)
    dark = np.full((64, 64, 3), 10, np.uint8)

    def share_covered(self, wearing: Wearing, x: int, y: int) -> float:
        """How often the pixel is covered, over seeds."""
        hits = 0
        for seed in range(30):
            painted = mask_paint.paint_mask(self.face, self.landmarks, wearing, self.dark, np.random.default_rng(seed))
            hits += int(painted[y, x].max()) < 75
        return hits / 30

    @pytest.mark.parametrize(
        ("wearing", "nose", "mouth"),
        [
            (Wearing.PROPERLY, True, True),
            (Wearing.UNDER_NOSE, False, True),
            (Wearing.ON_CHIN, False, False),
            (Wearing.OVER_NOSE_ONLY, True, False),
        ],
    )
    def test_painted_masks_cover_what_they_should(self, wearing: Wearing, nose: bool, mouth: bool) -> None:
        assert (self.share_covered(wearing, 50, 52) > 0.9) is nose
        assert (self.share_covered(wearing, 50, 62) > 0.9) is mouth
        assert self.share_covered(wearing, 50, 38) == 0

    def test_painting_leaves_the_given_picture_alone(self) -> None:
        before = self.face.copy()
        mask_paint.paint_covering(self.face, self.landmarks, self.dark, np.random.default_rng(0))
        mask_paint.paint_mask(self.face, self.landmarks, Wearing.PROPERLY, self.dark, np.random.default_rng(0))
        assert np.array_equal(self.face, before)

    def test_a_profile_is_not_painted_on(self) -> None:
        profile = self.landmarks.copy()
        profile[2, 0] = 75
        assert FaceAxes(self.landmarks).paintable
        assert not FaceAxes(profile).paintable

    def test_cloth_comes_from_around_the_mouth(self) -> None:
        image = self.face.copy()
        image[50:] = (10, 20, 200)
        assert np.abs(mask_paint.cloth_of(image, LANDMARKS).reshape(-1, 3).mean(axis=0) - (10, 20, 200)).max() < 12
