"""The alarm's sound, played by the real aplay into ALSA's own files and pipes instead of a card."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
import time
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edge.alerts import Alert, sound
from edge.alerts.choose import open_alert
from edge.alerts.pattern import Rhythm
from edge.alerts.policy import AlertPolicy
from edge.alerts.sound import RATE, Sound, UnplayableError, read_clip, tone
from edge.config import AlertSettings
from edge.values import BBox, EventKind, Person, Verdict
from tests.nonempty import some

ROOT = Path(__file__).parents[2]
needs_aplay = pytest.mark.skipif(shutil.which("aplay") is None, reason="no aplay here (apt install alsa-utils)")


def wait_until(condition: Callable[[], object], seconds: float = 20.0) -> None:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.005)


def to_file(path: Path) -> str:
    """ALSA's name of a device that writes its samples to a file, and takes them as fast as they come."""
    return f"file:FILE={path},FORMAT=raw"


def settings(**changes: Any) -> AlertSettings:
    return AlertSettings(**{"output": "none", "sound": "tone", **changes})


def samples(wav: bytes) -> NDArray[np.int16]:
    with wave.open(io.BytesIO(wav)) as clip:
        return np.frombuffer(clip.readframes(clip.getnframes()), "<i2")


def pitch(beep: NDArray[np.int16]) -> float:
    """The strongest frequency, in hertz."""
    spectrum = np.abs(np.fft.rfft(beep.astype(float)))
    return float(np.fft.rfftfreq(len(beep), 1 / RATE)[spectrum.argmax()])


def write_prompt(path: Path, seconds: float = 0.5) -> NDArray[np.int16]:
    """A WAV file of noise, which no other sound equals: mono, 16 kHz, as speech synthesisers make them."""
    noise = np.random.default_rng(7).integers(-9000, 9000, round(seconds * 16000)).astype("<i2")
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16000)
        out.writeframes(noise.tobytes())
    return noise


class TestTone:
    def test_tone_has_rhythm_and_pitch(self) -> None:
        clip = tone(Rhythm(0.2, 0.1, 3), 880)
        beats = samples(clip.wav).reshape(3, -1)
        assert clip.seconds == pytest.approx(0.9)
        for beat in some(beats):
            beep, pause = np.split(beat, [round(0.2 * RATE)])
            assert pitch(beep) == pytest.approx(880, abs=5)
            assert not pause.any()

    def test_tone_is_loud_and_clean(self) -> None:
        beep = samples(tone(Rhythm(0.2, 0.0, 1), 2000).wav).astype(int)
        assert 0.45 * 32767 < np.abs(beep).max() < 0.55 * 32767
        assert np.abs(beep[:20]).max() < 0.05 * 32767
        assert np.abs(beep[-20:]).max() < 0.05 * 32767


class TestPrompt:
    def test_its_samples_and_length_are_read(self, tmp_path: Path) -> None:
        noise = write_prompt(tmp_path / "prompt.wav")
        clip = read_clip(tmp_path / "prompt.wav")
        assert clip.seconds == 0.5
        assert np.array_equal(samples(clip.wav), noise)

    def test_one_that_is_absent_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(UnplayableError, match=r"prompt\.wav: No such file or directory; check the path"):
            read_clip(tmp_path / "prompt.wav")

    @pytest.mark.parametrize("content", [b"", b"ID3 this is an MP3", b"RIFF\x04\0\0\0WAVE"])
    def test_other_formats_name_a_converter(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "prompt.wav").write_bytes(content)
        with pytest.raises(UnplayableError, match="ffmpeg -i"):
            read_clip(tmp_path / "prompt.wav")

    def test_its_length_is_that_of_its_samples(self, tmp_path: Path) -> None:
        """ffmpeg writes the largest length into the header of what it sends through a pipe."""
        write_prompt(tmp_path / "prompt.wav")
        content = (tmp_path / "prompt.wav").read_bytes()
        (tmp_path / "prompt.wav").write_bytes(content[:40] + b"\xff\xff\xff\xff" + content[44:])
        assert read_clip(tmp_path / "prompt.wav").seconds == 0.5

    def test_one_without_sound_is_refused(self, tmp_path: Path) -> None:
        write_prompt(tmp_path / "prompt.wav", seconds=0)
        with pytest.raises(UnplayableError, match=r"prompt\.wav holds no sound"):
            read_clip(tmp_path / "prompt.wav")

    @pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir])
    def test_what_is_no_file_is_refused(self, tmp_path: Path, make: Callable[[Path], None]) -> None:
        make(tmp_path / "prompt.wav")
        with pytest.raises(UnplayableError, match=r"prompt\.wav is not a file"):
            read_clip(tmp_path / "prompt.wav")

    def test_large_files_are_refused(self, tmp_path: Path) -> None:
        with (tmp_path / "prompt.wav").open("wb") as file:
            file.truncate(sound.LARGEST + 1)
        with pytest.raises(UnplayableError, match="larger than 10 MiB"):
            read_clip(tmp_path / "prompt.wav")


@pytest.fixture
def opened() -> Iterator[Callable[..., Alert]]:
    """Opens alerts that are closed after the test."""
    alerts: list[Alert] = []

    def open_one(**changes: Any) -> Alert:
        alerts.append(open_alert(settings(**changes)))
        return alerts[-1]

    yield open_one
    for alert in alerts:
        alert.close()


@pytest.fixture
def plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often the real aplay was started."""
    real = shutil.which("aplay")
    log = tmp_path / "plays"
    log.touch()
    program = tmp_path / "bin" / "aplay"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho >> "{log}"\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return lambda: len(log.read_text())


@needs_aplay
class TestThroughAlsa:
    def test_tone_reaches_the_device_unchanged(self, opened: Callable[..., Alert], tmp_path: Path) -> None:
        out = tmp_path / "out.raw"
        alert = opened(sound_device=to_file(out), on_time=0.2, off_time=0.1, duration=0.9, tone=1000)
        wanted = samples(tone(Rhythm(0.2, 0.1, 3), 1000).wav)
        alert.alarm(on=True)
        wait_until(lambda: out.exists() and out.stat().st_size >= wanted.nbytes)
        heard = np.fromfile(out, "<i2")
        assert np.array_equal(heard[: len(wanted)], wanted)
        assert pitch(heard[: round(0.2 * RATE)]) == pytest.approx(1000, abs=5)
        assert alert.trouble is None

    def test_tone_takes_another_rhythm(self, opened: Callable[..., Alert], tmp_path: Path) -> None:
        out = tmp_path / "out.raw"
        alert = opened(sound_device=to_file(out), duration=60)
        alert.configure(settings(sound_device=to_file(out), on_time=0.3, off_time=0.0, duration=0.3, tone=1000))
        wanted = samples(tone(Rhythm(0.3, 0.0, 1), 1000).wav)
        alert.alarm(on=True)
        wait_until(lambda: out.exists() and out.stat().st_size >= wanted.nbytes)
        assert np.array_equal(np.fromfile(out, "<i2")[: len(wanted)], wanted)

    def test_prompt_outlives_its_file(self, opened: Callable[..., Alert], tmp_path: Path) -> None:
        out, prompt = tmp_path / "out.raw", tmp_path / "prompt.wav"
        noise = write_prompt(prompt)
        alert = opened(sound=str(prompt), sound_device=to_file(out))
        assert alert.name == f"none (by configuration), sound ({prompt} through {to_file(out)})"
        prompt.unlink()
        alert.alarm(on=True)
        wait_until(lambda: out.exists() and out.stat().st_size >= noise.nbytes)
        assert np.array_equal(np.fromfile(out, "<i2")[: len(noise)], noise)

    def test_it_is_played_once_an_alarm(
        self, opened: Callable[..., Alert], tmp_path: Path, plays: Callable[[], int]
    ) -> None:
        alert = opened(sound_device=to_file(tmp_path / "out.raw"))
        for number in (1, 2, 3):
            alert.alarm(on=True)
            wait_until(lambda number=number: plays() == number)
            time.sleep(0.3)
            alert.alarm(on=False)
        assert plays() == 3

    def test_mute_lasts_until_lifted(
        self, opened: Callable[..., Alert], tmp_path: Path, plays: Callable[[], int]
    ) -> None:
        alert = opened(sound_device=to_file(tmp_path / "out.raw"))
        alert.hush(on=True)
        alert.alarm(on=True)
        time.sleep(0.3)
        alert.alarm(on=False)
        assert plays() == 0
        alert.hush(on=False)
        alert.alarm(on=True)
        wait_until(lambda: plays() == 1)

    def test_trial_is_heard_though_muted(
        self, opened: Callable[..., Alert], tmp_path: Path, plays: Callable[[], int]
    ) -> None:
        alert = opened(sound_device=to_file(tmp_path / "out.raw"), duration=0.4)
        alert.hush(on=True)
        for number in (1, 2):
            alert.try_output("sound")
            wait_until(lambda number=number: plays() == number)
            time.sleep(0.6)
        assert plays() == 2
        assert [state.kind for state in alert.outputs] == ["sound"]

    def test_long_prompt_is_announced(
        self, opened: Callable[..., Alert], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        write_prompt(tmp_path / "long.wav", seconds=4)
        opened(sound=str(tmp_path / "long.wav"), duration=3)
        assert "takes 4.0 s and is cut off after alerts.duration = 3 s" in caplog.text


class SlowDevice:
    """A device that takes no more than a moment of sound until it is asked for the rest: a pipe, and who reads it."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self.began, self.ended, self._go_on = threading.Event(), threading.Event(), threading.Event()
        self.heard = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def rest(self) -> int:
        """All bytes that were played, once the player is gone."""
        self._go_on.set()
        assert self.ended.wait(20)
        return self.heard

    def _listen(self) -> None:
        with self.path.open("rb", buffering=0) as pipe:
            self.heard = len(pipe.read(1000))
            self.began.set()
            self._go_on.wait(60)
            while more := pipe.read(65536):
                self.heard += len(more)
        self.ended.set()


@needs_aplay
class TestItStops:
    WHOLE = 60 * RATE * 2

    @pytest.fixture
    def device(self, tmp_path: Path) -> SlowDevice:
        return SlowDevice(tmp_path / "pipe")

    @pytest.mark.parametrize("how", ["alarm off", "hush", "close"])
    def test_in_the_middle_of_the_sound(self, opened: Callable[..., Alert], device: SlowDevice, how: str) -> None:
        alert = opened(sound_device=to_file(device.path), duration=60)
        alert.alarm(on=True)
        assert device.began.wait(20)
        {"alarm off": lambda: alert.alarm(on=False), "hush": lambda: alert.hush(on=True), "close": alert.close}[how]()
        assert 0 < device.rest() < self.WHOLE / 4

    def test_when_the_program_ends_without_closing(self, device: SlowDevice) -> None:
        script = (
            "import sys, time\n"
            "from edge.alerts.choose import open_alert\n"
            "from edge.config import AlertSettings\n"
            "alert = open_alert(AlertSettings(output='none', sound='tone', sound_device=sys.argv[1], duration=60))\n"
            "alert.alarm(on=True)\n"
            "sys.stdin.readline()\n"
            "raise SystemExit(3)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        door = subprocess.Popen(
            [sys.executable, "-c", script, to_file(device.path)], stdin=subprocess.PIPE, env=environment
        )
        assert device.began.wait(20)
        door.communicate(b"\n", timeout=30)
        assert door.returncode == 3
        assert 0 < device.rest() < self.WHOLE / 4


class TestWhatDoesNotWork:
    def bare(self, number: int = 1) -> Person:
        return Person(number, BBox(0, 0, 80, 100), Verdict.WITHOUT_MASK, 0.0, 0.0)

    @needs_aplay
    def test_missing_card_is_reported_once(self, caplog: pytest.LogCaptureFixture) -> None:
        alert = open_alert(settings(sound_device="no-such-card"))
        policy = AlertPolicy(settings(), alert)
        events = policy.update([], [self.bare()], at=0.0)
        wait_until(lambda: alert.trouble)
        for at in (1.0, 5.0, 9.0):
            events += policy.update([], [self.bare(int(at))], at=at)
        policy.close()
        assert [event.kind for event in events].count(EventKind.ALERT_ON) == 2
        (said,) = caplog.messages
        assert said.startswith("The alarm's sound cannot be played through no-such-card: aplay: ")
        assert "No such file or directory; check alerts.sound_device with aplay -L" in said

    @needs_aplay
    def test_hanging_card_is_reported_and_retried(
        self, opened: Callable[..., Alert], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A pipe that nobody reads hangs when it is opened, as a sound server that has stopped does."""
        monkeypatch.setattr(sound, "SETTLE", 0.5)
        os.mkfifo(tmp_path / "pipe")
        alert = opened(sound_device=to_file(tmp_path / "pipe"))
        begin = time.monotonic()
        alert.alarm(on=True)
        assert time.monotonic() - begin < 5  # the pipe hangs for ever
        time.sleep(1.0)
        alert.alarm(on=False)
        wait_until(lambda: alert.trouble)
        assert alert.trouble is not None
        assert "the device does not take it in time" in alert.trouble

        (tmp_path / "pipe").unlink()
        alert.alarm(on=True)
        wait_until(lambda: alert.trouble is None)
        assert (tmp_path / "pipe").stat().st_size > 0

    def test_endless_player_is_stopped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sound, "SLACK", 0.2)
        program = tmp_path / "aplay"
        program.write_text(f'#!/bin/sh\necho $$ > "{tmp_path}/pid"\ncat > /dev/null\nexec sleep 60\n')
        program.chmod(0o755)
        player = Sound(tone(Rhythm(0.1, 0.1, 1), 1000), "default", str(program))
        player.alarm(on=True)
        wait_until(lambda: player.trouble)
        assert player.trouble is not None
        assert "the device does not take it in time" in player.trouble
        assert not Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}").exists()
        player.close()

    def test_missing_aplay_names_its_package(
        self, opened: Callable[..., Alert], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("PATH", "/nowhere")
        alert = opened()
        alert.alarm(on=True)
        assert alert.trouble == "Alarms have no sound: there is no aplay; install it: sudo apt install alsa-utils."
        assert "no sound: there is no aplay" in alert.name

    def test_missing_prompt_stops_nothing(self, opened: Callable[..., Alert], tmp_path: Path) -> None:
        trouble = opened(sound=str(tmp_path / "absent.wav")).trouble
        assert trouble is not None
        assert trouble.startswith("Alarms have no sound: ")
