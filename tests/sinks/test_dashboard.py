"""The Grafana dashboard: each of its queries, run by promtool on what two doors really served."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from edge.alerts.state import AlertState, OutputState
from edge.sinks.metrics import Metrics
from edge.status import CameraState, CountsState, SourceKind, Status
from edge.values import BBox, Event, EventKind, Person, StageTimes, Verdict
from tests.nonempty import some
from tests.stand_ins.boards import build
from tests.stand_ins.clock import ManualClock

DASHBOARD = json.loads((Path(__file__).parents[2] / "docs/reference/prometheus/grafana.json").read_text("utf-8"))
QUERIES = {panel["title"]: target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]}
VARIABLES = {"$instance": "front|back", "$__range": "2h", "$__rate_interval": "1m"}
SCRAPE_EVERY = 15
HOURS = 2
ABOUT = {"maskgate": "1.2.3", "face": "b6446fc2", "mask": "0892ab75"}
LAMP, BUZZER = OutputState("led", "red lamp"), OutputState("buzzer", "buzzer", "Its pin is taken.")

FRONT, BACK = {"instance": "front", "job": "maskgate"}, {"instance": "back", "job": "maskgate"}
EXPECTED: Mapping[str, list[tuple[dict[str, str], float]]] = {
    "Doors in service": [({}, 1)],
    "Doors": [({}, 2)],
    "Visits": [({}, 6 * 60 * HOURS)],
    "Mask rate": [({}, 0.75)],
    "Alarms": [({}, 60 * HOURS)],
    "People in view": [({}, 2)],
    "Visits per hour by verdict": [
        ({"verdict": "with_mask"}, 180),
        ({"verdict": "without_mask"}, 60),
        ({"verdict": "mask_worn_incorrectly"}, 0),
        ({"verdict": "unsure"}, 120),
    ],
    "Mask rate, by door": [({"instance": "front"}, 0.75)],
    "Camera in service": [(FRONT, 1), (BACK, 0)],
    "Alert outputs that failed": [(BACK | {"output": "buzzer"}, 0)],
    "Muted": [(FRONT, 1), (BACK, 0)],
    "Alarm would be heard": [(FRONT, 0), (BACK, 0)],
    "In quiet hours": [(FRONT, 0), (BACK, 1)],
    "Not a camera (demo or recording)": [({"instance": "back", "kind": "demo"}, 1)],
    "Frames per second": [(FRONT, 20), (BACK, 0)],
    "Age of the newest frame": [(FRONT, 0), (BACK, 3600 * HOURS)],
    "Time to find faces, 95th percentile": [({"instance": "front"}, 0.049)],
    "Temperature": [(FRONT, 61.25), (BACK, 61.25)],
    "Board slows itself down": [
        ({"instance": door, "cause": "soft_temperature_limit"}, 1) for door in ("front", "back")
    ],
    "Counts not written, or broker away": [(FRONT, 1), (BACK, 0)],
}


class TwoDoors:
    """``front`` counts and is muted; ``back`` plays a demo whose camera never sent a frame, with a failed buzzer."""

    def __init__(self, root: Path) -> None:
        self.clock = ManualClock()
        self.front, self.back = (Metrics(self.clock, ABOUT, 3.0, root) for _ in range(2))
        self.recorded: dict[str, list[str]] = defaultdict(list)

    def record(self) -> None:
        """Live for the hours, read as Prometheus does."""
        for second in range(3600 * HOURS + 1):
            self._show(second)
            if second % SCRAPE_EVERY == 0:
                for name, door in (("front", self.front), ("back", self.back)):
                    self._scrape(name, door)
            self.clock.advance(1)

    def _show(self, second: int) -> None:
        now = self.clock.monotonic()
        visits = {Verdict.WITH_MASK: 3, Verdict.WITHOUT_MASK: 1, Verdict.UNSURE: 2}
        totals = {verdict: round(number * second / 60, 6) for verdict, number in visits.items()}
        self.front.frame(StageTimes(0.04, 0.01))
        if second % 60 == 0 and second:
            self.front.tell([Event(EventKind.ALERT_ON, now)])
        person = Person(1, BBox(0, 0, 50, 50), Verdict.WITH_MASK, 0.0, 1.0)
        degraded = CountsState(Path("counts.db"), "the disk is full")
        self.front.show(
            Status(
                now,
                0.0,
                CameraState("usb:0", last_frame_at=now),
                frames=20 * second,
                people=(person, person),
                totals=totals,  # type: ignore[arg-type]
                alerts=AlertState((LAMP,), muted_until=1e9),
                counts=degraded,
            )
        )
        demo = CameraState("demo", kind=SourceKind.DEMO)
        alerts = AlertState((LAMP, BUZZER), quiet_hours=True)
        self.back.show(Status(now, 0.0, demo, counted=False, alerts=alerts, broker=False))

    def _scrape(self, name: str, door: Metrics) -> None:
        for family in text_string_to_metric_families(door.page()[0].decode()):
            for sample in family.samples:
                if sample.name.startswith("maskgate_") and not sample.name.endswith("_created"):
                    labels = sample.labels | {"instance": name, "job": "maskgate"}
                    told = ", ".join(f"{key}={json.dumps(value)}" for key, value in sorted(labels.items()))
                    self.recorded[f"{sample.name}{{{told}}}"].append(f"{sample.value:g}")


def filled(query: str) -> str:
    for name, value in VARIABLES.items():
        query = query.replace(name, value)
    assert "$" not in query
    return query


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: apt install prometheus")
@pytest.mark.slow
def test_every_query_finds_both_doors(tmp_path: Path) -> None:
    doors = TwoDoors(build(tmp_path / "board", "5"))
    doors.record()
    series = [{"series": name, "values": " ".join(values)} for name, values in doors.recorded.items()]
    queries = [
        {
            "expr": f"round(({filled(QUERIES[title])}), 0.001)",
            "eval_time": f"{HOURS}h",
            "exp_samples": [{"labels": selector(labels), "value": value} for labels, value in expected],
        }
        for title, expected in EXPECTED.items()
    ]
    test = {"interval": f"{SCRAPE_EVERY}s", "input_series": series, "promql_expr_test": queries}
    (tmp_path / "dashboard.yml").write_text(json.dumps({"evaluation_interval": "1m", "tests": [test]}))  # JSON is YAML
    ran = subprocess.run(
        ["promtool", "test", "rules", "dashboard.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


def selector(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'{key}="{value}"' for key, value in labels.items()) + "}"


def test_every_panel_is_checked() -> None:
    assert set(EXPECTED) == set(QUERIES)
    assert len(QUERIES) == len(DASHBOARD["panels"])


def test_panels_fill_the_screen_without_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in some(DASHBOARD["panels"]):
        place: dict[str, Any] = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not cells & taken
        taken |= cells


def test_doors_are_chosen_by_a_variable() -> None:
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["name"], variable["multi"], variable["includeAll"]) == ("instance", True, True)
    assert re.fullmatch(r"label_values\(maskgate_build_info, instance\)", variable["definition"])
    assert all("$instance" in query for query in QUERIES.values())
