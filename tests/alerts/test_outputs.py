"""Outputs are found by their line in ``OUTPUTS``: here a third one, as somebody would add it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from edge.alerts import outputs
from edge.alerts.choose import open_alert
from edge.alerts.outputs import OUTPUTS, Output
from edge.board.findings import Machine, State
from edge.commands.doctor import examine
from edge.config import AlertSettings, Config
from edge.config.layers import load
from edge.errors import AlertError, ConfigError

BEACON = """
from edge.alerts import Alert

class Beacon(Alert):
    name = "beacon"
    lit = False

    def alarm(self, on):
        self.lit = on

def open_output(settings, board, devices):
    return Beacon()
"""


@pytest.fixture
def beacon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "beacon_output.py").write_text(BEACON)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(OUTPUTS, "beacon", Output("beacon_output", "lights the beacon", "beacon (pip install beacon)"))


@pytest.mark.usefixtures("beacon")
class TestThirdOutput:
    def test_can_be_chosen(self) -> None:
        alert = open_alert(AlertSettings(output="beacon"))
        alert.alarm(on=True)
        assert (alert.name, vars(alert)) == ("beacon", {"lit": True})

    def test_wrong_choice_lists_it(self) -> None:
        with pytest.raises(ConfigError, match=r"there are auto, gpio, .*beacon"):
            load(environment={"MASKGATE_ALERTS_OUTPUT": "candle"})

    def test_is_examined(self) -> None:
        config = Config(alerts=AlertSettings(output="beacon"))
        gpio = next(one for one in examine(Machine(), config) if one.name == "gpio")
        assert (gpio.state, gpio.text) == (State.OK, 'not used: alerts.output is "beacon"')

    def test_says_what_to_install(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delitem(sys.modules, "beacon_output", raising=False)
        (tmp_path / "beacon_output.py").write_text("import a_library_that_is_not_there\n")
        with pytest.raises(AlertError, match=r"install beacon \(pip install beacon\)"):
            open_alert(AlertSettings(output="beacon"))
        config = Config(alerts=AlertSettings(output="beacon"))
        gpio = next(one for one in examine(Machine(), config) if one.name == "gpio")
        assert gpio.state is State.PROBLEM
        assert gpio.remedy == 'install beacon (pip install beacon), or set alerts.output = "none"'


def test_sound_is_not_chosen_but_set() -> None:
    assert "sound" in OUTPUTS
    assert "sound" not in outputs.names()
    with pytest.raises(ValueError, match=f"there are {', '.join(outputs.names())}"):
        AlertSettings(output="sound")


def test_settings_explain_every_output() -> None:
    description = AlertSettings.model_fields["output"].description
    assert description is not None
    assert description.startswith(outputs.explained())
