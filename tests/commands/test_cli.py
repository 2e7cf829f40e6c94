"""The ``maskgate`` command as the operator meets it: help, exit codes, one sentence an error."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge import cli
from edge.commands import commands, texts
from edge.config import Config, load
from edge.config.show import as_toml
from tests.nonempty import some

COMMANDS = ("run", "check", "doctor", "alerts", "alerts-off", "bench", "config", "counts", "look", "token")


class Refused:
    """Runs the command with nothing configured but what is given, and gives the sentence it refuses with."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd
        for name in [name for name in os.environ if name.startswith("MASKGATE_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("HOME", str(home))

    def __call__(self, *words: str, code: int, **environment: str) -> str:
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        assert cli.main(words) == code
        output, said = self._capfd.readouterr()
        return sentence(output, said)


def sentence(output: str, said: str) -> str:
    """The one line of a refusal."""
    assert output == ""
    (line,) = said.splitlines()
    assert line.startswith("maskgate: error: ")
    return line.removeprefix("maskgate: error: ")


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refused:
    return Refused(tmp_path / "home", monkeypatch, capfd)


class TestHelp:
    def test_teaches_everything_needed(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--help"])
        assert ended.value.code == 0
        text = capsys.readouterr().out
        for word in (
            *COMMANDS,
            "examples:",
            "exit codes:",
            "$MASKGATE_CONFIG",
            "/etc/maskgate/config.toml",
            "--config",
        ):
            assert word in text

    def test_commands_are_found_by_file(self) -> None:
        assert commands() == COMMANDS

    @pytest.mark.parametrize("words", [["--help"], ["--help", "run"]])
    def test_every_command_is_summed_up(self, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            cli.main(words)
        listed = capsys.readouterr().out
        assert [
            name for name in some(commands()) if f"{name} {texts(name).summary}" not in " ".join(listed.split())
        ] == []

    @pytest.mark.parametrize("command", COMMANDS)
    def test_every_command_has_its_own(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main([command, "--help"])
        assert ended.value.code == 0
        assert f"maskgate {command}" in capsys.readouterr().out

    @pytest.mark.parametrize("words", [*([command] for command in COMMANDS), ["alerts", "test"]])
    def test_it_fits_a_terminal(
        self, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", "80")
        with pytest.raises(SystemExit):
            cli.main([*words, "--help"])
        explained = capsys.readouterr().out.partition("examples:")[0]
        assert [line for line in some(explained.splitlines()) if len(line) > 80] == []

    @pytest.mark.parametrize("command", ["alerts", "counts", "token"])
    def test_actions_are_named_once(self, command: str, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit):
            cli.main([command, "--help"])
        explained = capsys.readouterr().out.partition("\n\n")[2].partition("examples:")[0]
        names = [line.split()[0] for line in some(explained.splitlines()) if line.startswith("  ")]
        assert [name for name, times in Counter(names).items() if times > 1] == []

    def test_it_loads_nothing_heavy(self, tmp_path: Path) -> None:
        program = (
            "import sys; from edge import cli\n"
            "try: cli.main(['--help'])\n"
            "except SystemExit: print('\\nloaded', *{'cv2', 'numpy', 'pydantic'}.intersection(sys.modules))"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "loaded"

    def test_is_shown_without_a_command(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main([])
        assert ended.value.code == 2
        assert "examples:" in capsys.readouterr().err

    def test_the_version_is_told(self, capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main(["--version"])
        assert ended.value.code == 0
        assert capsys.readouterr().out.startswith("maskgate")


class TestCommandLine:
    @pytest.mark.parametrize(
        ("typed", "meant"), [("rnu", "run"), ("docter", "doctor"), ("count", "counts"), ("confg", "config")]
    )
    def test_mistyped_command_gets_the_nearest(
        self, typed: str, meant: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert cli.main([typed]) == 2
        assert capsys.readouterr().err == f"maskgate: error: There is no command {typed!r}; did you mean {meant!r}?\n"

    @pytest.mark.parametrize("typed", ["train", "convert"])
    def test_work_of_a_workstation_leads_to_make(self, typed: str, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main([typed, "mask", "photos/"]) == 2
        assert f"in a clone on a workstation run `make {typed}`" in capsys.readouterr().err

    def test_unknown_command_gets_the_list(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["--config", "run.toml", "xyzzy"]) == 2
        assert f"there are: {', '.join(commands())}." in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["run", "--soruce", "demo"], "maskgate run: error: there is no option --soruce; did you mean '--source'?"),
            (["check", "--jsn"], "there is no option --jsn; did you mean '--json'?"),
            (["counts", "--snice=7d"], "there is no option --snice; did you mean '--since'?"),
            (["--verbsoe", "config"], "there is no option --verbsoe; did you mean '--verbose'?"),
            (["config", "--xyzzy"], "there is no option --xyzzy; see maskgate config --help."),
            (["config", "alerts.led_pin"], "'alerts.led_pin' is not understood; see maskgate config --help."),
            (["run", "-x"], "'-x' is not understood; see maskgate run --help."),
        ],
    )
    def test_mistyped_option_gets_the_nearest(
        self, words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        assert said in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            (["token", "revok", "x"], "there is no 'revok'; did you mean 'revoke'?"),
            (["token", "xyzzy"], "there is no 'xyzzy'; there are: add, list, revoke."),
            (["alerts", "tets"], "there is no 'tets'; did you mean 'test'?"),
            (["counts", "--by", "wek"], "there is no 'wek'; did you mean 'week'?"),
        ],
    )
    def test_mistyped_choice_gets_the_nearest(
        self, words: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        assert capsys.readouterr().err.endswith(f"{said}\n")

    def test_options_may_be_cut_short(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["config", "--js"]) == 0

    @pytest.mark.parametrize("words", [["run", "--max-frames", "0"], ["run", "--sauce", "demo"], ["config", "surplus"]])
    def test_wrong_arguments_are_refused(self, words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(SystemExit) as ended:
            cli.main(words)
        assert ended.value.code == 2
        assert "usage: maskgate" in capsys.readouterr().err

    @pytest.mark.parametrize("words", [("--config", "{}", "config", "--json"), ("config", "--json", "--config", "{}")])
    def test_common_options_go_anywhere(
        self, words: Sequence[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "door.toml"
        file.write_text("[camera]\nrotate = 90\n")
        assert cli.main([word.format(file) for word in words]) == 0
        assert json.loads(capsys.readouterr().out)["camera.rotate"] == {"value": 90, "origin": str(file)}


class TestEarlyInterruption:
    """Ctrl-C before the door is watched: nothing to clean up, so nothing is said either."""

    @pytest.mark.parametrize("slow", ["argparse", "pydantic", "cv2"])
    def test_slow_imports_end_in_silence(self, tmp_path: Path, slow: str) -> None:
        (tmp_path / f"{slow}.py").write_text(
            "import sys, time\nprint('loading', file=sys.stderr, flush=True)\ntime.sleep(120)\n"
        )
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        heedful = ["env", "--default-signal=INT"]  # tests in the background of a shell have it ignored
        command = [*heedful, sys.executable, "-m", "edge", "run", "--source", "demo"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
            assert process.stderr
            assert process.stderr.readline() == "loading\n"
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
        assert (process.returncode, said) == (130, "")

    def test_ignored_signals_stay_ignored(self) -> None:
        command = "trap '' INT; exec \"$0\" -c 'import os, signal; from edge import cli\n"
        command += "cli.main = lambda: os.kill(os.getpid(), signal.SIGINT) or 7\ncli.program()'"
        done = subprocess.run(["sh", "-c", command, sys.executable], check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (7, "")


class TestRefusals:
    """Each a sentence and an exit code."""

    def test_damaged_video_gives_one_sentence(self, tmp_path: Path) -> None:
        path = tmp_path / "door.mp4"
        path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 40)
        command = [sys.executable, "-m", "edge", "run", "--source", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == 3
        assert "is not a video, or is damaged" in sentence(done.stdout, done.stderr)

    def test_an_unknown_source(self, refused: Refused) -> None:
        said = refused("run", "--source", "webcam", code=2)
        assert said.startswith("'webcam' is not a picture source")
        assert "accepted: auto, picamera, csi:0, usb:0, /dev/video0" in said

    def test_an_absent_camera(self, refused: Refused) -> None:
        said = refused("run", "--source", "/dev/video77", code=3)
        assert said.startswith("There is no /dev/video77; plug the camera in")

    def test_an_absent_file(self, refused: Refused) -> None:
        assert "no file or folder gone.mp4" in refused("run", "--source", "gone.mp4", code=3)

    def test_an_empty_folder(self, refused: Refused, tmp_path: Path) -> None:
        folder = tmp_path / "empty"
        folder.mkdir()
        assert "holds no image" in refused("run", "--source", str(folder), code=3)

    def test_a_mistyped_key_of_the_configuration(self, refused: Refused, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text("[alerts]\nledpin = 17\n")
        said = refused("run", "--config", str(file), code=2)
        assert "[alerts] has no key 'ledpin'; did you mean 'led_pin'?" in said
        assert str(file) in said

    def test_a_configuration_that_is_no_toml(self, refused: Refused, tmp_path: Path) -> None:
        file = tmp_path / "config.toml"
        file.write_text("[alerts\n")
        assert "is not valid TOML" in refused("config", "--config", str(file), code=2)

    def test_a_mistyped_environment_variable(self, refused: Refused) -> None:
        said = refused("config", code=2, MASKGATE_CAMERA_SORCE="demo")
        assert "MASKGATE_CAMERA_SORCE" in said
        assert "MASKGATE_CAMERA_SOURCE" in said

    def test_a_missing_model(self, refused: Refused, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
        model = f"{tmp_path}/manifest.json#face"
        said = refused("run", "--source", str(tmp_path), code=4, MASKGATE_FACE_MODEL=model)
        assert "manifest.json cannot be read" in said

    def test_an_altered_model(self, refused: Refused, tmp_path: Path) -> None:
        photos = tmp_path / "photos"
        photos.mkdir()
        cv2.imwrite(str(photos / "a.png"), np.zeros((64, 64, 3), np.uint8))
        entry = {
            "task": "face-detection",
            "file": "face.tflite",
            "sha256": "0" * 64,
            "input": {"width": 320, "height": 240},
            "labels": ["face"],
            "strides": [8],
            "training": "none",
            "data": [],
            "figures": {},
            "card": "face.md",
        }
        (tmp_path / "manifest.json").write_text(json.dumps({"version": 1, "models": {"face": entry}}))
        (tmp_path / "face.tflite").write_bytes(b"altered")
        model = f"{tmp_path}/manifest.json#face"
        said = refused("run", "--source", str(photos), code=4, MASKGATE_FACE_MODEL=model)
        assert "face.tflite is not the one in its manifest" in said


def test_names_with_line_breaks_stay_on_one_line(
    tmp_path: Path, refused: Refused, capfd: pytest.CaptureFixture[str]
) -> None:
    said = refused("run", "--source", str(tmp_path / "a\nb\x1b[2J.mp4"), code=3)
    assert "a?b?[2J.mp4" in said
    (tmp_path / "a\nb.toml").write_text("x")
    assert "a?b.toml is not valid TOML" in refused("config", "--config", str(tmp_path / "a\nb.toml"), code=2)
    folder = tmp_path / "c\nd"
    folder.mkdir()
    (folder / "a.txt").touch()
    cv2.imwrite(str(folder / "a.png"), np.zeros((9, 9, 3), np.uint8))
    assert cli.main(["check", str(folder)]) == 0
    assert capfd.readouterr().err.count("\n") == 1


class TestUnexpectedErrors:
    @pytest.fixture(autouse=True)
    def broken(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(settings: object) -> str:
            raise ZeroDivisionError("division by zero")

        monkeypatch.setattr("edge.config.show.as_json", fail)

    def test_one_sentence_says_how_to_report(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["config", "--json"]) == 70
        said = capsys.readouterr().err
        assert said.startswith("maskgate: unexpected error: ZeroDivisionError: division by zero. Run it again with -v")
        assert said.count("\n") == 1

    def test_verbose_keeps_the_traceback(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["config", "--json", "-v"]) == 70
        assert "Traceback (most recent call last)" in capsys.readouterr().err


class TestStreams:
    """Standard output on a full disk, or a stream that is closed, as a script or an init system may leave it."""

    @staticmethod
    def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = f'maskgate() {{ "{sys.executable}" -m edge "$@"; }}; {line}'
        return subprocess.run(
            ["bash", "-c", command],
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    @pytest.mark.parametrize(
        ("words", "unbuffered"), [("config", ""), ("token list", "1"), ("--help", ""), ("--help", "1")]
    )
    def test_a_full_disk_gives_one_sentence(self, tmp_path: Path, words: str, unbuffered: str) -> None:
        store = str(tmp_path / "counts.db")
        done = self.shell(f"maskgate {words} > /dev/full", PYTHONUNBUFFERED=unbuffered, MASKGATE_COUNTS_PATH=store)
        assert done.stderr == (
            "maskgate: error: Cannot write to standard output: No space left on device; make room, or write to "
            "another place.\n"
        )
        assert done.returncode == 5

    def test_other_encodings_take_any_text(self) -> None:
        done = self.shell("maskgate config --example", PYTHONIOENCODING="latin-1")
        assert (done.stderr, done.returncode) == ("", 0)

    def test_a_reader_may_have_enough(self) -> None:
        done = self.shell("maskgate config --example | true; exit ${PIPESTATUS[0]}")
        assert (done.stderr, done.returncode) == ("", 0)

    def test_closed_streams_are_no_error(self, tmp_path: Path) -> None:
        store = {"MASKGATE_COUNTS_PATH": str(tmp_path / "counts.db")}
        assert self.shell("maskgate token >&-", **store).returncode == 0
        again = self.shell("maskgate token <&- >&-", **store)
        assert "in a script, add --yes" in again.stderr
        assert again.returncode == 2

    def test_no_file_takes_a_closed_streams_place(self) -> None:
        look = (
            "import os, sys; from edge import streams; streams.open_all(); print(open(os.devnull).fileno(), sys.stderr)"
        )
        done = self.shell(f'"{sys.executable}" -c "{look}" <&- 2>&-')
        assert int(done.stdout.split()[0]) > 2
        assert "None" not in done.stdout


class TestClosedFolders:
    """A folder into which this user may not look; root is not stopped by it, so it runs without that right."""

    @pytest.fixture
    def closed(self, tmp_path: Path) -> Iterator[Path]:
        folder = tmp_path / "closed"
        folder.mkdir(mode=0)
        yield folder
        folder.chmod(0o700)

    @staticmethod
    def maskgate(*words: object, **environment: object) -> subprocess.CompletedProcess[str]:
        rights = "-dac_override,-dac_read_search"
        less = ["setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}"] if os.geteuid() == 0 else []
        command = [*less, sys.executable, "-m", "edge", *map(str, words)]
        where = os.environ | {name: str(value) for name, value in environment.items()}
        return subprocess.run(command, env=where, capture_output=True, text=True, check=False, timeout=60)

    def test_a_configuration_in_it_is_refused(self, closed: Path) -> None:
        done = self.maskgate("config", "--config", closed / "config.toml")
        assert f"Cannot read {closed}/config.toml: Permission denied" in sentence(done.stdout, done.stderr)
        assert done.returncode == 2

    def test_a_home_in_it_has_no_configuration(self, closed: Path) -> None:
        done = self.maskgate("config", HOME=closed)
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_model_in_it_is_refused(self, closed: Path, tmp_path: Path) -> None:
        cv2.imwrite(str(tmp_path / "a.png"), np.zeros((64, 64, 3), np.uint8))
        done = self.maskgate("check", tmp_path / "a.png", MASKGATE_FACE_MODEL=closed / "model")
        assert "manifest.json cannot be read (Permission denied)" in sentence(done.stdout, done.stderr)
        assert done.returncode == 4

    def test_doctor_reports_counts_in_it(self, closed: Path) -> None:
        done = self.maskgate("doctor", MASKGATE_COUNTS_PATH=closed / "counts.db")
        assert f"{closed}/counts.db cannot be written" in done.stdout
        assert done.stderr == ""


class TestConfig:
    def test_example_loads_as_the_defaults(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert cli.main(["config", "--example"]) == 0
        file = tmp_path / "config.toml"
        file.write_text(capsys.readouterr().out)
        assert load(file, environment={}).config == Config()

    def test_the_example_explains_every_setting(self, capsys: pytest.CaptureFixture[str]) -> None:
        cli.main(["config", "--example"])
        text = capsys.readouterr().out.replace("\n# ", " ")
        for setting in some(load(environment={"HOME": "/nowhere"})):
            assert setting.description in text

    def test_settings_show_their_origin(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = tmp_path / "door.toml"
        file.write_text("[people]\ndwell = 1.5\n")
        monkeypatch.setenv("MASKGATE_ALERTS_LED_PIN", "5")
        cli.main(["config", "--config", str(file)])
        printed = capsys.readouterr().out
        assert f"dwell = 1.5  # {file}" in printed
        assert "led_pin = 5  # environment" in printed
        assert "threads = 0  # default" in printed

    def test_printed_settings_are_a_configuration(self, tmp_path: Path) -> None:
        zone = [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]
        overrides = {"camera.source": 'odd "name"\x7f\u00e9.mp4', "people.zone": zone, "counts.path": "/srv/c.db"}
        settings = load(environment={"HOME": "/nowhere"}, overrides=overrides)
        file = tmp_path / "again.toml"
        file.write_text(as_toml(settings, origins=True))
        assert load(file, environment={}).config == settings.config

    @pytest.mark.parametrize("words", [[], ["--json"]])
    def test_passwords_of_cameras_are_masked(
        self, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("MASKGATE_CAMERA_SOURCE", "rtsp://door:secret@cam.local/live?token=hush")
        cli.main(["config", *words])
        printed = capsys.readouterr().out
        assert '"rtsp://cam.local"' in printed
        assert "secret" not in printed
        assert "hush" not in printed
