"""``maskgate bench`` times the stages on this machine, for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pytest

from edge import cli
from edge.commands.bench import measure
from edge.config import Config
from edge.people import PeopleTracker
from edge.spread import Spread
from edge.values import BBox, Face, Frame, Image, Reading
from edge.vision.pipeline import Pipeline
from tests.nonempty import some


class OneFace:
    """Finds the same face in every picture, and holds it for masked."""

    def __init__(self) -> None:
        self.judged = 0

    def detect(self, frame: Frame, threshold: float) -> list[Face]:
        return [Face(BBox(100, 100, 180, 200), 0.9)]

    def classify(self, image: Image, faces: Sequence[Face]) -> list[Reading]:
        self.judged += len(faces)
        return [Reading(face, (0.9, 0.05, 0.05)) for face in faces]


def test_json_has_every_stage(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--seconds", "0.5", "--json"]) == 0
    output, said = capfd.readouterr()
    told = json.loads(output)
    assert set(told) == {"board", "runtime", "width", "height", "frames", "fps", "ms", "troubles"}
    assert list(told["ms"]) == ["find", "judge", "follow", "frame"]
    assert all(0 < one["p10"] <= one["median"] <= one["p90"] for one in some(told["ms"].values()))
    assert told["frames"] > 0
    assert told["fps"] > 0
    assert "demo clip" in said


def test_people_get_a_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["bench", "--seconds", "0.5"]) == 0
    output = capfd.readouterr().out
    for words in ("median", "find the faces", "judge a face", "follow people", "frames per second"):
        assert words in output


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan"])
def test_an_invalid_time_is_refused(seconds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["bench", "--seconds", seconds])
    assert ended.value.code == 2
    assert seconds in capsys.readouterr().err


def test_settled_people_are_judged_rarely() -> None:
    stages = OneFace()
    frames = [Frame(np.zeros((480, 640, 3), np.uint8), number / 20, number) for number in range(100)]
    times = measure(Pipeline(stages, stages, 0.5), PeopleTracker(Config().people), frames, 0.2)
    assert 0 < stages.judged < len(times.frame) / 2
    assert len(times.find) == len(times.follow) == len(times.frame)
    assert len(times.judge) == stages.judged


def test_a_spread_has_median_and_tenths() -> None:
    assert Spread.of(range(1, 100)) == Spread(50, 10, 90)
    assert str(Spread.of([1.0, 1.0])) == "1.00 (1.00 to 1.00)"
