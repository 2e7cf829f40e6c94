"""Addresses of network cameras: told from files, and shown without what is secret in them."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

SCHEMES = ("rtsp", "rtsps", "http", "https")


def is_url(source: str) -> bool:
    """Whether ``source`` names a network stream."""
    return source.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES))


def without_secrets(text: str) -> str:
    """``text`` with the user, password and query of every URL in it replaced by ``***``."""
    return re.sub(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", lambda match: _masked(match.group()), text)


def _masked(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:  # a malformed host: nothing after the scheme can be told to be harmless
        return f"{url.split('://', 1)[0]}://***"
    host = parts.netloc.rsplit("@", 1)[-1]
    place = f"***@{host}" if "@" in parts.netloc else host
    return urlunsplit((parts.scheme, place, parts.path, "***" if parts.query else "", ""))
