"""The whole appliance as a process, on the demo clip, with simulated pins and a state folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

LONG = 60.0
SOCKET = ".local/state/maskgate/control"


def environment_of(home: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Of a user who lives in ``home``, with ``settings`` by variable (``ALERTS_OUTPUT``)."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MASKGATE_", "XDG_"))}
    own = {f"MASKGATE_{name}": value for name, value in settings.items()}
    return {**inherited, "HOME": str(home), "GPIOZERO_PIN_FACTORY": "mock", **own}


def call(home: Path, *words: str, settings: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of that user to its end."""
    command = [sys.executable, "-m", "edge", *words]
    environment = environment_of(home, settings or {})
    return subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )


@contextmanager
def running_door(home: Path, settings: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A door that answers other commands of that user."""
    command = [sys.executable, "-m", "edge", "run", "--source", "demo", "--loop", "--port", "0", "--quiet"]
    with subprocess.Popen(command, env=environment_of(home, settings or {})) as process:
        try:
            deadline = time.monotonic() + LONG
            while call(home, "look", "--json").returncode if (home / SOCKET).exists() else True:
                assert time.monotonic() < deadline, "the door does not answer"
                assert process.poll() is None, "the door ended"
                time.sleep(0.2)
            yield process
        finally:
            process.terminate()
            process.wait(LONG)
