"""Settings of notifications."""

from __future__ import annotations

from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from edge.config.section import TIME_OF_DAY, Section


class NotifySettings(Section):
    """Messages to people who are not at the door; off unless webhook or urls is set."""

    webhook: SecretStr | None = Field(
        None, description="Address (http or https) that each notification is sent to, as JSON; unset: none"
    )
    urls: tuple[SecretStr, ...] = Field(
        (), description='Addresses of services for Apprise, such as "ntfys://topic"; needs maskgate[notify]'
    )
    camera: bool = Field(True, description="Tell when the camera is lost, and when it is back")
    outputs: bool = Field(True, description="Tell when an alert output fails, and when it works again")
    summary_at: str = Field(
        "",
        pattern=TIME_OF_DAY,
        description="Time of day for a summary of the last 24 hours, as HH:MM in local time; empty: none",
    )
    bare_every: float = Field(
        0.0,
        ge=0,
        le=1440,
        description="Tell of visits without a mask, or with a badly worn one, at most this often, in minutes; 0: never",
    )

    @field_validator("webhook")
    @classmethod
    def _webhook_is_an_address(cls, webhook: SecretStr | None) -> SecretStr | None:
        if webhook is not None:
            parts = urlsplit(webhook.get_secret_value())
            if parts.scheme not in ("http", "https") or not parts.hostname or not webhook.get_secret_value().isascii():
                raise ValueError("it begins with http:// or https:// and names a host")
        return webhook

    @field_validator("urls")
    @classmethod
    def _urls_have_a_scheme(cls, urls: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if not all("://" in url.get_secret_value() for url in urls):
            raise ValueError("each begins with the name of a service, such as ntfys://")
        return urls

    @property
    def wanted(self) -> bool:
        """Whether there is any recipient."""
        return self.webhook is not None or bool(self.urls)
