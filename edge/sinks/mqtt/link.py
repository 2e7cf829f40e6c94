"""One connection to the broker. Used by one thread only.

After a loss, a new link replaces the old one: a client that reconnects sends again what was not
acknowledged, and an old state could then overwrite a newer one.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Any

from paho.mqtt.client import Client, MQTTMessage, MQTTv311, error_string
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge.clock import Clock
from edge.config import MqttSettings
from edge.messages import message, together
from edge.sinks.mqtt.account import BrokerError, password
from edge.sinks.mqtt.topics import OFFLINE, Topics

PORT, TLS_PORT = 1883, 8883
ANSWER_WITHIN = 10.0
"""Timeout of a connection, in seconds."""
MOST_UNACKNOWLEDGED = 20
"""Maximum unacknowledged messages; further ones wait, and only the latest of each state is kept."""
HELD_UP = 5.0
"""After a longer silence of the broker or this process, messages may be old, in seconds."""
SILENT_FOR = 2.0
"""A broker that acknowledges nothing for this long counts as lost even if it answers pings, in keep-alives."""
LARGEST_PACKET = 2**20
"""Maximum message from the broker, in bytes. The protocol allows 256 MB, too much for a small board's memory."""
RECEIVE_BUFFER = 64 * 1024
"""Size of the socket's buffer, in bytes."""
QOS = 1
Hear = Callable[[MQTTMessage], None]


class Link:
    """A connection to the broker, until it is lost.

    Args:
        settings: Of the broker.
        topics: Of the door; the broker itself says that it is offline once the connection breaks.
        clock: To give up waiting by.
        hears: What else to subscribe to, and who is told of each message there.

    Attributes:
        born: Whether Home Assistant has said since last asked that it has started.
        address: This machine's own, as the broker sees it without what lies between; empty before ``open``.
        proven: Whether the broker has acknowledged a message.
        stuck: Whether it was lost because it acknowledged nothing.
    """

    def __init__(
        self, settings: MqttSettings, topics: Topics, clock: Clock, hears: Mapping[str, Hear] | None = None
    ) -> None:
        self.born = self.proven = self.stuck = False
        self._clock = clock
        self._where = f"{settings.host}:{settings.port or (TLS_PORT if settings.tls else PORT)}"
        self._settings = settings
        self.address = ""
        birth = {f"{settings.discovery_prefix}/status": self._on_birth} if settings.discovery_prefix else {}
        self._hears: dict[str, Hear] = {**birth, **(hears or {})}
        self._answer: ReasonCode | None = None
        self._under_way: set[int] = set()
        self._awaited_since = self._attended_at = clock.monotonic()
        self._held_up_at = -math.inf
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id=f"maskgate-{topics.door}", protocol=MQTTv311, clean_session=True
        )
        self._client.will_set(topics["availability"], OFFLINE, QOS, retain=True)
        self._client.on_connect = self._on_connect
        self._client.on_publish = self._on_publish
        # By topic: one that is not UTF-8 could not even be looked at.
        for topic, hear in self._hears.items():
            self._client.message_callback_add(topic, _passing_on(hear))

    @property
    def ready(self) -> bool:
        """Whether another message may be sent now."""
        return len(self._under_way) < MOST_UNACKNOWLEDGED

    @property
    def idle(self) -> bool:
        """Whether everything sent has been acknowledged."""
        return not self._under_way

    @property
    def held_up(self) -> bool:
        """Whether what arrives now may have been on its way for long: the connection stalled, or did until now."""
        now = self._clock.monotonic()
        return self._silent(now) > HELD_UP or now - self._held_up_at < HELD_UP

    def open(self) -> None:
        """Connect and log in.

        Raises:
            BrokerError: It cannot be reached, cannot be trusted, or refuses.
        """
        self._client.username_pw_set(self._settings.username, password(self._settings))
        if self._settings.tls:
            self._trust()
        self._connect()
        deadline = self._clock.monotonic() + ANSWER_WITHIN
        while self._answer is None:
            self._loop(0.1, message("mqtt.ended", broker=self._where))
            if self._clock.monotonic() > deadline:
                raise BrokerError(message("mqtt.deaf", broker=self._where))
        if self._answer.is_failure:
            raise self._refusal()
        if self._hears:
            self._client.subscribe([(topic, QOS) for topic in self._hears])

    def send(self, topic: str, payload: str, retain: bool) -> int:
        """Send, and return the number by which ``acknowledged`` knows the message."""
        if self.idle:
            self._awaited_since = self._clock.monotonic()
        sent = self._client.publish(topic, payload, QOS, retain)
        self._under_way.add(sent.mid)
        return sent.mid

    def acknowledged(self, message: int) -> bool:
        """Whether the broker has a message for certain."""
        return message not in self._under_way

    def attend(self, seconds: float) -> None:
        """Send and receive for at most so long.

        Raises:
            BrokerError: The connection is lost.
        """
        now = self._clock.monotonic()
        if now - self._attended_at > HELD_UP + seconds:
            self._held_up_at = now
        self._loop(seconds, message("mqtt.lost", broker=self._where))
        self._attended_at = now = self._clock.monotonic()
        if self._silent(now) > SILENT_FOR * self._settings.keepalive:
            self.stuck = True
            raise BrokerError(message("mqtt.stuck", broker=self._where))

    def close(self) -> None:
        """Say goodbye, so that the broker does not report a loss, and release the socket. Safe in any state."""
        self._client.disconnect()
        # The client closes its socket when it is forgotten, and these callbacks would remember it.
        self._client.on_connect = self._client.on_publish = None
        for topic in self._hears:
            self._client.message_callback_remove(topic)

    def _silent(self, now: float) -> float:
        """How long the broker has acknowledged nothing of what it should, in seconds."""
        return 0.0 if self.idle else now - self._awaited_since

    def _trust(self) -> None:
        ca_file = str(self._settings.ca_file.expanduser()) if self._settings.ca_file else None
        try:
            self._client.tls_set(ca_file)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise BrokerError(message("mqtt.no_certificates", path=ca_file, reason=reason)) from error

    def _connect(self) -> None:
        host, _, port = self._where.rpartition(":")
        try:
            self._client.connect(host, int(port), self._settings.keepalive)
            connection = self._client.socket()
            if isinstance(connection, socket.socket):
                # The client empties it a hundred times before anybody can see how large a message will be.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                self.address = str(connection.getsockname()[0])
        except ssl.SSLCertVerificationError as error:
            raise BrokerError(message("mqtt.untrusted", broker=self._where, reason=error.verify_message)) from error
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).replace("_", " ").lower()
            raise BrokerError(message("mqtt.no_tls", broker=self._where, reason=reason)) from error
        except (OSError, ValueError) as error:  # a name that is no name raises UnicodeError
            reason = getattr(error, "strerror", None) or str(error)
            checks = "mqtt.host, mqtt.port, mqtt.tls" if self._settings.tls else "mqtt.host, mqtt.port"
            raise BrokerError(message("mqtt.unreachable", broker=self._where, reason=reason, checks=checks)) from error

    def _refusal(self) -> BrokerError:
        return BrokerError(message("mqtt.refused", broker=self._where, reason=str(self._answer).lower()))

    def _loop(self, seconds: float, lost: str) -> None:
        code = self._client.loop(seconds)
        if self._client._in_packet["remaining_length"] > LARGEST_PACKET:  # MQTT 3.1.1 has no way to ask for less
            most, topics = LARGEST_PACKET // 2**20, ", ".join(self._hears)
            raise BrokerError(message("mqtt.too_large", broker=self._where, most=most, topics=topics))
        if code == MQTTErrorCode.MQTT_ERR_SUCCESS or (self._answer and self._answer.is_failure):
            return
        if code in (MQTTErrorCode.MQTT_ERR_CONN_LOST, MQTTErrorCode.MQTT_ERR_NO_CONN):
            raise BrokerError(lost)
        raise BrokerError(together([lost, message("mqtt.reason", reason=error_string(code).rstrip(".").lower())]))

    def _on_connect(self, _client: Client, _data: Any, _flags: Any, answer: ReasonCode, _: Properties | None) -> None:
        self._answer = answer

    def _on_publish(self, _client: Client, _data: Any, mid: int, _answer: ReasonCode, _: Properties) -> None:
        now = self._clock.monotonic()
        if self._silent(now) > HELD_UP:
            self._held_up_at = now
        self._under_way.discard(mid)
        self._awaited_since = now
        self.proven = True

    def _on_birth(self, message: MQTTMessage) -> None:
        self.born = self.born or message.payload == b"online"


def _passing_on(hear: Hear) -> Callable[[Client, Any, MQTTMessage], None]:
    def on_message(_client: Client, _data: Any, message: MQTTMessage) -> None:
        hear(message)

    return on_message
