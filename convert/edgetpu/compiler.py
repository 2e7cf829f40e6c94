"""Google's Edge TPU Compiler: finding it, running it, reading what it says.

It is a closed program for x86-64 Linux: https://coral.ai/docs/edgetpu/compiler/
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from edge.errors import ConfigError, ModelError

NAME = "edgetpu_compiler"
MAPPED = "Mapped to Edge TPU"
TIMEOUT = 900.0
"""Longest a compilation may take, in seconds; the compiler gives up by itself after 180 for a model."""
ROW = re.compile(r"^([A-Z][A-Z0-9_]*)\s+(\d+)\s+(\S.*?)\s*$", re.MULTILINE)
VERSION = re.compile(r"Edge TPU Compiler version (\S+)")
MEMORY = {
    "on_chip": "On-chip memory used for caching model parameters",
    "left_on_chip": "On-chip memory remaining for caching model parameters",
    "off_chip": "Off-chip memory used for streaming uncached model parameters",
}
REMEDY = "see which operations the prediction doubts with --report, and train or convert without them."
FAILURE = re.compile(r"fail|error|abort|invalid|not quantized", re.IGNORECASE)


class Row(NamedTuple):
    """A line of the operation log: so many operations of a kind, and what became of them."""

    operation: str
    number: int
    status: str

    @property
    def mapped(self) -> bool:
        """Whether they run on the Edge TPU."""
        return self.status == MAPPED


@dataclass(frozen=True, slots=True)
class Compiled:
    """What the compiler made of a model.

    Attributes:
        content: Of the compiled .tflite file.
        rows: Of the operation log.
        memory: ``on_chip``, ``left_on_chip`` and ``off_chip``, as the compiler words them: ``6.86MiB``.
        version: Of the compiler.
    """

    content: bytes
    rows: tuple[Row, ...]
    memory: Mapping[str, str]
    version: str


def find(given: Path | None) -> Path:
    """The compiler to run: as given, else from the PATH.

    Raises:
        ConfigError: There is none; the text says how to get it.
    """
    if given:
        if not os.access(given, os.X_OK) or given.is_dir():
            raise ConfigError(f"{given} is no program that can be run: name the edgetpu_compiler with --compiler.")
        return given.absolute()
    found = shutil.which(NAME)
    if found is None:
        here = "" if platform.machine() == "x86_64" else f", not on this {platform.machine()} machine"
        raise ConfigError(
            f"{NAME} is not on the PATH: install Google's apt package edgetpu-compiler on x86-64 Debian or "
            f"Ubuntu{here} (docs/how-to/edgetpu.md has the commands), or name it with --compiler."
        )
    return Path(found)


def compile_models(compiler: Path, models: Sequence[Path], folder: Path) -> list[Compiled]:
    """Compile models, together where there are several, so that they share the Edge TPU's memory.

    Args:
        compiler: From ``find``.
        models: Their .tflite files; the first gets the memory first.
        folder: Exists; what the compiler writes lands there.

    Returns:
        What became of each, in the same order.

    Raises:
        ModelError: The compiler failed, or left no result.
    """
    said = _run([str(compiler), "-s", "-o", str(folder), *map(str, models)])
    version = VERSION.search(said)
    return [_collect(model, folder, said, version[1] if version else "unknown") for model in models]


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a program that the operator named, and no shell
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False
        )
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run ({error.strerror}): install the compiler for x86-64.") from error
    except subprocess.TimeoutExpired as error:
        raise ModelError(
            f"The Edge TPU Compiler did not finish in {TIMEOUT:g} s: compile on a faster machine."
        ) from error
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode:
        raise ModelError(f"The Edge TPU Compiler failed with exit code {done.returncode} ({reason(said)}): {REMEDY}")
    return said


def reason(said: str) -> str:
    """The last line in which the compiler says what went wrong, else its last line."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if FAILURE.search(line)]
    specific = [line for line in telling if not line.startswith(("Compilation failed!", "Compilation child process"))]
    return (specific or telling or lines or ["it said nothing"])[-1].rstrip(".!")


def _collect(model: Path, folder: Path, said: str, version: str) -> Compiled:
    compiled = folder / f"{model.stem}_edgetpu.tflite"
    log = compiled.with_suffix(".log")
    try:
        content, rows = compiled.read_bytes(), log.read_text("utf-8", "replace")
    except OSError as error:
        raise ModelError(
            f"The Edge TPU Compiler left no {Path(str(error.filename)).name} ({reason(said)}): {REMEDY}"
        ) from error
    found = tuple(Row(name, int(count), status) for name, count, status in ROW.findall(rows))
    return Compiled(content, found, _memory(said, model.name), version)


def _memory(said: str, model: str) -> dict[str, str]:
    """The figures of the block that begins with ``Input model: MODEL``."""
    blocks = said.split("Input model: ")
    block = next((block for block in blocks[1:] if Path(block.splitlines()[0].strip()).name == model), "")
    lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
    return {key: lines[label].strip() for key, label in MEMORY.items() if label in lines}
