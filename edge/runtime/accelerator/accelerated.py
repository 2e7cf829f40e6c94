"""Models that run on an Edge TPU while there is one that works, and on the processor whenever there is not.

    accelerator = Accelerator([face, mask], [face_compiled, mask_compiled], Wish("auto"), clock, state=folder)
    face, mask = accelerator.models

A run that the Edge TPU fails, or does not finish in a second, is done again on the processor, in the same call. The
Edge TPU is opened in its own thread, at the start and then with growing pauses.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

from edge.clock import Clock, rfc3339
from edge.messages import message
from edge.pacing import Backoff
from edge.runtime import PACKAGES, Model, Tensor
from edge.runtime.accelerator.edgetpu import EdgeTpu, EdgeTpuCrashError, EdgeTpuError, Interface, Order, find_devices

FIRST_PAUSE = 10.0
"""Pause before a failed Edge TPU is opened again, in seconds; doubles with every failure."""
LONGEST_PAUSE = 600.0
TRUSTED_AFTER = 60.0
"""After this long in service, the pause is reset, in seconds."""
MEMORY = "edgetpu.json"
"""File in the state folder with the probe's results, by library, versions and device."""
LIBRARY_FOLDERS = ("usr/local/lib", "usr/lib", "lib")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What the settings ask for.

    Attributes:
        kind: ``auto`` takes an Edge TPU where there is one and does not complain where there is none.
        device: ``usb:0``, ``pci:1``, or empty for the first.
        library: The delegate: its name, or the path of one's own.
    """

    kind: Literal["auto", "edgetpu", "cpu"] = "auto"
    device: str = ""
    library: str = "libedgetpu.so.1"


class Tpu(Protocol):
    """What is needed of an open Edge TPU; see ``edge.runtime.accelerator.edgetpu.EdgeTpu``."""

    interfaces: tuple[Interface, ...]

    def invoke(self, model: int, values: NDArray[Any]) -> Sequence[Tensor]:
        """Run a model once."""
        ...

    def close(self) -> None:
        """Release it."""
        ...


class Accelerator:
    """Decides, run by run, where models run.

    Args:
        models: Opened on the processor: what to fall back on, and the interfaces that the compiled ones must have.
        compiled: Content of their variants for the Edge TPU, in the same order.
        wish: What the settings ask for.
        clock: The machine's.
        state: Folder in which to remember what the probe found.
        root: Where /dev, /sys and /usr are.
        open_tpu: Opens the Edge TPU.

    Attributes:
        models: As the vision code takes them.
        trouble: Why models run on the processor though an Edge TPU was asked for or found, as a sentence.
        expected: Whether an Edge TPU was asked for or found, so that it counts where models run.
    """

    def __init__(
        self,
        models: Sequence[Model],
        compiled: Sequence[bytes],
        wish: Wish,
        clock: Clock,
        *,
        state: Path,
        root: Path = Path("/"),
        open_tpu: Callable[[Order, Sequence[bytes]], Tpu] = EdgeTpu.open,
    ) -> None:
        self.models = tuple(AcceleratedModel(self, number, model) for number, model in enumerate(models))
        self.trouble: str | None = None
        self.expected = wish.kind == "edgetpu"
        self._compiled, self._wish, self._clock, self._open = compiled, wish, clock, open_tpu
        self._root = root
        self._order = Order(models[0].runtime.partition(",")[0], wish.library, wish.device)
        self._memory = ProbeMemory(state / MEMORY, probe_key(self._order, root), clock)
        self._lock = threading.Lock()
        self._tpu: Tpu | None = None
        self._since = 0.0
        self._attempt: threading.Thread | None = None
        self._closed = False
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._next = clock.monotonic()
        if crash := self._memory.crash():
            self._next += LONGEST_PAUSE
            self._complain(f"its library crashed here before ({crash})")

    @property
    def active(self) -> bool:
        """Whether models run on the Edge TPU now."""
        return self._tpu is not None

    @property
    def preferred(self) -> bool:
        """Whether to run what it holds: an Edge TPU was asked for or found, or nobody has looked for one yet."""
        return self.expected or self._attempt is None

    def invoke(self, number: int, values: NDArray[Any]) -> Sequence[Tensor] | None:
        """Run a model on the Edge TPU; None if it is to run on the processor.

        Args:
            number: The model's place.
            values: Of the shape and type of its input, already quantized.
        """
        tpu = self._tpu
        if tpu is None:
            self._try_again()
            return None
        try:
            return tpu.invoke(number, values)
        except EdgeTpuError as error:
            self._lose(tpu, error)
            return None

    def close(self) -> None:
        """Release the Edge TPU. Safe to call twice."""
        with self._lock:
            self._closed = True
            tpu, self._tpu = self._tpu, None
        if tpu:
            tpu.close()

    def _try_again(self) -> None:
        if self._clock.monotonic() < self._next or (self._attempt and self._attempt.is_alive()):
            return
        self._next = self._clock.monotonic() + self._backoff.next()
        self._attempt = threading.Thread(target=self._connect, name="edge tpu", daemon=True)
        self._attempt.start()

    def _connect(self) -> None:
        found = find_devices(self._root)
        self.expected = bool(found) or self._wish.kind == "edgetpu"
        if not found or (self._wish.device and self._wish.device not in found):
            self._absent(found)
            return
        try:
            tpu = self._open(self._order, self._compiled)
        except EdgeTpuCrashError as error:
            self._memory.note(str(error))
            self._complain(message("edgetpu.library", error=str(error)))
            return
        except EdgeTpuError as error:
            self._complain(str(error))
            return
        if not self._fits(tpu):
            tpu.close()
            self._complain(message("edgetpu.other_models"))
            return
        self._memory.note(None)
        self._take(tpu)

    def _absent(self, found: Sequence[str]) -> None:
        if self._wish.kind == "edgetpu" or found:
            listed = ", ".join(found) or "-"
            asked = self._wish.device
            absent = message("edgetpu.absent", device=asked, found=listed) if asked else message("edgetpu.none")
            self._complain(absent)
        else:
            self.trouble = None

    def _fits(self, tpu: Tpu) -> bool:
        """Whether the compiled models take and give what the others do; the order of outputs means nothing."""
        return all(
            (mine.input.shape, mine.input.dtype) == (theirs.input.shape, theirs.input.dtype)
            and sorted(one.shape for one in mine.outputs) == sorted(one.shape for one in theirs.outputs)
            for mine, theirs in zip(self.models, tpu.interfaces, strict=True)
        )

    def _take(self, tpu: Tpu) -> None:
        with self._lock:
            if not self._closed:
                self._since, self._tpu, self.trouble = self._clock.monotonic(), tpu, None
                log.info("Models run on the Edge TPU %s.", self._wish.device or "that was found")
                return
        tpu.close()

    def _lose(self, tpu: Tpu, error: EdgeTpuError) -> None:
        with self._lock:
            self._tpu = None
        tpu.close()
        now = self._clock.monotonic()
        if now - self._since >= TRUSTED_AFTER:
            self._backoff.reset()
        self._next = now + self._backoff.pause
        self._complain(str(error))

    def _complain(self, why: str) -> None:
        trouble = message("board.no_tpu", why=why)
        if trouble != self.trouble:
            log.warning("%s", trouble)
        self.trouble = trouble


class AcceleratedModel:
    """A ``Model`` that an ``Accelerator`` may run elsewhere.

    Outputs keep the quantization of where they were computed.
    """

    def __init__(self, accelerator: Accelerator, number: int, model: Model) -> None:
        """Put ``accelerator`` in front of its ``number``th model."""
        self.runtime = f"Edge TPU where it works, else {model.runtime}"
        self.input, self.outputs = model.input, model.outputs
        self._accelerator, self._number, self._model = accelerator, number, model

    def invoke(self, values: NDArray[Any]) -> Sequence[Tensor]:
        """Run the model once; see ``edge.runtime.Model``."""
        outputs = self._accelerator.invoke(self._number, values)
        return self._model.invoke(values) if outputs is None else outputs


class ProbeMemory:
    """Remembers whether a library crashed when it was tried, until it, a version or the device changes.

    Args:
        path: Of the file; one that cannot be read or written is done without.
        key: What was tried.
        clock: Dates the entry.
    """

    def __init__(self, path: Path, key: str, clock: Clock) -> None:
        self._path, self._key, self._clock = path, key, clock

    def crash(self) -> str | None:
        """What happened when it was tried last, if that was a crash."""
        try:
            noted = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(noted, dict) or noted.get("key") != self._key:
            return None
        crash = noted.get("crash")
        return str(crash) if crash else None

    def note(self, crash: str | None) -> None:
        """Remember how it went: what happened, or None if it works."""
        noted = {"key": self._key, "crash": crash, "at": rfc3339(self._clock.now())}
        part = self._path.with_suffix(".part")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(noted) + "\n", "utf-8")
            part.replace(self._path)
        except OSError as error:
            log.info("The Edge TPU's probe results cannot be stored: %s.", error.strerror)


def probe_key(order: Order, root: Path = Path("/")) -> str:
    """What decides whether a library crashes, as a hash: its file, the runtime's version, the device."""
    found = library_file(order.library, root)
    file = (found.stat().st_size, found.stat().st_mtime_ns) if found else ()
    said = repr((order.library, file, order.backend, _version(order.backend), order.device))
    return hashlib.sha256(said.encode()).hexdigest()


def library_file(library: str, root: Path = Path("/")) -> Path | None:
    """The file that the loader uses for a library name, if it is where packages install it; else None."""
    if "/" in library:
        path = Path(library)
        return path.resolve() if path.is_file() else None
    folders = [root / folder for folder in LIBRARY_FOLDERS]
    places = [place for folder in folders for place in (folder, *sorted(folder.glob("*-linux-*")))]
    return next((place / library for place in places if (place / library).is_file()), None)


def _version(backend: str) -> str:
    try:
        return version(PACKAGES[backend].distributions[0])
    except PackageNotFoundError:
        return "unknown"
