"""Google's Edge TPU, driven from its own process, because its library can crash or hang the one that uses it.

    tpu = EdgeTpu.open(Order("litert"), [face_bytes, mask_bytes])
    tpu.invoke(0, picture)

A libedgetpu built for another TFLite ends the process at the first model; one whose device is pulled out may never
return, with Python's lock in its hands. Here either costs a child process. Opening it, with one run of every model, is
the probe. Values travel through shared memory, so that nobody waits for a reader that has stopped.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.child import Child, ChildDiedError
from edge.errors import ModelError
from edge.messages import message
from edge.runtime import Quantization, Tensor, TensorSpec

USB_IDS = frozenset({"1a6e:089a", "18d1:9302"})
"""USB ids of the Coral accelerator, before and after its firmware is loaded."""
LIBRARY = "libedgetpu.so.1"
OPEN_LIMIT = 20.0
"""Timeout for a device to get ready, in seconds: its firmware is loaded over USB first."""
INVOKE_LIMIT = 1.0
"""Timeout for a frame, in seconds: a hundred times the usual."""


class EdgeTpuError(ModelError):
    """The Edge TPU cannot be used now: absent, forbidden, pulled out, silent."""


class EdgeTpuCrashError(EdgeTpuError):
    """The library ended its process, or never returned: it will do so again until something else is installed."""


@dataclass(frozen=True, slots=True)
class Order:
    """What the child process is to open.

    Attributes:
        backend: Name of the TFLite runtime to load the delegate into, where there is no pycoral of Google's.
        library: The delegate: its name, or the path of one's own.
        device: ``usb:0``, ``pci:1``, or empty for the first.
        limit: Longest a run may take before the kernel ends the process, in seconds.
    """

    backend: str
    library: str = LIBRARY
    device: str = ""
    limit: float = INVOKE_LIMIT


class Interface(NamedTuple):
    """A model's input and outputs."""

    input: TensorSpec
    outputs: tuple[TensorSpec, ...]


def find_devices(root: Path = Path("/")) -> list[str]:
    """The Edge TPUs that the kernel sees, as ``runtime.device`` names them: ``pci:0``, ``usb:0``, ``usb:1``.

    Args:
        root: Where /dev and /sys are.
    """
    cards = sorted(path.name for path in (root / "dev").glob("apex_*"))
    sticks = [path for path in sorted((root / "sys/bus/usb/devices").glob("*")) if _usb_id(path) in USB_IDS]
    return [f"pci:{index}" for index in range(len(cards))] + [f"usb:{index}" for index in range(len(sticks))]


def _usb_id(device: Path) -> str:
    try:
        return ":".join((device / name).read_text("utf-8").strip() for name in ("idVendor", "idProduct"))
    except OSError:
        return ""


class EdgeTpu:
    """An Edge TPU with its models loaded. Not thread-safe.

    Attributes:
        interfaces: Of the models, in the order in which they were given.
    """

    def __init__(self, child: Child) -> None:
        """Take over what ``open`` started."""
        self.interfaces: tuple[Interface, ...] = ()
        self._child = child
        self._view: mmap.mmap | None = None

    @classmethod
    def open(cls, order: Order, models: Sequence[bytes], limit: float = OPEN_LIMIT) -> EdgeTpu:
        """Start the process, load the models and run each once.

        Args:
            order: What to open.
            models: Content of the compiled .tflite files.
            limit: Maximum wait, in seconds.

        Raises:
            EdgeTpuCrashError: The process died or did not answer in time.
            EdgeTpuError: The device, its library or the runtime refused.
        """
        tpu = cls(Child("edge.runtime.accelerator.edgetpu_process"))
        try:
            tpu._load(order, models, limit)
        except BaseException:
            tpu.close()
            raise
        return tpu

    def invoke(self, model: int, values: NDArray[Any]) -> list[Tensor]:
        """Run a model once.

        Args:
            model: Its place among those given to ``open``.
            values: Of the shape and type of its input.

        Raises:
            EdgeTpuError: The device failed, or did not answer in time; ``close`` it.
        """
        view = self._view
        if view is None:
            raise EdgeTpuError(message("edgetpu.closed"))
        interface = self.interfaces[model]
        np.frombuffer(view, interface.input.dtype, values.size)[:] = values.reshape(-1)
        self._ask({"model": model}, INVOKE_LIMIT)
        return read_tensors(view, interface)

    def close(self) -> None:
        """End the process, or leave it behind where it cannot be ended. Safe to call twice."""
        self._view = None
        self._child.close()

    def _load(self, order: Order, models: Sequence[bytes], limit: float) -> None:
        memory = self._child.memory
        os.truncate(memory, sum(map(len, models)))
        offset = 0
        for content in models:
            offset += os.pwrite(memory, content, offset)
        answer = self._ask({**asdict(order), "sizes": list(map(len, models))}, limit)
        self.interfaces = tuple(_interface(one) for one in answer["interfaces"])
        os.truncate(memory, area(self.interfaces))
        self._view = mmap.mmap(memory, area(self.interfaces))
        self._ask({"mapped": True}, INVOKE_LIMIT)

    def _ask(self, request: Mapping[str, Any], limit: float) -> dict[str, Any]:
        try:
            said = self._child.ask(request, limit)
        except ChildDiedError as error:
            raise EdgeTpuCrashError(str(error)) from error
        if "error" in said:
            raise EdgeTpuError(said["error"])
        return said


def area(interfaces: Sequence[Interface]) -> int:
    """Bytes of shared memory that the largest of the models needs."""
    return max(_bytes(one.input) + sum(_aligned(_bytes(spec)) for spec in one.outputs) + 64 for one in interfaces)


def read_tensors(view: mmap.mmap, interface: Interface) -> list[Tensor]:
    """Copies of a model's outputs, which lie behind its input."""
    tensors = []
    for spec, offset in zip(interface.outputs, offsets(interface), strict=True):
        values = np.frombuffer(view, spec.dtype, prod(spec.shape), offset).reshape(spec.shape).copy()
        tensors.append(Tensor(values, spec.quantization))
    return tensors


def offsets(interface: Interface) -> list[int]:
    """Where each output lies, in bytes."""
    places, at = [], _aligned(_bytes(interface.input))
    for spec in interface.outputs:
        places.append(at)
        at += _aligned(_bytes(spec))
    return places


def as_json(spec: TensorSpec) -> dict[str, Any]:
    """A tensor's description for the other process."""
    return {**asdict(spec), "dtype": spec.dtype.str, "shape": list(spec.shape)}


def _interface(said: Mapping[str, Any]) -> Interface:
    return Interface(_spec(said["input"]), tuple(_spec(one) for one in said["outputs"]))


def _spec(said: Mapping[str, Any]) -> TensorSpec:
    quantization = Quantization(said["quantization"]["scale"], said["quantization"]["zero_point"])
    return TensorSpec(said["name"], tuple(said["shape"]), np.dtype(said["dtype"]), quantization)


def _bytes(spec: TensorSpec) -> int:
    return prod(spec.shape) * spec.dtype.itemsize


def _aligned(size: int) -> int:
    return -(-size // 64) * 64
