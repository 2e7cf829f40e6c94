"""A tone or a spoken prompt through ALSA.

``aplay`` of alsa-utils plays it, as a process that is stopped with the alarm: it is on every Raspberry Pi OS and in the
archives of the other systems, whereas the Python packages need a compiler (pyalsaaudio) or a further library that
lists every device first (sounddevice with PortAudio). The sound is kept in memory, so that no disk can fail it.
"""

from __future__ import annotations

import atexit
import io
import logging
import os
import shutil
import subprocess
import threading
import time
import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge.alerts import Alert
from edge.alerts.none import NoAlert
from edge.alerts.pattern import Rhythm
from edge.alerts.state import OutputKind, OutputState
from edge.board import Profile
from edge.config import AlertSettings
from edge.files import may_be_file
from edge.messages import message

TONE = "tone"
RATE = 48_000
"""Sample rate of the tone, which every sound card supports."""
LEVEL = 0.5
"""Amplitude of the tone relative to full scale."""
RAMP = 0.005
"""Fade-in and fade-out of the tone, in seconds, so that it does not click."""
LARGEST = 10 * 2**20
"""Maximum size of a prompt file, in bytes."""
POLL = 0.05
"""Interval between checks of the running player, in seconds."""
SETTLE = 1.0
"""A player that lags this far behind is waiting for its device; also the time a killed player may take to end; in
seconds."""
SLACK = 5.0
"""How much longer than its sound a player may run, in seconds."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Clip:
    """A sound.

    Attributes:
        wav: A whole WAV file (PCM).
        seconds: How long it is.
        name: For the operator.
    """

    wav: bytes
    seconds: float
    name: str


class UnplayableError(ValueError):
    """A file holds no sound that can be played; the text says why."""


def tone(rhythm: Rhythm, pitch: float) -> Clip:
    """Beeps of a sine of ``pitch`` hertz in ``rhythm``: mono, 16 bits, 48,000 samples per second."""
    samples = np.arange(round(rhythm.on_time * RATE))
    distance_to_edge = np.minimum(samples, samples[::-1]) / RATE
    envelope = LEVEL * np.minimum(1.0, distance_to_edge / RAMP)
    beep = envelope * np.sin(2 * np.pi * pitch / RATE * samples)
    pause = np.zeros(round(rhythm.off_time * RATE))
    frames = np.tile(np.concatenate([beep, pause]), rhythm.beeps)
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((frames * np.iinfo(np.int16).max).astype("<i2").tobytes())
    return Clip(file.getvalue(), len(frames) / RATE, f"{TONE} of {pitch:g} Hz")


def read_clip(path: Path) -> Clip:
    """Read a WAV file whole.

    Raises:
        UnplayableError: It is absent, no file, too large, no PCM WAV or empty; the text says what to do.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UnplayableError(message("sound.too_large", path=path, most=LARGEST // 2**20))
        if not may_be_file(path):  # reading a FIFO or a device may never end
            raise UnplayableError(message("sound.no_file", path=path))
        wav = path.read_bytes()
        with wave.open(io.BytesIO(wav)) as clip:
            # Not by the header: a program that wrote the file through a pipe did not know its length.
            frames = len(clip.readframes(LARGEST)) // (clip.getnchannels() * clip.getsampwidth())
            seconds = frames / clip.getframerate()
    except OSError as error:
        raise UnplayableError(message("sound.unreadable", path=path, reason=error.strerror)) from error
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise UnplayableError(message("sound.no_wav", path=path)) from error
    if not frames:
        raise UnplayableError(message("sound.empty", path=path))
    return Clip(wav, seconds, str(path))


def open_output(settings: AlertSettings, _board: Profile, _devices: Path) -> Alert:
    """The sound that the settings ask for; what it lacks is in its ``trouble``."""
    program = shutil.which("aplay")
    if program is None:
        return _without(message("sound.no_player"))
    try:
        if settings.sound == TONE:
            clip = tone(Rhythm.of(settings), settings.tone)
        else:
            clip = read_clip(Path(settings.sound).expanduser())
    except UnplayableError as error:
        return _without(str(error))
    _warn_if_cut_off(clip, settings)
    return Sound(clip, settings.sound_device, program)


def _warn_if_cut_off(clip: Clip, settings: AlertSettings) -> None:
    if settings.sound != TONE and clip.seconds > settings.duration:
        log.warning(
            "The prompt %s takes %.1f s and is cut off after alerts.duration = %g s; raise it to hear the end.",
            clip.name,
            clip.seconds,
            settings.duration,
        )


def _without(reason: str) -> NoAlert:
    return NoAlert(message("sound.none", reason=reason), message("sound.silent", reason=reason), stands_for="sound")


class Sound(Alert):
    """Plays a clip once per alarm, through a player process that its own thread looks after.

    At most one player runs. It is killed when the alarm stops or is hushed, on ``close`` and when the interpreter
    exits. One that cannot play is reported in ``trouble``; the next alarm tries again.

    Args:
        clip: What to play.
        device: ALSA's name of the output, as ``aplay -L`` lists them.
        program: Where aplay is.
    """

    def __init__(self, clip: Clip, device: str, program: str = "aplay") -> None:
        self.name = message("output.sound", clip=clip.name, device=device)
        self._clip, self._device = clip, device
        self._command = [program, "-q", "-D", device, "-t", "wav", "-"]
        self._file = _in_memory(clip.wav)
        self._retuned: AlertSettings | None = None
        self._wanted = threading.Condition()
        self._changed = self._closing = self._sounding = self._hushed = False
        self._alarms = self._begun = self._trial = 0
        self._player: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self._trouble: str | None = None
        atexit.register(self.close)
        self._thread = threading.Thread(target=self._work, name="alert sound", daemon=True)
        self._thread.start()

    @property
    def trouble(self) -> str | None:
        """Why the last alarm was not to be heard."""
        return self._trouble

    @property
    def outputs(self) -> tuple[OutputState, ...]:
        """The sound."""
        return (OutputState("sound", self.name, self._trouble),)

    def configure(self, settings: AlertSettings) -> None:
        """Give the tone another rhythm, made by the thread that plays it. A prompt stays as it is."""
        if settings.sound != TONE:
            _warn_if_cut_off(self._clip, settings)
            return
        with self._wanted:
            self._retuned = settings
            self._notify()

    def alarm(self, on: bool) -> None:
        """Play from the beginning, or stop."""
        with self._wanted:
            self._sounding = on
            self._alarms += on
            self._notify()

    def hush(self, on: bool) -> None:
        """Stop, and stay silent; or let the next alarm be heard."""
        with self._wanted:
            self._hushed = on
            self._notify()

    def try_output(self, kind: OutputKind) -> None:
        """Play once from the beginning, also while hushed; an alarm that begins meanwhile starts it again."""
        if kind != "sound":
            return
        with self._wanted:
            self._alarms += 1
            self._trial = self._alarms
            self._notify()

    def close(self) -> None:
        """Stop for good."""
        atexit.unregister(self.close)
        with self._wanted:
            self._closing = True
            self._notify()
        self._thread.join(2 * SETTLE)

    def _notify(self) -> None:
        self._changed = True
        self._wanted.notify()

    def _work(self) -> None:
        while True:
            with self._wanted:
                self._wanted.wait_for(lambda: self._changed, POLL if self._player else None)
                self._changed = False
                closing = self._closing
                wanted = (self._sounding and not self._hushed) or self._trial == self._alarms != 0
                due = self._alarms if wanted and not closing else None
            if self._player:
                self._look_after(self._player, due)
            if not self._player:
                self._retune()
            if due is not None and due != self._begun and not self._player:
                self._begun = due
                self._start()
            if closing:
                break
        os.close(self._file)

    def _retune(self) -> None:
        with self._wanted:
            settings, self._retuned = self._retuned, None
        if settings:
            self._clip = tone(Rhythm.of(settings), settings.tone)
            os.close(self._file)
            self._file = _in_memory(self._clip.wav)

    def _start(self) -> None:
        os.lseek(self._file, 0, os.SEEK_SET)
        self._since = time.monotonic()
        try:
            self._player = subprocess.Popen(  # noqa: S603 - a fixed program, its arguments a list
                self._command,
                stdin=self._file,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C in the terminal is for maskgate, which stops the player itself
            )
        except OSError as error:
            self._fail(message("sound.no_start", player=self._command[0], reason=error.strerror))

    def _look_after(self, player: subprocess.Popen[bytes], due: int | None) -> None:
        played = time.monotonic() - self._since
        if player.poll() is not None:
            self._ended(player)
        elif due != self._begun or played > self._clip.seconds + SLACK:
            self._stop(player, played)

    def _ended(self, player: subprocess.Popen[bytes]) -> None:
        assert player.stderr
        said = player.stderr.read().decode(errors="replace").strip()
        player.stderr.close()
        self._player = None
        if player.returncode == 0:
            self._trouble = None
        else:
            self._fail(said.splitlines()[-1] if said else message("sound.ended", code=player.returncode))

    def _stop(self, player: subprocess.Popen[bytes], played: float) -> None:
        """Kill the player; one that hangs in its device may survive that and keeps a further one from starting."""
        read = self._clip.seconds * os.lseek(self._file, 0, os.SEEK_CUR) / len(self._clip.wav)
        late = min(played, self._clip.seconds) - read > SETTLE or played > self._clip.seconds + SLACK
        player.kill()
        try:
            player.wait(SETTLE)
        except subprocess.TimeoutExpired:
            self._fail(message("sound.hangs"))
            return
        assert player.stderr
        player.stderr.close()
        self._player = None
        if late:
            self._fail(message("sound.late"))
        elif played > SETTLE:
            self._trouble = None

    def _fail(self, why: str) -> None:
        self._trouble = message("alerts.sound", device=self._device, why=why)


def _in_memory(content: bytes) -> int:
    """A descriptor of an anonymous file with this content, which every player reads from its start."""
    file = os.memfd_create("maskgate-sound")
    with os.fdopen(os.dup(file), "wb") as out:
        out.write(content)
    return file
