"""The demo clip, for a first run without a camera, and what is true of it."""

from __future__ import annotations

from pathlib import Path

DEMO_CLIP = Path(__file__).with_name("demo.mp4")
"""640x480 video of people at a doorway, on its own clock."""

DEMO_TRUTH = Path(__file__).with_name("demo.json")
"""What happens in it: fps, seconds, the visits with verdict and times in seconds, and their totals."""
