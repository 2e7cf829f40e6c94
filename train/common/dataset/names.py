"""What people call the classes, and which class is meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigError
from edge.values import LABELS, Label

FACE, SKIP = "face", "skip"
"""A face whose mask state nobody annotated, and a class that is left out."""

SYNONYMS: Mapping[Label, str] = {
    Label.WITH_MASK: "mask masked withmask wearingmask maskon facemask withfacemask maskworn maskwornproperly "
    "maskworncorrectly correctmask correctlymasked correctlyworn goodmask good propermask withmasks masks yes",
    Label.WITHOUT_MASK: "nomask withoutmask unmasked maskoff bare bareface notmask nomasks withoutmasks nofacemask "
    "withoutfacemask notmasked notwearingmask maskless nonmask no",
    Label.MASK_WORN_INCORRECTLY: "maskwornincorrectly maskwornincorrect maskwearedincorrect maskwearedincorrectly "
    "incorrect incorrectmask incorrectlyworn incorrectlymasked incorrectlywornmask badmask bad badlyworn "
    "wrongmask wrong impropermask improper improperlyworn maskincorrect chinmask nosemask partialmask",
}
"""Names seen in public data sets, in lower case and without anything but letters."""

_KNOWN: Mapping[str, Label] = {
    name: label for label, text in SYNONYMS.items() for name in (*text.split(), str(label).replace("_", ""))
}


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


@dataclass(frozen=True, slots=True)
class Names:
    """How the classes of a data set are called.

    Attributes:
        given: What the operator said of a name: a label, ``face`` or ``skip``.
    """

    given: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, words: Iterable[str]) -> Names:
        """Read ``NAME=LABEL`` from the command line.

        Raises:
            ConfigError: A word has no ``=``, or what follows it is neither a label, ``face`` nor ``skip``.
        """
        given = {}
        for word in words:
            name, equals, label = word.rpartition("=")
            if not equals or not name:
                raise ConfigError(f"--label {word}: write NAME=LABEL, for example --label masked={LABELS[0]}.")
            if label not in (*LABELS, FACE, SKIP):
                raise ConfigError(f"--label {word}: {label!r} is none of {', '.join((*LABELS, FACE, SKIP))}.")
            given[name] = str(label)
        return cls(given)

    def means(self, name: str) -> bool:
        """Whether ``name`` is understood."""
        return name in self.given or _plain(name) in _KNOWN or _plain(name) == FACE

    def skips(self, name: str) -> bool:
        """Whether the operator leaves the class ``name`` out."""
        return self.given.get(name) == SKIP

    def label(self, name: str, where: Path | str) -> Label | None:
        """The class called ``name``; None for a face of unknown state.

        Args:
            name: As the data set has it.
            where: The file or folder, for the message.

        Raises:
            ConfigError: It is not understood; the nearest class is offered.
        """
        meaning = self.given.get(name) or _KNOWN.get(_plain(name)) or (FACE if _plain(name) == FACE else None)
        if meaning == FACE:
            return None
        if meaning is not None:
            return Label(meaning)
        near = difflib.get_close_matches(_plain(name), _KNOWN, n=1, cutoff=0.7)
        offer = _KNOWN[near[0]] if near else LABELS[0]
        doubt = f"did you mean {offer}? If so" if near else "say which class it is"
        raise ConfigError(
            f"{where}: the class {name!r} is not known; {doubt}, add --label '{name}={offer}' "
            f"(or =face for a face of unknown state, =skip to leave the class out)."
        )


@dataclass(frozen=True, slots=True)
class FaceNames(Names):
    """For a face detector, to which every class is a face, whatever it is called."""

    def means(self, name: str) -> bool:  # noqa: ARG002 - every name
        """Always."""
        return True

    def label(self, name: str, where: Path | str) -> Label | None:  # noqa: ARG002 - no name is wrong
        """None: the state of the mask does not matter."""
        return None
