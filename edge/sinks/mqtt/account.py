"""The broker's password: where it comes from, and who else can see it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from pathlib import Path

from edge.config import MqttSettings, Settings
from edge.errors import MaskgateError
from edge.files import NotTextError, read_text
from edge.messages import message


class BrokerError(MaskgateError, OSError):
    """Nothing can be published; the text says why and what to do."""


def password(settings: MqttSettings) -> str | None:
    """The password, read again each time, so that a corrected file works without a restart.

    Raises:
        BrokerError: The file cannot be read or holds nothing.
    """
    if settings.password:
        return settings.password.get_secret_value()
    path = settings.password_file
    if path is None:
        return None
    try:
        lines = read_text(path.expanduser()).splitlines()
    except OSError as error:
        raise BrokerError(message("mqtt.password_unreadable", path=path, reason=error.strerror)) from error
    except NotTextError as error:
        raise BrokerError(message("mqtt.password_no_text", reason=str(error))) from error
    if not lines or not lines[0]:
        raise BrokerError(message("mqtt.password_empty", path=path))
    return lines[0]


def exposures(settings: Settings) -> Iterator[str]:
    """Who could learn the password that should not, one sentence each with its remedy."""
    mqtt = settings.config.mqtt
    holder = mqtt.password_file
    if mqtt.password:
        holder = Path(settings.origins["mqtt.password"])
    if holder is None:
        return
    if _others_can_read(holder.expanduser()):
        yield f"Everybody on this machine can read the MQTT password in {holder}; run: chmod o= {holder}"
    if not mqtt.tls and not _is_this_machine(mqtt.host):
        yield f"The MQTT password travels to {mqtt.host} unencrypted; set mqtt.tls = true."


def _others_can_read(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o004)
    except OSError:
        return False


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
