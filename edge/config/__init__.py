"""The one configuration: a pydantic model filled from a TOML file, the environment and the command line.

Later layers win: defaults, file, environment (``MASKGATE_ALERTS_LED_PIN=22``), command line. A key that does not
exist is refused by name, with the nearest one that does.
"""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from edge.alerts.quiet import QuietHours
from edge.board import profile_of
from edge.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENV_PREFIX = "MASKGATE_"
ENV_FILE = "MASKGATE_CONFIG"
SYSTEM_FILE = Path("/etc/maskgate/config.toml")
SECRETS = frozenset({"mqtt.password"})
"""Settings that are never shown, and never taken from where other programs could see them."""
LONGEST_SHOWN = 100
"""Of a value in a sentence about it, in characters."""

NOT_WIRED = -1
"""How a file says that a pin drives nothing: TOML has no null."""

Pin = Annotated[
    Annotated[int, Field(ge=0, le=4095)] | Annotated[str, Field(pattern=r"^\S+$")] | None,
    BeforeValidator(lambda pin: None if pin == NOT_WIRED else pin),
]
"""A number or, where the library knows names, a name; None where nothing is wired."""


def _of_somebody(path: PathOrText) -> PathOrText:
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such user; give the path in full") from error
    return path


def _of_a_file(path: Path) -> Path:
    if not path.name:
        raise ValueError("this names no file")
    return path


PathOrText = TypeVar("PathOrText", Path, str)
HomePath = Annotated[Path, AfterValidator(_of_somebody), AfterValidator(_of_a_file)]
"""A file's path that may begin with ``~`` or the ``~name`` of a user of this machine."""
HomeText = Annotated[str, AfterValidator(_of_somebody)]
"""The same among other things that a text may say."""


class Section(BaseModel):
    """A group of settings: immutable, and no key but those declared."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_default=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        # No system call takes a NUL, and bytes that are no UTF-8 could not be printed again.
        if isinstance(value, str) and ("\0" in value or value.encode("utf-8", "replace").decode() != value):
            raise ValueError("a character in it is none")
        return value


class CameraSettings(Section):
    """Where pictures come from."""

    source: HomeText = Field(
        "auto",
        description="auto, picamera, csi:N, usb:N, /dev/videoN, a video file, a folder of images, rtsp://…, http://…, "
        "demo",
    )
    width: int = Field(640, ge=160, le=4096, description="Width asked of a camera, in pixels")
    height: int = Field(480, ge=120, le=4096, description="Height asked of a camera, in pixels")
    fps: float = Field(30.0, gt=0, le=120, description="Frame rate asked of a camera, in frames a second")
    exposure: Literal["normal", "backlight"] = Field(
        "normal", description="backlight measures the middle and lightens it: for a door with daylight behind visitors"
    )
    exposure_value: float = Field(
        0.0, ge=-4, le=4, description="Pictures of a camera module are so much lighter or darker, in stops (EV)"
    )
    rotate: Literal[0, 90, 180, 270] = Field(0, description="Turn the picture clockwise, in degrees")
    loop: bool = Field(False, description="Play a recording over and over, at its own pace")
    stale_after: float = Field(
        3.0, gt=0, le=3600, description="Without a fresh frame for this long the camera counts as lost, in seconds"
    )
    frozen_after: float = Field(
        5.0, ge=0, description="The same few pictures for so long are a frozen camera's, in seconds; 0: never"
    )
    dark_after: float = Field(
        30.0, ge=0, description="Nothing but black for so long shows no door: out of service, in seconds; 0: never"
    )
    reopen_after: float = Field(
        1.0, gt=0, le=3600, description="First pause before a lost camera is reopened, in seconds; doubles up to 30"
    )


class FaceSettings(Section):
    """The face detector."""

    model: str = Field(
        default_factory=lambda: profile_of().face,
        description="Name in the shipped manifest (the default is what suits the board), or PATH/manifest.json#name",
    )
    threshold: float = Field(0.5, gt=0, lt=1, description="Least score of a face in a stream, 0 to 1")
    still_threshold: float = Field(0.4, gt=0, lt=1, description="Least score of a face in a still, 0 to 1")
    nms_iou: float = Field(0.45, gt=0, lt=1, description="Boxes that overlap more are one face, IoU 0 to 1")
    max_faces: int = Field(20, ge=1, le=200, description="Most faces judged in a frame, the best first")
    idle_every: float = Field(
        0.15,
        ge=0,
        le=1,
        description="While nobody is in view and nothing moves, a camera's picture is looked at this often, in "
        "seconds; 0: every one",
    )


class MaskSettings(Section):
    """The mask classifier."""

    model: str = Field(
        default_factory=lambda: profile_of().mask,
        description="Name in the shipped manifest (the default is what suits the board), or PATH/manifest.json#name",
    )


class RuntimeSettings(Section):
    """What runs the models."""

    backend: Literal["auto", "litert", "tflite-runtime", "tensorflow"] = Field(
        "auto", description="TFLite runtime; auto takes the first that is installed, in that order"
    )
    accelerator: Literal["auto", "edgetpu", "cpu"] = Field(
        "auto",
        description="auto runs models on an Edge TPU where there is one, edgetpu also complains where there is none",
    )
    device: str = Field(
        "", pattern=r"^((usb|pci):\d+)?$", description="Which Edge TPU: usb:0, pci:1; empty takes the first"
    )
    edgetpu_library: str = Field(
        "libedgetpu.so.1", min_length=1, description="The Edge TPU's library: its name, or a path"
    )
    threads: int = Field(0, ge=0, le=16, description="Threads a model uses; 0 takes what suits the board, at most 4")


class PeopleSettings(Section):
    """Who counts as one person, and when a verdict is reached."""

    dwell: float = Field(0.7, ge=0, le=30, description="Seen for this long before a verdict, in seconds")
    lost_after: float = Field(1.5, gt=0, le=60, description="Unseen for this long ends the visit, in seconds")
    min_face: int = Field(32, ge=8, le=4096, description="Faces with a shorter side do not vote, in pixels")
    min_confidence: float = Field(
        0.6, ge=0.34, le=1, description="Share of the votes a verdict needs, 0 to 1; below it is unsure"
    )
    hysteresis: float = Field(
        0.15, ge=0, le=0.5, description="Share of the votes by which another verdict must lead to replace one"
    )
    rejudge_every: float = Field(
        0.3, ge=0, le=5, description="A person whose verdict is settled is judged again this often, in seconds"
    )
    rejudge_rate: float = Field(
        7.0, gt=0, le=1000, description="But all settled people together no more often than this, times a second"
    )
    zone: tuple[tuple[float, float], ...] = Field(
        (),
        description="Polygon of (x, y) as fractions of the picture; faces centred outside it are not counted",
    )

    @field_validator("zone")
    @classmethod
    def _zone_lies_in_the_picture(cls, zone: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        if zone and len(zone) < 3:  # noqa: PLR2004
            raise ValueError("a zone needs three corners or more, or none at all")
        if not all(0 <= coordinate <= 1 for corner in zone for coordinate in corner):
            raise ValueError("a corner lies outside the picture; give fractions from 0 to 1, not pixels")
        if zone and not _polygon_area(zone):
            raise ValueError("the corners lie on one line and enclose nothing")
        return zone


def _polygon_area(corners: tuple[tuple[float, float], ...]) -> float:
    """By the shoelace formula."""
    following = corners[1:] + corners[:1]
    return abs(sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(corners, following, strict=True))) / 2


class AlertSettings(Section):
    """Lamps, buzzer, sound, relay, and when they are on."""

    output: Literal["auto", "gpio", "gpiod", "none"] = Field(
        "auto",
        description="gpio drives a Raspberry Pi's pins, gpiod those of other boards, none no pins;"
        " auto takes gpiod where a chip or another board's pin is named, else gpio where there is one",
    )
    chip: str = Field(
        "", description="For gpiod: path, name or label of the GPIO chip; not needed for pins of the header"
    )
    led_pin: Pin = Field(
        17,
        description="Pin of the red LED: BCM number, or by its place on the header (BOARD11);"
        " for gpiod also offset or name of a line; -1 for none",
    )
    welcome_pin: Pin = Field(22, description="Pin of the green LED, likewise")
    buzzer_pin: Pin = Field(27, description="Pin of the buzzer, likewise")
    buzzer: Literal["active", "passive"] = Field(
        "active", description="active sounds when powered, passive needs a tone (PWM; not with gpiod)"
    )
    tone: float = Field(2000.0, ge=220, le=5000, description="Pitch of a passive buzzer and of the tone, in hertz")
    active_high: bool = Field(True, description="Whether a pin at 3.3 V switches LEDs and buzzer on")
    on_time: float = Field(0.2, gt=0, le=10, description="Beep and flash length, in seconds")
    off_time: float = Field(0.2, ge=0, le=10, description="Pause between beeps, in seconds")
    duration: float = Field(3.0, gt=0, le=60, description="Longest an alarm sounds for one person, in seconds")
    refractory: float = Field(
        5.0, ge=0, le=600, description="After an alarm starts, no new one for this long, in seconds"
    )
    quiet_hours: str = Field(
        "",
        description="When buzzer and sound keep silent, as HH:MM-HH:MM of local time (lamps go on); empty: never",
    )
    mute_pin: Pin = Field(-1, description="Pin of a button to ground that silences buzzer and sound; -1 for none")
    mute_for: float = Field(
        60.0, gt=0, le=86400, description="A press silences for this long, in seconds; a second one ends it"
    )
    sound: HomeText = Field(
        "none", min_length=1, description="Through the sound card: none, tone, or the path of a WAV file with a prompt"
    )
    sound_device: str = Field("default", min_length=1, description="ALSA's name of the sound card, as aplay -L lists")
    relay_pin: Pin = Field(-1, description="Pin of a relay; -1 for none. Never let a way out depend on it")
    relay: Literal["masked", "alarm"] = Field(
        "masked",
        description="masked energises it while somebody masked is here and nobody unmasked, alarm while an alarm is on",
    )
    relay_for: float = Field(
        5.0, gt=0, le=60, description="Longest the relay is energised for one masked person, in seconds"
    )
    relay_active_high: bool = Field(True, description="Whether a pin at 3.3 V energises the relay")

    @field_validator("quiet_hours")
    @classmethod
    def _quiet_hours_are_times_of_day(cls, text: str) -> str:
        QuietHours.parse(text)
        return text


class WebSettings(Section):
    """The kiosk page, the operator's page and /health."""

    enabled: bool = Field(True, description="Serve the pages; not where a recording is played as fast as it goes")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description="Address to listen on; one that others reach needs a token: maskgate token",
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0 takes any that is free")
    token_file: HomePath | None = Field(
        None, description="Where maskgate token keeps the token's hash; unset: web-token beside the counts"
    )
    live_picture: bool = Field(False, description="Show visitors in a mirrored live picture, not as silhouettes")
    language: str = Field("en", description="Of the pages: en, fr; auto takes what the browser asks for")


class CountSettings(Section):
    """The store of visits."""

    path: HomePath | None = Field(
        None,
        description="SQLite file; unset: $STATE_DIRECTORY of the service, else ~/.local/state/maskgate/counts.db",
    )
    commit_every: float = Field(
        5.0, gt=0, le=60, description="Visits reach the disk at most this much later, in seconds"
    )
    retention_days: int = Field(
        31, ge=1, le=36525, description="Single visits are kept this long, in days; hourly totals stay"
    )


class MqttSettings(Section):
    """Telling a broker, and through it Home Assistant."""

    host: str = Field("", pattern=r"^\S*$", description="Name or address of the broker; empty: nothing is sent")
    port: int | None = Field(None, ge=1, le=65535, description="Of the broker; unset: 1883, with TLS 8883")
    username: str | None = Field(None, min_length=1, description="Of the broker's account; unset: none")
    password: SecretStr | None = Field(None, description="In the configuration file only; better password_file")
    password_file: HomePath | None = Field(None, description="File whose first line is the password")
    tls: bool = Field(False, description="Encrypt, and check the broker's certificate")
    ca_file: HomePath | None = Field(
        None, description="Certificates (PEM) that vouch for the broker's; unset: those of the system"
    )
    door: str | None = Field(
        None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="Name of this door, unlike that of any other at the broker; unset: the host name",
    )
    prefix: str = Field(
        "maskgate", pattern=r"^[^+#/$\s][^+#\s]*[^+#/\s]$", description="Topics begin with this and the door's name"
    )
    discovery_prefix: str = Field(
        "homeassistant", pattern=r"^[^+#\s]*$", description="Where Home Assistant looks for devices; empty: not told"
    )
    keepalive: int = Field(
        30, ge=5, le=3600, description="A broker or door that is silent for longer counts as gone, in seconds"
    )
    events: bool = Field(False, description="Also send each event as it happens, not only how things stand")

    @model_validator(mode="after")
    def _account_is_whole(self) -> MqttSettings:
        if self.password and self.password_file:
            raise ValueError("give password or password_file, not both")
        if (self.password or self.password_file) and not self.username:
            raise ValueError("a password needs a username")
        if self.ca_file and not self.tls:
            raise ValueError("ca_file does nothing without tls = true")
        return self


class Config(Section):
    """Everything maskgate can be told."""

    camera: CameraSettings = CameraSettings()
    face: FaceSettings = Field(default_factory=FaceSettings)
    mask: MaskSettings = Field(default_factory=MaskSettings)
    runtime: RuntimeSettings = RuntimeSettings()
    people: PeopleSettings = PeopleSettings()
    alerts: AlertSettings = AlertSettings()
    web: WebSettings = WebSettings()
    counts: CountSettings = CountSettings()
    mqtt: MqttSettings = MqttSettings()


Layer = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Setting:
    """One effective setting, for display: its dotted key, value, where it came from, what it means."""

    key: str
    value: Any
    origin: str
    description: str


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective configuration and where each value came from."""

    config: Config
    origins: Mapping[str, str]
    file: Path | None

    def __iter__(self) -> Iterator[Setting]:
        """Every setting, in the order of the model."""
        for section_name, section, field_name, field in declared():
            key = f"{section_name}.{field_name}"
            value = getattr(getattr(self.config, section_name), field_name)
            yield Setting(key, value, self.origins.get(key, "default"), field or section)


def declared() -> Iterator[tuple[str, str, str, str]]:
    """Every setting that exists: (section, what the section is, field, what the field is)."""
    for section_name, section in Config.model_fields.items():
        section_type = section.annotation
        assert isinstance(section_type, type) and issubclass(section_type, Section)
        about = (section_type.__doc__ or "").strip()
        for field_name, field in section_type.model_fields.items():
            yield section_name, about, field_name, field.description or ""


def load(
    file: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Read the configuration.

    Args:
        file: As given on the command line; None looks at ``MASKGATE_CONFIG``, the user's file, then the system's.
        environment: The process environment unless given.
        overrides: From the command line, by dotted key: ``{"camera.source": "demo"}``.

    Raises:
        ConfigError: A file is unreadable, a key unknown or a value out of range; the text names file, key, remedy.
    """
    env = os.environ if environment is None else environment
    path = _find_file(file, env)
    layers = [
        (str(path), _read_toml(path) if path else {}),
        ("environment", _read_environment(env)),
        ("command line", _nest(overrides or {})),
    ]
    merged: dict[str, dict[str, Any]] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        for section, values in layer.items():
            _refuse_unknown(section, values, origin)
            merged.setdefault(section, {}).update(values)
            origins.update({f"{section}.{key}": origin for key in values})
    return Settings(_validate(merged, origins), origins, path)


def _find_file(explicit: Path | None, env: Mapping[str, str]) -> Path | None:
    if explicit or env.get(ENV_FILE):
        path = explicit or Path(env[ENV_FILE])
        if not path.is_file():
            raise ConfigError(f"There is no configuration file {path}; check --config or {ENV_FILE}.")
        return path
    home = Path(env.get("XDG_CONFIG_HOME") or Path(env.get("HOME", "/")) / ".config")
    return next((path for path in (home / "maskgate/config.toml", SYSTEM_FILE) if path.is_file()), None)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"Cannot read {path}: {error.strerror}; check its permissions.") from error
    except (ValueError, RecursionError) as error:  # also of numbers too long and of nesting too deep
        raise ConfigError(f"{path} is not valid TOML: {error}; mend that line.") from error


def _read_environment(env: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    keys = {f"{ENV_PREFIX}{section}_{field}".upper(): (section, field) for section, _, field, _ in declared()}
    layer: dict[str, dict[str, Any]] = {}
    for name, text in env.items():
        if not name.startswith(ENV_PREFIX) or name == ENV_FILE:
            continue
        if name not in keys:
            raise ConfigError(f"The environment sets {name}, which is no setting{_nearest(name, keys)}.")
        section, field = keys[name]
        if f"{section}.{field}" in SECRETS:
            raise ConfigError(
                f"The environment sets {name}, where other programs can see it; put {field} into the configuration "
                f"file, or name a file with {name}_FILE."
            )
        layer.setdefault(section, {})[field] = _from_text(text)
    return layer


def _from_text(text: str) -> Any:
    """A TOML value where the text is one (numbers, true, arrays), else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def _nest(dotted: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    nested: dict[str, dict[str, Any]] = {}
    for key, value in dotted.items():
        section, field = key.split(".")
        nested.setdefault(section, {})[field] = value
    return nested


def _refuse_unknown(section: str, values: Any, origin: str) -> None:
    fields: dict[str, list[str]] = {}
    for name, _, field, _ in declared():
        fields.setdefault(name, []).append(field)
    if section not in fields:
        raise ConfigError(f"{origin}: there is no section [{section}]{_nearest(section, fields)}.")
    if not isinstance(values, Mapping):
        raise ConfigError(f"{origin}: [{section}] is a section of settings, not a single value.")
    for key in values:
        if key not in fields[section]:
            raise ConfigError(f"{origin}: [{section}] has no key {key!r}{_nearest(key, fields[section])}.")


def _nearest(name: str, known: Any) -> str:
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(sorted(known))}"


def _validate(merged: Mapping[str, Any], origins: Mapping[str, str]) -> Config:
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"][:2])
        whole_section = "." not in key
        of_section = " and ".join({origin: None for name, origin in origins.items() if name.startswith(f"{key}.")})
        origin = of_section if whole_section else origins.get(key, "configuration")
        value = "" if whole_section or key in SECRETS else f" = {_shown(first['input'])}"
        said = first["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{origin}: {key}{value} is wrong: {said}.") from error


def _shown(value: Any) -> str:
    """``value`` as far as it fits into a sentence."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of too many digits
        return "a number too long to print"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
