"""What ``maskgate doctor`` checks about the runtimes."""

from __future__ import annotations

from collections.abc import Iterator

from edge.board import profile_of, threads_for, usable_cores
from edge.board.findings import PIP, Check, Finding, Machine, State
from edge.config import Config
from edge.runtime import PACKAGES
from edge.text import plural


def runtime(machine: Machine, config: Config) -> Iterator[Finding]:
    found = [
        f"{name} {number}"
        for package in PACKAGES.values()
        for name in package.distributions
        if (number := machine.version_of(name)) and machine.files_of(package.module) is not None
    ]
    numpy = machine.version_of("numpy") or "0"
    if not found:
        yield Finding("runtime", State.PROBLEM, "no runtime for models is installed", f"{PIP} install ai-edge-litert")
    elif found[0].startswith("tflite-runtime") and int(numpy.split(".")[0]) > 1:
        yield Finding("runtime", State.PROBLEM, f"{found[0]} crashes with numpy {numpy}", f"{PIP} install 'numpy<2'")
    else:
        threads = config.runtime.threads or threads_for(profile_of(machine.root), usable_cores())
        yield Finding("runtime", State.OK, f"{', '.join(found)}, {plural(threads, 'thread')}")


CHECKS: tuple[Check, ...] = (runtime,)
