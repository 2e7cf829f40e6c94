"""The demo clip, for a first run without a camera, and what is true of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edge.board.findings import Finding, Machine
    from edge.cameras.sources import Place
    from edge.cameras.video import VideoFile

DEMO_CLIP = Path(__file__).with_name("demo.mp4")
"""640x480 video of people at a doorway, on its own clock."""

DEMO_TRUTH = Path(__file__).with_name("demo.json")
"""What happens in it: fps, seconds, the visits with verdict and times in seconds, and their totals."""

WAITS = False


def matches(source: str) -> bool:
    return source == "demo"


def open_source(_: str, place: Place) -> VideoFile:
    from edge.cameras.video import VideoFile

    return VideoFile(place.demo, name="demo")


def examine(_: Machine, source: str) -> Iterator[Finding]:
    from edge.cameras.video import no_camera

    yield no_camera(source)
