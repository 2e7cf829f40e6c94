"""``maskgate doctor``: what this machine has, what is missing, and the command that mends it."""

from __future__ import annotations

import argparse
import ctypes
import errno
import importlib
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from edge.board import (
    Profile,
    camera_sensors,
    gpio_chips,
    kernel_release,
    memory_bytes,
    model_name,
    power_warnings,
    profile_of,
    read_board,
    slowed_by,
    system_name,
    temperature_celsius,
    threads_for,
    usable_cores,
)
from edge.cameras.address import is_url, without_secrets
from edge.cameras.devices import Device, capture_device, devices
from edge.clock import SystemClock
from edge.config import Config, Settings
from edge.errors import CameraError, MaskgateError

if TYPE_CHECKING:
    from edge.vision.models import ModelEntry

MEBI = 2**20
PIP = f"{sys.executable} -m pip"
LEAST_MEMORY = 200 * MEBI
"""What maskgate and a little more need, in bytes."""
LEAST_DISK = 100 * MEBI
"""Below this the store may soon find no room, in bytes."""
HOT = 80.0
"""A Raspberry Pi slows down from here, in degrees Celsius, others later."""
PCI_ID = ("0x1ac1", "0x089a")
"""Vendor and device of an Edge TPU on the PCI bus."""
TIME_ERROR = 5
"""What adjtimex(2) returns while no time server has set the clock."""
OLDEST_KERNEL = (5, 10)
"""The first Linux that has what gpiod 2 asks of it."""
WIRING = "docs/how-to/wiring.md has the pins of each board"
OLDEST_GPIOD = 2
"""The first major version of gpiod whose interface is the present one."""
PICAMERA2 = "sudo apt install python3-picamera2"
OLDER_NUMPY = f"{PIP} install 'opencv-python-headless<=4.11.0.86' 'numpy<2'"
WITH_SYSTEM = f"{sys.executable} -m venv --upgrade --system-site-packages {sys.prefix}"
POWER_REMEDY = "use the board's own power supply and a short cable"
HEAT_REMEDY = "give it air or a heat sink"
JETPACK_OPENCV = f"sudo apt install python3-opencv; {PIP} uninstall -y opencv-python-headless opencv-python"
RUNTIMES = {
    "ai-edge-litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
    "tensorflow": "tensorflow",
    "tensorflow-cpu": "tensorflow",
}
"""Distributions that can run a model, best first, and the module of each."""


class State(str, Enum):
    """How much a finding matters."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    Attributes:
        name: What.
        state: ``problem`` keeps maskgate from running at a door; ``warning`` limits it.
        text: What was found.
        remedy: The command that mends it, or what to do by hand.
    """

    name: str
    state: State
    text: str
    remedy: str | None = None


def clock_is_set() -> bool | None:
    """Whether a time server has set the clock; None where the kernel does not say."""
    read_only = ctypes.create_string_buffer(512)
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(read_only)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != TIME_ERROR


def opencv_build() -> str:
    """What OpenCV was built with, as it says itself; nothing where it does not load."""
    try:
        return str(importlib.import_module("cv2").getBuildInformation())
    except (ImportError, AttributeError):
        return ""


def installed_version(distribution: str) -> str | None:
    """The version of an installed distribution, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def module_files(module: str) -> tuple[Path, ...] | None:
    """The folders of an importable module, without importing it; None where there is none."""
    spec = importlib.util.find_spec(module)
    return None if spec is None else tuple(map(Path, spec.submodule_search_locations or ()))


def pi_camera() -> str:
    """The model of the first Pi camera.

    Raises:
        NoPiCameraError: picamera2 is not installed, cannot be loaded or sees no camera.
    """
    from edge.cameras.picam import require_pi_camera

    return require_pi_camera()


def sees_system_packages() -> bool:
    """Whether packages of the operating system can be imported: not from an environment that was made without them."""
    with suppress(OSError):
        text = (Path(sys.prefix) / "pyvenv.cfg").read_text("utf-8")
        return re.search(r"^include-system-site-packages\s*=\s*true", text, re.MULTILINE) is not None
    return True


@dataclass(frozen=True, slots=True)
class Machine:
    """What is looked at, replaceable part by part.

    Attributes:
        root: Where /proc, /sys, /dev and /etc are.
        python: (major, minor) of the interpreter.
        architecture: As ``uname -m`` says it.
        version_of: Version of an installed distribution.
        files_of: Folders of an importable module.
        query: What the kernel says of a video node.
        pi_camera: The model of the first Pi camera.
        opencv_build: What OpenCV was built with.
        clock_is_set: Whether a time server has set the clock.
        program: Where a command is.
        sees_system: Whether this Python finds the packages of the operating system.
    """

    root: Path = Path("/")
    python: tuple[int, int] = sys.version_info[:2]
    architecture: str = field(default_factory=platform.machine)
    version_of: Callable[[str], str | None] = installed_version
    files_of: Callable[[str], tuple[Path, ...] | None] = module_files
    query: Callable[[Path], Device | None] = capture_device
    pi_camera: Callable[[], str] = pi_camera
    opencv_build: Callable[[], str] = opencv_build
    clock_is_set: Callable[[], bool | None] = clock_is_set
    program: Callable[[str], str | None] = shutil.which
    sees_system: bool = field(default_factory=sees_system_packages)

    def text(self, path: str) -> str:
        """The content of a file of the system, by its path from the root, or nothing."""
        try:
            return (self.root / path).read_text("utf-8", "replace").strip("\0\n ")
        except OSError:
            return ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Print the findings, and return the exit code: 1 if maskgate cannot run at a door here, else 0."""
    machine = Machine()
    findings = examine(machine, settings.config)
    problems = sum(finding.state is State.PROBLEM for finding in findings)
    if args.json:
        board = asdict(read_board(machine.root, machine.architecture))
        del board["profile"]["pattern"]
        said = {"ok": not problems, "board": board, "findings": [asdict(one) for one in findings]}
        print(json.dumps(said, indent=2))  # noqa: T201
    else:
        print(as_text(findings))  # noqa: T201
    return 1 if problems else 0


def examine(machine: Machine, config: Config) -> list[Finding]:
    """Look at everything."""
    checks: Iterable[Callable[[Machine, Config], Iterable[Finding]]] = (
        _board,
        _python,
        _memory,
        _opencv,
        _runtime,
        _models,
        _camera,
        _gpio,
        _sound,
        _quiet_hours,
        _accelerator,
        _screens,
        _disk,
        _clock,
        _temperature,
        _throttled,
    )
    return list(dict.fromkeys(finding for check in checks for finding in check(machine, config)))


def as_text(findings: Iterable[Finding]) -> str:
    """The findings for people: a line each, the remedy below, the conclusion at the end."""
    lines = []
    states = []
    for one in findings:
        states.append(one.state)
        lines.append(f"{one.state.value:8} {one.name:12} {one.text}")
        if one.remedy:
            lines.append(f"{'':21} -> {one.remedy}")
    problems, warnings = states.count(State.PROBLEM), states.count(State.WARNING)
    conclusion = "maskgate cannot run at a door here yet" if problems else "maskgate can run at a door here"
    return "\n".join([*lines, "", f"{conclusion}: {_plural(problems, 'problem')}, {_plural(warnings, 'warning')}."])


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _board(machine: Machine, _: Config) -> Iterator[Finding]:
    yield Finding("board", State.OK, f"{model_name(machine.root)}, {machine.architecture}")
    name = system_name(machine.root)
    if machine.architecture in ("armv6l", "armv7l"):
        yield Finding(
            "system",
            State.WARNING,
            f"{name} is a 32-bit system, for which LiteRT has no package",
            "flash the 64-bit Raspberry Pi OS",
        )
    else:
        yield Finding("system", State.OK, f"{name}, Linux {kernel_release(machine.root) or 'of unknown version'}")


def _python(machine: Machine, _: Config) -> Iterator[Finding]:
    text = ".".join(map(str, machine.python))
    if (3, 10) <= machine.python <= (3, 13):
        yield Finding("python", State.OK, text)
    else:
        yield Finding("python", State.PROBLEM, f"{text} is not supported", "use Python 3.10 to 3.13")


def _memory(machine: Machine, _: Config) -> Iterator[Finding]:
    total, free = memory_bytes(machine.root)
    text = f"{free // MEBI} MiB free of {total // MEBI} MiB"
    if free < LEAST_MEMORY:
        yield Finding(
            "memory", State.WARNING, f"{text}; maskgate may need 200", "stop what is not needed: ps aux --sort=-rss"
        )
    else:
        yield Finding("memory", State.OK, text)


def _opencv(machine: Machine, _: Config) -> Iterator[Finding]:
    kinds = {kind: machine.version_of(kind) for kind in ("opencv-python-headless", "opencv-python")}
    installed = [f"{kind} {number}" for kind, number in kinds.items() if number]
    numpy = machine.version_of("numpy")
    with_numpy = f"{' and '.join(installed) or 'OpenCV of the system'}, numpy {numpy}"
    if not numpy or machine.files_of("cv2") is None:
        yield Finding("opencv", State.PROBLEM, "OpenCV or numpy is not installed", f"{PIP} install maskgate")
    elif not _imports("cv2"):
        yield Finding(
            "opencv",
            State.PROBLEM,
            f"{with_numpy} do not load together",
            OLDER_NUMPY,
        )
    elif len(installed) > 1:
        yield Finding(
            "opencv",
            State.WARNING,
            f"{with_numpy}: two OpenCV packages overwrite each other",
            f"{PIP} uninstall -y opencv-python-headless; {PIP} install --force-reinstall --no-deps opencv-python",
        )
    else:
        yield Finding("opencv", State.OK, with_numpy)


def _imports(module: str) -> bool:
    try:
        importlib.import_module(module)
    except (ImportError, AttributeError, ValueError):  # what a NumPy that a package was not built for raises
        return False
    return True


def _runtime(machine: Machine, config: Config) -> Iterator[Finding]:
    found = [
        f"{name} {number}"
        for name, module in RUNTIMES.items()
        if (number := machine.version_of(name)) and machine.files_of(module) is not None
    ]
    numpy = machine.version_of("numpy") or "0"
    if not found:
        yield Finding("runtime", State.PROBLEM, "nothing that can run a model", f"{PIP} install ai-edge-litert")
    elif found[0].startswith("tflite-runtime") and int(numpy.split(".")[0]) > 1:
        yield Finding("runtime", State.PROBLEM, f"{found[0]} crashes with numpy {numpy}", f"{PIP} install 'numpy<2'")
    else:
        threads = config.runtime.threads or threads_for(profile_of(machine.root), usable_cores())
        yield Finding("runtime", State.OK, f"{', '.join(found)}, {_plural(threads, 'thread')}")


def _models(_: Machine, config: Config) -> Iterator[Finding]:
    from edge.vision.models import FaceEntry, MaskEntry

    for reference, kind in ((config.face.model, FaceEntry), (config.mask.model, MaskEntry)):
        yield _model(reference, kind)


def _model(reference: str, kind: type[ModelEntry]) -> Finding:
    from edge.vision.models import load_model

    try:
        model = load_model(reference, kind)
    except MaskgateError as error:
        return Finding(
            "models", State.PROBLEM, str(error), "git checkout -- edge/vision/models (in a clone), or install again"
        )
    size = model.entry.input
    return Finding("models", State.OK, f"{model.name}: {model.path.name}, {size.width}x{size.height}, hash proved")


def _camera(machine: Machine, config: Config) -> Iterator[Finding]:
    found = [*_pi_camera(machine), *_video_nodes(machine)]
    source = config.camera.source
    recording = source == "demo" or _exists(Path(source).expanduser())
    yield from found
    if source.startswith("csi:"):
        yield _module(machine, source)
    elif is_url(source):
        yield Finding("camera", State.OK, f"camera.source is {without_secrets(source)}, which is not tried here")
    elif recording and not source.startswith("/dev/"):
        yield Finding("camera", State.WARNING, f"camera.source is {source}, no camera", 'set camera.source = "auto"')
    elif not found:
        yield _no_camera(machine, profile_of(machine.root), camera_sensors(machine.root))


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that no file system could hold
        return False


def _no_camera(machine: Machine, profile: Profile, sensors: list[str]) -> Finding:
    kinds = "no camera module and no USB camera" if profile.camera else "no USB camera"
    text, remedy = kinds, "plug one in; check: lsusb"
    if sensors and profile.camera == "gstreamer":
        text = f"the camera module {', '.join(sensors)} is taken only where it is named"
        remedy = 'set camera.source = "csi:0"'
    elif sensors and profile.camera == "picamera2":
        return _unseen(machine, ", ".join(sensors))
    elif profile.camera == "picamera2":
        remedy = "plug one in; check: lsusb, rpicam-hello --list-cameras"
    return Finding("camera", State.PROBLEM, text, remedy)


def _module(machine: Machine, source: str) -> Finding:
    from edge.cameras.csi import has_gstreamer

    sensors = ", ".join(camera_sensors(machine.root))
    if not has_gstreamer(machine.opencv_build()):
        text = f"{source} needs an OpenCV with GStreamer, which pip's has not"
        remedy = JETPACK_OPENCV if machine.sees_system else f"{JETPACK_OPENCV}; {WITH_SYSTEM}"
        return Finding("camera", State.PROBLEM, text, remedy)
    if not sensors:
        text = f"camera.source is {source}, and no camera module is found"
        return Finding("camera", State.PROBLEM, text, "check its ribbon cable; sudo /opt/nvidia/jetson-io/jetson-io.py")
    return Finding("camera", State.OK, f"camera module {sensors} as {source}")


def _pi_camera(machine: Machine) -> Iterator[Finding]:
    with suppress(CameraError):
        yield Finding("camera", State.OK, f"Pi camera {machine.pi_camera()}")


def _unseen(machine: Machine, sensor: str) -> Finding:
    """What keeps picamera2 from a camera module that a driver has found."""
    try:
        machine.pi_camera()
    except CameraError as error:
        why = error.__cause__
    text, remedy = f"picamera2 does not see the camera module {sensor}", "check its ribbon cable; rpicam-hello"
    if isinstance(why, ModuleNotFoundError):
        text = f"the camera module {sensor} needs picamera2, which is not installed"
        remedy = PICAMERA2
        if not machine.sees_system:
            text += " where this Python looks"
            remedy += f"; {WITH_SYSTEM}"
    elif why:
        text, remedy = f"the camera module {sensor} needs picamera2, which does not load: {why}", OLDER_NUMPY
    return Finding("camera", State.PROBLEM, text, remedy)


def _video_nodes(machine: Machine) -> Iterator[Finding]:
    for device in devices(machine.root / "dev", machine.query):
        if os.access(device.path, os.R_OK | os.W_OK):
            yield Finding("camera", State.OK, f"{device.path}: {device.card or 'in use, its name is not known'}")
        else:
            yield Finding(
                "camera",
                State.WARNING,
                f"{device.path}: this user may not use it",
                "sudo usermod -aG video $USER, then log in again",
            )


def _gpio(machine: Machine, config: Config) -> Iterator[Finding]:
    from edge.alerts.choose import wants_gpiod

    board = profile_of(machine.root)
    labels = {chip.name: f" ({chip.label})" for chip in gpio_chips(machine.root) if chip.label}
    nodes = sorted(path.name for path in (machine.root / "dev").glob("gpiochip*"))
    chips = ", ".join(f"{node}{labels.get(node, '')}" for node in nodes)
    alerts = config.alerts
    limit = State.WARNING if alerts.output == "auto" else State.PROBLEM
    if alerts.output == "none":
        yield Finding("gpio", State.OK, 'not used: alerts.output is "none"')
    elif not chips:
        yield Finding("gpio", limit, "no GPIO here: no lamp, no buzzer", 'set alerts.output = "none"')
    elif wants_gpiod(alerts, board):
        yield _gpiod(machine, chips, limit)
    elif alerts.output == "auto" and board.pins == "gpiod":
        text = f"{chips}; no pin is named that drives the alarm"
        yield _too_old(machine, limit) or Finding("gpio", limit, text, f"set alerts.led_pin and so on: {WIRING}")
    else:
        yield _gpiozero(machine, chips, limit)


def _gpiozero(machine: Machine, chips: str, limit: State) -> Finding:
    driver = next((name for name in ("lgpio", "rpi-lgpio", "pigpio") if machine.version_of(name)), None)
    gpiozero = machine.version_of("gpiozero")
    if gpiozero and driver:
        return Finding("gpio", State.OK, f"{chips}, gpiozero {gpiozero} with {driver}")
    missing = "gpiozero and lgpio are" if not gpiozero else "lgpio is"
    of_system = machine.sees_system and profile_of(machine.root).pins == "gpiozero"
    remedy = "sudo apt install python3-gpiozero python3-lgpio" if of_system else f"{PIP} install gpiozero lgpio"
    return Finding("gpio", limit, f"{chips}, but {missing} not installed", remedy)


def _too_old(machine: Machine, limit: State) -> Finding | None:
    release = kernel_release(machine.root)
    numbers = re.match(r"(\d+)\.(\d+)", release)
    if numbers is None or (int(numbers[1]), int(numbers[2])) >= OLDEST_KERNEL:
        return None
    text = f"gpiod needs Linux {'.'.join(map(str, OLDEST_KERNEL))}, and this is {release}: no lamp, no buzzer"
    return Finding("gpio", limit, text, f'install a newer system ({WIRING}), or set alerts.output = "none"')


def _gpiod(machine: Machine, chips: str, limit: State) -> Finding:
    if too_old := _too_old(machine, limit):
        return too_old
    gpiod = machine.version_of("gpiod")
    if gpiod and int(gpiod.split(".")[0]) >= OLDEST_GPIOD:
        return Finding("gpio", State.OK, f"{chips}, gpiod {gpiod}")
    missing = f"gpiod {gpiod} is too old" if gpiod else "gpiod is not installed"
    return Finding("gpio", limit, f"{chips}, but {missing}", f"{PIP} install 'gpiod>=2.1'")


def _sound(machine: Machine, config: Config) -> Iterator[Finding]:
    from edge.alerts.sound import TONE, UnplayableError, read_clip

    alerts = config.alerts
    if alerts.sound == "none":
        return
    if machine.program("aplay") is None:
        yield Finding("sound", State.WARNING, "alarms have no sound: there is no aplay", "sudo apt install alsa-utils")
    elif alerts.sound_device == "default" and "[" not in machine.text("proc/asound/cards"):
        yield Finding(
            "sound", State.WARNING, "alarms have no sound: no sound card here", "plug one in; check: aplay -l"
        )
    else:
        yield Finding("sound", State.OK, f"{alerts.sound} through {alerts.sound_device}")
    if alerts.sound != TONE:
        try:
            read_clip(Path(alerts.sound).expanduser())
        except UnplayableError as error:
            yield Finding("sound", State.WARNING, str(error), 'set alerts.sound = "tone", or to a prompt in a WAV file')


def _quiet_hours(machine: Machine, config: Config) -> Iterator[Finding]:
    hours = config.alerts.quiet_hours
    if not hours:
        return
    text = f"{hours} by this machine's time, which is {SystemClock().now().astimezone():%H:%M (%Z)} now"
    if machine.clock_is_set() is False:
        text += " and was not set by a time server"
        yield Finding("quiet hours", State.WARNING, text, "sudo timedatectl set-ntp true, or fit a real-time clock")
    else:
        yield Finding("quiet hours", State.OK, text)


def _accelerator(machine: Machine, config: Config) -> Iterator[Finding]:
    from edge.runtime.accelerator.edgetpu import find_devices

    settings, found = config.runtime, find_devices(machine.root)
    if settings.accelerator == "cpu":
        yield Finding("accelerator", State.OK, 'not used: runtime.accelerator is "cpu"')
    elif not found and _has_card(machine):
        text = "an Edge TPU card is fitted, but not its driver"
        remedy = "sudo apt install gasket-dkms, then restart (from Coral's package archive: docs/how-to/edgetpu.md)"
        yield Finding("accelerator", State.WARNING, text, remedy)
    elif not found:
        yield _no_accelerator(profile_of(machine.root), settings.accelerator == "edgetpu")
    elif settings.device and settings.device not in found:
        text = f"there is no {settings.device}; found: {', '.join(found)}"
        yield Finding("accelerator", State.WARNING, text, f'set runtime.device = "{found[0]}"')
    else:
        yield _edge_tpu(machine, config, f"Edge TPU {', '.join(found)}")
    yield from _pycoral(machine)


def _has_card(machine: Machine) -> bool:
    cards = (machine.root / "sys/bus/pci/devices").glob("*")
    ids = (
        tuple(machine.text(f"{card.relative_to(machine.root)}/{name}") for name in ("vendor", "device"))
        for card in cards
    )
    return PCI_ID in ids


def _no_accelerator(profile: Profile, asked_for: bool) -> Finding:
    if profile.edge_tpu:
        text = f"the Edge TPU of the {profile.name} does not show"
        return Finding("accelerator", State.WARNING, text, "sudo apt update && sudo apt full-upgrade, then restart")
    if asked_for:
        text = "runtime.accelerator asks for an Edge TPU, and none is here"
        return Finding("accelerator", State.WARNING, text, "plug it in; check: lsusb -d 18d1:9302, ls /dev/apex_*")
    return Finding("accelerator", State.OK, "none; models run on the processor")


def _edge_tpu(machine: Machine, config: Config, what: str) -> Finding:
    from edge.runtime.accelerator.accelerated import library_file

    name = config.runtime.edgetpu_library
    if library_file(name, machine.root) is None:
        remedy = "sudo apt install libedgetpu1-std (from Coral's package archive: docs/how-to/edgetpu.md)"
        return Finding("accelerator", State.WARNING, f"{what} without its library {name}", remedy)
    if missing := _not_compiled(config):
        text = f"{what}, but not compiled for it: {', '.join(missing)}; models run on the processor"
        return Finding("accelerator", State.WARNING, text, "make edgetpu (on an x86-64 workstation), then deploy")
    if crash := _remembered_crash(machine, config):
        text = f"{what}, but its library crashed when it was tried ({crash}); models run on the processor"
        remedy = (
            'install the libedgetpu of this TFLite version (docs/how-to/edgetpu.md), or set runtime.accelerator = "cpu"'
        )
        return Finding("accelerator", State.WARNING, text, remedy)
    return Finding("accelerator", State.OK, f"{what}, models compiled")


def _not_compiled(config: Config) -> list[str]:
    """Models without a variant for the Edge TPU; those that cannot be read at all are another finding."""
    from edge.vision.models import ModelEntry, load_model

    missing = []
    for reference in (config.face.model, config.mask.model):
        with suppress(MaskgateError):
            model = load_model(reference, ModelEntry)
            missing += [] if model.entry.edgetpu else [model.name]
    return missing


def _remembered_crash(machine: Machine, config: Config) -> str | None:
    from edge.runtime.accelerator.accelerated import DISTRIBUTIONS, MEMORY, ProbeMemory, probe_key
    from edge.runtime.accelerator.edgetpu import Order
    from edge.sinks.counts import store_path

    asked = config.runtime.backend
    installed = next((name for name, package in DISTRIBUTIONS.items() if machine.version_of(package)), "litert")
    order = Order(installed if asked == "auto" else asked, config.runtime.edgetpu_library, config.runtime.device)
    path = store_path(config.counts).with_name(MEMORY)
    return ProbeMemory(path, probe_key(order, machine.root), SystemClock()).crash()


def _pycoral(machine: Machine) -> Iterator[Finding]:
    folders = machine.files_of("pycoral")
    if folders is None:
        return
    number = machine.version_of("pycoral") or "unknown version"
    if any((folder / "utils" / "edgetpu.py").is_file() for folder in folders):
        yield Finding("pycoral", State.OK, f"Google's pycoral {number}")
    else:
        yield Finding(
            "pycoral",
            State.WARNING,
            f"the installed pycoral {number} is an unrelated tool of that name, not Google's",
            f"{PIP} uninstall -y pycoral",
        )


def _screens(_: Machine, config: Config) -> Iterator[Finding]:
    from edge.sinks.web import listen, token

    web = config.web
    if not web.enabled:
        yield Finding("screens", State.OK, "not used: web.enabled is false")
        return
    if listen.is_open(web.host):
        path = token.token_path(web, config.counts)
        try:
            token.read(path, web.host)
        except MaskgateError as error:
            remedy = f"maskgate token --file {path}"
            yield Finding("screens", State.PROBLEM, f"maskgate will not start: {error}", remedy)
    try:
        listen.bound(web.host, web.port).close()
    except OSError as error:
        why = listen.hindrance(web.host, web.port, error)
        if error.errno != errno.EADDRINUSE or not listen.is_served(web.host, web.port):
            yield Finding("screens", State.WARNING, f"cannot be served: {why.problem}", why.remedy)
            return
    yield Finding("screens", State.OK, f"at {listen.own_url(web.host, web.port)}")


def _disk(_: Machine, config: Config) -> Iterator[Finding]:
    from edge.sinks.counts import store_path

    path = store_path(config.counts)
    folder = next(parent for parent in path.parents if parent.exists())
    free = shutil.disk_usage(folder).free
    text = f"{path}, {free // MEBI} MiB free"
    if (path.exists() and not os.access(path, os.W_OK)) or not _can_create_in(folder):
        text = f"{path} cannot be written: visits would be lost at the end"
        yield Finding("disk", State.WARNING, text, f"sudo chown -R $USER {folder}, or set counts.path")
    elif free < LEAST_DISK:
        yield Finding("disk", State.WARNING, text, f"make room: du -xh {folder} | sort -h | tail")
    else:
        yield Finding("disk", State.OK, text)


def _can_create_in(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _clock(machine: Machine, _: Config) -> Iterator[Finding]:
    is_set = machine.clock_is_set()
    if is_set is None:
        yield Finding("clock", State.WARNING, "the kernel does not say whether it is set", "timedatectl")
    elif is_set:
        yield Finding("clock", State.OK, "set by a time server")
    else:
        yield Finding(
            "clock",
            State.WARNING,
            "not set by a time server: visits may bear wrong times",
            "sudo timedatectl set-ntp true",
        )


def _temperature(machine: Machine, _: Config) -> Iterator[Finding]:
    degrees = temperature_celsius(machine.root)
    if degrees is None:
        yield Finding("temperature", State.OK, "not measured here")
    elif degrees >= HOT:
        yield Finding(
            "temperature", State.WARNING, f"{degrees:.0f} °C: the processor may slow itself down", HEAT_REMEDY
        )
    else:
        yield Finding("temperature", State.OK, f"{degrees:.0f} °C")


def _throttled(machine: Machine, _: Config) -> Iterator[Finding]:
    causes, history = slowed_by(machine.root), list(power_warnings(machine.root))
    if causes:
        text = f"the board slows itself down: {', '.join(causes)}"
        yield Finding("power", State.WARNING, text, _power_remedy(causes))
    elif history:
        since = [warning.removeprefix("since boot: ") for warning in history]
        yield Finding("power", State.OK, f"well now, but since boot: {', '.join(since)}", _power_remedy(since))


def _power_remedy(causes: Iterable[str]) -> str:
    """For a lack of power, else for heat: firmware also calls itself throttled where the voltage is low."""
    return POWER_REMEDY if any("volt" in cause or "current" in cause for cause in causes) else HEAT_REMEDY
