"""A recording that several tests play, and a stand-in for the Pi camera."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import cv2
import pytest

from tests.cameras.helpers import BLUE, RED, FakePicamera2, plain


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Ten frames at 5 a second: five blue ones, then five red ones."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 5.0, (64, 48))
    for number in range(10):
        writer.write(plain(BLUE if number < 5 else RED))
    writer.release()
    return path


@pytest.fixture
def picamera2(monkeypatch: pytest.MonkeyPatch) -> type[FakePicamera2]:
    class Fresh(FakePicamera2):
        pass

    module = types.ModuleType("picamera2")
    module.Picamera2 = Fresh  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "picamera2", module)
    return Fresh
