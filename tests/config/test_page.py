"""The layer that the operator page writes: what it may change, where it ranks, and what happens when it is broken."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from edge import cli
from edge.config import Settings, load
from edge.config.page import changeable, write_page_layer
from edge.config.show import as_json, as_toml
from edge.errors import ConfigError
from edge.messages import Message, identifier
from tests.nonempty import some
from tests.stand_ins.disk import small_disk

__all__ = ["small_disk"]

ZONE = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def loaded(state: Path, **environment: str) -> Settings:
    return load(environment={"HOME": "/nowhere", "STATE_DIRECTORY": str(state), **environment})


def value(settings: Settings, key: str) -> tuple[Any, str]:
    return next((one.value, one.origin) for one in settings if one.key == key)


def broken(state: Path, text: str) -> Path:
    state.mkdir()
    (state / "page.toml").write_text(text)
    return state / "page.toml"


def test_a_change_holds_after_a_restart(state: Path) -> None:
    write_page_layer({"web.language": "fr", "people.zone": ZONE, "alerts.duration": 2}, loaded(state))
    again = loaded(state)
    assert value(again, "web.language") == ("fr", "page")
    assert value(again, "people.zone") == (tuple(map(tuple, ZONE)), "page")
    assert value(again, "alerts.duration") == (2.0, "page")
    assert again.notices == ()


def test_returns_the_new_settings(state: Path) -> None:
    changed = write_page_layer({"alerts.quiet_hours": "22:00-06:30"}, loaded(state))
    assert changed.config == loaded(state).config
    assert changed.origins["alerts.quiet_hours"] == "page"


def test_earlier_changes_stay(state: Path) -> None:
    first = loaded(state)
    write_page_layer({"web.language": "fr"}, first)
    write_page_layer({"camera.exposure": "backlight"}, first)
    again = loaded(state)
    assert again.config.web.language == "fr"
    assert again.config.camera.exposure == "backlight"


def test_none_reverts_a_setting(state: Path) -> None:
    changed = write_page_layer({"web.language": "fr", "camera.exposure": "backlight"}, loaded(state))
    changed = write_page_layer({"web.language": None}, changed)
    assert value(changed, "web.language") == ("en", "default")
    assert value(loaded(state), "camera.exposure") == ("backlight", "page")


def test_it_wins_over_the_file(tmp_path: Path, state: Path) -> None:
    file = tmp_path / "door.toml"
    file.write_text('[web]\nlanguage = "auto"\n')
    settings = load(file, {"STATE_DIRECTORY": str(state)})
    assert write_page_layer({"web.language": "fr"}, settings).config.web.language == "fr"


def test_the_environment_wins_over_it(state: Path) -> None:
    write_page_layer({"web.language": "fr"}, loaded(state))
    assert value(loaded(state, MASKGATE_WEB_LANGUAGE="auto"), "web.language") == ("auto", "environment")


def test_it_lies_next_to_the_counts(tmp_path: Path) -> None:
    settings = load(environment={}, overrides={"counts.path": tmp_path / "there/counts.db"})
    write_page_layer({"web.language": "fr"}, settings)
    assert (tmp_path / "there/page.toml").is_file()


@pytest.mark.parametrize("key", ["alerts.led_pin", "web.host", "mqtt.password", "camera.source", "counts.path", "a.b"])
def test_other_settings_are_refused(state: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"cannot change {key}; it can change .*web\.language"):
        write_page_layer({key: "x"}, loaded(state))
    assert not state.exists()


@pytest.mark.parametrize(
    ("key", "wrong"),
    [
        ("web.language", "tlh"),
        ("alerts.quiet_hours", "late"),
        ("people.zone", [[0, 0], [1, 1]]),
        ("camera.exposure_value", 9),
        ("alerts.duration", True),
        ("people.min_confidence", {"a": 1}),
    ],
)
def test_a_wrong_value_changes_nothing(state: Path, key: str, wrong: object) -> None:
    write_page_layer({"web.language": "fr"}, loaded(state))
    before = (state / "page.toml").read_text()
    with pytest.raises(ConfigError, match=f"page: {key}"):
        write_page_layer({key: wrong}, loaded(state))
    assert (state / "page.toml").read_text() == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[web", "is not valid TOML"),
        ('[web]\nlanguage = "tlh"\n', "web.language = 'tlh' is wrong"),
        ("[alerts]\nled_pin = 5\n", "cannot change alerts.led_pin"),
        ("web = 3\n", "is a section of settings"),
        ("[nothing]\n", "there is no section [nothing]"),
    ],
)
def test_broken_file_is_set_aside(state: Path, text: str, said: str) -> None:
    path = broken(state, text)
    settings = loaded(state)
    (notice,) = settings.notices
    assert said in notice
    assert settings.config.web.language == "en"
    assert not path.exists()
    (aside,) = state.glob("page.toml.broken-*")
    assert str(aside) in notice
    assert aside.read_text() == text
    assert loaded(state).notices == ()


AS_NOBODY = """
import os, sys
from edge.config import load
load(environment={})
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
print(*load(environment={"STATE_DIRECTORY": sys.argv[1]}).notices)
"""


def test_unmovable_broken_file_is_reported() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "page.toml").write_text("[web")
        Path(folder).chmod(0o555)
        command = [sys.executable, "-c", AS_NOBODY, folder]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        Path(folder).chmod(0o755)
    assert f"They cannot be set aside either (Permission denied); delete {folder}/page.toml." in said


def test_a_change_replaces_a_broken_file(state: Path) -> None:
    settings = loaded(state)
    broken(state, "[web")
    changed = write_page_layer({"web.language": "fr"}, settings)
    assert "were set aside" in changed.notices[0]
    assert loaded(state).config.web.language == "fr"


def test_unwritable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    settings = load(environment={"STATE_DIRECTORY": str(tmp_path / "file")})
    with pytest.raises(ConfigError, match=r"Cannot write .*page\.toml"):
        write_page_layer({"web.language": "fr"}, settings)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
def test_other_things_than_files_move_aside(state: Path, make: Callable[[Path], Any]) -> None:
    state.mkdir()
    make(state / "page.toml")
    (said,) = loaded(state).notices
    assert "were set aside as" in said
    write_page_layer({"web.language": "fr"}, loaded(state))
    assert value(loaded(state), "web.language") == ("fr", "page")


def test_a_link_is_read_and_replaced(tmp_path: Path, state: Path) -> None:
    elsewhere = tmp_path / "elsewhere.toml"
    elsewhere.write_text('[web]\nlanguage = "fr"\n')
    state.mkdir()
    (state / "page.toml").symlink_to(elsewhere)
    write_page_layer({"alerts.duration": 2}, loaded(state))
    assert value(loaded(state), "web.language") == ("fr", "page")
    assert not (state / "page.toml").is_symlink()
    assert elsewhere.read_text() == '[web]\nlanguage = "fr"\n'


def test_a_full_disk_keeps_the_file(small_disk: Path) -> None:
    settings = loaded(small_disk)
    write_page_layer({"web.language": "fr"}, settings)
    filler = small_disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(512)):
            pass
    with pytest.raises(ConfigError, match="No space left on device"):
        write_page_layer({"web.language": "en"}, settings)
    assert value(loaded(small_disk), "web.language") == ("fr", "page")
    assert {path.name for path in small_disk.iterdir()} == {"page.toml", "filler"}


def test_a_read_only_disk_is_reported(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(ConfigError, match="Read-only file system; check the folder's owner"):
        write_page_layer({"web.language": "fr"}, loaded(small_disk))


def test_config_shows_its_origin(state: Path) -> None:
    write_page_layer({"web.language": "fr"}, loaded(state))
    assert as_json(loaded(state))["web.language"] == {"value": "fr", "origin": "page"}
    assert 'language = "fr"  # page\n' in as_toml(loaded(state), origins=True)


def test_command_line_warns_of_broken_file(
    state: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(state, "[web")
    monkeypatch.setenv("STATE_DIRECTORY", str(state))
    assert cli.main(["config", "--json"]) == 0
    assert "maskgate: warning: The settings from the operator page are not used" in capsys.readouterr().err


def test_only_harmless_settings_can_be_changed() -> None:
    assert set(changeable()) == {
        "camera.exposure",
        "camera.exposure_value",
        "people.min_confidence",
        "people.zone",
        "alerts.on_time",
        "alerts.off_time",
        "alerts.duration",
        "alerts.refractory",
        "alerts.quiet_hours",
        "alerts.mute_for",
        "web.door_name",
        "web.language",
        "mask.alarm_below",
    }


NONSENSE: tuple[Any, ...] = (
    *(-1e9, 1e9, float("nan"), True, [], "nonsense", "x" * 500, "two\nlines", "25:00-26:00", "8:00-8:00"),
    *([[2, 2], [0, 0], [1, 1]], [[0, 0], [0.5, 0.5], [1, 1]], [[0]], [[0, 0, 0]], [["left", "top"]]),
)


def refusal(key: str, wanted: Any, settings: Settings) -> Any:
    """What is said of a value; None where it is accepted."""
    try:
        write_page_layer({key: wanted}, settings)
    except ConfigError as error:
        return error.args[0]
    return None


@pytest.mark.parametrize("key", changeable())
def test_every_refusal_is_said_in_each_language(state: Path, key: str) -> None:
    said = [refusal(key, nonsense, loaded(state)) for nonsense in NONSENSE]
    for sentence in some(filter(None, said)):
        assert identifier(sentence) == "config.wrong"
        assert isinstance(sentence.values["why"], Message), sentence


def test_a_setting_of_the_file_is_refused_in_each_language(state: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        write_page_layer({"alerts.led_pin": 5}, loaded(state))
    assert identifier(str(refusal.value)) == "config.not_on_page"
