"""What people call the classes, and which class is meant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import ConfigError
from edge.text import nearest
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
                raise ConfigError(f"--label {word}: {label!r} is not one of {', '.join((*LABELS, FACE, SKIP))}.")
            given[name] = str(label)
        return cls(given)

    def means(self, name: str) -> bool:
        """Whether ``name`` is understood."""
        return name in self.given or _plain(name) in _KNOWN or _plain(name) == FACE

    def skips(self, name: str) -> bool:
        """Whether the operator leaves the class ``name`` out."""
        return self.given.get(name) == SKIP

    def label(self, name: str, where: Path | str, among: Iterable[str] = ()) -> Label | None:
        """The class called ``name``; None for a face of unknown state.

        Args:
            name: As the data set has it.
            where: The file or folder, for the message.
            among: All classes that the data set declares.

        Raises:
            ConfigError: It is not understood; the text names all that are not, and offers the nearest class for each.
        """
        meaning = self.given.get(name) or _KNOWN.get(_plain(name)) or (FACE if _plain(name) == FACE else None)
        if meaning == FACE:
            return None
        if meaning is not None:
            return Label(meaning)
        others = [other for other in among if not self.means(other)]
        raise not_known(others or [name], where)


def not_known(names: Sequence[str], where: Path | str) -> ConfigError:
    """What to tell of classes that are not understood; the nearest one is offered for each.

    Args:
        names: As the data set has them.
        where: The file or folder.
    """
    near = {name: nearest(_plain(name), _KNOWN, cutoff=0.7) for name in names}
    offers = {name: _KNOWN[found] if found else None for name, found in near.items()}
    told = ", ".join(f"{name!r} (did you mean {offer}?)" if offer else repr(name) for name, offer in offers.items())
    options = " ".join(f'--label "{name}={offer or "LABEL"}"' for name, offer in offers.items())
    classes = f"the classes {told} are" if len(names) > 1 else f"the class {told} is"
    return ConfigError(
        f"{where}: {classes} not known. Say what is meant with {options}; a class may be {', '.join(LABELS)}, "
        "face (state unknown) or skip (left out)."
    )


@dataclass(frozen=True, slots=True)
class FaceNames(Names):
    """For a face detector, to which every class is a face, whatever it is called."""

    def means(self, name: str) -> bool:  # noqa: ARG002 - every name
        """Always."""
        return True

    def label(self, name: str, where: Path | str, among: Iterable[str] = ()) -> None:  # noqa: ARG002 - no name is wrong
        """None: the state of the mask does not matter."""
        return
