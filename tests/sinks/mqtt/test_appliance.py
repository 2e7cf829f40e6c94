"""``maskgate run`` with a broker: the counts that it publishes are those that it stores."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge.sinks.counts.database import lifetime_totals, open_for_reading
from tests.sinks.mqtt.helpers import ROOT, counts
from tests.stand_ins.broker import MOSQUITTO, PATIENCE, Broker, Listener, free_port, wait_for

pytestmark = pytest.mark.skipif(MOSQUITTO is None, reason="needs a broker: apt install mosquitto")


@pytest.mark.slow
class TestWholeAppliance:
    @pytest.fixture
    def appliance(self, broker: Broker, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
        """Starts ``maskgate run`` on the demo clip, told of the broker, its screens on ``port``."""
        started: list[subprocess.Popen[str]] = []

        def appliance(port: int, *options: str) -> subprocess.Popen[str]:
            config = tmp_path / "config.toml"
            config.write_text(
                f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\ndoor = "front"\nevents = true\n'
                f'[web]\nport = {port}\n[counts]\npath = "{tmp_path}/counts.db"\n[alerts]\noutput = "none"\n'
            )
            command = [sys.executable, "-m", "edge", "run", "--config", config, "--source", "demo", "--count", *options]
            started.append(subprocess.Popen(command, cwd=ROOT, text=True, stderr=subprocess.PIPE))
            return started[-1]

        yield appliance
        for process in started:
            process.kill()
            process.communicate()

    def test_visits_reach_broker_and_prometheus(
        self,
        broker: Broker,
        listen: Callable[..., Listener],
        appliance: Callable[..., subprocess.Popen[str]],
        tmp_path: Path,
    ) -> None:
        listener, port = listen(broker.port), free_port()
        process = appliance(port, "--realtime")
        wait_for(lambda: counts(listener).get("visits", 0) >= 1 or process.poll() is not None, 4 * PATIENCE)
        page = wait_for(lambda: page_at(port))
        assert re.search(r"^maskgate_frames_total [1-9]", page, re.MULTILINE)
        assert re.search(r"^maskgate_mqtt_connected 1.0$", page, re.MULTILINE)
        assert 'maskgate_visits_total{verdict="with_mask"}' in page
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
        assert "maskgate:" not in errors
        wait_for(lambda: listener.latest["maskgate/front/availability"] == "offline")
        first = counts(listener)
        assert first == stored(tmp_path / "counts.db")
        assert listener.latest["maskgate/front/people"] == "0"
        assert listener.latest["maskgate/front/alarm"] == "OFF"
        ended = [json.loads(payload) for topic, payload in listener.heard if topic == "maskgate/front/events"]
        assert sum(event["event"] == "visit_ended" for event in ended) == first["visits"]

        process = appliance(port, "--quiet", "--max-frames", "120")
        process.communicate(timeout=4 * PATIENCE)
        after = stored(tmp_path / "counts.db")
        assert after["visits"] > first["visits"]
        wait_for(lambda: counts(listener) == after)


def page_at(port: int) -> str | None:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
        return str(page.read().decode())
    return None


def stored(path: Path) -> dict[str, int]:
    """What the store has counted in its life, as the broker is told of it."""
    with contextlib.closing(open_for_reading(path)) as connection:
        totals = {verdict.value: number for verdict, number in lifetime_totals(connection).items()}
    return totals | {"visits": sum(totals.values())}
