"""The process that holds the Edge TPU.

Started as ``python -m edge.runtime.accelerator.edgetpu_process CHANNEL MEMORY`` (two open files), only by
``edge.runtime.accelerator.edgetpu.EdgeTpu``. It ends with its parent, and the kernel ends it when a run takes too long:
a library that hangs holds Python's lock, so nothing in Python could.
"""

from __future__ import annotations

import json
import mmap
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np

from edge.child import MESSAGE_BYTES, channel_and_memory
from edge.runtime import Model, open_delegated
from edge.runtime.accelerator.edgetpu import LIBRARY, OPEN_LIMIT, Interface, area, as_json, offsets
from edge.runtime.accelerator.pycoral import open_with_pycoral

GRACE = 2.0
"""How much earlier the parent's own timeout expires, in seconds."""


def main() -> int:
    """Serve until the parent closes the connection; the exit code."""
    channel, memory = channel_and_memory()
    order = json.loads(channel.recv(MESSAGE_BYTES))
    try:
        with _limit(OPEN_LIMIT + GRACE):
            models = _open(order, memory)
        interfaces = [Interface(model.input, model.outputs) for model in models]
        described = [{"input": as_json(one.input), "outputs": list(map(as_json, one.outputs))} for one in interfaces]
        channel.send(json.dumps({"interfaces": described}).encode())
        if not channel.recv(MESSAGE_BYTES):
            return 0
        view = mmap.mmap(memory, area(interfaces))
        channel.send(b"{}")
        while asked := channel.recv(MESSAGE_BYTES):
            number = json.loads(asked)["model"]
            with _limit(order["limit"] + GRACE):
                _run(models[number], interfaces[number], view)
            channel.send(b"{}")
    except (ImportError, OSError, RuntimeError, ValueError) as error:
        channel.send(json.dumps({"error": _one_line(error)}).encode())
    return 0


def _open(order: Mapping[str, Any], memory: int) -> list[Model]:
    """Load every model, and run it once: the first run is the one that crashes."""
    models, offset = [], 0
    for size in order["sizes"]:
        content = os.pread(memory, size, offset)
        offset += size
        model = _open_one(order, content)
        model.invoke(np.zeros(model.input.shape, model.input.dtype))
        models.append(model)
    return models


def _open_one(order: Mapping[str, Any], content: bytes) -> Model:
    """Through pycoral, which has its own idea of the library, unless the settings name another."""
    device, library = order["device"], order["library"]
    model = open_with_pycoral(content, device) if library == LIBRARY else None
    return model or open_delegated(content, order["backend"], library, {"device": device} if device else {})


def _run(model: Model, interface: Interface, view: mmap.mmap) -> None:
    spec = interface.input
    values = np.frombuffer(view, spec.dtype, int(np.prod(spec.shape))).reshape(spec.shape)
    for output, offset in zip(model.invoke(values), offsets(interface), strict=True):
        np.frombuffer(view, output.values.dtype, output.values.size, offset)[:] = output.values.reshape(-1)


class _limit:  # noqa: N801 - reads as a statement
    """Lets the kernel end this process where the block takes longer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return "; ".join(lines).rstrip(".")[:500] or type(error).__name__


if __name__ == "__main__":
    sys.exit(main())
