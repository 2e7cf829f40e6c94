"""maskgate with a Coral stick in a machine made of files: ``python -m tests.soak.plugged_in FOLDER run ARGUMENTS``.

The shipped models stand for compiled ones, because a delegate that claims no operation runs them as they are.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from edge import cli
from edge.door import wiring as daemon
from edge.vision import pipeline
from edge.vision.models import ModelFile

IDS = {"idVendor": "18d1", "idProduct": "9302"}


def main() -> int:
    root = Path(sys.argv[1])
    device = root / "sys/bus/usb/devices/1-1"
    device.mkdir(parents=True)
    for name, value in IDS.items():
        (device / name).write_text(f"{value}\n")

    def content(model: ModelFile) -> bytes:  # type: ignore[type-arg]
        return model.content

    pipeline.edgetpu_content = content  # type: ignore[assignment]
    daemon.Live = functools.partial(pipeline.Live, root=root)  # type: ignore[assignment,misc]
    return cli.main(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
