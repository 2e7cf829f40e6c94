"""A door without a camera, for tests of what is shown: its state is set by hand, its screens are real."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from edge.alerts import Alert
from edge.alerts.policy import AlertPolicy
from edge.alerts.state import OutputKind, OutputState
from edge.clock import SystemClock
from edge.config import AlertSettings, Settings, load
from edge.control import Commands
from edge.door.operator import obey
from edge.messages import message
from edge.sinks import Page
from edge.sinks.web.sink import WebScreens
from edge.status import CameraState, CountsState, Status
from edge.values import BBox, Event, EventKind, Image, Person, Verdict

PICTURE: Image = np.full((480, 640, 3), (40, 90, 160), np.uint8)
SHOW_EVERY = 0.05


def person(number: int, verdict: Verdict, x: float = 250, width: float = 120) -> Person:
    """Somebody whose face begins ``x`` pixels from the left of a picture 640 wide."""
    return Person(number, BBox(x, 110, x + width, 110 + 1.25 * width), verdict, 0, 0)


class Lamps(Alert):
    """A red lamp, a buzzer that does not work and a relay, as far as anyone can see."""

    name = "lamps"

    def __init__(self) -> None:
        self.tried: list[str] = []

    @property
    def outputs(self) -> tuple[OutputState, ...]:
        return (
            OutputState("led", message("output.led", pin=17)),
            OutputState("buzzer", message("output.buzzer", pin=27), "The pin 27 cannot be switched."),
            OutputState("relay", message("output.relay", pin=23)),
        )

    def try_output(self, kind: OutputKind) -> None:
        self.tried.append(kind)


class Door:
    """Shows ``people`` again and again, as the loop does, until told otherwise.

    Attributes:
        screens: What is tested.
        people: Who stands there.
        unseen: Numbers of those among them who have been out of sight for a second.
        camera: How it stands with it; None for one that works.
        troubles: Told as they are.
        counts: The store of visits, if there is one.
        more: Further parts of the status.
        stalled: Whether nothing is shown any more, as by a loop that hangs.
    """

    def __init__(
        self,
        screens: WebScreens,
        clock: SystemClock,
        counts: CountsState | None = None,
        *,
        settings: Settings | None = None,
        commands: Commands | None = None,
    ) -> None:
        self.counts = counts
        self.settings, self.commands = settings, commands or Commands()
        self.output = Lamps()
        self.alerts = AlertPolicy(AlertSettings(), self.output, clock)
        self.more: dict[str, Any] = {}
        self.screens, self.clock = screens, clock
        self.people: tuple[Person, ...] = ()
        self.unseen: frozenset[int] = frozenset()
        self.camera: CameraState | None = None
        self.troubles: tuple[str, ...] = ()
        self.picture = PICTURE
        self.stalled = False
        self.frames = 0
        self._begun = clock.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._play, daemon=True)
        self.show()
        self._thread.start()

    @property
    def url(self) -> str:
        """Of the kiosk page."""
        assert self.screens.url
        return self.screens.url

    def ago(self, seconds: float) -> float:
        """A moment in the past, on the machine's clock."""
        return self.clock.monotonic() - seconds

    def tell(self, *events: Event) -> None:
        """Let the screens hear of events."""
        self.screens.tell(events)

    def tell_a_day(self) -> None:
        """A few events of each kind."""
        self.tell(
            Event(EventKind.VISIT_STARTED, self.ago(60), 1),
            Event(EventKind.VERDICT, self.ago(59), 1, Verdict.WITH_MASK),
            Event(EventKind.VISIT_ENDED, self.ago(56), 1, Verdict.WITH_MASK, 3.4),
            Event(EventKind.CAMERA_LOST, self.ago(50), detail="The camera sends no pictures."),
            Event(EventKind.CAMERA_BACK, self.ago(40)),
            Event(EventKind.VERDICT, self.ago(20), 2, Verdict.WITHOUT_MASK),
            Event(EventKind.ALERT_ON, self.ago(20), 2, Verdict.WITHOUT_MASK),
            Event(EventKind.ALERT_OFF, self.ago(17), 2, Verdict.WITHOUT_MASK),
        )

    def adopt(self, settings: Settings) -> None:
        """Use other settings, as the loop does."""
        self.settings = settings
        self.alerts.configure(settings.config.alerts)

    def show(self) -> None:
        """Show how things stand, once."""
        now = self.clock.monotonic()
        self.frames += 1
        self.tell(*obey(self.commands, self, now))
        camera = self.camera or CameraState("a camera made for this test", last_frame_at=now)
        self.screens.show(
            Status(
                at=now,
                started_at=self._begun,
                camera=camera,
                frames=self.frames,
                people=tuple(replace(one, last_seen=now - (one.id in self.unseen)) for one in self.people),
                totals={Verdict.WITH_MASK: 5},
                alarm=any(one.verdict.alarming for one in self.people),
                image=None if camera.trouble else self.picture.copy(),
                troubles=self.troubles,
                counts=self.counts,
                runtime="litert, 2 threads",
                settings=self.settings,
                **{"alerts": self.alerts.state(now), **self.more},
            )
        )

    def close(self) -> None:
        """Stop, as the daemon does."""
        self._over.set()
        self._thread.join()
        self.screens.close()

    def _play(self) -> None:
        while not self._over.wait(SHOW_EVERY):
            if not self.stalled:
                self.show()


@contextmanager
def open_door(
    folder: Path,
    settings: Mapping[str, Any] | None = None,
    extra: Mapping[str, Page] | None = None,
    counts: Path | None = None,
) -> Iterator[Door]:
    """A door whose screens are served on a free port."""
    overrides = {"web.port": 0, "camera.stale_after": 1.5} | dict(settings or {})
    loaded = load(environment={"HOME": str(folder)}, overrides=overrides)
    clock, commands = SystemClock(), Commands()
    door = Door(
        WebScreens(loaded.config, clock, commands, extra or {}, retry_every=0.1),
        clock,
        CountsState(counts) if counts else None,
        settings=loaded,
        commands=commands,
    )
    try:
        yield door
    finally:
        door.close()
