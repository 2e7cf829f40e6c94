"""Settings of MQTT."""

from __future__ import annotations

import re
import socket

from pydantic import Field, SecretStr, model_validator

from edge.config.section import HOST, TOPIC, TOPIC_LEVEL, TOPIC_OR_NONE, HomePath, SecretFile, Section


class MqttSettings(Section):
    """The MQTT broker, and through it Home Assistant."""

    host: str = Field("", pattern=HOST, description="Name or address of the broker; empty: MQTT is off")
    port: int | None = Field(None, ge=1, le=65535, description="Broker port (default 1883; 8883 with TLS)")
    username: str | None = Field(None, min_length=1, description="User name at the broker; unset: anonymous")
    password: SecretStr | None = Field(
        None, description="Password at the broker; only in the configuration file; prefer password_file"
    )
    password_file: SecretFile | None = Field(None, description="File whose first line is the password")
    tls: bool = Field(False, description="Encrypt the connection, and check the broker's certificate")
    ca_file: HomePath | None = Field(
        None, description="CA certificates (PEM) for the broker's certificate; unset: those of the system"
    )
    door: str | None = Field(
        None,
        pattern=TOPIC_LEVEL,
        description="Name of this door in topics, unique at the broker; unset: the host name",
    )
    prefix: str = Field(
        "maskgate",
        pattern=TOPIC,
        description="First part of every topic; the name of the door follows",
    )
    discovery_prefix: str = Field(
        "homeassistant", pattern=TOPIC_OR_NONE, description="Discovery prefix of Home Assistant; empty: no discovery"
    )
    keepalive: int = Field(
        30, ge=5, le=3600, description="A broker or a door that is silent for longer counts as gone, in seconds"
    )
    events: bool = Field(False, description="Also publish each event as it happens, not only the current state")

    commands: bool = Field(False, description="Obey commands from the broker: mute, test the alert outputs, restart")

    @property
    def door_name(self) -> str:
        """The door as named, else by the name of this machine: letters, digits, ``_`` and ``-``."""
        host_name = re.sub(r"[^A-Za-z0-9_-]+", "-", socket.gethostname())[:64].strip("-")
        return self.door or host_name or "door"

    @model_validator(mode="after")
    def _account_is_whole(self) -> MqttSettings:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file does nothing without tls = true")
        return self
