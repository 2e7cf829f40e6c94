"""Small pieces of text that several messages share."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Iterable


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of examples and tables, and breaks a text of one long line."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        if "\n" in text.strip():
            return super()._fill_text(text, width, indent)
        return argparse.HelpFormatter._fill_text(self, text, width, indent)


def plural(count: int, noun: str, many: str | None = None) -> str:
    """``1 thread``, ``2 threads``; ``many`` where the plural is not the noun with an s: ``2 people``."""
    return f"{count} {noun if count == 1 else many or noun + 's'}"


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known word that ``word`` most probably is a slip of; None if nothing is close.

    Args:
        word: As somebody wrote it.
        known: What may be written.
        cutoff: Similarity from which a word is close, 0 to 1.
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.5) -> str:
    """``did you mean 'source'?``, or ``otherwise`` where nothing is close."""
    close = nearest(word, known, cutoff)
    return otherwise if close is None else f"did you mean {close!r}?"


def printable(text: str) -> str:
    """``text`` on one line that any terminal takes, also if it names a file with a line break in its name."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)
