"""The configuration: layers, origins, and errors that name the key."""

import json
import math
import re
from pathlib import Path

import pytest

from edge.config import Config, declared, load
from edge.config.model import fields
from edge.config.section import FORMS
from edge.config.show import as_toml
from edge.errors import ConfigError
from tests.nonempty import some

NO_PIN = 'it must be a number (BCM) or a name such as "BOARD11" or "GPIO17"; names of a chip\'s lines need alerts.chip'


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(text)
    return path


def test_defaults_are_as_documented() -> None:
    config = load(environment={}).config
    assert (config.face.still_threshold, config.face.threshold, config.alerts.refractory) == (0.4, 0.5, 5.0)


def test_every_setting_says_what_it_means() -> None:
    assert [f"{section}.{field}" for section, _, field, about in declared() if not about] == []


def test_every_number_has_a_maximum() -> None:
    numbers = {
        key: field for key, field in fields().items() if field.annotation in (int, float, int | None, float | None)
    }
    assert len(numbers) > 20
    limited = {
        key for key, field in numbers.items() if any(hasattr(one, "le") or hasattr(one, "lt") for one in field.metadata)
    }
    assert numbers.keys() - limited == set()


def test_later_layers_win_with_their_origin(tmp_path: Path) -> None:
    path = write(tmp_path, "[alerts]\nled_pin = 5\nbuzzer_pin = 6\n[camera]\nsource = 'usb:1'\n")
    settings = load(path, {"MASKGATE_ALERTS_LED_PIN": "7"}, {"camera.source": "demo"})
    origins = {setting.key: (setting.value, setting.origin) for setting in settings}
    assert origins["alerts.buzzer_pin"] == (6, str(path))
    assert origins["alerts.led_pin"] == (7, "environment")
    assert origins["camera.source"] == ("demo", "command line")
    assert origins["people.dwell"] == (0.7, "default")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("led_pin = 5", "led_pin is under no section; write it below [alerts]."),
        ('model = "mask-small"', "model is under no section; write it below [face] or [mask]."),
    ],
)
def test_setting_without_a_section_is_told_its_section(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {})
    assert str(caught.value).endswith(said)


@pytest.mark.parametrize(
    ("text", "named", "nearest"),
    [
        ("[alerts]\nled_pni = 5", "led_pni", "led_pin"),
        ("[alert]\nled_pin = 5", "alert", "alerts"),
        ("[people]\ndwel = 1", "dwel", "dwell"),
    ],
)
def test_mistyped_key_gets_the_nearest(tmp_path: Path, text: str, named: str, nearest: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {})
    assert named in str(caught.value)
    assert str(caught.value).endswith(f"did you mean {nearest!r}?")


def test_mistyped_variable_gets_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"MASKGATE_ALERTS_LEDPIN.*MASKGATE_ALERTS_LED_PIN"):
        load(environment={"MASKGATE_ALERTS_LEDPIN": "5"})


def test_wrong_value_is_named_with_origin(tmp_path: Path) -> None:
    path = write(tmp_path, "[face]\nthreshold = 1.5")
    with pytest.raises(ConfigError, match=r"config.toml: face.threshold = 1.5"):
        load(path, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[camera]\nwidth = "wide"', "it must be a whole number"),
        ("[camera]\nwidth = 640.5", "it must be a whole number"),
        ('[face]\nthreshold = "high"', "it must be a number"),
        ('[web]\nenabled = "maybe"', "it must be true or false"),
        ("[camera]\nsource = 7", "it must be text"),
        ("[counts]\npath = 7", "it must be a path, written as text"),
        ('[web]\nkiosk_languages = "fr"', "it must be a list"),
        ("[camera]\nrotate = 45", "it must be 0, 90, 180 or 270"),
        ("[camera]\nwidth = 1", "it must be greater than or equal to 160"),
        ('[alerts]\nled_pin = "x"', NO_PIN),
        ('[alerts]\noutput = "gpiod"\nrelay_pin = "PQ.05"', NO_PIN),
        ('[alerts]\noutput = "gpio"\nchip = "gpiochip0"\nmute_pin = "PQ.05"', NO_PIN),
    ],
)
def test_wrong_values_are_told_in_plain_words(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, text), {})
    assert str(caught.value).endswith(f"is wrong: {said}.")


@pytest.mark.parametrize("pin", ["BOARD11", "GPIO17", "BCM17", "J8:11"])
def test_pins_have_the_names_of_the_header(tmp_path: Path, pin: str) -> None:
    assert load(write(tmp_path, f'[alerts]\nled_pin = "{pin}"'), {}).config.alerts.led_pin == pin


def test_lines_of_a_chip_have_any_name(tmp_path: Path) -> None:
    alerts = load(write(tmp_path, '[alerts]\nchip = "gpiochip0"\nled_pin = "PQ.05"'), {}).config.alerts
    assert alerts.led_pin == "PQ.05"


def test_pins_can_be_left_unwired(tmp_path: Path) -> None:
    alerts = load(write(tmp_path, "[alerts]\nbuzzer_pin = -1"), {}).config.alerts
    assert (alerts.led_pin, alerts.buzzer_pin) == (17, None)


def test_broken_toml_says_where(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2"):
        load(write(tmp_path, "[face]\nthreshold = = 1"), {})


def test_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no configuration file"):
        load(tmp_path / "absent.toml", {})


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("web.host", "http://door", "without http://"),
        ("web.host", "", "must not be empty"),
        ("web.kiosk_user", "a b", "letters, digits and . _ - only"),
        ("web.door_name", "a\nb", "one line"),
        ("runtime.device", "usb", '"usb:0"'),
        ("notify.summary_at", "24:00", "a time of day as HH:MM"),
        ("mqtt.door", "a/b", "1 to 64 letters, digits, _ or -"),
        ("mqtt.prefix", "/door", "must not begin with /"),
        ("mqtt.discovery_prefix", "a b", "must not contain spaces"),
        ("alerts.led_pin", "a b", "a whole number"),
    ],
)
def test_forms_are_said_in_words(key: str, value: str, said: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{key} = ")) as refused:
        load(environment={}, overrides={key: value})
    assert said in str(refused.value)


def test_every_form_has_words() -> None:
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(Config.model_json_schema())))
    assert {json.loads(pattern) for pattern in some(patterns)} == set(FORMS)


def test_a_device_is_no_configuration() -> None:
    with pytest.raises(ConfigError, match="/dev/null is a device, not a file"):
        load(Path("/dev/null"), {})


def test_a_folder_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path, {})


def test_users_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "maskgate").mkdir()
    (tmp_path / "maskgate/config.toml").write_text("[people]\ndwell = 2")
    assert load(environment={"XDG_CONFIG_HOME": str(tmp_path)}).config.people.dwell == 2


def test_environment_text_needs_no_quotes() -> None:
    environment = {"MASKGATE_CAMERA_SOURCE": "rtsp://door/1", "MASKGATE_PEOPLE_ZONE": "[[0,0],[1,0],[1,1]]"}
    config = load(environment=environment).config
    assert config.camera.source == "rtsp://door/1"
    assert config.people.zone == ((0, 0), (1, 0), (1, 1))


def test_configuration_is_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Config().camera.width = 1  # type: ignore[misc]


@pytest.mark.parametrize("text", ["[people]\nzone = " + "[" * 5000, "[web]\nport = " + "1" * 5000])
def test_excessive_toml_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load(write(tmp_path, text), {})
    with pytest.raises(ConfigError, match=r"camera\.width"):
        load(environment={"MASKGATE_CAMERA_WIDTH": text.rpartition(" ")[2]})


@pytest.mark.parametrize(
    "text",
    [
        "[camera]\nstale_after = inf",
        "[camera]\nreopen_after = 1e300",
        "[people]\nmin_face = 10000000000",
        "[people]\nzone = [[0, 0], [1, nan], [1, 1]]",
        "[counts]\nretention_days = 10000000000",
    ],
)
def test_excessive_numbers_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml"):
        load(write(tmp_path, text), {})


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (r"a\u0000b", "it contains a NUL or text that is not valid UTF-8"),
        ("~nobody-of-that-name/a", "there is no such user"),
    ],
)
@pytest.mark.parametrize("key", ["counts.path", "web.token_file", "camera.source", "alerts.sound", "mqtt.ca_file"])
def test_impossible_paths_are_refused(tmp_path: Path, key: str, value: str, said: str) -> None:
    section, name = key.split(".")
    tls = "tls = true\n" if section == "mqtt" else ""
    with pytest.raises(ConfigError, match=said):
        load(write(tmp_path, f'[{section}]\n{tls}{name} = "{value}"'), {})


@pytest.mark.parametrize("path", ["", ".", "/"])
def test_paths_must_name_a_file(tmp_path: Path, path: str) -> None:
    with pytest.raises(ConfigError, match=r"counts\.path = .* is wrong: this names no file"):
        load(write(tmp_path, f'[counts]\npath = "{path}"'), {})


def test_long_values_are_cut_in_errors(tmp_path: Path) -> None:
    for value in ("0x" + "f" * 5000, f'"{"a" * 5000}"'):
        with pytest.raises(ConfigError, match=r"web.port = .* is wrong") as caught:
            load(write(tmp_path, f"[web]\nport = {value}"), {})
        assert len(str(caught.value)) < 400


def test_undecodable_environment_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"environment: counts\.path"):
        load(environment={"MASKGATE_COUNTS_PATH": "/a\udcff"})


def test_printed_settings_load_as_before(tmp_path: Path) -> None:
    settings = load(write(tmp_path, '[alerts]\nbuzzer_pin = -1\nled_pin = "GPIO5"\n[counts]\npath = "/a b"'), {})
    assert load(write(tmp_path, as_toml(settings)), {}).config == settings.config


@pytest.mark.parametrize("text", ["12", "1e3", "true", "[1]", "2025-01-01"])
def test_text_settings_take_any_text(text: str) -> None:
    environment = {"MASKGATE_ALERTS_CHIP": text, "MASKGATE_ALERTS_SOUND": text}
    alerts = load(environment=environment).config.alerts
    assert (alerts.chip, alerts.sound) == (text, text)


def test_a_number_can_name_a_door() -> None:
    assert load(environment={"MASKGATE_MQTT_DOOR": "12"}).config.mqtt.door == "12"
    assert load(environment={"MASKGATE_MQTT_DOOR": '"12"'}).config.mqtt.door == "12"
    assert load(environment={"MASKGATE_COUNTS_PATH": "12"}).config.counts.path == Path("12")


def test_environment_pins_are_numbers_or_names() -> None:
    assert load(environment={"MASKGATE_ALERTS_LED_PIN": "5"}).config.alerts.led_pin == 5
    assert load(environment={"MASKGATE_ALERTS_LED_PIN": "GPIO5"}).config.alerts.led_pin == "GPIO5"


@pytest.mark.parametrize(
    "text",
    [
        "[alerts]\nled_pin = true",
        "[runtime]\nthreads = true",
        "[mqtt]\nport = true",
        "[camera]\nrotate = false",
        "[people]\ndwell = false",
        "[people]\nzone = [[0, 0], [1, true], [1, 1]]",
    ],
)
def test_true_and_false_are_not_numbers(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="true and false are only for settings that are on or off"):
        load(write(tmp_path, text), {})


def test_zones_have_at_most_64_corners() -> None:
    corners = [[0.5 + 0.4 * math.cos(a / 32 * math.pi), 0.5 + 0.4 * math.sin(a / 32 * math.pi)] for a in range(64)]
    assert len(load(environment={}, overrides={"people.zone": corners}).config.people.zone) == 64
    with pytest.raises(ConfigError, match="a zone has 3 to 64 corners"):
        load(environment={}, overrides={"people.zone": [*corners, [0.9, 0.51]]})
