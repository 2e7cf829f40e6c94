"""``maskgate look``: one picture of the camera, judged; written only where that is asked for."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge.cameras.demo import DEMO_CLIP
from tests.stand_ins.disk import small_disk
from tests.stand_ins.running import call, running_door

__all__ = ["small_disk"]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("home")
    with running_door(folder):
        yield folder


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frame of the demo clip with somebody in it."""
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    clip.set(cv2.CAP_PROP_POS_FRAMES, 60)
    path = tmp_path_factory.mktemp("person") / "person.png"
    assert cv2.imwrite(str(path), clip.read()[1])
    clip.release()
    return path


def test_running_door_gives_the_picture(home: Path) -> None:
    done = call(home, "look", "--output", str(home / "aim.png"))
    assert done.returncode == 0, done
    assert "Camera: demo, 640x480, through the running maskgate" in done.stdout
    assert "aim.png shows who is at the door" in done.stdout
    assert cv2.imread(str(home / "aim.png")).shape == (480, 640, 3)


def test_the_picture_is_for_its_owner(tmp_path: Path, person: Path) -> None:
    aim = tmp_path / "aim.png"
    aim.write_text("an earlier one")
    call(tmp_path, "look", "--source", str(person), "--output", str(aim))
    assert stat.S_IMODE(aim.stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_sudo_gives_the_picture_away(tmp_path: Path, person: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_UID", "1234")
    monkeypatch.setenv("SUDO_GID", "1235")
    aim = tmp_path / "aim.png"
    call(tmp_path, "look", "--source", str(person), "--output", str(aim))
    assert (aim.stat().st_uid, aim.stat().st_gid) == (1234, 1235)


def test_a_full_disk_keeps_no_part(tmp_path: Path, person: Path, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(bytes(250 * 1024))
    done = call(tmp_path, "look", "--source", str(person), "--output", str(small_disk / "aim.png"))
    assert "aim.png: No space left on device" in done.stderr
    assert done.returncode == 2
    assert not (small_disk / "aim.png").exists()


def test_nothing_is_written_unasked(home: Path) -> None:
    before = sorted(path for path in home.rglob("*") if not path.name.startswith("counts"))
    assert call(home, "look").returncode == 0
    assert sorted(path for path in home.rglob("*") if not path.name.startswith("counts")) == before


def test_no_running_door_opens_the_camera(tmp_path: Path, person: Path) -> None:
    done = call(tmp_path, "look", "--json", "--source", str(person))
    said = json.loads(done.stdout)
    assert (said["running"], said["width"], said["height"]) == (False, 640, 480)
    assert said["faces"][0]["pixels"] > 32
    assert said["faces"][0]["in_zone"]
    assert said["advice"] == []


def test_faces_are_boxed_with_their_size(tmp_path: Path, person: Path) -> None:
    aim = tmp_path / "aim.png"
    done = call(tmp_path, "look", "--source", str(person), "--output", str(aim))
    assert " px, score 0." in done.stdout
    assert "Light and distance look right." in done.stdout
    assert np.any(cv2.imread(str(aim)) != cv2.imread(str(person)))


def test_far_faces_are_told(tmp_path: Path, person: Path) -> None:
    done = call(tmp_path, "look", "--source", str(person), settings={"PEOPLE_MIN_FACE": "400"})
    assert "too small for a verdict" in done.stdout
    assert "at least 400 are needed" in done.stdout


def test_faces_outside_the_zone_are_told(tmp_path: Path, person: Path) -> None:
    done = call(
        tmp_path, "look", "--source", str(person), settings={"PEOPLE_ZONE": "[[0, 0], [0.01, 0], [0.01, 0.01]]"}
    )
    assert "outside the zone: not counted" in done.stdout


def test_empty_doors_leave_distance_open(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "dark.png"), np.full((480, 640, 3), 10, np.uint8))
    done = call(tmp_path, "look", "--source", str(tmp_path / "dark.png"))
    assert "In the picture: 0 faces" in done.stdout
    assert "The picture is dark" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--source", "/dev/video99"), 3, "/dev/video99"),
        (("--source", "demo", "--output", "aim.txt"), 2, "must end with one of"),
        (("--source", "demo", "--output", "/nowhere/aim.png"), 2, "Cannot write /nowhere/aim.png"),
    ],
    ids=["no camera", "no picture format", "no folder"],
)
def test_faults_are_sentences(tmp_path: Path, words: tuple[str, ...], code: int, told: str) -> None:
    done = call(tmp_path, "look", *words)
    assert (done.returncode, told in done.stderr) == (code, True), done
