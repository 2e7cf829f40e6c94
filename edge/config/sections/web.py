"""Settings of the pages."""

from __future__ import annotations

import re

from pydantic import Field, field_validator

from edge.config.section import HOST, ON_PAGE, ONE_LINE, USER, SecretFile, Section
from edge.messages import message
from edge.verdicts import LANGUAGES

ORIGIN = re.compile(r"https?://(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")


class WebSettings(Section):
    """The kiosk page, the operator page and /health."""

    enabled: bool = Field(True, description="Serve the pages (not for a recording that plays at full speed)")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        pattern=HOST,
        description="Address to listen on; one that other machines can reach needs a token: maskgate token",
    )
    port: int = Field(8080, ge=0, le=65535, description="Port to listen on; 0: any free port")
    token_file: SecretFile | None = Field(
        None, description="File with the hash of the token; unset: web-token next to the counts"
    )
    kiosk_user: str = Field(
        "maskgate-kiosk",
        pattern=USER,
        max_length=32,
        description="User of this device whose own browser needs no token; empty: none",
    )
    live_picture: bool = Field(False, description="Show the live picture, mirrored, instead of silhouettes")
    door_name: str = Field(
        "",
        max_length=60,
        pattern=ONE_LINE,
        description="Name of this door on the operator page; empty: maskgate",
        json_schema_extra=ON_PAGE,
    )
    language: str = Field(
        "en",
        description=f"Language of the pages: {', '.join(LANGUAGES)}; auto: what the browser asks for",
        json_schema_extra=ON_PAGE,
    )
    kiosk_languages: tuple[str, ...] = Field(
        (),
        max_length=4,
        description='Languages that the kiosk page speaks in turn, such as ["fr", "en"]; unset: that of web.language',
    )
    frame_ancestors: tuple[str, ...] = Field(
        (),
        max_length=16,
        description='Origins whose pages may show these pages in a frame, such as "https://home.example:8123"',
    )

    @field_validator("frame_ancestors")
    @classmethod
    def _frame_ancestors_are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is not an origin: write https://NAME or https://NAME:PORT, nothing after it"
                )
        return origins

    @field_validator("kiosk_languages")
    @classmethod
    def _kiosk_languages_exist(cls, languages: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [language for language in languages if language not in LANGUAGES]:
            raise ValueError(f"the pages do not speak {unknown[0]!r}; there are: {', '.join(LANGUAGES)}")
        if len(set(languages)) != len(languages):
            raise ValueError("each language once")
        return languages

    @field_validator("language")
    @classmethod
    def _language_exists(cls, language: str) -> str:
        if language not in (*LANGUAGES, "auto"):
            raise ValueError(message("config.language", known=", ".join((*LANGUAGES, "auto"))))
        return language
