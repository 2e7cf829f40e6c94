"""maskgate whose network camera never returns from a read once a file exists: ``... FILE run ARGUMENTS``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path
from typing import NoReturn

from edge import cli
from edge.cameras.http import MjpegCamera
from edge.values import Frame


def main() -> NoReturn:
    block, read = Path(sys.argv[1]), MjpegCamera.read

    def read_or_block(camera: MjpegCamera) -> Frame:
        if block.exists():
            threading.Event().wait()
        return read(camera)

    MjpegCamera.read = read_or_block  # type: ignore[method-assign]
    cli.end_process(cli.main(sys.argv[2:]))


if __name__ == "__main__":
    main()
