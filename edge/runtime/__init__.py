"""What runs a TFLite model. One file a runtime; ``open_model`` chooses one and says why where none works.

    model = open_model(content, "auto", threads=0)
    (scores,) = model.invoke(picture)
    scores.real()

``edge.runtime.accelerator.accelerated`` puts an Edge TPU in front of models that were opened here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from edge.board import profile_of, threads_for, usable_cores
from edge.errors import ModelError

BackendName = Literal["auto", "litert", "tflite-runtime", "tensorflow"]

BACKENDS: dict[str, str] = {
    "litert": "edge.runtime.litert",
    "tflite-runtime": "edge.runtime.tflite_runtime",
    "tensorflow": "edge.runtime.tensorflow_lite",
}
"""Backend name to module, in the order in which ``auto`` tries them."""


@dataclass(frozen=True, slots=True)
class Package:
    """Where a runtime comes from.

    Attributes:
        pip: What to ask pip for.
        distributions: Installed packages that hold it, the usual one first.
        module: Its module, for a look whether it is there.
    """

    pip: str
    distributions: tuple[str, ...]
    module: str


PACKAGES: Mapping[str, Package] = {
    "litert": Package("ai-edge-litert", ("ai-edge-litert",), "ai_edge_litert"),
    "tflite-runtime": Package("'maskgate[tflite]'", ("tflite-runtime",), "tflite_runtime"),
    "tensorflow": Package("'maskgate[train]'", ("tensorflow", "tensorflow-cpu"), "tensorflow"),
}


@dataclass(frozen=True, slots=True)
class Quantization:
    """How integers represent real numbers: real = (stored - zero_point) * scale.

    Source: https://ai.google.dev/edge/litert/models/quantization_spec
    """

    scale: float
    zero_point: int

    def stored(self, real: float) -> float:
        """The stored value for ``real``, not rounded: compare stored values with it without converting them."""
        return real / self.scale + self.zero_point


UNQUANTIZED = Quantization(1.0, 0)
"""Quantization of a tensor that stores floats."""


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output of a model: its name, its shape with the batch of 1, its type, its quantization."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quantization: Quantization = UNQUANTIZED


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """Values as a model stores them, int8 or float32, with their quantization."""

    values: NDArray[Any]
    quantization: Quantization = UNQUANTIZED

    def real(self, where: Any = ...) -> NDArray[np.float32]:
        """The real numbers of the values at the index ``where``, float32."""
        real: NDArray[np.float32] = np.asarray(self.values[where], np.float32)
        if self.quantization != UNQUANTIZED:
            real = (real - np.float32(self.quantization.zero_point)) * np.float32(self.quantization.scale)
        return real


class Model(Protocol):
    """A model that is loaded and ready.

    Attributes:
        runtime: What runs it, for people: ``litert, 2 threads``.
        input: Its only input.
        outputs: Its outputs. Their order means nothing: the converter may swap them.
    """

    runtime: str
    input: TensorSpec
    outputs: tuple[TensorSpec, ...]

    def invoke(self, values: NDArray[Any]) -> Sequence[Tensor]:
        """Run the model once.

        Args:
            values: Of the shape and type of ``input``, already quantized.

        Returns:
            The outputs in the order of ``outputs``; the caller owns them.
        """
        ...


def open_model(content: bytes, backend: BackendName = "auto", threads: int = 0, *, name: str = "the model") -> Model:
    """Load a model into the first runtime that takes it.

    Args:
        content: Of a .tflite file.
        backend: A runtime's name, or ``auto`` for the first of ``BACKENDS`` that works.
        threads: 0 for what suits the board; see ``default_threads``.
        name: What to call the model in an error.

    Raises:
        ModelError: No runtime could; the text says what was tried, why each failed, and what to do.
    """
    names = tuple(BACKENDS) if backend == "auto" else (backend,)
    absent, refused = [], []
    for candidate in names:
        try:
            return _opener(candidate)(content, threads or default_threads())
        except ImportError as error:  # noqa: PERF203
            absent.append(f"{candidate} cannot be used ({_first_line(error)})")
        except (ValueError, RuntimeError) as error:
            refused.append(f"{candidate} refused it ({_first_line(error)})")
    remedy = f"pip install {PACKAGES[names[0]].pip}"
    if refused:
        remedy = f"restore its file, or bring the runtime up to date: pip install --upgrade {PACKAGES[names[0]].pip}"
    raise ModelError(f"No runtime can run {name}: {'; '.join(refused + absent)}; {remedy}")


def open_delegated(content: bytes, backend: str, library: str, options: Mapping[str, str]) -> Model:
    """Load a model into a runtime together with a delegate: another library that takes over operations.

    Args:
        content: Of a .tflite file.
        backend: A runtime's name.
        library: Of the delegate: a name that the system's loader knows, or a path.
        options: For the delegate.

    Raises:
        ImportError: The runtime is not installed.
        OSError: The library is absent or not for this machine.
        ValueError: The delegate refused.
        RuntimeError: The runtime cannot prepare the model: the delegate took over none of what it alone can run.
    """
    module = importlib.import_module(BACKENDS[backend])
    return cast("Model", module.open_delegated(content, library, options))


def default_threads() -> int:
    """What the table of boards says, else half the cores that this process may use, at least 1 and at most 4."""
    return threads_for(profile_of(), usable_cores())


def _opener(name: str) -> Callable[[bytes, int], Model]:
    module = importlib.import_module(BACKENDS[name])
    return cast("Callable[[bytes, int], Model]", module.open_model)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__).rstrip(".")
