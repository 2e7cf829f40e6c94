"""``maskgate alerts test``: through a door that runs, and directly; what works, what fails, what a relay needs."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.stand_ins.running import SOCKET, call, running_door

PINS = {"ALERTS_OUTPUT": "gpio", "ALERTS_RELAY_PIN": "5"}
BROKEN = {**PINS, "ALERTS_SOUND": "tone", "ALERTS_SOUND_DEVICE": "no-such-device"}
NOBODY = 65534


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Of a user whose door runs with all outputs; its sound cannot be played."""
    folder = tmp_path_factory.mktemp("home")
    with running_door(folder, BROKEN):
        yield folder


def outcomes(said: str) -> Mapping[str, str]:
    """What was said of each output."""
    lines = [line.split(None, 1) for line in said.splitlines() if line.startswith("  ")]
    return {kind: told.rpartition(": ")[2] if "FAILED" not in told else "FAILED" for kind, told in lines}


@pytest.mark.slow
def test_running_door_tests_each_output(home: Path) -> None:
    done = call(home, "alerts", "test", settings=BROKEN)
    assert done.stdout.startswith("Testing through the running maskgate.")
    found = outcomes(done.stdout)
    assert [found.get(kind) for kind in ("led", "welcome", "buzzer")] == ["on ... off again"] * 3
    assert "alerts test relay" in found["relay"]
    if "sound" in found:
        assert found["sound"] == "FAILED"
        assert done.returncode == 6


def test_one_output_is_tested_alone(home: Path) -> None:
    done = call(home, "alerts", "test", "led")
    assert (done.returncode, list(outcomes(done.stdout))) == (0, ["led"])


@pytest.mark.parametrize(("words", "code"), [((), 2), (("--yes",), 0)])
def test_scripts_confirm_relays(home: Path, words: tuple[str, ...], code: int) -> None:
    done = call(home, "alerts", "test", "relay", *words)
    assert done.returncode == code, done
    assert ("add --yes" in done.stderr) == (code == 2)


def test_unknown_outputs_are_refused(home: Path) -> None:
    done = call(home, "alerts", "test", "buzer")
    assert (done.returncode, "buzzer" in done.stderr) == (2, True)


def test_tests_are_no_alarm(home: Path) -> None:
    call(home, "alerts", "test", "led")
    assert not (home / ".local/state/maskgate/counts.db").exists()


@pytest.mark.slow
def test_without_a_door_outputs_are_opened(tmp_path: Path) -> None:
    done = call(tmp_path, "alerts", "test", "--yes", settings=PINS)
    assert done.stdout.startswith("Testing directly, as no maskgate runs.")
    assert (done.returncode, set(outcomes(done.stdout).values())) == (0, {"on ... off again"})


def test_doors_without_outputs_say_so(tmp_path: Path) -> None:
    done = call(tmp_path, "alerts", "test", settings={"ALERTS_OUTPUT": "none"})
    assert (done.returncode, "nobody notices an alarm" in done.stderr) == (6, True)


def test_socket_is_for_the_doors_user(home: Path) -> None:
    assert stat.S_IMODE((home / SOCKET).stat().st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_other_users_are_told_of_sudo(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edge.config import load
    from edge.running import UnreachableError, find

    settings = load(environment={"HOME": str(home)})
    monkeypatch.setenv("RUNTIME_DIRECTORY", str((home / SOCKET).parent))
    os.seteuid(NOBODY)
    try:
        with pytest.raises(UnreachableError, match="Permission denied"):
            find(settings)
    finally:
        os.seteuid(0)


@pytest.mark.slow
def test_killed_doors_leave_room(tmp_path: Path) -> None:
    with running_door(tmp_path, PINS) as process:
        process.kill()
        process.wait()
        assert (tmp_path / SOCKET).exists()
        assert call(tmp_path, "alerts", "test", "led", settings=PINS).stdout.startswith("Testing directly")
        with running_door(tmp_path, PINS):
            assert call(tmp_path, "alerts", "test", "led").stdout.startswith("Testing through")
