"""Addresses of network cameras: recognised, and shown without anything that could be secret.

Cameras take passwords before the ``@``, in the path (``/user=admin&password=...``) and in the query, so only scheme,
host and port of an address are ever shown. An address that cannot be parsed is not shown.
"""

from __future__ import annotations

import re
from typing import Any

from edge.messages import message

HIDDEN = "***"
HOW_TO_WRITE = message("network.how_to_write")
HIGHEST_PORT = 65535

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(.*)", re.DOTALL)
HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+(?:%[\w.-]+)?\])(?::(\d{1,5}))?")
PLAIN = re.compile(r"(csi|usb):\d+|/dev/[\w./:+-]*|(?!.*//)[^:@?&=#%\\]*", re.DOTALL)
"""A source that is not an address: a word, a device, or a path without a character that addresses have."""
LIKE_AN_ADDRESS = re.compile(r"//|:[^/]*@|\w:[/\\]")


def scheme_of(source: str) -> str | None:
    """``rtsp``, ``http`` and so on; None for what is no address."""
    scheme, separator, _ = source.strip().partition("://")
    return scheme.lower() if separator else None


def normal(url: str) -> str:
    """``url`` as FFmpeg takes it: without spaces around it, its scheme in small letters."""
    scheme, separator, rest = url.strip().partition("://")
    return f"{scheme.lower()}{separator}{rest}"


def shown(source: str) -> str:
    """How a source is named to people, everywhere: of an address, only scheme, host and port."""
    if PLAIN.fullmatch(source):
        return source
    if not (found := URL.fullmatch(source.strip())):
        return HIDDEN
    scheme, authority, rest = found.groups()
    # With an @ further on, what comes before it may be a password with a / or # in it; a backslash may be meant as /.
    host = None if "@" in rest or re.search(r"[\s\\]", authority) else _host(authority)
    return f"{scheme.lower()}://{host or HIDDEN}"


def shown_value(value: Any) -> Any:
    """How any other setting or argument is shown: as it is, unless it looks like an address."""
    if isinstance(value, str):
        return shown(value) if LIKE_AN_ADDRESS.search(value) else value
    if isinstance(value, tuple | list):
        return [shown_value(one) for one in value]
    if isinstance(value, dict):
        return {shown_value(key): shown_value(one) for key, one in value.items()}
    return value


def has_no_host(url: str) -> bool:
    """Whether what should be host and port of an address is neither, as after an unescaped character."""
    found = URL.fullmatch(url.strip())
    return not (found and _host(found[2]))


def _host(authority: str) -> str | None:
    host = authority.rpartition("@")[2]
    found = HOST.fullmatch(host)
    return host if found and int(found[2] or 0) <= HIGHEST_PORT else None
