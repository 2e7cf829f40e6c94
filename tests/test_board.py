"""What the board says of its temperature and its power, read from folders made like sysfs."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.board import temperature_celsius, throttled


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def zone(number: int, kind: str, temperature: str) -> dict[str, str]:
    folder = f"sys/class/thermal/thermal_zone{number}"
    return {f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{temperature}\n"}


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | zone(1, "gpu-thermal", "51000") | zone(2, "outside", "-4000"))
    assert temperature_celsius(tmp_path) == 51.0


def test_a_zone_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | zone(1, "broken", "not ready"))
    (tmp_path / "sys/class/thermal/thermal_zone2/temp").mkdir(parents=True)
    assert temperature_celsius(tmp_path) == 48.312


def test_a_jetsons_zone_of_a_constant_100_degrees_does_not_count(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "CPU-therm", "41500") | zone(1, "PMIC-Die", "100000"))
    assert temperature_celsius(tmp_path) == 41.5


def test_a_board_that_measures_nothing_says_nothing(tmp_path: Path) -> None:
    assert temperature_celsius(tmp_path) is None
    assert throttled(tmp_path) is None


@pytest.mark.parametrize("node", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
def test_the_firmwares_word_tells_what_slows_a_pi_down_now(tmp_path: Path, node: str) -> None:
    write(tmp_path, {f"sys/devices/platform/{node}/get_throttled": "f0005\n"})
    assert throttled(tmp_path) == {
        "under_voltage": True,
        "frequency_capped": False,
        "throttled": True,
        "soft_temperature_limit": False,
    }


@pytest.mark.parametrize(("alarm", "low"), [("1", True), ("0", False)])
def test_without_the_firmwares_word_the_voltage_sensor_tells(tmp_path: Path, alarm: str, low: bool) -> None:
    sensors = "sys/class/hwmon"
    write(tmp_path, {f"{sensors}/hwmon0/name": "cpu_thermal\n", f"{sensors}/hwmon1/name": "rpi_volt\n"})
    write(tmp_path, {f"{sensors}/hwmon1/in0_lcrit_alarm": f"{alarm}\n"})
    assert throttled(tmp_path) == {"under_voltage": low}
