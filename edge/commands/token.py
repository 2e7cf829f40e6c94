"""``maskgate token``: what opens the screens to the network."""

from __future__ import annotations

import argparse
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import StoreError

if TYPE_CHECKING:
    from edge.config import Settings

SUMMARY = "make the token that opens the pages to the network"
ABOUT = "Make a token that opens the pages to the network, and print it once. Only its hash is kept."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help="keep the hash there (default: web.token_file, else next to the counts)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Make a token, print it once, and return the exit code.

    Raises:
        StoreError: Its file cannot be written.
    """
    from edge.sinks.web import token
    from edge.sinks.web.loopback import is_loopback_name

    web = settings.config.web
    usual = token.token_path(web, settings.config.counts)
    path = args.file or usual
    try:
        made = token.make(path)
    except OSError as error:
        raise StoreError(
            f"Cannot write the token file {path}: {error.strerror}; run this as the user that maskgate runs as, or as "
            "root."
        ) from error
    lines = [
        f"Token: {made}",
        f"It is shown this once; {path} keeps only its hash. A token made before is void.",
    ]
    if path != usual:
        lines.append(f'Set token_file = "{path.absolute()}" under [web] in the configuration.')
    if is_loopback_name(web.host):
        lines.append('Set host = "0.0.0.0" under [web] in the configuration to be reached from the network.')
    lines += [
        "From then on programs on this device need it, too; only the kiosk does not.",
        f"Restart maskgate, open http://{socket.gethostname()}:{web.port or '<port>'}/login and enter the token;",
        "programs send it as a header: Authorization: Bearer <token>",
    ]
    print("\n".join(lines))
    return 0
