"""What is wrong with a file that a training reads, in words."""

from __future__ import annotations

import json
from zipfile import BadZipFile


def in_words(error: Exception) -> str:
    """Why a file could not be read: what Python's exceptions mean for the person who wrote it."""
    if isinstance(error, json.JSONDecodeError):
        return f"no JSON from line {error.lineno}, column {error.colno}"
    if isinstance(error, KeyError):
        name = str(error.args[0]).removesuffix(" is not a file in the archive")  # as NumPy words it
        return f'it has no "{name}"'
    for kinds, words in MEANINGS.items():
        if isinstance(error, kinds):
            return words
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


MEANINGS = {
    (UnicodeDecodeError,): "not UTF-8 text",
    (TypeError, AttributeError, IndexError): "its parts have another form",
    (EOFError, BadZipFile): "it is empty or breaks off",
}
