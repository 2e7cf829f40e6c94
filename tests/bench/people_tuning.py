"""What each important constant of ``edge.people.tuning`` gains: the same crowds with one of them switched off."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from typing import Any

from edge.config import PeopleSettings
from edge.people import PeopleTracker, Tuning
from edge.people.tuning import Tolerance
from tests.bench.results import Options, Table
from tests.stand_ins.simulate import Faults, Outcome, Scene, score

SEED = 101
NEVER = 1e9

KINDS = {"independent": Faults(), "bursty (mean 0.2 s)": Faults(burst=4)}


@dataclass(frozen=True)
class Change:
    """Constants set to a value at which they do nothing.

    Attributes:
        words: What the tracker no longer does.
        values: Of the fields of ``Tuning``.
    """

    words: str
    values: dict[str, Any]

    @property
    def names(self) -> str:
        """The constants, shipped and changed value."""
        shipped = Tuning()
        return ", ".join(
            name if isinstance(value, Tolerance) else f"{name} {getattr(shipped, name):g} -> {value:g}"
            for name, value in self.values.items()
        )


SHIPPED = Change("as shipped", {})

CHANGES = (
    Change("masks do not tell people apart", {"likeness": 0.0}),
    Change("doubtful tracks are matched like any other", {"doubt": 0.0}),
    Change("no growing search area while a face is missed", {"reach_growth": 0.0, "reach_growth_unknown": 0.0}),
    Change("no more search area for a face of unknown pace", {"reach_growth_unknown": 1.5}),
    Change("no limit to the search area", {"reach_limit": NEVER}),
    Change("faces of any size match", {"size_ratio": NEVER}),
    Change("a second box on a face is somebody new", {"same_face_iou": 1.0}),
    Change("velocity is not smoothed", {"smoothing": 1e-3}),
    Change("unseen people walk on for ever", {"coasting": NEVER}),
    Change("unseen people stand still", {"coasting": 1e-3}),
    Change("half a face is expected to be found", {"in_view_missed": 0.2}),
    Change("one sighting is a visit", {"confirm_hits": 1, "confirm_seen": 0.0}),
    Change("three sightings are a visit, however quick", {"confirm_seen": 0.0}),
    Change("nobody is ever lost", {"lost": NEVER}),
    Change("any face near a lost person is that person", {"lost_limit": 1.5}),
    Change("any face near a person who leaves is that person", {"leaving_limit": 1.5}),
    Change("newcomers are never recognised", {"rejoin_limit": -1.0}),
    Change("one reading recognises a newcomer", {"recognised_by": 1}),
    Change("people turn at any pace at the edge", {"turning": NEVER}),
    Change("people at the edge are judged like those inside", {"at_the_edge": Tuning().inside}),
    Change("votes never fade", {"memory": NEVER}),
    Change("no doubt before the first readings", {"prior": 1e-9}),
    Change("a reading stands for all the time before it", {"longest_vote": NEVER}),
)


def outcome(kind: str, change: Change, visits: int) -> Outcome:
    """What is made of one scene with that kind of fault and those constants."""
    tracker = PeopleTracker(PeopleSettings(), replace(Tuning(), **change.values))
    return score(Scene(visits, KINDS[kind], arrivals=0.2, seed=SEED), tracker, sparing=True)


def table(options: Options) -> tuple[Table, dict[str, int]]:
    """Errors with each change, and those of all by name of the change."""
    visits = options.some(300, 5)
    changes = (SHIPPED, *CHANGES)
    with ProcessPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        made = pool.map(partial(outcome, visits=visits), *zip(*product(KINDS, changes), strict=True))
        outcomes = dict(zip(((kind, change.words) for kind, change in product(KINDS, changes)), made, strict=True))
    by_change = {change.words: [outcomes[kind, change.words] for kind in KINDS] for change in changes}
    shipped = sum(map(errors, by_change[SHIPPED.words]))
    rows = [_row(change, by_change[change.words], shipped) for change in changes]
    about = (
        f"What the constants gain ({visits} walkers with each kind of fault, seed {SEED}; an error is a visit split in "
        "two, missed, of nobody or with a wrong verdict):"
    )
    head = ("instead", "constants", *(f"errors, {kind}" for kind in KINDS), "more than as shipped", "false alarms")
    return Table(about, head, rows), {words: sum(map(errors, both)) for words, both in by_change.items()}


def errors(made: Outcome) -> int:
    """Visits that are not as they were."""
    return made.split + made.missed + made.unmatched + made.wrong


def _row(change: Change, made: Sequence[Outcome], shipped: int) -> list[str]:
    counts = [errors(one) for one in made]
    alarms = sum(one.false_alarms for one in made)
    return [change.words, change.names, *map(str, counts), f"{sum(counts) - shipped:+d}", str(alarms)]
