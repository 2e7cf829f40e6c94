"""What ``maskgate doctor`` finds on machines made of folders, and what it tells to do."""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge.board.findings import Finding, Machine, State
from edge.cameras.devices import Device
from edge.cameras.picam import NoPiCameraError
from edge.commands import doctor
from edge.commands.doctor import as_text, examine
from edge.config import Config, Settings
from tests.nonempty import some
from tests.stand_ins.boards import BOARDS, build, write

MODULES = {
    "cv2": (),
    "ai_edge_litert": (),
}
PACKAGES = {
    "numpy": "2.2.6",
    "opencv-python-headless": "4.12.0.88",
    "ai-edge-litert": "2.3.0",
    "gpiozero": "2.0.1",
    "lgpio": "0.2.2",
}


def machine(root: Path, **parts: Any) -> Machine:
    """A machine with everything maskgate needs installed, whose files are under ``root``."""
    whole = Machine(
        root=root,
        python=(3, 11),
        architecture="aarch64",
        version_of=PACKAGES.get,
        files_of=MODULES.get,
        query=lambda path: Device(path, "HD Webcam", "uvcvideo"),
        clock_is_set=lambda: True,
        sees_system=True,
    )
    return replace(whole, **parts)


@pytest.fixture
def pi(tmp_path: Path) -> Path:
    """The files of a Raspberry Pi with a USB camera."""
    write(
        tmp_path,
        {
            "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
            "proc/meminfo": "MemTotal:        3884000 kB\nMemAvailable:    3200000 kB\n",
            "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
            "sys/class/thermal/thermal_zone0/temp": "48312\n",
            "dev/gpiochip0": "",
            "dev/video0": "",
        },
    )
    return tmp_path


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Settings that name models of this test's own, and a store in a folder that can be written."""
    models = tmp_path / "models"
    content = b"not run here"
    common = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "input": {"width": 320, "height": 240},
        "training": "python -m train",
        "data": ["none"],
        "figures": {},
        "card": "card.md",
    }
    face = common | {"task": "face-detection", "file": "face.tflite", "labels": ["face"], "strides": [8]}
    labels = ["with_mask", "without_mask", "mask_worn_incorrectly"]
    mask = common | {"task": "mask-classification", "file": "mask.tflite", "labels": labels, "margin": 0.1}
    manifest = json.dumps({"version": 1, "models": {"face": face, "mask": mask}})
    write(models, {"manifest.json": manifest, "face.tflite": content.decode(), "mask.tflite": content.decode()})
    return Config.model_validate(
        {
            "face": {"model": f"{models}/manifest.json#face"},
            "mask": {"model": f"{models}/manifest.json#mask"},
            "counts": {"path": tmp_path / "state" / "counts.db"},
        }
    )


def found(findings: list[Finding], name: str) -> Finding:
    """The one finding of that name."""
    (finding,) = [one for one in findings if one.name == name]
    return finding


def changed(config: Config, **sections: dict[str, Any]) -> Config:
    whole = config.model_dump()
    for name, values in sections.items():
        whole[name] |= values
    return Config.model_validate(whole)


class TestAGoodPi:
    def test_nothing_needs_fixing(self, pi: Path, config: Config) -> None:
        findings = examine(machine(pi), config)
        assert {finding.state for finding in findings} == {State.OK}
        assert found(findings, "board").text == "Raspberry Pi 4 Model B Rev 1.4, aarch64"
        assert found(findings, "camera").text == f"{pi}/dev/video0: HD Webcam"
        assert found(findings, "temperature").text == "48 °C"
        assert found(findings, "memory").text == "3125 MiB free of 3792 MiB"
        assert as_text(findings).endswith("maskgate can run at a door here: 0 problems, 0 warnings.")

    def test_models_are_checked_by_hash(self, pi: Path, config: Config) -> None:
        texts = [finding.text for finding in examine(machine(pi), config) if finding.name == "models"]
        own = f" of your own, {Path(config.face.model.partition('#')[0]).parent}"
        assert texts == [f"{name}: {name}.tflite{own}, 320x240, hash verified" for name in ("face", "mask")]

    def test_the_face_model_suits_the_processor(self, pi: Path, config: Config) -> None:
        (pi / "proc/cpuinfo").write_text("flags\t: sse4_2 avx avx2\n")
        shipped = changed(config, face={"model": "face"})
        face, _ = (finding.text for finding in examine(machine(pi), shipped) if finding.name == "models")
        assert face.startswith("face: face-float16.tflite, 320x320, ")
        assert ", in float16, " in face


class TestWhatKeepsItFromRunning:
    def problem(self, findings: list[Finding]) -> Finding:
        """The only problem; it must say what to do."""
        (finding,) = [one for one in findings if one.state is State.PROBLEM]
        assert finding.remedy
        return finding

    def test_no_camera_at_all(self, pi: Path, config: Config) -> None:
        (pi / "dev/video0").unlink()
        assert self.problem(examine(machine(pi), config)).text == "no camera module and no USB camera"

    def test_no_runtime(self, pi: Path, config: Config) -> None:
        bare = {name: number for name, number in PACKAGES.items() if name != "ai-edge-litert"}
        problem = self.problem(examine(machine(pi, version_of=bare.get), config))
        assert problem.remedy is not None
        assert problem.remedy.endswith("pip install ai-edge-litert")

    def test_tflite_runtime_beside_numpy_2(self, pi: Path, config: Config) -> None:
        packages = {name: number for name, number in PACKAGES.items() if name != "ai-edge-litert"}
        packages["tflite-runtime"] = "2.14.0"
        modules = MODULES | {"tflite_runtime": ()}
        problem = self.problem(examine(machine(pi, version_of=packages.get, files_of=modules.get), config))
        assert problem.text == "tflite-runtime 2.14.0 crashes with numpy 2.2.6"
        assert problem.remedy is not None
        assert problem.remedy.endswith("pip install 'numpy<2'")

    def test_an_altered_model(self, pi: Path, config: Config) -> None:
        (pi / "models/mask.tflite").write_bytes(b"altered")
        assert "mask.tflite is not the one in its manifest" in self.problem(examine(machine(pi), config)).text

    def test_missing_manifest_is_reported_once(self, pi: Path, config: Config) -> None:
        (pi / "models/manifest.json").unlink()
        assert "manifest.json cannot be read" in self.problem(examine(machine(pi), config)).text

    def test_opencv_does_not_load(self, pi: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("edge.vision.checks.imports", lambda module: False)
        assert self.problem(examine(machine(pi), config)).text.endswith("numpy 2.2.6 do not load together")

    @pytest.mark.parametrize("python", [(3, 9), (3, 14)])
    def test_unsupported_python(self, pi: Path, config: Config, python: tuple[int, int]) -> None:
        assert self.problem(examine(machine(pi, python=python), config)).name == "python"

    @pytest.mark.parametrize("output", ["gpio", "gpiod"])
    def test_requested_gpio_is_missing(self, pi: Path, config: Config, output: str) -> None:
        (pi / "dev/gpiochip0").unlink()
        assert self.problem(examine(machine(pi), changed(config, alerts={"output": output}))).name == "gpio"


class TestWhatLimitsIt:
    def warning(self, findings: list[Finding]) -> Finding:
        """The only finding that is not good; it must say what to do."""
        (finding,) = [one for one in findings if one.state is not State.OK]
        assert finding.state is State.WARNING
        assert finding.remedy
        return finding

    def test_clock_is_not_set(self, pi: Path, config: Config) -> None:
        warning = self.warning(examine(machine(pi, clock_is_set=lambda: False), config))
        assert warning.remedy == "sudo timedatectl set-ntp true"

    def test_a_hot_processor(self, pi: Path, config: Config) -> None:
        write(pi, {"sys/class/thermal/thermal_zone1/temp": "84000"})
        assert self.warning(examine(machine(pi), config)).text == "84 °C: the processor may slow itself down"

    def test_little_memory(self, pi: Path, config: Config) -> None:
        write(pi, {"proc/meminfo": "MemTotal: 437000 kB\nMemAvailable: 90000 kB\n"})
        assert self.warning(examine(machine(pi), config)).name == "memory"

    def test_a_32_bit_system(self, pi: Path, config: Config) -> None:
        warning = self.warning(examine(machine(pi, architecture="armv7l"), config))
        assert warning.remedy == "flash the 64-bit Raspberry Pi OS"

    def test_unrequested_gpio_is_missing(self, pi: Path, config: Config) -> None:
        (pi / "dev/gpiochip0").unlink()
        assert self.warning(examine(machine(pi), config)).name == "gpio"

    def test_gpio_without_its_packages(self, pi: Path, config: Config) -> None:
        bare = {name: number for name, number in PACKAGES.items() if name not in ("gpiozero", "lgpio")}
        warning = self.warning(examine(machine(pi, version_of=bare.get), config))
        assert warning.text == "gpiochip0, but gpiozero and lgpio are not installed"

    def test_pi_packages_come_from_the_system(self, pi: Path, config: Config) -> None:
        bare = {name: number for name, number in PACKAGES.items() if name not in ("gpiozero", "lgpio")}
        warning = self.warning(examine(machine(pi, version_of=bare.get, sees_system=True), config))
        assert warning.remedy == "sudo apt install python3-gpiozero python3-lgpio"
        warning = self.warning(examine(machine(pi, version_of=bare.get, sees_system=False), config))
        assert (warning.remedy or "").endswith("pip install gpiozero lgpio")

    def test_gpiod_is_missing_or_old(self, pi: Path, config: Config) -> None:
        settings = changed(config, alerts={"chip": "gpiochip0", "led_pin": 3})
        for number, text in ((None, "gpiod is not installed"), ("1.6.3", "gpiod 1.6.3 is too old")):
            packages = PACKAGES | ({"gpiod": number} if number else {})
            warning = self.warning(examine(machine(pi, version_of=packages.get), settings))
            assert warning.text == f"gpiochip0, but {text}"
            assert warning.remedy is not None
            assert warning.remedy.endswith("pip install 'gpiod>=2.1'")

    def test_sound_without_aplay(self, pi: Path, config: Config) -> None:
        settings = changed(config, alerts={"sound": "tone"})
        warning = self.warning(examine(machine(pi, program=lambda name: None), settings))
        assert warning.remedy == "sudo apt install alsa-utils"

    def test_sound_without_a_card(self, pi: Path, config: Config) -> None:
        write(pi, {"proc/asound/cards": "--- no soundcards ---\n"})
        settings = changed(config, alerts={"sound": "tone"})
        assert "no sound card" in self.warning(examine(machine(pi, program=str), settings)).text

    def test_a_prompt_that_is_not_there(self, pi: Path, config: Config) -> None:
        write(pi, {"proc/asound/cards": " 0 [Headphones     ]: bcm2835_headpho - bcm2835 Headphones\n"})
        settings = changed(config, alerts={"sound": str(pi / "prompt.wav")})
        assert "prompt.wav: No such file" in self.warning(examine(machine(pi, program=str), settings)).text

    def test_quiet_hours_with_unset_clock(self, pi: Path, config: Config) -> None:
        settings = changed(config, alerts={"quiet_hours": "22:00-06:00"})
        findings = examine(machine(pi, clock_is_set=lambda: False), settings)
        assert found(findings, "quiet hours").state is State.WARNING
        findings = examine(machine(pi), settings)
        assert found(findings, "quiet hours").text.startswith("22:00-06:00 in local time; it is ")

    def test_store_folder_is_read_only(self, pi: Path, config: Config) -> None:
        warning = self.warning(examine(machine(pi), changed(config, counts={"path": Path("/proc/counts.db")})))
        assert warning.text.startswith("/proc/counts.db cannot be written")

    def test_two_packages_of_opencv(self, pi: Path, config: Config) -> None:
        packages = PACKAGES | {"opencv-python": "4.12.0.88"}
        assert "overwrite each other" in self.warning(examine(machine(pi, version_of=packages.get), config)).text

    def test_an_opencv_that_fails_interlaced_video(self, pi: Path, config: Config) -> None:
        packages = PACKAGES | {"opencv-python-headless": "4.13.0.92"}
        warning = self.warning(examine(machine(pi, version_of=packages.get), config))
        assert "interlaced video cannot be read" in warning.text
        assert (warning.remedy or "").endswith("install 'opencv-python-headless<4.13'")

    def test_a_source_that_is_no_camera(self, pi: Path, config: Config) -> None:
        (pi / "dev/video0").unlink()
        warning = self.warning(examine(machine(pi), changed(config, camera={"source": "demo"})))
        assert warning.text == "camera.source is demo, no camera"


class TestCameras:
    def test_streams_are_named_without_password(self, pi: Path, config: Config) -> None:
        (pi / "dev/video0").unlink()
        settings = changed(config, camera={"source": "rtsp://door:secret@cam/live"})
        assert found(examine(machine(pi), settings), "camera").text.startswith("camera.source is rtsp://cam,")

    @pytest.mark.parametrize(
        ("source", "said"),
        [
            (f"{'a' * 300}.mp4", "camera.source cannot be read: File name too long"),
            ("webcam", "camera.source is not a picture source"),
            ("/dev/v4l/by-id/usb-gone-index0", "there is no /dev/v4l/by-id/usb-gone-index0"),
        ],
        ids=["no file system could hold it", "no accepted form", "a link to a camera that is unplugged"],
    )
    def test_unusable_source_is_a_problem(self, pi: Path, config: Config, source: str, said: str) -> None:
        findings = examine(machine(pi), changed(config, camera={"source": source}))
        assert [one.text for one in findings if one.name == "camera" and one.state is State.PROBLEM] == [said]

    def test_other_video_nodes_do_not_count(self, pi: Path, config: Config) -> None:
        findings = examine(machine(pi, query=lambda path: None), config)
        assert found(findings, "camera").state is State.PROBLEM


class TestAccelerators:
    def plug_in(self, pi: Path, *, library: bool = True) -> None:
        usb = "sys/bus/usb/devices/1-1"
        write(pi, {f"{usb}/idVendor": "18d1\n", f"{usb}/idProduct": "9302\n"})
        if library:
            write(pi, {"usr/lib/aarch64-linux-gnu/libedgetpu.so.1": ""})

    def compile_models(self, pi: Path) -> None:
        path = pi / "models/manifest.json"
        manifest = json.loads(path.read_text())
        for name, entry in manifest["models"].items():
            entry["edgetpu"] = {"file": f"{name}_edgetpu.tflite", "sha256": "0" * 64, "compiler": "16.0"}
        path.write_text(json.dumps(manifest))

    def test_complete_usb_stick_is_fine(self, pi: Path, config: Config) -> None:
        self.plug_in(pi)
        self.compile_models(pi)
        finding = found(examine(machine(pi), config), "accelerator")
        assert (finding.state, finding.text) == (State.OK, "Edge TPU usb:0, models compiled")

    def test_uncompiled_models_are_named(self, pi: Path, config: Config) -> None:
        self.plug_in(pi)
        finding = found(examine(machine(pi), config), "accelerator")
        assert finding.state is State.WARNING
        assert "not compiled for it: face, mask" in finding.text
        assert (finding.remedy or "").startswith("make edgetpu")

    def test_crashed_library_is_reported(self, pi: Path, config: Config) -> None:
        from edge.runtime.accelerator.accelerated import ProbeMemory, probe_key
        from edge.runtime.accelerator.edgetpu import Order
        from tests.stand_ins.clock import ManualClock

        self.plug_in(pi)
        self.compile_models(pi)
        key = probe_key(Order("litert"), pi)
        ProbeMemory(pi / "state/edgetpu.json", key, ManualClock()).note("its process was ended by SIGSEGV")
        finding = found(examine(machine(pi), config), "accelerator")
        assert finding.state is State.WARNING
        assert "crashed when it was tried (its process was ended by SIGSEGV)" in finding.text
        ProbeMemory(pi / "state/edgetpu.json", key, ManualClock()).note(None)
        assert found(examine(machine(pi), config), "accelerator").state is State.OK

    @pytest.mark.parametrize(
        ("runtime", "state", "said"),
        [
            ({"accelerator": "edgetpu"}, State.WARNING, "asks for an Edge TPU, but there is none"),
            ({"accelerator": "auto"}, State.OK, "none; models run on the processor"),
            ({"accelerator": "cpu"}, State.OK, "not used"),
        ],
    )
    def test_missing_one_depends_on_the_settings(
        self, pi: Path, config: Config, runtime: dict[str, Any], state: State, said: str
    ) -> None:
        finding = found(examine(machine(pi), changed(config, runtime=runtime)), "accelerator")
        assert (finding.state, said in finding.text) == (state, True)

    def test_missing_device_gets_a_suggestion(self, pi: Path, config: Config) -> None:
        self.plug_in(pi)
        finding = found(examine(machine(pi), changed(config, runtime={"device": "pci:0"})), "accelerator")
        assert finding.remedy == 'set runtime.device = "usb:0"'

    def test_card_needs_its_driver(self, pi: Path, config: Config) -> None:
        card = "sys/bus/pci/devices/0000:01:00.0"
        write(pi, {f"{card}/vendor": "0x1ac1\n", f"{card}/device": "0x089a\n"})
        finding = found(examine(machine(pi), config), "accelerator")
        assert finding.state is State.WARNING
        assert finding.text == "an Edge TPU card is fitted, but its driver is not installed"
        assert "gasket-dkms" in (finding.remedy or "")

    def test_card_needs_its_library(self, pi: Path, config: Config) -> None:
        write(pi, {"dev/apex_0": ""})
        finding = found(examine(machine(pi), config), "accelerator")
        assert finding.state is State.WARNING
        assert finding.remedy is not None
        assert "libedgetpu1-std" in finding.remedy

    @pytest.mark.parametrize(("file", "state"), [("utils/edgetpu.py", State.OK), ("hello.py", State.WARNING)])
    def test_unrelated_pycoral_is_recognised(self, pi: Path, config: Config, file: str, state: State) -> None:
        write(pi, {f"site/pycoral/{file}": ""})
        modules = MODULES | {"pycoral": (pi / "site/pycoral",)}
        finding = found(examine(machine(pi, files_of=modules.get), config), "pycoral")
        assert finding.state is state


class TestPower:
    def test_throttling_is_reported_with_cause(self, pi: Path, config: Config) -> None:
        write(pi, {"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"})
        finding = found(examine(machine(pi), config), "power")
        assert finding.state is State.WARNING
        assert finding.text == "the board slows itself down: under voltage, throttled"
        assert finding.remedy == "use the board's own power supply and a short cable"

    def test_heat_needs_no_power_supply(self, pi: Path, config: Config) -> None:
        write(pi, {"sys/devices/platform/soc/soc:firmware/get_throttled": "8\n"})
        assert found(examine(machine(pi), config), "power").remedy == "give it air or a heat sink"

    def test_past_trouble_is_no_warning(self, pi: Path, config: Config) -> None:
        write(pi, {"sys/devices/platform/soc/soc:firmware/get_throttled": "50000\n"})
        finding = found(examine(machine(pi), config), "power")
        assert finding.state is State.OK
        assert finding.text == "fine now, but since boot: under voltage, throttled"


class TestBoards:
    """What is missing on each board as it comes, and the one command that fixes it."""

    def examined(self, root: Path, config: Config, name: str, **parts: Any) -> list[Finding]:
        return examine(machine(build(root / name, name), query=lambda path: None, **parts), config)

    def problems(self, findings: list[Finding]) -> dict[str, tuple[str, str | None]]:
        return {one.name: (one.text, one.remedy) for one in findings if one.state is not State.OK}

    @pytest.mark.parametrize("name", BOARDS)
    def test_every_board_needs_a_camera(self, tmp_path: Path, config: Config, name: str) -> None:
        findings = self.examined(tmp_path, config, name)
        assert found(findings, "board").text == f"{BOARDS[name].model or 'PC (NUC7i5BNK)'}, aarch64"
        assert found(findings, "camera").state is State.PROBLEM
        assert all(one.remedy for one in some(one for one in findings if one.state is not State.OK))

    @pytest.mark.parametrize(
        ("name", "said", "remedy"),
        [
            (
                "5",
                "the camera module imx219 needs picamera2, which is not installed",
                "sudo apt install python3-picamera2",
            ),
            ("3b+", "no camera module and no USB camera", "plug one in; check: lsusb, rpicam-hello --list-cameras"),
            (
                "jetson-orin-nano",
                "the camera module imx219 is used only if it is configured",
                'set camera.source = "csi:0"',
            ),
            ("pc", "no USB camera", "plug one in; check: lsusb"),
        ],
    )
    def test_usable_camera_is_named(self, tmp_path: Path, config: Config, name: str, said: str, remedy: str) -> None:
        camera = found(self.examined(tmp_path, config, name), "camera")
        assert (camera.text, camera.remedy) == (said, remedy)

    @pytest.mark.parametrize(
        ("build_information", "name", "expected"),
        [
            ("  GStreamer:    YES (1.20.3)", "jetson-orin-nano", (State.OK, "camera module imx219 as csi:0")),
            ("  GStreamer:    NO", "jetson-orin-nano", (State.PROBLEM, "needs an OpenCV with GStreamer")),
            ("  GStreamer:    YES (1.20.3)", "pc", (State.PROBLEM, "no camera module is found")),
        ],
    )
    def test_jetson_module_needs_gstreamer(
        self, tmp_path: Path, config: Config, build_information: str, name: str, expected: tuple[State, str]
    ) -> None:
        settings = changed(config, camera={"source": "csi:0"})
        findings = self.examined(tmp_path, settings, name, opencv_build=lambda: build_information)
        camera, (state, said) = found(findings, "camera"), expected
        assert (camera.state, said in camera.text) == (state, True)

    def test_isolated_python_misses_picamera2(self, tmp_path: Path, config: Config) -> None:
        camera = found(self.examined(tmp_path, config, "5", sees_system=False), "camera")
        assert camera.text.endswith("not installed where this Python looks")
        assert camera.remedy is not None
        assert camera.remedy.startswith("sudo apt install python3-picamera2; ")
        assert camera.remedy.endswith(" -m venv --upgrade --system-site-packages " + sys.prefix)

    @pytest.mark.parametrize(
        ("cause", "said", "remedy"),
        [
            (ValueError("numpy.dtype size changed"), "does not load: numpy.dtype size changed", "numpy<2"),
            (None, "picamera2 does not see the camera module imx219", "ribbon cable"),
        ],
    )
    def test_broken_picamera2_is_told_apart(
        self, tmp_path: Path, config: Config, cause: Exception | None, said: str, remedy: str
    ) -> None:
        def fail() -> str:
            raise NoPiCameraError("no camera") from cause

        camera = found(self.examined(tmp_path, config, "5", pi_camera=fail), "camera")
        assert (camera.state, said in camera.text, remedy in (camera.remedy or "")) == (State.PROBLEM, True, True)

    @pytest.mark.parametrize(("name", "threads"), [("5", 3), ("jetson-orin-nano", 4), ("zero2w", 3)])
    def test_threads_suit_the_board(
        self, tmp_path: Path, config: Config, name: str, threads: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(6)))
        findings = self.examined(tmp_path, config, name)
        assert found(findings, "runtime").text == f"ai-edge-litert 2.3.0, {threads} threads"
        (tmp_path / name).rename(tmp_path / "again")
        findings = self.examined(tmp_path, changed(config, runtime={"threads": 1}), name)
        assert found(findings, "runtime").text == "ai-edge-litert 2.3.0, 1 thread"

    @pytest.mark.parametrize("sees_system", [True, False])
    def test_isolated_python_misses_jetpacks_opencv(self, tmp_path: Path, config: Config, sees_system: bool) -> None:
        settings = changed(config, camera={"source": "csi:0"})
        findings = self.examined(tmp_path, settings, "jetson-orin-nano", sees_system=sees_system)
        remedy = found(findings, "camera").remedy or ""
        assert remedy.startswith("sudo apt install python3-opencv; ")
        assert ("--system-site-packages" in remedy) is not sees_system

    def test_pi_5_pins_name_their_chip(self, tmp_path: Path, config: Config) -> None:
        assert "gpiochip0 (pinctrl-rp1)" in found(self.examined(tmp_path, config, "5"), "gpio").text

    def test_unnamed_pins_point_to_the_page(self, tmp_path: Path, config: Config) -> None:
        gpio = found(self.examined(tmp_path, config, "jetson-orin-nano"), "gpio")
        assert gpio.state is State.WARNING
        assert gpio.text == "gpiochip0 (tegra234-gpio), gpiochip1 (tegra234-gpio-aon); no alarm pin is set"
        assert gpio.remedy == "set alerts.led_pin and the others: docs/how-to/wiring.md has the pins of each board"

    def test_header_pins_need_no_chip(self, tmp_path: Path, config: Config) -> None:
        settings = changed(config, alerts={"led_pin": "BOARD29"})
        gpio = found(self.examined(tmp_path, settings, "jetson-orin-nano"), "gpio")
        assert (gpio.remedy or "").endswith("pip install 'gpiod>=2.1'")
        packages = PACKAGES | {"gpiod": "2.3.0"}
        gpio = found(self.examined(tmp_path, settings, "jetson-orin-nano", version_of=packages.get), "gpio")
        assert (gpio.state, gpio.text.endswith("gpiod 2.3.0")) == (State.OK, True)

    @pytest.mark.parametrize("output", ["auto", "gpiod"])
    def test_old_kernel_cannot_drive_pins(self, tmp_path: Path, config: Config, output: str) -> None:
        name = "jetson-orin-nano"
        root = build(tmp_path / name, name)
        write(root, {"proc/sys/kernel/osrelease": "5.4.0-216-generic\n"})
        gpio = found(examine(machine(root), changed(config, alerts={"output": output})), "gpio")
        assert gpio.state is (State.WARNING if output == "auto" else State.PROBLEM)
        assert gpio.text == "gpiod needs Linux 5.10, and this is 5.4.0-216-generic: no lamp, no buzzer"

    def test_hot_pi_5_is_warned_of(self, tmp_path: Path, config: Config) -> None:
        assert "soft temperature limit" in self.problems(self.examined(tmp_path, config, "5"))["power"][0]


class TestOutput:
    @pytest.fixture
    def run(self, pi: Path, config: Config, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
        def run(as_json: bool, **parts: Any) -> int:
            monkeypatch.setattr(doctor, "Machine", lambda: machine(pi, **parts))
            return doctor.run(argparse.Namespace(json=as_json), Settings(config, {}, None))

        return run

    def test_exit_code_tells_if_it_runs(self, run: Callable[..., int]) -> None:
        assert run(as_json=False) == 0
        assert run(as_json=False, files_of={"cv2": ()}.get) == 1

    def test_json_holds_every_finding(self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
        run(as_json=True, clock_is_set=lambda: False)
        printed = json.loads(capsys.readouterr().out)
        assert printed["ok"] is True
        assert printed["board"]["profile"]["name"] == "Raspberry Pi 4"
        assert "pattern" not in printed["board"]["profile"]
        assert printed["board"]["model"] == "Raspberry Pi 4 Model B Rev 1.4"
        assert {
            "name": "clock",
            "state": "warning",
            "text": "not set by a time server: visits may have wrong times",
            "remedy": "sudo timedatectl set-ntp true",
        } in printed["findings"]

    def test_remedies_follow_their_finding(self, run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
        run(as_json=False, clock_is_set=lambda: None)
        lines = capsys.readouterr().out.splitlines()
        at = next(number for number, line in enumerate(lines) if "does not report" in line)
        assert lines[at].startswith("warning  clock")
        assert lines[at + 1].strip() == "-> timedatectl"

    def test_this_machine_can_be_examined(self, config: Config) -> None:
        names = {finding.name for finding in examine(Machine(), config)}
        assert {"board", "python", "memory", "opencv", "runtime", "disk", "clock", "temperature"} <= names


WITHOUT = """
import importlib.machinery, sys
find = importlib.machinery.PathFinder.find_spec
def find_other(name, path=None, target=None):
    return None if name.split(".")[0] == sys.argv[1] else find(name, path, target)
importlib.machinery.PathFinder.find_spec = find_other
from edge.cli import main
sys.exit(main(["doctor"]))
"""


@pytest.mark.parametrize(
    ("package", "said", "examined"),
    [
        ("cv2", "OpenCV or numpy is not installed", "\nok       disk"),
        ("numpy", "vision       cannot be examined: No module named 'numpy'", "\nok       python"),
    ],
)
def test_missing_packages_are_findings(package: str, said: str, examined: str) -> None:
    command = [sys.executable, "-c", WITHOUT, package]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert said in done.stdout
    assert examined in done.stdout, "the rest is examined all the same"
