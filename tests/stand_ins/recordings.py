"""Recordings that are damaged, interlaced, or whose time stamps jump, made here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from edge.values import Image

FPS = 20
SIZE = (160, 120)


def picture(number: int, seed: int = 0) -> Image:
    """A picture that moves a little from one number to the next."""
    width, height = SIZE
    ramp = np.add.outer(np.arange(height), np.arange(width)) + 3 * number
    noise = np.random.default_rng(seed).integers(0, 40, (height, width))
    return np.repeat((40 + (ramp + noise) % 200).astype(np.uint8)[:, :, None], 3, axis=2)


def write(
    path: Path,
    frames: Iterable[Image],
    codec: str = "libx264",
    *,
    at: Callable[[int], int] = lambda number: number,
    size: tuple[int, int] | None = None,
    pixels: str = "yuv420p",
    **options: str,
) -> Path:
    """A recording of ``frames`` at 20 a second; ``at`` says at which frame number each is shown."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = *(size or SIZE), pixels
        stream.time_base = stream.codec_context.time_base = Fraction(1, FPS)
        for number, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            for packet in stream.encode(frame):
                _mux(container, packet, at)
        for packet in stream.encode():
            _mux(container, packet, at)
    return path


def _mux(container: av.container.OutputContainer, packet: av.Packet, at: Callable[[int], int]) -> None:
    """Write a packet; its time stamps are moved as a camera moves them whose clock is set."""
    ticks = round(1 / (FPS * packet.time_base))
    for name in ("pts", "dts"):
        stamp = getattr(packet, name)
        setattr(packet, name, stamp + (at(stamp // ticks) - stamp // ticks) * ticks)
    container.mux(packet)


SMALL = {"x264-params": "bframes=0:keyint=20", "preset": "ultrafast"}


def recording(path: Path, frames: int = 60, at: Callable[[int], int] = lambda number: number) -> Path:
    """H.264 with a whole picture every second."""
    return write(path, (picture(number, number) for number in range(frames)), at=at, **SMALL)


def damaged(path: Path, frames: int = 180, share: float = 0.01, at: float = 0.5) -> Path:
    """The same with a share of its bytes zeroed."""
    content = bytearray(recording(path, frames).read_bytes())
    begin, length = round(at * len(content)), round(share * len(content))
    content[begin : begin + length] = bytes(length)
    path.write_bytes(content)
    return path


def interlaced(path: Path, frames: int = 20) -> Path:
    """H.264 in fields, as analogue cameras behind an encoder send it."""
    params = {"x264-params": "interlaced=1:bframes=0:tff=1", "preset": "ultrafast"}
    return write(path, (picture(number) for number in range(frames)), **params)
