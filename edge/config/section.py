"""What a group of settings is, and the kinds of values that several groups have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator
from pydantic.config import JsonDict

from edge.messages import message

ON_PAGE: JsonDict = {"on_page": True}
"""``json_schema_extra`` of a setting that the operator page may change."""

NO_SPACES = r"^\S+$"
HOST = r"^[^\s/@]*$"
USER = r"^[A-Za-z0-9_.-]*$"
ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
EDGE_TPU = r"^((usb|pci):\d+)?$"
TIME_OF_DAY = r"^$|^([01]\d|2[0-3]):[0-5]\d$"
TOPIC_LEVEL = r"^[A-Za-z0-9_-]{1,64}$"
TOPIC = r"^[^+#/$\s][^+#\s]*[^+#/\s]$"
TOPIC_OR_NONE = r"^[^+#\s]*$"
FORMS = {
    NO_SPACES: message("config.pin"),
    HOST: message("config.form_host"),
    USER: message("config.form_user"),
    ONE_LINE: message("config.form_line"),
    EDGE_TPU: message("config.form_edgetpu"),
    TIME_OF_DAY: message("config.form_time"),
    TOPIC_LEVEL: message("config.form_topic_level"),
    TOPIC: message("config.form_topic"),
    TOPIC_OR_NONE: message("config.form_topic_or_none"),
}
"""What is said of text that does not match, by the pattern."""

NOT_WIRED = -1
"""How a file says that a pin drives nothing: TOML has no null."""

Pin = Annotated[
    Annotated[int, Field(ge=0, le=4095)] | Annotated[str, Field(pattern=NO_SPACES)] | None,
    BeforeValidator(lambda pin: None if pin == NOT_WIRED else pin),
]
"""A number, or a name if the library knows names; None if nothing is wired."""

PathOrText = TypeVar("PathOrText", Path, str)


def _has_a_home(path: PathOrText) -> PathOrText:
    try:
        Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError("there is no such user; give the path in full") from error
    return path


def _names_a_file(path: Path) -> Path:
    if not path.name:
        raise ValueError("this names no file")
    return path


def _is_in_full(path: Path) -> Path:
    if not (path.is_absolute() or path.parts[0].startswith("~")):
        raise ValueError("give the path of the file in full, beginning with / or ~")
    return path


HomePath = Annotated[Path, AfterValidator(_has_a_home), AfterValidator(_names_a_file)]
"""A file's path that may begin with ``~`` or the ``~name`` of a user of this machine."""
SecretFile = Annotated[HomePath, AfterValidator(_is_in_full)]
"""The path of a file with a secret. A bare word may be the secret itself, which is refused without being repeated."""
HomeText = Annotated[str, AfterValidator(_has_a_home)]
"""The same, as one of several forms of a text."""


class Section(BaseModel):
    """A group of settings: immutable, and no key but those declared."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        defer_build=True,  # the model of all settings builds every section's validator itself
    )

    @field_validator("*", mode="before")
    @classmethod
    def _is_text(cls, value: Any) -> Any:
        # No system call takes a NUL, and text that is not valid UTF-8 could not be printed again.
        if isinstance(value, str) and ("\0" in value or value.encode("utf-8", "replace").decode() != value):
            raise ValueError(message("config.not_text"))
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _is_not_a_switch(cls, value: Any, info: ValidationInfo) -> Any:
        # Python and pydantic take true for 1: `led_pin = true` would drive pin 1.
        if cls.model_fields[info.field_name or ""].annotation is not bool and _holds_a_switch(value):
            raise ValueError(message("config.not_a_switch"))
        return value


def _holds_a_switch(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_holds_a_switch, value))
    return isinstance(value, bool)
