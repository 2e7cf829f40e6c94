"""Answers to a web server's request for a user and a password: Basic and Digest.

Source: https://www.rfc-editor.org/rfc/rfc7617 and https://www.rfc-editor.org/rfc/rfc7616.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

HASHES = {"SHA-256": "sha256", "MD5": "md5"}
"""Digest algorithms, best first."""
PARAMETER = re.compile(r'([A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
SCHEME = re.compile(r"(?:^|,)\s*(Basic|Digest|Bearer|Negotiate|NTLM)(?=\s|,|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class User:
    """Who asks. Neither is ever shown."""

    name: str = field(repr=False)
    password: str = field(repr=False)


def answer(user: User, challenges: Sequence[str], method: str, target: str, nonce: str | None = None) -> str | None:
    """The ``Authorization`` header for the best of the ways that a server offers; None if none is known.

    Args:
        user: Who asks.
        challenges: The server's ``WWW-Authenticate`` headers.
        method: Of the request.
        target: Path and query of the request.
        nonce: The client's; random by default.
    """
    offered = [one for header in challenges for one in _challenges(_text(header))]
    for algorithm in HASHES:
        for scheme, parameters in offered:
            said = parameters.get("algorithm", "MD5").upper()
            if scheme == "digest" and said.removesuffix("-SESS") == algorithm and _plain_quality(parameters):
                said = _digest(user, parameters, method, target, nonce or secrets.token_hex(8))
                return said.encode("utf-8", "surrogateescape").decode("latin-1")
    if any(scheme == "basic" for scheme, _ in offered):
        return "Basic " + base64.b64encode(f"{user.name}:{user.password}".encode()).decode()
    return None


def _text(header: str) -> str:
    """A header's UTF-8, which the HTTP parser decodes as Latin-1, on one line."""
    return "".join(header.splitlines()).encode("latin-1", "replace").decode("utf-8", "surrogateescape")


def _challenges(header: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each way that a header offers: its name and its parameters."""
    begins = [*SCHEME.finditer(header)]
    ends = [*(one.start() for one in begins[1:]), len(header)]
    for begin, end in zip(begins, ends, strict=False):
        found = PARAMETER.finditer(header, begin.end(), end)
        yield (
            begin[1].lower(),
            {one[1].lower(): re.sub(r"\\(.)", r"\1", one[2]) if one[3] is None else one[3] for one in found},
        )


def _plain_quality(parameters: dict[str, str]) -> bool:
    """Whether the request's body may be left out of the digest."""
    return "qop" not in parameters or "auth" in re.split(r"[\s,]+", parameters["qop"].lower())


def _digest(user: User, parameters: dict[str, str], method: str, target: str, client: str) -> str:
    algorithm = parameters.get("algorithm", "MD5")
    kind = HASHES[algorithm.upper().removesuffix("-SESS")]

    def hashed(*parts: str) -> str:
        return hashlib.new(kind, ":".join(parts).encode("utf-8", "surrogateescape"), usedforsecurity=False).hexdigest()

    realm, nonce = parameters.get("realm", ""), parameters.get("nonce", "")
    secret = hashed(user.name, realm, user.password)
    if algorithm.upper().endswith("-SESS"):
        secret = hashed(secret, nonce, client)
    said = {"username": user.name, "realm": realm, "nonce": nonce, "uri": target}
    if "qop" in parameters:
        response = hashed(secret, nonce, "00000001", client, "auth", hashed(method, target))
    else:
        response = hashed(secret, nonce, hashed(method, target))
    said["response"] = response
    said |= {key: parameters[key] for key in ("opaque",) if key in parameters}
    quoted = [f'{key}="{_escaped(value)}"' for key, value in said.items()]
    if "algorithm" in parameters:
        quoted.append(f"algorithm={algorithm}")
    if "qop" in parameters:
        quoted += ["qop=auth", "nc=00000001", f'cnonce="{client}"']
    return "Digest " + ", ".join(quoted)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
