"""Sentences to people: an identifier, and a text in each language; nothing that only handles text need know."""

from __future__ import annotations

import ast
import copy
import json
import pickle
import string
from pathlib import Path

import pytest

from edge.errors import CameraError
from edge.messages import (
    FOLDER,
    Message,
    identifier,
    languages,
    lasting,
    message,
    numbered,
    sentences,
    together,
    translated,
)
from edge.sinks.mqtt.entities import ENTITIES
from edge.sinks.web import texts
from tests.nonempty import some

EDGE = Path(__file__).parents[1] / "edge"
SILENT = message("camera.silent", camera="usb:0")


def fields(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name}


def keys_in_use() -> set[str]:
    """First arguments of ``message`` and ``numbered``, and other texts that are keys, in all of the device's code."""
    found = set()
    for path in EDGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


STARTS = {
    *("cameras/video.py", "cameras/stills.py", "cameras/one_picture.py", "cameras/choose.py", "sinks/event_log.py"),
    *("sinks/counts/forget.py", "sinks/web/token.py"),
}
"""Their errors end a command, so only its terminal shows them."""
SAID = {
    "CameraError",
    "NoPiCameraError",
    "NoUsbCameraError",
    "StoreError",
    "RefusedError",
    "BadRequestError",
    "Response",
}
SAID |= {"PictureError", "DeliveryError", "BrokerError", "EdgeTpuError", "ForeignError", "CorruptError"}


def english_only() -> list[str]:
    """Where the rooms of a running door say something to people that is no message."""
    found = []
    for path in sorted(EDGE.rglob("*.py")):
        name = path.relative_to(EDGE).as_posix()
        if name in STARTS or name.split("/")[0] == "commands":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            said = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in SAID and node.args
            if said and isinstance(node.args[0], ast.Constant | ast.JoinedStr):
                found.append(f"{name}:{node.lineno}")
    return found


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(1, "1 s"), (59.5, "59.5 s"), (60, "1 min"), (90, "90 s"), (300, "5 min"), (5400, "90 min"), (86400.0, "24 h")],
)
def test_times_are_in_the_largest_whole_unit(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
    assert translated(lasting(seconds), "fr") == said


class TestMessage:
    def test_message_is_its_english_text(self) -> None:
        assert SILENT == "usb:0 sends no pictures."
        assert json.dumps(SILENT) == '"usb:0 sends no pictures."'
        assert identifier(SILENT) == "camera.silent"

    def test_other_languages_are_said_on_request(self) -> None:
        assert translated(SILENT, "fr") == "usb:0 n’envoie pas d’images."
        assert type(translated(SILENT, "en")) is str

    @pytest.mark.parametrize("language", ["xx", "", "../sinks/web/texts/fr", "auto"])
    def test_unknown_languages_get_english(self, language: str) -> None:
        assert translated(SILENT, language) == SILENT

    def test_values_are_translated_too(self) -> None:
        said = message("usb.absent", camera="/dev/video0", others=message("usb.none"))
        assert "aucune caméra n’est branchée" in translated(said, "fr")

    def test_several_sentences_stay_translatable(self) -> None:
        both = together([SILENT, numbered("notify.dropped", 2)])
        assert both == "usb:0 sends no pictures. 2 notifications were dropped."
        assert translated(both, "fr") == "usb:0 n’envoie pas d’images. 2 notifications ont été abandonnées."
        assert numbered("notify.dropped", 1) == "1 notification was dropped."

    def test_plain_text_stays_as_it_is(self) -> None:
        assert (translated("disk full", "fr"), identifier("disk full")) == ("disk full", None)

    def test_errors_carry_messages(self) -> None:
        assert translated(str(CameraError(SILENT)), "fr") == "usb:0 n’envoie pas d’images."

    @pytest.mark.parametrize("again", [copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
    def test_copies_stay_messages(self, again: object) -> None:
        copied = again(SILENT)  # type: ignore[operator]
        assert isinstance(copied, Message)
        assert translated(copied, "fr") == "usb:0 n’envoie pas d’images."


class TestSentences:
    def test_languages_are_those_of_the_pages(self) -> None:
        assert languages() == set(texts.languages())

    @pytest.mark.parametrize("language", sorted(languages()))
    def test_every_language_has_every_sentence(self, language: str) -> None:
        own = json.loads((FOLDER / f"{language}.json").read_text("utf-8"))
        assert own.keys() == sentences("en").keys()
        for key, template in some(own.items()):
            assert fields(template) == fields(sentences("en")[key]), key

    def test_every_sentence_is_used(self) -> None:
        used = keys_in_use()
        built = {f"output.{role}" for role in ("led", "welcome", "buzzer", "relay")}
        built |= {f"entity.{entity.key}" for entity in ENTITIES if entity.platform and not entity.verdict}
        assert {key for key in sentences("en") if key.removesuffix(".one") not in used | built} == set()

    def test_what_a_running_door_says_has_an_identifier(self) -> None:
        assert english_only() == []
