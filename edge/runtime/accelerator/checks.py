"""What ``maskgate doctor`` checks about an Edge TPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from edge.board.findings import PIP, Check, Finding, Machine, State
from edge.clock import SystemClock
from edge.config import Config
from edge.errors import MaskgateError
from edge.runtime import PACKAGES
from edge.runtime.accelerator.accelerated import MEMORY, ProbeMemory, library_file, probe_key
from edge.runtime.accelerator.edgetpu import Order, find_devices
from edge.sinks.counts import store_path
from edge.vision.models import FaceEntry, MaskEntry, ModelEntry, load_model

PCI_ID = ("0x1ac1", "0x089a")
"""PCI vendor and device id of an Edge TPU."""


def accelerator(machine: Machine, config: Config) -> Iterator[Finding]:
    settings, found = config.runtime, find_devices(machine.root)
    if settings.accelerator == "cpu":
        yield Finding("accelerator", State.OK, 'not used: runtime.accelerator is "cpu"')
    elif not found and _has_card(machine):
        text = "an Edge TPU card is fitted, but its driver is not installed"
        remedy = "sudo apt install gasket-dkms, then restart (from Coral's package archive: docs/how-to/edgetpu.md)"
        yield Finding("accelerator", State.WARNING, text, remedy)
    elif not found:
        yield _no_accelerator(settings.accelerator == "edgetpu")
    elif settings.device and settings.device not in found:
        text = f"there is no {settings.device}; found: {', '.join(found)}"
        yield Finding("accelerator", State.WARNING, text, f'set runtime.device = "{found[0]}"')
    else:
        yield _edge_tpu(machine, config, f"Edge TPU {', '.join(found)}")
    yield from pycoral(machine)


def _has_card(machine: Machine) -> bool:
    cards = (machine.root / "sys/bus/pci/devices").glob("*")
    ids = (
        tuple(machine.text(f"{card.relative_to(machine.root)}/{name}") for name in ("vendor", "device"))
        for card in cards
    )
    return PCI_ID in ids


def _no_accelerator(asked_for: bool) -> Finding:
    if asked_for:
        text = "runtime.accelerator asks for an Edge TPU, but there is none"
        return Finding("accelerator", State.WARNING, text, "plug it in; check: lsusb -d 18d1:9302, ls /dev/apex_*")
    return Finding("accelerator", State.OK, "none; models run on the processor")


def _edge_tpu(machine: Machine, config: Config, what: str) -> Finding:
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
    """Models without a variant for the Edge TPU; unreadable models are another finding."""
    missing = []
    kinds: tuple[tuple[str, type[ModelEntry]], ...] = ((config.face.model, FaceEntry), (config.mask.model, MaskEntry))
    for reference, kind in kinds:
        with suppress(MaskgateError):
            model = load_model(reference, kind)
            missing += [] if model.entry.edgetpu else [model.name]
    return missing


def _remembered_crash(machine: Machine, config: Config) -> str | None:
    asked = config.runtime.backend
    installed = next(
        (name for name, package in PACKAGES.items() if machine.version_of(package.distributions[0])), "litert"
    )
    order = Order(installed if asked == "auto" else asked, config.runtime.edgetpu_library, config.runtime.device)
    path = store_path(config.counts).with_name(MEMORY)
    return ProbeMemory(path, probe_key(order, machine.root), SystemClock()).crash()


def pycoral(machine: Machine) -> Iterator[Finding]:
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


CHECKS: tuple[Check, ...] = (accelerator,)
