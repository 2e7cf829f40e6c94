"""The sink that publishes to a broker, in its own thread."""

from __future__ import annotations

import json
import logging
import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from paho.mqtt.client import MQTTMessage

from edge.clock import Clock, rfc3339, wall_time
from edge.config import Settings
from edge.control import Commands
from edge.messages import message, together
from edge.pacing import Backoff, SlidingRate
from edge.sinks import Sink
from edge.sinks.event_log import fields
from edge.sinks.mqtt.account import BrokerError, exposures
from edge.sinks.mqtt.discovery import Discovery, operator_page
from edge.sinks.mqtt.entities import SLOWLY, UNRESTING, View, states
from edge.sinks.mqtt.inbox import WORDS, Inbox
from edge.sinks.mqtt.link import Hear, Link
from edge.sinks.mqtt.surroundings import Lookout
from edge.sinks.mqtt.topics import OFFLINE, ONLINE, topics
from edge.sinks.registry import Opening
from edge.status import Status
from edge.values import Event, EventKind
from edge.vision.models.about import about
from edge.worker import Worker

FIRST_PAUSE = 1.0
"""Pause before the broker is tried again, in seconds; doubles up to ``LONGEST_PAUSE`` and is shortened at random by up
to half, so that many doors do not return at the same moment."""
LONGEST_PAUSE = 30.0
STEADY = 10.0
"""A connection that lasted this long resets the pause, in seconds."""
CHANGES_EVERY = 0.5
"""Interval between messages on one topic, in seconds; the latest state wins."""
TICK = 0.2
"""Maximum delay of a change while the broker sends nothing, in seconds."""
MOST_EVENTS = 500
"""Maximum events waiting for the broker; then the oldest are dropped and counted."""
GOODBYE = 2.0
"""Timeout for the broker at the end of a run, in seconds."""

log = logging.getLogger(__name__)


def open_sink(opening: Opening) -> Sink:
    """Connect to the broker that the settings name."""
    return Publisher(opening.settings, opening.clock, about(opening.config), opening.commands, opening.counted)


class Publisher(Sink):
    """Publishes the door's state, and continues whatever the broker does.

    ``show`` and ``tell`` only leave a value for the thread. What is sent of a state is always the latest, so there is
    no queue that could grow; events, if asked for, wait in a bounded one.

    Args:
        settings: The effective configuration, ``mqtt.host`` not empty.
        clock: The machine's.
        about: Version of maskgate and of its models.
        commands: The way to the loop, for commands from the broker.
        counted: Whether this run's visits count; events of the demo or a recording are kept to ourselves.

    Attributes:
        trouble: Why the broker is not told, as a sentence; None while it is.
        connected: Whether it is told now.
        dropped: Events that were dropped for want of a broker.
    """

    name = "MQTT"
    every = TICK

    def __init__(
        self, settings: Settings, clock: Clock, about: Mapping[str, str], commands: Commands, counted: bool = True
    ) -> None:
        self.trouble: str | None = None
        self.connected = False
        self.dropped = 0
        self._settings, self._web = settings.config.mqtt, settings.config.web
        self._stale_after = settings.config.camera.stale_after
        self._clock = clock
        self._tells_events = self._settings.events and counted
        self._topics = topics(self._settings)
        self._about = about
        self._discovery = Discovery(self._settings, self._topics, about["maskgate"])
        self._inbox = Inbox(commands, clock, lambda: self._status)
        self._lookout = Lookout(clock)
        self._rate = SlidingRate()
        self._muted: tuple[float | None, str | None] = (None, None)
        self._status: Status | None = None
        self._events: deque[tuple[str, str]] = deque()
        self._under_way: dict[int, tuple[str, str]] = {}
        self._doubted = False
        """Whether the last connection was stuck, so that only an acknowledgement proves the next one."""
        self._sent: dict[str, tuple[str, float]] = {}
        self._unresting = frozenset(self._topics[name] for name in UNRESTING)
        self._warned: str | None = None
        for sentence in exposures(settings):
            log.warning("%s", sentence)
        self._link: Link | None = None
        self._worker = Worker("mqtt", self._run)

    def tell(self, events: Sequence[Event]) -> None:
        """Leave events for the broker, if it is to hear of them."""
        if not self._tells_events:
            return
        for event in events:
            self._events.append((self._topics["events"], json.dumps(fields(event, self._clock, self._language))))
            if event.kind is EventKind.VERDICT:
                said = {"event_type": str(event.verdict), "person": event.person, "confidence": event.confidence}
                self._events.append((self._topics["verdict"], json.dumps(said)))
        self._drop_oldest()

    def show(self, status: Status) -> None:
        """Leave the newest status for the broker."""
        self._status = status
        self._rate.mark(status.at, status.frames)
        self._lookout.store = status.counts.path if status.counts else None

    def contribute(self, status: Status) -> Status:
        """Say whether the broker is connected."""
        return replace(status, broker=self.connected)

    def close(self) -> None:
        """Say the last state and goodbye, if the broker listens; wait for that ``GOODBYE`` at most."""
        self._worker.close(within=2 * GOODBYE if self.connected else TICK)
        self._lookout.close()

    def _hears(self) -> dict[str, Hear]:
        """What to subscribe to, and who handles the messages."""
        commands = WORDS if self._settings.commands else ()
        hears: dict[str, Hear] = {self._topics.command(name): partial(self._on_command, name) for name in commands}
        if self._settings.discovery_prefix:
            hears[self._discovery.old_topics] = self._on_description
        return hears

    def _on_command(self, name: str, message: MQTTMessage) -> None:
        held_up = self._link is not None and self._link.held_up
        self._inbox.hear(name, bytes(message.payload), message.retain, held_up)

    def _on_description(self, message: MQTTMessage) -> None:
        """Earlier versions described each entity on its own topic."""
        if message.retain and message.payload:
            self._discovery.found_old(message.topic, self._clock.monotonic())
            self._sent.pop(self._discovery.topic, None)

    def _run(self, worker: Worker) -> None:
        backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, jitter=0.5)
        while not worker.closing:
            if self._serve(worker):
                backoff.reset()
            worker.wait(backoff.next())

    def _serve(self, worker: Worker) -> bool:
        """One connection, from its beginning to its end. Returns whether it was a steady one."""
        began = None
        self._link = link = Link(self._settings, self._topics, self._clock, self._hears())
        try:
            link.open()
            began = self._clock.monotonic()
            self._sent.clear()
            self._discovery.begin(began)
            while not worker.closing:
                if not self.connected and (link.proven or not self._doubted):
                    self._welcome()
                self._speak(link, CHANGES_EVERY)
                link.attend(TICK)
            self._say_goodbye(link)
        except BrokerError as error:
            self._note(str(error), None if link.stuck else began)
        except Exception as error:  # whatever the library throws, the answer is to reconnect
            log.exception("MQTT failed unexpectedly.")
            self._note(message("mqtt.failed", error=repr(error)), began)
        finally:
            self.connected = False
            self._doubted = link.stuck or (self._doubted and not link.proven)
            link.close()
            self._events.extendleft(reversed(self._under_way.values()))
            self._under_way.clear()
            self._drop_oldest()
        return self._lasted(began) >= STEADY and not self._doubted

    def _lasted(self, began: float | None) -> float:
        return 0.0 if began is None else self._clock.monotonic() - began

    def _welcome(self) -> None:
        self.connected = True
        self.trouble = None
        log.info("Connected to the MQTT broker %s.", self._settings.host)

    def _note(self, trouble: str, began: float | None) -> None:
        """Remember what is wrong; warn of it once, and not of a loss that the next attempt repairs."""
        if began is not None and self._lasted(began) < STEADY:
            trouble = together([trouble, message("mqtt.twin", door=repr(self._topics.door))])
        self.trouble = trouble
        if began is not None and self._lasted(began) >= STEADY:
            self._warned = None
            log.info("%s", trouble)
        elif trouble != self._warned:
            self._warned = trouble
            log.warning("%s maskgate keeps trying; counts are kept.", trouble)

    def _speak(self, link: Link, changes_every: float) -> bool:
        """Send what has changed, as far as the broker keeps up. Returns whether there was room for all of it."""
        if link.born:
            link.born = False
            self._sent.clear()
        now = self._clock.monotonic()
        for topic, payload in self._wanted(link, now).items():
            last, at = self._sent.get(topic, (None, -math.inf))
            every = SLOWLY if changes_every and topic in self._unresting else changes_every
            if link.ready and payload != last and now - at >= every:
                link.send(topic, payload, retain=True)
                self._sent[topic] = payload, now
        self._send_events(link)
        return link.ready

    def _wanted(self, link: Link, now: float) -> dict[str, str]:
        """What the broker should retain now, by topic, in the order of publication."""
        wanted = {self._topics["availability"]: ONLINE}
        if self._settings.discovery_prefix:
            wanted |= self._discovery.said(now, operator_page(self._web, link.address), self._language)
        status = self._status
        if status is not None:
            fps, muted_until = self._rate.per_second(now), self._muted_until(status)
            around = self._lookout.seen
            wanted |= states(self._topics, View(status, now, self._stale_after, fps, self._about, around, muted_until))
        return wanted

    @property
    def _language(self) -> str:
        """The door's; an operator may change it during a run."""
        return self._status.language if self._status and self._status.settings else self._web.language

    def _muted_until(self, status: Status) -> str | None:
        """When a mute ends, always the same for one mute: clocks drift by milliseconds."""
        until = status.alerts.muted_until
        if until != self._muted[0]:
            self._muted = until, None if until is None else rfc3339(wall_time(self._clock, until))
        return self._muted[1]

    def _send_events(self, link: Link) -> None:
        self._under_way = {
            message: event for message, event in self._under_way.items() if not link.acknowledged(message)
        }
        while self._events and link.ready:
            event = self._events.popleft()
            self._under_way[link.send(*event, retain=False)] = event
        while self._inbox.answers and link.ready:
            link.send(self._topics["answer"], self._inbox.answers.popleft(), retain=False)

    def _say_goodbye(self, link: Link) -> None:
        deadline = self._clock.monotonic() + GOODBYE
        while not self._speak(link, 0.0) and self._clock.monotonic() < deadline:
            link.attend(TICK)
        link.send(self._topics["availability"], OFFLINE, retain=True)
        while not link.idle and self._clock.monotonic() < deadline:
            link.attend(TICK)

    def _drop_oldest(self) -> None:
        while len(self._events) > MOST_EVENTS:
            self._events.popleft()
            self.dropped += 1
