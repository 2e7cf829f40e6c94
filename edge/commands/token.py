"""``maskgate token``: what opens the screens to the network."""

from __future__ import annotations

import argparse
import json
import socket
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edge.errors import ConfigError, StoreError
from edge.streams import confirmed
from edge.text import HelpFormatter

if TYPE_CHECKING:
    from datetime import datetime

    from edge.config import Settings
    from edge.sinks.web.token import Kept

SUMMARY = "make, list and revoke the tokens that open the pages to the network"
ABOUT = (
    "Make a token that opens the pages to the network, and print it once. Only its hash is kept. A running maskgate "
    "uses it at once."
)
EXAMPLES = """\
examples:
  maskgate token                  make the token, or replace it after a question
  maskgate token --yes            the same without asking (for scripts)
  maskgate token add reception    another token, for a person or a program
  maskgate token list             names, when each was made and last used
  maskgate token revoke reception everyone who signed in with it is signed out at once
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of ``maskgate token``."""
    parser.epilog, parser.formatter_class = EXAMPLES, HelpFormatter
    _add_file(parser, None)
    parser.add_argument("--yes", action="store_true", help="replace an existing token without asking")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", title="tokens with a name")
    adding = actions.add_parser("add", help="make another token", description="Make another token, with a name.")
    adding.add_argument("name", metavar="NAME", help="a person or a program: letters, digits, - and _")
    listing = actions.add_parser(
        "list",
        help="list the tokens",
        description="List the names, when each was made and when it was last used (while the door runs to within ten "
        "minutes). The tokens themselves are not shown.",
    )
    listing.add_argument("--json", action="store_true", help="print JSON")
    revoking = actions.add_parser(
        "revoke", help="revoke a token", description="Revoke a token. Everyone who signed in with it is signed out."
    )
    revoking.add_argument("name", metavar="NAME", help="as shown by `maskgate token list`")
    for action in (adding, listing, revoking):
        _add_file(action, argparse.SUPPRESS)


def _add_file(parser: argparse.ArgumentParser, default: str | None) -> None:
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        default=default,
        help="where the hash is kept, with those of named tokens next to it (default: web.token_file, else next to "
        "the counts)",
    )


def run(args: argparse.Namespace, settings: Settings) -> int:
    """Make, list or revoke a token, and return the exit code.

    Raises:
        ConfigError: The name is not one, or a script did not say ``--yes``.
        StoreError: A file cannot be read or written.
    """
    from edge.sinks.web import token, uses

    path = args.file or token.token_path(settings.config.web, settings.config.counts)
    try:
        there = {one.name: one for one in token.kept(path)}
        if args.action == "list":
            return _list(there, uses.read(uses.path_of(settings.config.counts)), args.json)
        if args.action == "revoke":
            return _revoke(args.name, there, settings)
        return _make(args, path, there, settings)
    except OSError as error:
        what = "Cannot read the tokens at" if args.action == "list" else "Cannot write the token file"
        rights = isinstance(error, PermissionError)
        remedy = (
            "run this as the user that maskgate runs as, or as root" if rights else "name another place with --file"
        )
        folder = f" ({error.filename})" if error.filename and Path(error.filename) in path.parents else ""
        raise StoreError(f"{what} {path}: {error.strerror}{folder}; {remedy}.") from error


def _make(args: argparse.Namespace, path: Path, there: dict[str, Kept], settings: Settings) -> int:
    from edge.sinks.web import token

    name = args.name if args.action == "add" else token.FIRST
    file = token.file_of(name, path)
    before = there.get(name)
    if before and args.action == "add":
        raise ConfigError(f"There is a token {name} already; `maskgate token revoke {name}` revokes it.")
    if before and not args.yes and not _confirmed(before):
        print("Nothing was changed.")
        return 1
    made = token.make(file)
    print("\n".join(_said(made, file, bool(before), path, settings)))
    return 0


def _confirmed(before: Kept) -> bool:
    if not sys.stdin.isatty():
        raise ConfigError("There is a token already, and a new one replaces it; in a script, add --yes.")
    print(
        f"There is a token already, made on {before.made_at:%Y-%m-%d %H:%M}. A new one replaces it: everyone who signed"
    )
    print(
        "in with it, and programs that send it, need the new one. `maskgate token add NAME` makes another one instead."
    )
    return confirmed("Replace it?")


def _said(made: str, file: Path, replaced: bool, path: Path, settings: Settings) -> Iterator[str]:
    from edge.sinks.web.lan import lan_url
    from edge.sinks.web.listen import own_url
    from edge.sinks.web.token import token_path

    web = settings.config.web
    yield f"Token: {made}"
    yield f"It is shown only once; {file} keeps only its hash."
    if path == token_path(web, settings.config.counts):
        yield f"A running maskgate uses it immediately{', and the previous one no longer works' if replaced else ''}."
    else:
        yield f'Set token_file = "{path.absolute()}" under [web] in the configuration, then restart maskgate.'
    there = lan_url(web.host, web.port)
    login = f"{there or own_url(web.host, web.port)}login" if web.port else "http://<address>:<port>/login"
    yield f"Sign in at {login}"
    if there and web.port:
        yield from _code(f"{login}#token={made}")
    if not there:
        yield "That is on this device. From another machine, first forward the port there:"
        yield f"  ssh -L {web.port}:localhost:{web.port} {socket.gethostname()}"
        yield 'or open the pages to the network: set host = "0.0.0.0" under [web] in'
        yield f"{settings.file or 'the configuration'}, then restart maskgate."
    yield "Programs send it as a header: Authorization: Bearer <token>"
    yield "Programs on this device need it, too; only the kiosk does not."


def _code(address: str) -> Iterator[str]:
    """For a phone, where a terminal can show it."""
    if sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8":
        from edge.qr import as_text

        yield "or scan this with a phone. It contains the token: do not let others photograph it."
        yield as_text(address)


def _list(there: dict[str, Kept], used: Mapping[str, datetime], as_json: bool) -> int:
    if as_json:
        print(json.dumps([_as_json(one, _last_use(one, used)) for one in there.values()]))
        return 0
    if not there:
        print("There is no token. `maskgate token` makes one.")
        return 0
    width = max(map(len, there))
    for one in there.values():
        at = _last_use(one, used)
        use = f"last used on {at:%Y-%m-%d %H:%M}" if at else "not used yet"
        print(f"{one.name:<{width}}  made on {one.made_at:%Y-%m-%d %H:%M}  {use}")
    return 0


def _last_use(one: Kept, used: Mapping[str, datetime]) -> datetime | None:
    """When a token was last used; an earlier token of the same name does not count."""
    at = used.get(one.name)
    return at if at and at.timestamp() >= int(one.made_at.timestamp()) else None


def _as_json(one: Kept, at: datetime | None) -> dict[str, str | None]:
    return {"name": one.name, "made_at": one.made_at.isoformat(), "used_at": at.isoformat() if at else None}


def _revoke(name: str, there: dict[str, Kept], settings: Settings) -> int:
    from edge.sinks.web.listen import is_open

    if name not in there:
        raise ConfigError(f"There is no token {name!r}; there are: {', '.join(there) or 'none'}.")
    last = len(there) == 1
    if last and is_open(settings.config.web.host):
        raise ConfigError(
            f"{name} is the only token, and the pages are open to the network (web.host = "
            f"{settings.config.web.host!r}); make another first: maskgate token add NAME."
        )
    there[name].path.unlink()
    print(f"The token {name} is revoked; everyone who signed in with it is signed out.")
    if last:
        print("No token is left: the pages are open to programs on this device, and nobody can change the door there.")
    return 0
