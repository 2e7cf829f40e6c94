"""Every verdict in one table: what follows from it, and how it is said and drawn. All else derives from here.

A new class of the mask model is a member of ``Label`` and ``Verdict`` and a row of ``TABLE``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

FALLBACK_LANGUAGE = "en"


class Label(str, Enum):
    """The classes of the mask model, in the order of its outputs."""

    WITH_MASK = "with_mask"
    WITHOUT_MASK = "without_mask"
    MASK_WORN_INCORRECTLY = "mask_worn_incorrectly"

    def __str__(self) -> str:
        return self.value


LABELS: tuple[Label, ...] = tuple(Label)


def decide(shares: Sequence[float], alarm_below: float = 0.5) -> Label:
    """The label that shares in the order of ``LABELS`` support.

    Args:
        shares: They sum to 1.
        alarm_below: Of ``with_mask``: the least share that is no alarm.
    """
    by_label = dict(zip(LABELS, shares, strict=True))
    if by_label.pop(Label.WITH_MASK) >= alarm_below:
        return Label.WITH_MASK
    return max(by_label, key=by_label.__getitem__)


class Verdict(str, Enum):
    """The judgement of a person: a label, or ``unsure`` while the readings do not support one.

    In the order in which lists show them.
    """

    WITH_MASK = Label.WITH_MASK.value
    WITHOUT_MASK = Label.WITHOUT_MASK.value
    MASK_WORN_INCORRECTLY = Label.MASK_WORN_INCORRECTLY.value
    UNSURE = "unsure"

    def __str__(self) -> str:
        return self.value

    @property
    def row(self) -> Row:
        """Everything else about this verdict."""
        return TABLE[self]

    @property
    def alarming(self) -> bool:
        """Whether this verdict raises the alarm. Unsure is not unmasked."""
        return self.row.alarming

    @property
    def welcome(self) -> bool:
        """Whether this verdict lights the welcome lamp and opens the relay."""
        return self.row.welcome

    @property
    def words(self) -> str:
        """Its name in English, for the terminal, tables and pictures."""
        return self.named(FALLBACK_LANGUAGE)

    def named(self, language: str) -> str:
        """Its name in a language; in English where the table lacks that."""
        return self._in(language).name

    def titled(self, language: str) -> str:
        """The same with a capital letter."""
        return self._in(language).title

    def _in(self, language: str) -> Words:
        return self.row.words.get(language) or self.row.words[FALLBACK_LANGUAGE]


def counted(totals: Mapping[Verdict, int]) -> str:
    """``with mask 3, no mask 1, badly worn 0, unsure 0``."""
    return ", ".join(f"{verdict.words} {totals.get(verdict, 0)}" for verdict in Verdict)


@dataclass(frozen=True, slots=True)
class Words:
    """One language: ``name`` in lists and counts, ``headline`` and ``detail`` on the kiosk."""

    name: str
    headline: str
    detail: str

    @property
    def title(self) -> str:
        """The name with a capital letter."""
        return self.name[:1].upper() + self.name[1:]


@dataclass(frozen=True, slots=True)
class Colours:
    """All as ``#rrggbb``.

    Attributes:
        picture: Of boxes and text on a dark backing.
        chart: On white paper.
        ground: The kiosk's background. ``ink`` on it has a contrast of at least 7:1.
        deep: The kiosk's mirror, darker than the ground.
        accent: The kiosk's large sign.
        ink: The kiosk's text.
    """

    picture: str
    chart: str
    ground: str
    deep: str
    accent: str
    ink: str = "#ffffff"

    @property
    def picture_bgr(self) -> tuple[int, int, int]:
        """``picture`` as OpenCV takes it."""
        red, green, blue = bytes.fromhex(self.picture[1:])
        return blue, green, red


@dataclass(frozen=True, slots=True)
class Row:
    """One verdict.

    Attributes:
        alarming: Whether it raises the alarm.
        welcome: Whether it lights the welcome lamp and opens the relay.
        urgency: Of several people at the door, the kiosk speaks to the one with the highest.
        words: By language code.
        colours: On each ground.
        outline: Of boxes, so that colour is never alone.
        figure: The kiosk's drawings: ``#icon-<figure>``, ``#badge-<figure>`` and, over the face, ``#<figure>``.
        icon: Home Assistant's name of an icon.
    """

    alarming: bool
    welcome: bool
    urgency: int
    words: Mapping[str, Words]
    colours: Colours
    outline: Literal["single", "double", "dashed", "dotted"]
    figure: str
    icon: str


TABLE: Mapping[Verdict, Row] = {
    Verdict.WITH_MASK: Row(
        alarming=False,
        welcome=True,
        urgency=0,
        words={
            "en": Words("with mask", "Thank you", "Your mask fits well"),
            "fr": Words("avec masque", "Merci", "Votre masque est bien mis"),
        },
        colours=Colours("#50dc50", "#0b7a47", "#075f36", "#054a2a", "#b6f2cf"),
        outline="single",
        figure="worn",
        icon="mdi:face-mask",
    ),
    Verdict.WITHOUT_MASK: Row(
        alarming=True,
        welcome=False,
        urgency=3,
        words={
            "en": Words("no mask", "Please put on your mask", "Over nose and mouth"),
            "fr": Words("sans masque", "Veuillez mettre votre masque", "Sur le nez et la bouche"),
        },
        colours=Colours("#ff5050", "#b3161f", "#a3121a", "#7d0c13", "#ffe1df"),
        outline="double",
        figure="missing",
        icon="mdi:face-man-outline",
    ),
    Verdict.MASK_WORN_INCORRECTLY: Row(
        alarming=True,
        welcome=False,
        urgency=2,
        words={
            "en": Words("badly worn", "Please cover your nose and mouth", "Your mask has slipped"),
            "fr": Words("mal porté", "Veuillez couvrir le nez et la bouche", "Votre masque a glissé"),
        },
        colours=Colours("#ffbe00", "#e09a00", "#ffb81c", "#f5a300", "#1e1400", "#1e1400"),
        outline="dashed",
        figure="slipped",
        icon="mdi:face-mask-outline",
    ),
    Verdict.UNSURE: Row(
        alarming=False,
        welcome=False,
        urgency=1,
        words={
            "en": Words("unsure", "One moment", "Please look at the camera"),
            "fr": Words("incertain", "Un instant", "Veuillez regarder la caméra"),
        },
        colours=Colours("#bebebe", "#5d6b79", "#37424e", "#27303a", "#dfe7ee"),
        outline="dotted",
        figure="unsure",
        icon="mdi:help-circle-outline",
    ),
}

LANGUAGES: tuple[str, ...] = tuple(TABLE[Verdict.UNSURE].words)

MOST_URGENT_FIRST: tuple[Verdict, ...] = tuple(sorted(Verdict, key=lambda verdict: -verdict.row.urgency))
