"""Settings of lamps, buzzer, sound and relay."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from edge.alerts import outputs
from edge.alerts.quiet import QuietHours
from edge.config.section import ON_PAGE, HomeText, Pin, Section
from edge.messages import message

PINS = ("led_pin", "welcome_pin", "buzzer_pin", "mute_pin", "relay_pin")
PIN = re.compile(r"(?:GPIO|BCM|WPI|BOARD)\d+|[JP]\d+:\d+")
"""Names that gpiozero knows, and places on a header. Source: https://gpiozero.readthedocs.io/en/stable/recipes.html"""


class AlertSettings(Section):
    """Lamps, buzzer, sound and relay, and when they are on."""

    output: str = Field(
        outputs.AUTO,
        description=f"{outputs.explained()}; auto takes gpiod if a chip or a pin of another board is named, else gpio"
        " if there is one",
        json_schema_extra={"choices": list(outputs.names())},
    )
    chip: str = Field(
        "", description="For gpiod: path, name or label of the GPIO chip; not needed for pins of the header"
    )
    led_pin: Pin = Field(
        17,
        description="Pin of the red LED: BCM number or place on the header (BOARD11);"
        " with gpiod also an offset or the name of a line; -1: none",
    )
    welcome_pin: Pin = Field(22, description="Pin of the green LED; -1: none")
    buzzer_pin: Pin = Field(27, description="Pin of the buzzer; -1: none")
    buzzer: Literal["active", "passive"] = Field(
        "active", description="active sounds when powered; passive needs a tone (PWM; not with gpiod)"
    )
    tone: float = Field(2000.0, ge=220, le=5000, description="Pitch of a passive buzzer and of the tone, in hertz")
    active_high: bool = Field(True, description="LEDs and buzzer are on when their pin is at 3.3 V")
    on_time: float = Field(
        0.2, gt=0, le=10, description="Length of a beep and a flash, in seconds", json_schema_extra=ON_PAGE
    )
    off_time: float = Field(
        0.2, ge=0, le=10, description="Pause between beeps and flashes, in seconds", json_schema_extra=ON_PAGE
    )
    duration: float = Field(
        3.0,
        gt=0,
        le=60,
        description="Maximum length of the alarm for one person, in seconds",
        json_schema_extra=ON_PAGE,
    )
    refractory: float = Field(
        5.0,
        ge=0,
        le=600,
        description="Minimum time from the start of an alarm to the next one, in seconds",
        json_schema_extra=ON_PAGE,
    )
    quiet_hours: str = Field(
        "",
        description="When buzzer and sound are silent, as HH:MM-HH:MM in local time; lamps still light; empty: never",
        json_schema_extra=ON_PAGE,
    )
    mute_pin: Pin = Field(-1, description="Pin of a button to ground that mutes buzzer and sound; -1: none")
    mute_for: float = Field(
        60.0,
        gt=0,
        le=86400,
        description="How long a press of the button mutes, in seconds; a second press ends it",
        json_schema_extra=ON_PAGE,
    )
    sound: HomeText = Field(
        "none", min_length=1, description="Alarm sound of the sound card: none, tone, or the path of a WAV file"
    )
    sound_device: str = Field("default", min_length=1, description="ALSA name of the sound card, as aplay -L lists it")
    relay_pin: Pin = Field(-1, description="Pin of a relay; -1: none. Never let an emergency exit depend on it")
    relay: Literal["masked", "alarm"] = Field(
        "masked",
        description="masked: on while a masked person is here and nobody without a mask; alarm: on during an alarm",
    )
    relay_for: float = Field(
        5.0, gt=0, le=60, description="Maximum time the relay is on for one masked person, in seconds"
    )
    relay_active_high: bool = Field(True, description="The relay is on when its pin is at 3.3 V")

    @field_validator("output")
    @classmethod
    def _output_exists(cls, name: str) -> str:
        if name not in outputs.names():
            raise ValueError(f"there are {', '.join(outputs.names())}")
        return name

    @field_validator(*PINS)
    @classmethod
    def _pin_can_exist(cls, pin: int | str | None, others: ValidationInfo) -> int | str | None:
        of_a_chip = others.data.get("chip") and others.data.get("output") != "gpio"
        if isinstance(pin, str) and not of_a_chip and not PIN.fullmatch(pin):
            raise ValueError(message("config.pin"))
        return pin

    @field_validator("quiet_hours")
    @classmethod
    def _quiet_hours_are_times_of_day(cls, text: str) -> str:
        QuietHours.parse(text)
        return text
