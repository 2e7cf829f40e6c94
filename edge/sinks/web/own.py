"""The door's own name, logo and sentences on the kiosk page.

They are in the folder ``kiosk`` next to the counts, which updates do not touch:

- ``words.toml``: ``name = "City library"``, and tables such as ``[en.welcome]`` with ``headline`` and ``detail``;
- ``logo.svg``, ``logo.png`` or ``logo.webp``.

Invalid entries are left out and reported; the page then shows the built-in ones.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge.config import CountSettings
from edge.config.layers import read_toml
from edge.config.place import store_path
from edge.errors import ConfigError
from edge.sinks.web import texts

FOLDER, WORDS = "kiosk", "words.toml"
LOGOS = {"logo.svg": "image/svg+xml", "logo.png": "image/png", "logo.webp": "image/webp"}
"""File names, the first that exists counts, and what they are served as."""
MOST_BYTES = {WORDS: 16_384, **dict.fromkeys(LOGOS, 262_144)}
LONGEST = {"name": 40, "headline": 40, "detail": 60}
"""Maximum letters: more would not be readable from 3 m."""
LOOK_EVERY = 2.0
"""Interval between checks of the folder, in seconds."""
LINE = re.compile(r"kiosk\.(\w+)\.(headline|detail)")


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture as it is served."""

    content: bytes
    content_type: str


@dataclass(frozen=True, slots=True)
class Own:
    """What a door shows in place of what is built in.

    Attributes:
        name: Name of the house; empty: none.
        logo: None if there is none.
        words: By language, and by the keys of the pages' texts.
        troubles: What was left out, one sentence each.
        digest: Changes when pages should be loaded again.
    """

    name: str = ""
    logo: Logo | None = None
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()
    digest: str = ""


class OwnFolder:
    """The folder, read again when its files change."""

    def __init__(self, folder: Path, monotonic: Callable[[], float]) -> None:
        self._folder, self._monotonic = folder, monotonic
        self._looked_at = -LOOK_EVERY
        self._seen: object = None
        self._own = Own()

    @property
    def now(self) -> Own:
        """What is in the folder, as of at most two seconds ago."""
        moment = self._monotonic()
        if moment - self._looked_at >= LOOK_EVERY:
            self._looked_at = moment
            seen = [_signature(self._folder / name) for name in MOST_BYTES]
            if seen != self._seen:
                self._seen, self._own = seen, read_own(self._folder)
        return self._own


def folder_of(counts: CountSettings) -> Path:
    """Where the files of a door are."""
    return store_path(counts).with_name(FOLDER)


def read_own(folder: Path) -> Own:
    """Read the files of a door; none need exist."""
    troubles: list[str] = []
    said = _read_words(folder / WORDS, troubles)
    words: dict[str, dict[str, str]] = {}
    for language, key, sentence in _sentences(folder / WORDS, said, troubles):
        words.setdefault(language, {})[key] = sentence
    name = said.get("name", "")
    if wrong := _not_a_sentence(name, "name"):
        troubles.append(f"{folder / WORDS}: name {wrong}.")
        name = ""
    logo = _read_logo(folder, troubles)
    shown = f"{name} {words}".encode() + (logo.content if logo else b"")
    return Own(name, logo, words, tuple(troubles), hashlib.sha256(shown).hexdigest()[:12])


def _read_words(path: Path, troubles: list[str]) -> dict[str, Any]:
    if _read(path, troubles) is None:
        return {}
    try:
        return read_toml(path)
    except ConfigError as error:
        troubles.append(f"{error} Until then the built-in words are shown.")
        return {}


def _sentences(path: Path, said: Mapping[str, Any], troubles: list[str]) -> Iterator[tuple[str, str, str]]:
    """Language, key and text of each sentence that can be shown."""
    for language, scenes in said.items():
        if language == "name":
            continue
        if language not in texts.languages() or not isinstance(scenes, dict):
            known = ", ".join(texts.languages())
            troubles.append(f"{path}: {language!r} is neither name nor a table of a language; there are: {known}.")
            continue
        for key, sentence in _flat(scenes).items():
            line = LINE.fullmatch(f"kiosk.{key}")
            if not line or f"kiosk.{key}" not in texts.texts(language):
                known = ", ".join(sorted(_scenes()))
                troubles.append(
                    f"{path}: [{language}] {key} is shown nowhere; write headline or detail under one of {known}."
                )
            elif wrong := _not_a_sentence(sentence, line[2]):
                troubles.append(f"{path}: [{language}] {key} {wrong}.")
            else:
                yield language, f"kiosk.{key}", sentence


def _read_logo(folder: Path, troubles: list[str]) -> Logo | None:
    for name, content_type in LOGOS.items():
        content = _read(folder / name, troubles)
        if content is None:
            continue
        if _looks_like(content, content_type):
            return Logo(content, content_type)
        troubles.append(f"{folder / name} is not {content_type}; no logo is shown.")
    return None


def _looks_like(content: bytes, content_type: str) -> bool:
    if content_type == "image/png":
        return content.startswith(b"\x89PNG\r\n\x1a\n")
    if content_type == "image/webp":
        return content[:4] == b"RIFF" and content[8:12] == b"WEBP"
    return b"<svg" in content[:1024] and content.rstrip().endswith(b"</svg>")


def _read(path: Path, troubles: list[str]) -> bytes | None:
    """A file's content; None if it does not exist, or cannot be used."""
    most = MOST_BYTES[path.name]
    try:
        if not path.exists():
            return None
        if not path.is_file():
            troubles.append(f"{path} is not a regular file; it is left out.")
            return None
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        troubles.append(f"{path} cannot be read ({error.strerror}); it is left out.")
        return None
    if len(content) > most:
        troubles.append(f"{path} has more than {most // 1024} KiB; it is left out.")
        return None
    return content


def _not_a_sentence(text: object, kind: str) -> str:
    """What is wrong with a text; empty if nothing is."""
    if not isinstance(text, str):
        return "is not a text"
    if len(text) > LONGEST[kind]:
        return f"has {len(text)} letters; at most {LONGEST[kind]} can be read from the door"
    return "" if text.isprintable() else "contains a line break or a control character"


def _flat(scenes: Mapping[str, Any]) -> dict[str, Any]:
    return {
        f"{scene}.{line}": text
        for scene, lines in scenes.items()
        for line, text in (lines if isinstance(lines, dict) else {"": lines}).items()
    }


def _scenes() -> set[str]:
    keys = texts.texts(texts.FALLBACK)
    return {found[1] for key in keys if (found := LINE.fullmatch(key))}


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
