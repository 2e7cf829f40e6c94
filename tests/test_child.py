"""A child process may die, hang, or refuse to end; the parent says how, and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from edge.child import DEATH_LIMIT, Child, ChildDiedError

PROGRAM = """
import json, os, sys, time
from edge.child import channel_and_memory
channel, memory = channel_and_memory()
while asked := channel.recv(65536):
    asked = json.loads(asked)
    if "say" in asked:
        sys.exit(asked["say"])
    if "signal" in asked:
        os.kill(os.getpid(), asked["signal"])
    time.sleep(asked.get("sleep", 0))
    os.pwrite(memory, b"shared", 0)
    channel.send(json.dumps({"pid": os.getpid()}).encode())
"""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module that does as it is told."""
    (tmp_path / "child_program.py").write_text(PROGRAM)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "child_program"


def test_it_answers_and_shares_memory(program: str) -> None:
    child = Child(program)
    assert child.ask({}, 10.0) == {"pid": child.pid}
    assert os.pread(child.memory, 6, 0) == b"shared"
    child.close()


def test_it_ends_with_its_parent(program: str) -> None:
    text = f"from edge.child import Child; child = Child({program!r}); print(child.ask({{}}, 10)['pid'])"
    pid = int(subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True).stdout)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{pid}/cmdline").exists() and Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ({"signal": 6}, "its process was ended by SIGABRT"),
        ({"say": 3}, "its process ended with exit code 3"),
        ({"say": "a library is missing"}, "ended with exit code 1: a library is missing"),
        ({"sleep": 60}, "it did not answer within 0.5 s"),
    ],
    ids=["killed", "ended", "with last words", "hangs"],
)
def test_how_it_died_is_said(program: str, message: dict[str, Any], said: str) -> None:
    child = Child(program)
    child.ask({}, 10.0)
    with pytest.raises(ChildDiedError, match=said):
        child.ask(message, 0.5)
    child.close()


def test_secret_last_words_are_not_kept(program: str) -> None:
    child = Child(program, errors=False)
    with pytest.raises(ChildDiedError, match=r"ended with exit code 1$"):
        child.ask({"say": "rtsp://door:secret@cam"}, 10.0)
    child.close()


class Stuck:
    """A process that a driver holds in the kernel, where no signal reaches it."""

    def __init__(self) -> None:
        self.waited_for: list[float] = []

    def poll(self) -> None:
        return None

    def kill(self) -> None:
        """Nothing comes of it."""

    def wait(self, timeout: float | None = None) -> int:
        assert timeout is not None, "nobody may wait for it without an end"
        self.waited_for.append(timeout)
        raise subprocess.TimeoutExpired("stuck", timeout)


def test_an_unkillable_one_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck()
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: stuck)
    child = Child("stuck")
    child.close()
    child.close()
    assert stuck.waited_for == [DEATH_LIMIT]


def test_a_full_disk_hinders_no_child(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    child = Child(program)
    assert child.ask({}, limit=10.0)["pid"] == child.pid
    child.close()
