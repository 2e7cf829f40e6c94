"""Models on an Edge TPU, and on the processor whenever it is absent, pulled out, silent or its library crashes.

The library is a real one, compiled here for the real runtime: a TFLite delegate that behaves as a test needs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from edge.config import Config, load
from edge.door import wiring as daemon
from edge.errors import ModelError
from edge.runtime import Model, Tensor, open_model
from edge.runtime.accelerator import accelerated as accelerator_module
from edge.runtime.accelerator.accelerated import FIRST_PAUSE, LONGEST_PAUSE, TRUSTED_AFTER, Accelerator, Wish
from edge.runtime.accelerator.edgetpu import (
    INVOKE_LIMIT,
    LIBRARY,
    EdgeTpu,
    EdgeTpuCrashError,
    EdgeTpuError,
    Interface,
    Order,
    find_devices,
)
from edge.runtime.accelerator.pycoral import is_googles
from edge.sinks.metrics import Metrics
from edge.status import CameraState, Status
from edge.values import Frame
from edge.vision import pipeline
from edge.vision.models import FaceEntry, MaskEntry, load_model
from edge.vision.pipeline import Live, load_pipeline
from tests.nonempty import some
from tests.stand_ins.clock import ManualClock
from tests.stand_ins.edgetpu_stand_in import with_custom_op

SOURCE = Path(__file__).parents[1] / "stand_ins/native" / "delegate.c"
PATIENCE = 60.0
"""Longest a loaded machine may take to start a process, in seconds."""

Library = Callable[[str], str]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Compiles a delegate that behaves as told; its path."""
    if not shutil.which("gcc"):
        pytest.skip("no compiler for a delegate: apt install gcc")
    folder = tmp_path_factory.mktemp("delegates")

    def build(behaviour: str) -> str:
        path = folder / f"{behaviour}.so"
        if not path.exists():
            subprocess.run(
                ["gcc", "-shared", "-fPIC", "-pthread", f"-D{behaviour}", "-o", str(path), str(SOURCE)], check=True
            )
        return str(path)

    return build


@pytest.fixture(scope="module")
def contents() -> list[bytes]:
    """The shipped models; a delegate that claims nothing runs them as they are, so they stand for compiled ones."""
    return [load_model("face", FaceEntry).content, load_model("mask", MaskEntry).content]


@pytest.fixture(scope="module")
def on_processor(contents: list[bytes]) -> list[Model]:
    return [open_model(content, "litert", threads=1) for content in contents]


@pytest.fixture
def sysfs(tmp_path: Path) -> Path:
    """The files of a machine with one Coral stick."""
    plug_in(tmp_path)
    return tmp_path


@pytest.fixture
def trigger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file whose appearance makes a delegate fail that does so later."""
    monkeypatch.setenv("DELEGATE_TRIGGER", str(tmp_path / "pulled out"))
    return tmp_path / "pulled out"


def plug_in(root: Path, name: str = "1-1", ids: tuple[str, str] = ("18d1", "9302")) -> Path:
    device = root / "sys/bus/usb/devices" / name
    device.mkdir(parents=True)
    for file, content in zip(("idVendor", "idProduct"), ids, strict=True):
        (device / file).write_text(f"{content}\n")
    return device


def picture(model: Model, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng(seed).integers(-128, 127, model.input.shape).astype(np.int8)


def same(one: Sequence[Tensor], other: Sequence[Tensor]) -> bool:
    return all((a.real() == b.real()).all() for a, b in zip(one, other, strict=True))


# The process that holds the Edge TPU


def test_delegate_and_cpu_agree(library: Library, contents: list[bytes], on_processor: list[Model]) -> None:
    tpu = EdgeTpu.open(Order("litert", library("BEHAVES"), "usb:0"), contents, PATIENCE)
    try:
        for seed in (1, 2):
            for number, model in some(enumerate(on_processor)):
                values = picture(model, seed)
                assert same(tpu.invoke(number, values), model.invoke(values))
    finally:
        tpu.close()
        tpu.close()
    with pytest.raises(EdgeTpuError, match="closed"):
        tpu.invoke(0, picture(on_processor[0]))


def test_compiled_models_need_a_delegate(library: Library, contents: list[bytes]) -> None:
    compiled = with_custom_op(contents[1])
    with pytest.raises(ModelError, match=r"litert refused it .*edgetpu-custom-op"):
        open_model(compiled, "litert", threads=1)
    with pytest.raises(EdgeTpuError, match="unresolved custom op: edgetpu-custom-op") as raised:
        EdgeTpu.open(Order("litert", library("BEHAVES")), [compiled], PATIENCE)
    assert not isinstance(raised.value, EdgeTpuCrashError)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("behaviour", "device", "said"),
    [("REFUSES", "", "the device is not there"), ("BEHAVES", "usb:1", "no such device")],
)
def test_a_delegate_that_refuses_is_quoted(
    library: Library, contents: list[bytes], behaviour: str, device: str, said: str
) -> None:
    with pytest.raises(EdgeTpuError, match=said) as raised:
        EdgeTpu.open(Order("litert", library(behaviour), device), contents, PATIENCE)
    assert not isinstance(raised.value, EdgeTpuCrashError)


def test_a_missing_library_is_named(contents: list[bytes]) -> None:
    with pytest.raises(EdgeTpuError, match="libedgetpu-of-nobody"):
        EdgeTpu.open(Order("litert", "libedgetpu-of-nobody.so.1"), contents, PATIENCE)


def test_a_crashing_library_costs_a_child(library: Library, contents: list[bytes]) -> None:
    with pytest.raises(EdgeTpuCrashError, match="ended by SIGABRT"):
        EdgeTpu.open(Order("litert", library("CRASHES")), contents, PATIENCE)


def test_a_hanging_library_is_ended(library: Library, contents: list[bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with pytest.raises(EdgeTpuCrashError, match="did not answer within 3 s"):
        EdgeTpu.open(Order("litert", library("HANGS")), contents, 3.0)
    assert started[0].returncode is not None


PYCORAL = """
import os
from ai_edge_litert.interpreter import Interpreter, load_delegate

def make_interpreter(model_path_or_content, device=None):
    delegate = load_delegate(os.environ["CORAL_LIBRARY"], {"device": device} if device else {})
    return Interpreter(model_content=model_path_or_content, experimental_delegates=[delegate])
"""
"""What Google's pycoral/utils/edgetpu.py offers, for the real runtime."""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: Library) -> Callable[[str], None]:
    """Puts a package ``pycoral`` with one file where a new process finds it."""

    def put(file: str) -> None:
        path = tmp_path / "site/pycoral" / file
        for folder in (path.parent, tmp_path / "site/pycoral"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "__init__.py").touch()
        path.write_text(PYCORAL)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "site"))
        monkeypatch.setenv("CORAL_LIBRARY", library("BEHAVES"))

    return put


def test_installed_pycoral_opens_the_models(
    install: Callable[[str], None], contents: list[bytes], on_processor: list[Model]
) -> None:
    install("utils/edgetpu.py")
    tpu = EdgeTpu.open(Order("litert", LIBRARY, "usb:0"), contents, PATIENCE)
    try:
        values = picture(on_processor[1])
        assert same(tpu.invoke(1, values), on_processor[1].invoke(values))
    finally:
        tpu.close()
    with pytest.raises(EdgeTpuError, match="no such device"):
        EdgeTpu.open(Order("litert", LIBRARY, "usb:1"), contents, PATIENCE)


def test_the_coral_reef_package_is_ignored(install: Callable[[str], None], contents: list[bytes]) -> None:
    install("hello.py")
    with pytest.raises(EdgeTpuError, match=re.escape(LIBRARY)):
        EdgeTpu.open(Order("litert", LIBRARY), contents, PATIENCE)


def test_a_configured_library_beats_pycoral(
    install: Callable[[str], None], library: Library, contents: list[bytes]
) -> None:
    install("utils/edgetpu.py")
    with pytest.raises(EdgeTpuError, match="the device is not there"):
        EdgeTpu.open(Order("litert", library("REFUSES")), contents, PATIENCE)


# What the kernel sees


def test_cards_and_sticks_are_numbered(tmp_path: Path) -> None:
    assert find_devices(tmp_path) == []
    (tmp_path / "dev").mkdir()
    for card in ("apex_0", "apex_1"):
        (tmp_path / "dev" / card).touch()
    plug_in(tmp_path, "1-1", ("1a6e", "089a"))
    plug_in(tmp_path, "1-2", ("18d1", "9302"))
    plug_in(tmp_path, "1-3", ("046d", "0825"))
    assert find_devices(tmp_path) == ["pci:0", "pci:1", "usb:0", "usb:1"]


@pytest.mark.parametrize(("file", "googles"), [("utils/edgetpu.py", True), ("hello.py", False)])
def test_googles_pycoral_has_an_edgetpu_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, googles: bool
) -> None:
    path = tmp_path / "pycoral" / file
    path.parent.mkdir(parents=True)
    path.touch()
    (tmp_path / "pycoral" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert is_googles() is googles


# Falling back, and coming back


@pytest.fixture
def accelerate(
    contents: list[bytes], on_processor: list[Model], sysfs: Path, library: Library
) -> Iterator[Callable[..., tuple[Accelerator, ManualClock]]]:
    """Makes an accelerator over the shipped models, with a delegate that behaves as told; closes it at the end."""
    made: list[Accelerator] = []

    def make(behaviour: str, kind: Any = "auto", device: str = "", **parts: Any) -> tuple[Accelerator, ManualClock]:
        clock = ManualClock()
        wish = Wish(kind, device, library(behaviour))
        options = {"state": sysfs / "state", "root": sysfs} | parts
        made.append(Accelerator(on_processor, contents, wish, clock, **options))
        return made[-1], clock

    yield make
    for accelerator in made:
        accelerator.close()


def use(accelerator: Accelerator, on_processor: list[Model]) -> None:
    """Judge a picture, wherever; it must come out right."""
    values = picture(on_processor[1])
    assert same(accelerator.models[1].invoke(values), on_processor[1].invoke(values))


def use_until(accelerator: Accelerator, on_processor: list[Model], happened: Callable[[], object]) -> float:
    """Judge pictures until something has happened in the background; the longest that one took, in seconds."""
    deadline, longest = time.monotonic() + PATIENCE, 0.0
    while not happened():
        began = time.monotonic()
        assert began < deadline
        use(accelerator, on_processor)
        longest = max(longest, time.monotonic() - began)
        time.sleep(0.01)
    return longest


def test_models_move_to_a_ready_tpu(accelerate: Any, on_processor: list[Model]) -> None:
    accelerator, _ = accelerate("BEHAVES")
    assert not accelerator.active
    use_until(accelerator, on_processor, lambda: accelerator.active)
    use(accelerator, on_processor)
    assert accelerator.trouble is None
    assert accelerator.models[0].runtime == "Edge TPU where it works, else litert, 1 thread"


def test_only_an_explicit_wish_complains(accelerate: Any, on_processor: list[Model], sysfs: Path) -> None:
    shutil.rmtree(sysfs / "sys")
    asking, _ = accelerate("BEHAVES", "edgetpu")
    use_until(asking, on_processor, lambda: asking.trouble)
    assert "there is no device; found: none" in asking.trouble
    content, clock = accelerate("BEHAVES")
    use(content, on_processor)
    assert (asking.expected, content.expected) == (True, False)
    plug_in(sysfs)
    clock.advance(FIRST_PAUSE)
    use_until(content, on_processor, lambda: content.active)
    assert content.trouble is None


def test_a_named_missing_device_is_reported(accelerate: Any, on_processor: list[Model]) -> None:
    accelerator, _ = accelerate("BEHAVES", device="usb:1")
    use_until(accelerator, on_processor, lambda: accelerator.trouble)
    assert "there is no usb:1; found: usb:0" in accelerator.trouble


@pytest.mark.parametrize("behaviour", ["CRASHES_LATER", "HANGS_LATER"])
def test_an_unplugged_stick_is_used_again(
    accelerate: Any, on_processor: list[Model], trigger: Path, caplog: pytest.LogCaptureFixture, behaviour: str
) -> None:
    accelerator, clock = accelerate(behaviour)
    use_until(accelerator, on_processor, lambda: accelerator.active)
    with caplog.at_level(logging.WARNING):
        trigger.touch()
        longest = use_until(accelerator, on_processor, lambda: not accelerator.active)
    assert longest < 2.0
    assert accelerator.trouble is not None
    assert accelerator.trouble in caplog.text
    trigger.unlink()
    use(accelerator, on_processor)
    assert not accelerator.active
    clock.advance(2 * FIRST_PAUSE)
    use_until(accelerator, on_processor, lambda: accelerator.active)
    assert accelerator.trouble is None


def test_a_hanging_tpu_is_abandoned(
    library: Library, contents: list[bytes], on_processor: list[Model], trigger: Path
) -> None:
    tpu = EdgeTpu.open(Order("litert", library("HANGS_LATER")), contents, PATIENCE)
    trigger.touch()
    with pytest.raises(EdgeTpuError, match=f"did not answer within {INVOKE_LIMIT:g} s"):
        while True:
            tpu.invoke(1, picture(on_processor[1]))
    tpu.close()


def test_a_crashed_library_is_remembered(accelerate: Any, on_processor: list[Model], sysfs: Path) -> None:
    accelerator, _ = accelerate("CRASHES")
    use_until(accelerator, on_processor, lambda: accelerator.trouble)
    assert "its library does not work here (its process was ended by SIGABRT" in accelerator.trouble
    tried: list[Order] = []

    def refuse(order: Order, models: Sequence[bytes]) -> EdgeTpu:
        tried.append(order)
        raise EdgeTpuError("not now")

    after_restart, clock = accelerate("CRASHES", open_tpu=refuse)
    assert "its library crashed here before" in after_restart.trouble
    use(after_restart, on_processor)
    assert not tried
    clock.advance(LONGEST_PAUSE)
    use_until(after_restart, on_processor, lambda: tried)
    replaced, _ = accelerate("BEHAVES")
    assert replaced.trouble is None
    use_until(replaced, on_processor, lambda: replaced.active)
    assert json.loads((sysfs / "state/edgetpu.json").read_text())["crash"] is None


def test_an_unusable_state_folder_is_harmless(accelerate: Any, on_processor: list[Model], sysfs: Path) -> None:
    (sysfs / "state").write_text("a file, not a folder")
    accelerator, _ = accelerate("CRASHES")
    use_until(accelerator, on_processor, lambda: accelerator.trouble)
    (sysfs / "other").mkdir()
    (sysfs / "other/edgetpu.json").write_text("[]")
    working, _ = accelerate("BEHAVES", state=sysfs / "other")
    use_until(working, on_processor, lambda: working.active)


class FakeTpu:
    """An Edge TPU that can be told to fail."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.interfaces = tuple(Interface(model.input, model.outputs) for model in models)
        self.failing = self.closed = False
        self._models = models

    def invoke(self, model: int, values: NDArray[Any]) -> Sequence[Tensor]:
        if self.failing:
            raise EdgeTpuError("it was pulled out")
        return self._models[model].invoke(values)

    def close(self) -> None:
        self.closed = True


def test_pauses_double_and_reset_after_service(accelerate: Any, on_processor: list[Model]) -> None:
    opened: list[FakeTpu] = []

    def connect(order: Order, models: Sequence[bytes]) -> FakeTpu:
        opened.append(FakeTpu(on_processor))
        return opened[-1]

    accelerator, clock = accelerate("BEHAVES", open_tpu=connect)
    for served, pause in ((0, 2), (0, 4), (0, 8), (TRUSTED_AFTER, 1), (0, 2)):
        use_until(accelerator, on_processor, lambda: accelerator.active)
        clock.advance(served)
        use(accelerator, on_processor)
        opened[-1].failing = True
        use(accelerator, on_processor)
        assert opened[-1].closed
        assert accelerator.trouble == (
            "Models run on the processor, not on the Edge TPU: it was pulled out; see maskgate doctor."
        )
        tried = len(opened)
        clock.advance(pause * FIRST_PAUSE - 1)
        use(accelerator, on_processor)
        time.sleep(0.05)
        assert len(opened) == tried
        clock.advance(1)


def test_other_compiled_models_are_refused(accelerate: Any, on_processor: list[Model]) -> None:
    swapped = FakeTpu(on_processor[::-1])
    accelerator, _ = accelerate("BEHAVES", open_tpu=lambda order, models: swapped)
    use_until(accelerator, on_processor, lambda: accelerator.trouble)
    assert "not those that the manifest describes" in accelerator.trouble
    assert swapped.closed


# The pipeline


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, contents: list[bytes]) -> None:
    """Lets the manifest name compiled variants of the shipped models."""
    found = iter(contents)
    monkeypatch.setattr(pipeline, "edgetpu_content", lambda model: next(found))


def settings(**runtime: Any) -> Config:
    return Config.model_validate({"runtime": {"threads": 1, "backend": "litert"} | runtime})


def test_the_door_says_why_not_accelerated(compiled: None, tmp_path: Path) -> None:
    clock = ManualClock()
    door = load_pipeline(settings(accelerator="edgetpu"), live=Live(clock, tmp_path))
    grey = np.full((240, 320, 3), 128, np.uint8)
    deadline = time.monotonic() + PATIENCE
    while door.trouble is None and time.monotonic() < deadline:
        door.detect(Frame.still(grey))
    assert door.trouble is not None
    assert door.trouble.startswith("Models run on the processor, not on the Edge TPU: ")
    about = {"maskgate": "1", "face": "2", "mask": "3"}
    metrics = Metrics(clock, about, 3.0)
    metrics.show(Status(at=0.0, started_at=0.0, camera=CameraState("usb:0"), accelerated=door.accelerated))
    assert b"maskgate_accelerated 0.0" in metrics.page()[0]
    door.close()


class Visible:
    """What somebody who looks after a running door can see of it, asked for over HTTP."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=5)

    def health(self) -> dict[str, Any]:
        with contextlib.suppress(httpx.TransportError):
            said: dict[str, Any] = self._client.get("/health").json()
            return said
        return {}

    def accelerated(self) -> str | None:
        found = re.search(r"^maskgate_accelerated (\S+)$", self._client.get("/metrics").text, re.MULTILINE)
        return found[1] if found else None


@pytest.fixture
def stick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the kernel see a Coral stick."""
    monkeypatch.setattr(accelerator_module, "find_devices", lambda root: ["usb:0"])


@pytest.mark.usefixtures("compiled", "stick")
@pytest.mark.parametrize("behaviour", ["CRASHES_LATER", "HANGS_LATER"])
def test_the_door_shows_an_unplugged_tpu(
    library: Library, trigger: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, behaviour: str
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    overrides = {
        "camera.source": "demo",
        "camera.loop": True,
        "runtime.edgetpu_library": library(behaviour),
        "runtime.backend": "litert",
        "counts.path": tmp_path / "counts.db",
        "alerts.output": "none",
        "web.port": port,
    }
    seen: dict[str, Any] = {}

    def look() -> None:
        visible, deadline = Visible(port), time.monotonic() + PATIENCE

        def wait_for(condition: Callable[[], bool]) -> None:
            while not condition() and time.monotonic() < deadline:
                time.sleep(0.05)

        try:
            wait_for(lambda: bool(visible.health()) and visible.accelerated() == "1.0")
            seen["before"] = (visible.health(), visible.accelerated())
            trigger.touch()
            wait_for(lambda: bool(visible.health().get("reasons")))
            seen["after"] = (visible.health(), visible.accelerated())
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    looking = threading.Thread(target=look)
    looking.start()
    assert daemon.run(load(environment={"HOME": str(tmp_path)}, overrides=overrides), daemon.Options(quiet=True)) == 0
    looking.join()
    (before, ran), (after, fell_back) = seen["before"], seen["after"]
    assert (before["status"], ran) == ("ok", "1.0")
    assert (after["status"], fell_back) == ("degraded", "0.0")
    (reason,) = after["reasons"]
    assert reason.startswith("Models run on the processor, not on the Edge TPU: ")
    assert reason in caplog.text


def test_cpu_means_only_the_cpu(compiled: None, tmp_path: Path) -> None:
    assert load_pipeline(settings(accelerator="cpu"), live=Live(ManualClock(), tmp_path)).accelerated is None


def test_stills_are_judged_on_the_cpu(compiled: None) -> None:
    assert load_pipeline(settings(accelerator="edgetpu")).accelerated is None


@pytest.mark.parametrize(("kind", "complains"), [("edgetpu", True), ("auto", False)])
def test_uncompiled_models_run_on_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str, complains: bool
) -> None:
    monkeypatch.setattr(pipeline, "edgetpu_content", lambda model: None)
    door = load_pipeline(settings(accelerator=kind), live=Live(ManualClock(), tmp_path, root=tmp_path))
    assert door.accelerated is (False if complains else None)
    assert ("make edgetpu" in (door.trouble or "")) is complains


def test_an_idle_stick_is_explained(
    monkeypatch: pytest.MonkeyPatch, sysfs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(pipeline, "edgetpu_content", lambda model: None)
    door = load_pipeline(settings(accelerator="auto"), live=Live(ManualClock(), sysfs, root=sysfs))
    assert "make edgetpu" in (door.trouble or "")
    assert door.trouble in caplog.messages
    assert door.accelerated is False


def test_devices_have_bus_and_number() -> None:
    assert settings(device="pci:1").runtime.device == "pci:1"
    with pytest.raises(ValueError, match="device"):
        settings(device="usb")
