"""Model files with some of their bytes changed: refused by their hash before any interpreter sees them."""

from __future__ import annotations

import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple, NoReturn
from unittest import mock

from edge.config import Config
from edge.errors import ModelError
from edge.vision import pipeline
from edge.vision.models import SHIPPED_MANIFEST, FaceEntry, load_model

ABOUT = "the face model's file, some of its bytes changed"
EDIT = struct.Struct("<IB")
LONGEST = 8 * EDIT.size
WORDS = ()
FILES = ("face.tflite", "mask.tflite", "manifest.json")


class Edit(NamedTuple):
    """One byte that is changed: its offset, counted round and round, and the bits that are flipped."""

    offset: int
    bits: int


def seeds() -> list[bytes]:
    """One bit at the beginning, one far inside; and no change at all."""
    return [EDIT.pack(0, 1), EDIT.pack(100_000, 128), EDIT.pack(5, 0)]


@contextmanager
def opened(folder: Path) -> Iterator[Callable[[bytes], None]]:
    """Try one."""
    for name in FILES:
        shutil.copy(SHIPPED_MANIFEST.with_name(name), folder)
    file = folder / FILES[0]
    whole = file.read_bytes()
    config = Config.model_validate({"face": {"model": f"{folder}/manifest.json#face"}})

    def attempt(data: bytes) -> None:
        edits = [Edit(*EDIT.unpack_from(data, at)) for at in range(0, len(data) - EDIT.size + 1, EDIT.size)]
        changed = bytearray(whole)
        for edit in edits:
            changed[edit.offset % len(whole)] ^= edit.bits
        if changed == whole:
            return
        with file.open("r+b") as model:
            _write(model, bytes(changed), edits)
        try:
            refuses(config)
        finally:
            with file.open("r+b") as model:
                _write(model, whole, edits)

    yield attempt


def refuses(config: Config) -> None:
    """Load the models as ``maskgate run`` does, and see that the hash stops it."""
    with mock.patch.object(pipeline, "open_model", _never):
        try:
            pipeline.load_pipeline(config)
        except ModelError as error:
            assert "is not the one in its manifest" in str(error)
            return
    raise AssertionError("an altered model was loaded")


def every_byte(folder: Path, step: int = 1) -> int:
    """Change the face model's bytes one after the other, each to its complement; how many were refused."""
    length = len(load_model("face", FaceEntry).content)
    positions = range(0, length, step)
    with opened(folder) as attempt:
        for position in positions:
            attempt(EDIT.pack(position, 0xFF))
    return len(positions)


def _write(model: IO[bytes], content: bytes, edits: Sequence[Edit]) -> None:
    for edit in edits:
        position = edit.offset % len(content)
        model.seek(position)
        model.write(content[position : position + 1])


def _never(*_: object, **__: object) -> NoReturn:
    raise AssertionError("the interpreter saw an altered model")
