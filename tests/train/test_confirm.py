"""The confirmation of faces: what it learns from, and the rule that its answers follow."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from edge.errors import ConfigError
from edge.values import BBox, Face, Frame
from edge.vision.face_detector import Detector
from tests.nonempty import some
from tests.train.face_photos import coco
from tests.train.needs import keras
from train.__main__ import main
from train.confirm import candidates, views
from train.confirm.batches import ConfirmBatches, draws
from train.confirm.candidates import Candidate
from train.confirm.rule import scores, settle
from train.face.photos import read_photos

ANNOTATED = BBox(28.0, 14.0, 52.0, 46.0)
"""The face of each of the drawn photos."""


class Finds(Detector):
    """Finds the same boxes in every picture."""

    def __init__(self, *faces: Face) -> None:
        self._faces = faces

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        del frame
        return [face for face in self._faces if face.score >= threshold]


def found(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *faces: Face,
    teachers: list[list[float]] | None = None,
    **more: object,
) -> list[Candidate]:
    """The candidates of one drawn photo in which a face model finds ``faces``."""
    data = coco(tmp_path / "photos", 1)
    (photo,) = read_photos(data)
    path = None
    if teachers is not None:
        path = tmp_path / "teachers.json"
        path.write_text(json.dumps({"photos": {str(photo.path.resolve()): teachers}}))
    monkeypatch.setattr(candidates, "open_face_model", lambda *_: Finds(*faces))
    return candidates.find([photo], path, **more)  # type: ignore[arg-type]


def moved(by: float, score: float = 0.5) -> Face:
    return Face(BBox(ANNOTATED.x0 + by, ANNOTATED.y0, ANNOTATED.x1 + by, ANNOTATED.y1), score)


class TestCandidates:
    def test_annotators_tell_faces_from_other_boxes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        verdicts = found(tmp_path, monkeypatch, moved(1), Face(BBox(0, 0, 20, 20), 0.4))
        assert [(one.face, one.score) for one in verdicts] == [(True, 0.5), (False, 0.4)]

    def test_half_a_face_is_neither(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        assert [one.score for one in found(tmp_path, monkeypatch, moved(0, 0.9), moved(12))] == [0.9]

    def test_a_missed_face_is_a_candidate_too(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (missed,) = found(tmp_path, monkeypatch)
        assert (missed.face, missed.score) == (True, 0.0)

    @pytest.mark.parametrize(
        ("certainty", "thorough", "verdict"),
        [
            (0.6, [], [True]),
            (0.3, [], []),
            (0.1, [], [False]),
            (0.6, ["photos"], []),
            (0.3, ["photos"], [False]),
        ],
    )
    def test_teachers_tell_of_what_nobody_annotated(
        self,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        certainty: float,
        thorough: list[str],
        verdict: list[bool],
    ) -> None:
        elsewhere = Face(BBox(0, 0, 20, 20), 0.45)
        seen = found(
            tmp_path, monkeypatch, moved(0, 0.9), elsewhere, teachers=[[0, 0, 20, 20, certainty]], thorough=thorough
        )
        assert [one.face for one in seen if one.score == 0.45] == verdict


def candidate(score: float, face: bool, source: str = "a", photo: str = "p") -> Candidate:
    return Candidate(Path(photo), source, ANNOTATED, score, face)


class TestDraws:
    def test_what_the_face_model_errs_about_is_drawn_most(self) -> None:
        sure, missed, nothing, mistaken = draws(
            [candidate(0.9, True), candidate(0.1, True), candidate(0.1, False), candidate(0.9, False)], {}
        )
        assert missed > 5 * sure
        assert mistaken > 2 * nothing

    def test_large_sources_do_not_drown_small_ones(self) -> None:
        weights = draws([candidate(0.5, True, "large")] * 100 + [candidate(0.5, True, "small")], {"small": 2})
        assert weights[-1] == pytest.approx(20 * weights[0])

    def test_unknown_sources_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="--draw names nowhere"):
            draws([candidate(0.5, True)], {"nowhere": 2})


def test_batches_are_half_faces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = found(tmp_path, monkeypatch, moved(1), Face(BBox(0, 0, 20, 20), 0.4))
    batches = ConfirmBatches(both, size=32, margin=0.4, batch=4, batches=2, draw={}, seed=1, workers=1)
    pictures, truth = batches[1]
    assert pictures.shape == (4, 32, 32, 3)
    assert pictures.dtype == np.float32
    assert truth.round().tolist() == [[1], [1], [0], [0]]
    np.testing.assert_array_equal(batches[1][0], pictures)
    assert not np.array_equal(batches[0][0], pictures)


def test_a_plain_view_is_what_the_device_cuts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (view,) = views.plain(found(tmp_path, monkeypatch, moved(0)), 32, 0.4)
    skin, wall = view[16, 16].astype(int), view[0, 0].astype(int)
    assert skin[0] - skin[2] > 40  # RGB: more red than blue
    assert abs(wall[0] - wall[2]) < 40


class TestRule:
    """Faces and other boxes of random scores, on which a second look is mostly right."""

    @staticmethod
    def looked(photos: int, *kinds: bool, right: float = 1.0) -> tuple[list[Candidate], np.ndarray]:
        """A candidate of each kind in each photo, and what a second look says of them."""
        rng = np.random.default_rng(1)
        logits = {True: 0.5, False: -1.0}
        made = [
            candidate(float(1 / (1 + np.exp(-rng.normal(logits[kind], 0.8)))), kind, photo=str(number))
            for number in range(photos)
            for kind in kinds
        ]
        seen = 1 / (1 + np.exp(-rng.normal([right if one.face else -right for one in made], 1.0)))
        return made, seen

    @pytest.mark.parametrize("threshold", [0.4, 0.5])
    def test_as_many_faces_with_fewer_other_boxes(self, threshold: float) -> None:
        held, seen = self.looked(400, True, False)
        rule = settle(held, seen)
        assert min(rule.face, rule.confirm) > 0
        assert 0 < rule.doubtful_from <= 0.4
        assert 0.5 <= rule.doubtful_to < 1
        truth, before = np.array([one.face for one in held]), np.array([one.score for one in held])
        after = scores(held, seen, rule)
        kept, kept_alone = (int((each[truth] >= threshold).sum()) for each in (after, before))
        assert abs(kept - kept_alone) <= 12  # those beyond the scores that are doubtful keep theirs
        assert (after[~truth] >= threshold).sum() < 0.7 * (before[~truth] >= threshold).sum()

    def test_scores_beyond_doubt_stay(self) -> None:
        rule = settle(*self.looked(400, True, False))
        low, high = candidate(rule.doubtful_from - 0.01, True), candidate(rule.doubtful_to, False)
        assert scores([low, high], np.array([0.99, 0.01]), rule).tolist() == [low.score, high.score]

    def test_a_second_look_that_errs_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="train it longer"):
            settle(*self.looked(400, True, False, right=-2.0))

    def test_one_kind_alone_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no candidates of both kinds"):
            settle(*self.looked(40, False))


@pytest.mark.training
def test_training_goes_on_from_an_earlier_run(tmp_path: Path) -> None:
    from train.confirm.fit import MODEL_FILE, build
    from train.mask.model import classifier

    keras.utils.set_random_seed(1)
    views = np.zeros((1, 32, 32, 3), np.float32)
    mask = tmp_path / "mask.keras"
    classifier(32, 1.0, "none", 3, 0.2, hidden=0.1).save(mask)
    first = build(32, 0.1, mask, views)
    first.save(tmp_path / MODEL_FILE)
    again = build(32, 0.1, tmp_path / MODEL_FILE, views)
    assert all(np.array_equal(*pair) for pair in some(zip(again.get_weights(), first.get_weights(), strict=True)))
    with pytest.raises(ConfigError, match=r"confirm\.keras has another shape: repeat the --hidden"):
        build(32, 0.2, tmp_path / MODEL_FILE, views)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "Name the photos to learn from"),
        (["photos.json", "--batch", "7"], "give an even number"),
        (["photos.json", "--hidden", "2"], "give a fraction between 0 and 1"),
        (["photos.json", "--learning-rate", "0"], "give a number above 0"),
        (["photos.json", "--start-from", "absent.keras"], "No model at absent.keras"),
        (["photos.json", "--keep-split", "absent.json"], "give --keep-split the split.json of an earlier run"),
    ],
)
def test_impossible_options_are_refused(
    options: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["confirm", *options, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err
