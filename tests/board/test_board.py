"""Which board it is, what is fitted to it, its temperature and its power: read from folders like /proc and /sys."""

from __future__ import annotations

import resource
from pathlib import Path

import pytest

from edge.board import (
    PROFILES,
    UNKNOWN,
    GpioChip,
    Profile,
    header_chip,
    profile_of,
    read_board,
    slowed_by,
    temperature_celsius,
    threads_for,
    throttled,
)
from edge.config import load
from edge.runtime import default_threads
from edge.vision.models import FaceEntry, MaskEntry, read_manifest
from tests.stand_ins.boards import BOARDS, build, plug_in_webcam, write


def zone(number: int, kind: str, temperature: str) -> dict[str, str]:
    folder = f"sys/class/thermal/thermal_zone{number}"
    return {f"{folder}/type": f"{kind}\n", f"{folder}/temp": f"{temperature}\n"}


def test_the_hottest_zone_counts(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | zone(1, "gpu-thermal", "51000") | zone(2, "outside", "-4000"))
    assert temperature_celsius(tmp_path) == 51.0


def test_unreadable_zone_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312") | zone(1, "broken", "not ready"))
    (tmp_path / "sys/class/thermal/thermal_zone2/temp").mkdir(parents=True)
    assert temperature_celsius(tmp_path) == 48.312


def test_constant_zone_is_skipped(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "CPU-therm", "41500") | zone(1, "PMIC-Die", "100000"))
    assert temperature_celsius(tmp_path) == 41.5


def test_sensors_need_no_spare_descriptors(tmp_path: Path) -> None:
    write(tmp_path, zone(0, "cpu-thermal", "48312"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1, hard))
    try:
        readings = temperature_celsius(tmp_path), throttled(tmp_path), slowed_by(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert readings == (None, None, ())


def test_no_sensor_gives_no_temperature(tmp_path: Path) -> None:
    assert temperature_celsius(tmp_path) is None
    assert throttled(tmp_path) is None


@pytest.mark.parametrize("node", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
def test_firmware_tells_throttling(tmp_path: Path, node: str) -> None:
    write(tmp_path, {f"sys/devices/platform/{node}/get_throttled": "f0005\n"})
    assert throttled(tmp_path) == {
        "under_voltage": True,
        "frequency_capped": False,
        "throttled": True,
        "soft_temperature_limit": False,
    }


@pytest.mark.parametrize(("alarm", "low"), [("1", True), ("0", False)])
def test_voltage_sensor_tells_without_firmware(tmp_path: Path, alarm: str, low: bool) -> None:
    sensors = "sys/class/hwmon"
    write(tmp_path, {f"{sensors}/hwmon0/name": "cpu_thermal\n", f"{sensors}/hwmon1/name": "rpi_volt\n"})
    write(tmp_path, {f"{sensors}/hwmon1/in0_lcrit_alarm": f"{alarm}\n"})
    assert throttled(tmp_path) == {"under_voltage": low}


# The whole board


@pytest.mark.parametrize(
    ("name", "profile", "threads", "drivers"),
    [
        ("zero2w", "Raspberry Pi Zero 2 W", 3, ("picamera2", "gpiozero")),
        ("3b+", "Raspberry Pi 3", 3, ("picamera2", "gpiozero")),
        ("4b", "Raspberry Pi 4", 3, ("picamera2", "gpiozero")),
        ("5", "Raspberry Pi 5", 3, ("picamera2", "gpiozero")),
        ("jetson-orin-nano", "Jetson Orin Nano or NX", 4, ("gstreamer", "gpiod")),
        ("pc", "unknown board", 3, (None, None)),
    ],
)
def test_boards_are_known_by_device_tree(
    tmp_path: Path, name: str, profile: str, threads: int, drivers: tuple[str | None, str | None]
) -> None:
    found = profile_of(build(tmp_path, name))
    assert (found.name, (found.camera, found.pins)) == (profile, drivers)
    assert threads_for(found, cores=6) == threads


@pytest.mark.parametrize("name", BOARDS)
def test_report_holds_every_fact(tmp_path: Path, name: str) -> None:
    said, board = BOARDS[name], read_board(build(tmp_path, name), "aarch64")
    assert board.model == (said.model or "PC (NUC7i5BNK)")
    assert (board.system, board.architecture, board.revision) == (said.system, "aarch64", said.revision)
    assert board.kernel == said.kernel
    assert (board.memory, board.free_memory) == (said.memory * 1024, said.free * 1024)
    assert [chip.label for chip in board.gpio_chips] == [label for _, _, label in said.chips]
    assert (board.temperature is None) is (not said.zones)


def test_chips_have_their_dev_names(tmp_path: Path) -> None:
    assert read_board(build(tmp_path, "5")).gpio_chips == (
        GpioChip("gpiochip10", "gpio-brcmstb@107d508500"),
        GpioChip("gpiochip0", "pinctrl-rp1"),
    )


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("zero2w", "pinctrl-bcm2835"),
        ("3b+", "pinctrl-bcm2835"),
        ("4b", "pinctrl-bcm2711"),
        ("5", "pinctrl-rp1"),
        ("jetson-orin-nano", None),
        ("pc", None),
    ],
)
def test_header_chip_is_found_by_label(tmp_path: Path, name: str, label: str | None) -> None:
    chip = header_chip(build(tmp_path, name))
    assert (chip and chip.label) == label


@pytest.mark.parametrize("number", [0, 4, 15])
def test_pi_5_chip_number_may_change(tmp_path: Path, number: int) -> None:
    chip = "sys/class/gpio/gpiochip569"
    others = {f"sys/class/gpio/gpiochip{512 + other}/label": "gpio-brcmstb@107d508500\n" for other in range(3)}
    rp1 = {f"{chip}/label": "pinctrl-rp1\n", f"{chip}/device/gpiochip{number}/uevent": ""}
    write(tmp_path, others | rp1 | {f"dev/gpiochip{number}": ""})
    found = header_chip(tmp_path)
    assert found is not None
    assert found.number == number


@pytest.mark.parametrize(
    ("compatible", "name"),
    [
        ("nvidia,p3737-0000+p3701-0005", "Jetson AGX Orin"),
        ("nvidia,p3509-0000+p3767-0001", "Jetson Orin Nano or NX"),
        ("nvidia,some-other", "Jetson Orin"),
    ],
)
def test_orin_is_known_by_its_module(tmp_path: Path, compatible: str, name: str) -> None:
    write(tmp_path, {"proc/device-tree/compatible": f"{compatible}\0nvidia,tegra234\0"})
    assert profile_of(tmp_path).name == name


@pytest.mark.parametrize(
    ("name", "cameras"),
    [
        ("4b", ("imx708",)),
        ("5", ("imx219",)),
        ("zero2w", ("ov5647",)),
        ("3b+", ()),
        ("pc", ()),
    ],
)
def test_camera_modules_are_known_by_sensor(tmp_path: Path, name: str, cameras: tuple[str, ...]) -> None:
    assert read_board(build(tmp_path, name)).cameras == cameras


def test_usb_camera_follows_the_module(tmp_path: Path) -> None:
    plug_in_webcam(build(tmp_path, "4b"), 8, "HD Webcam C270")
    assert read_board(tmp_path).cameras == ("imx708", "HD Webcam C270")


def test_past_and_present_trouble_differ(tmp_path: Path) -> None:
    assert read_board(build(tmp_path / "3", "3b+")).warnings == ("since boot: under voltage", "since boot: throttled")
    now = read_board(build(tmp_path / "5", "5"))
    assert now.slowed_by == ("soft temperature limit",)
    assert "now: soft temperature limit" in now.warnings
    assert "since boot: soft temperature limit" not in now.warnings


def test_jetson_counts_over_current(tmp_path: Path) -> None:
    write(build(tmp_path, "jetson-orin-nano"), {"sys/class/hwmon/hwmon2/oc3_event_cnt": "7\n"})
    assert read_board(tmp_path).warnings == ("over-current 7 times (oc3)",)


@pytest.mark.parametrize(
    ("kind", "state", "slowed"),
    [
        ("thermal-cpufreq-0", "2", ("heat",)),
        ("thermal-cpufreq-0", "0", ()),
        ("pwm-fan", "3", ()),
        ("cpufreq-cpu0", "1", ("heat",)),
    ],
)
def test_cooling_devices_tell_of_heat(tmp_path: Path, kind: str, state: str, slowed: tuple[str, ...]) -> None:
    device = "sys/class/thermal/cooling_device0"
    write(build(tmp_path, "pc"), {f"{device}/type": f"{kind}\n", f"{device}/cur_state": f"{state}\n"})
    assert slowed_by(tmp_path) == slowed


def test_threads_come_from_the_board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(4)))
    pi = profile_of(build(tmp_path, "4b"))
    monkeypatch.setattr("edge.runtime.profile_of", lambda: pi)
    assert default_threads() == 3
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert default_threads() == 2


@pytest.mark.parametrize("profile", [*PROFILES, UNKNOWN], ids=lambda profile: profile.name)
def test_boards_name_shipped_models(profile: Profile) -> None:
    models = read_manifest().models
    assert isinstance(models[profile.face], FaceEntry)
    assert isinstance(models[profile.mask], MaskEntry)


def test_settings_override_the_boards_models(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Profile("slow board", "", face="small-face", mask="small-mask")
    monkeypatch.setattr("edge.config.sections.vision.profile_of", lambda: board)
    chosen = load(environment={}).config
    assert (chosen.face.model, chosen.mask.model) == ("small-face", "small-mask")
    overridden = load(environment={}, overrides={"face.model": "face", "face.threshold": 0.6}).config
    assert (overridden.face.model, overridden.mask.model) == ("face", "small-mask")
