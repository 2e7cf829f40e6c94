"""What Prometheus reads, checked by its own parser and by promtool, and the sample alerting rules."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from edge.alerts.state import AlertState, OutputState
from edge.board import read_board, throttled
from edge.config import Config
from edge.sinks.metrics import Metrics
from edge.status import CameraState, CountsState, SourceKind, Status
from edge.values import BBox, Event, EventKind, Person, StageTimes, Verdict
from edge.vision.models import read_manifest
from edge.vision.models.about import about
from tests.stand_ins.boards import BOARDS, build
from tests.stand_ins.clock import ManualClock

ROOT = Path(__file__).parents[2]
RULES = ROOT / "docs/reference/prometheus"
ABOUT = {"maskgate": "1.2.3", "face": "b6446fc2", "mask": "0892ab75"}
needs_promtool = pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool: apt install prometheus")


@pytest.fixture
def clock() -> ManualClock:
    clock = ManualClock()
    clock.advance(1000)
    return clock


class Appliance:
    """Metrics fed by a test in place of the loop."""

    def __init__(self, clock: ManualClock, **parts: Any) -> None:
        self.clock = clock
        self.metrics = Metrics(clock, ABOUT, 3.0, **{"root": Path("/nowhere")} | parts)
        self.camera = CameraState("a camera")
        self.started_at = clock.monotonic()
        self.frames = 0

    def frame(self, detect: float = 0.04, classify: float = 0.01, **changes: Any) -> None:
        """One more frame was processed."""
        self.frames += 1
        self.metrics.frame(StageTimes(detect, classify))
        self.show(
            times=StageTimes(detect, classify), camera=CameraState("a camera", None, self.clock.monotonic()), **changes
        )

    def show(self, **changes: Any) -> None:
        status = {
            "at": self.clock.monotonic(),
            "started_at": self.started_at,
            "frames": self.frames,
            "camera": self.camera,
        }
        self.metrics.show(Status(**status | changes))

    def families(self) -> dict[str, Metric]:
        page, _ = self.metrics.page()
        return {family.name: family for family in text_string_to_metric_families(page.decode())}

    def read(self, name: str, **labels: str) -> float | None:
        """The value of one series as Prometheus would store it; None where there is none."""
        samples = [sample for family in self.families().values() for sample in family.samples]
        found = [sample.value for sample in samples if sample.name == name and labels.items() <= sample.labels.items()]
        assert len(found) <= 1
        return found[0] if found else None


@pytest.fixture
def appliance(clock: ManualClock) -> Appliance:
    return Appliance(clock)


def person(number: int) -> Person:
    return Person(number, BBox(0, 0, 50, 50), Verdict.WITH_MASK, 0.0, 1.0)


def test_values_come_from_the_status(appliance: Appliance) -> None:
    totals = {Verdict.WITH_MASK: 12, Verdict.WITHOUT_MASK: 3}
    appliance.frame()
    appliance.frame(dropped=7, people=(person(1), person(2)), totals=totals, alarm=True)
    assert appliance.read("maskgate_frames_total") == 2
    assert appliance.read("maskgate_frames_dropped_total") == 7
    assert appliance.read("maskgate_people") == 2
    assert appliance.read("maskgate_alarm") == 1
    visits = {str(verdict): appliance.read("maskgate_visits_total", verdict=str(verdict)) for verdict in Verdict}
    assert visits == {"with_mask": 12, "without_mask": 3, "mask_worn_incorrectly": 0, "unsure": 0}


def test_events_count_alerts_and_reconnects(appliance: Appliance) -> None:
    kinds = (EventKind.ALERT_ON, EventKind.ALERT_OFF, EventKind.ALERT_ON, EventKind.CAMERA_LOST, EventKind.CAMERA_BACK)
    appliance.metrics.tell([Event(kind, 0.0) for kind in kinds])
    appliance.show(camera=CameraState("a camera", losses=4))
    assert appliance.read("maskgate_alerts_total") == 2
    assert appliance.read("maskgate_camera_reconnects_total") == 1
    assert appliance.read("maskgate_camera_losses_total") == 4


def test_each_stage_has_a_histogram(appliance: Appliance) -> None:
    appliance.show()
    for detect in (0.004, 0.04, 0.4, 4.0):
        appliance.frame(detect=detect, classify=0.0001)
        appliance.show(times=StageTimes(detect, 0.0001))
    name = "maskgate_stage_duration_seconds"
    assert appliance.read(f"{name}_count", stage="detect") == 4
    assert appliance.read(f"{name}_sum", stage="detect") == pytest.approx(4.444)
    assert [appliance.read(f"{name}_bucket", stage="detect", le=le) for le in ("0.005", "0.05", "0.5", "+Inf")] == [
        *(1, 2, 3, 4)
    ]
    assert appliance.read(f"{name}_bucket", stage="classify", le="0.001") == 4


def test_the_frame_rate_covers_ten_seconds(appliance: Appliance, clock: ManualClock) -> None:
    for fps, seconds in ((30, 20), (12, 20)):
        for _ in range(fps * seconds):
            clock.advance(1 / fps)
            appliance.frame()
    assert appliance.read("maskgate_frames_per_second") == pytest.approx(12, rel=0.1)


def test_hanging_loops_show_a_growing_age(appliance: Appliance, clock: ManualClock) -> None:
    for _ in range(300):
        clock.advance(0.1)
        appliance.frame()
    assert appliance.read("maskgate_last_frame_age_seconds") == 0
    assert appliance.read("maskgate_camera_up") == 1
    clock.advance(60)
    assert appliance.read("maskgate_last_frame_age_seconds") == pytest.approx(60)
    assert appliance.read("maskgate_camera_up") == 0
    assert appliance.read("maskgate_frames_per_second") == 0


def test_age_counts_from_the_start(appliance: Appliance, clock: ManualClock) -> None:
    appliance.show()
    clock.advance(25)
    assert appliance.read("maskgate_last_frame_age_seconds") == 25
    assert appliance.read("maskgate_camera_up") == 0


def test_the_page_exists_before_the_loop(appliance: Appliance) -> None:
    assert appliance.read("maskgate_frames_total") is None
    assert appliance.read("maskgate_build_info", version="1.2.3", face="b6446fc2", mask="0892ab75") == 1
    assert appliance.read("maskgate_alerts_total") == 0
    assert appliance.read("process_resident_memory_bytes")


@pytest.mark.parametrize("name", BOARDS)
def test_boards_report_temperature_and_throttling(tmp_path: Path, clock: ManualClock, name: str) -> None:
    root = build(tmp_path, name)
    one = Appliance(clock, root=root)
    report = read_board(root)
    assert one.read("maskgate_board_info", model=report.model, kind=report.profile.name) == 1
    assert one.read("maskgate_temperature_celsius") == report.temperature
    assert one.read("maskgate_power_warnings") == len(report.warnings)
    told = throttled(root)
    assert (told is None) is ("maskgate_throttled" not in one.families())
    assert {cause: one.read("maskgate_throttled", cause=cause) for cause in told or {}} == (told or {})


def test_a_pi_names_its_throttling(tmp_path: Path, clock: ManualClock) -> None:
    pi = Appliance(clock, root=build(tmp_path, "5"))
    assert pi.read("maskgate_throttled", cause="soft_temperature_limit") == 1
    assert pi.read("maskgate_throttled", cause="under_voltage") == 0
    assert pi.read("maskgate_power_warnings") == 3


def test_other_boards_report_kernel_cooling(tmp_path: Path, clock: ManualClock) -> None:
    root = build(tmp_path, "jetson-orin-nano")
    one = Appliance(clock, root=root)
    assert one.read("maskgate_throttled", cause="heat") == 0
    devices = root.glob("sys/class/thermal/cooling_device*")
    (slowing,) = [device for device in devices if "fan" not in (device / "type").read_text()]
    (slowing / "cur_state").write_text("2\n")
    assert one.read("maskgate_throttled", cause="heat") == 1


def test_unmeasured_values_are_absent(appliance: Appliance) -> None:
    assert appliance.read("maskgate_temperature_celsius") is None
    assert "maskgate_throttled" not in appliance.families()


@pytest.mark.parametrize("state", [True, False])
def test_store_and_broker_are_flags(clock: ManualClock, state: bool) -> None:
    one = Appliance(clock)
    one.show(counts=CountsState(Path("counts.db"), "the disk is full" if state else None), broker=state)
    assert one.read("maskgate_counts_degraded") == state
    assert one.read("maskgate_mqtt_connected") == state


def test_no_broker_means_no_metric(appliance: Appliance) -> None:
    assert appliance.read("maskgate_mqtt_connected") is None


def test_the_build_names_version_and_models() -> None:
    shipped = read_manifest().models
    told = about(Config())
    used = {"face": "face", "confirm": "confirm", "mask": "mask", "first_look": "mask-small"}
    assert told == {"maskgate": told["maskgate"], **{task: shipped[name].sha256 for task, name in used.items()}}
    assert told["maskgate"]


def test_trials_have_no_counts(appliance: Appliance) -> None:
    appliance.frame()
    appliance.show(camera=CameraState("demo", kind=SourceKind.DEMO), counted=False, totals={Verdict.WITH_MASK: 3})
    assert appliance.read("maskgate_visits_total", verdict="with_mask") is None
    assert appliance.read("maskgate_source", kind="demo") == 1
    assert appliance.read("maskgate_source", kind="camera") == 0
    assert appliance.read("maskgate_frames_total") == 1


def test_failed_outputs_and_mutes_are_seen(appliance: Appliance) -> None:
    outputs = (OutputState("led", "red lamp on pin 17"), OutputState("buzzer", "buzzer on pin 27", "Its pin hangs."))
    appliance.frame(alerts=AlertState(outputs))
    assert appliance.read("maskgate_alert_output_up", output="led") == 1
    assert appliance.read("maskgate_alert_output_up", output="buzzer") == 0
    assert appliance.read("maskgate_alert_audible") == 0
    sound = (OutputState("sound", "a tone"),)
    for muted_until, audible in ((None, 1), (2000.0, 0)):
        appliance.show(alerts=AlertState(sound, muted_until))
        assert appliance.read("maskgate_alert_audible") == audible


def test_a_frame_costs_next_to_nothing(clock: ManualClock) -> None:
    appliance = Appliance(clock)
    statuses = [
        Status(clock.monotonic(), 0.0, CameraState("a camera"), number, times=StageTimes(0.04, 0.01))
        for number in range(2000)
    ]
    began = time.process_time()
    for status in statuses:
        appliance.metrics.frame(StageTimes(0.04, 0.01))
        appliance.metrics.show(status)
    each = (time.process_time() - began) / len(statuses)
    print(f"metrics: {each * 1e6:.1f} microseconds a frame")
    assert each < 0.001


def test_the_page_is_prometheus_text(appliance: Appliance) -> None:
    assert appliance.metrics.page()[1] == "text/plain; version=0.0.4; charset=utf-8"


@needs_promtool
def test_promtool_accepts_the_page(clock: ManualClock, tmp_path: Path) -> None:
    whole = Appliance(clock, root=build(tmp_path, "4b"))
    whole.frame(totals={Verdict.UNSURE: 1}, broker=True, alerts=AlertState((OutputState("led", "red lamp"),)))
    page, _ = whole.metrics.page()
    checked = subprocess.run(["promtool", "check", "metrics"], input=page, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


def test_documentation_and_page_agree(clock: ManualClock, tmp_path: Path) -> None:
    root = build(tmp_path, "4b")
    whole = Appliance(clock, root=root)
    whole.frame(broker=True, accelerated=True, alerts=AlertState((OutputState("led", "red lamp"),)))
    names = {sample.name for family in whole.families().values() for sample in family.samples}
    served = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in names if name.startswith("maskgate_")}
    named = set(re.findall(r"\bmaskgate_\w+", (RULES / "maskgate.rules.yml").read_text("utf-8")))
    documented = set(
        re.findall(r"^\| `(maskgate_\w+)", (ROOT / "docs/reference/metrics.md").read_text("utf-8"), re.MULTILINE)
    )
    assert named - served == set()
    assert documented == served


@needs_promtool
@pytest.mark.parametrize("command", ["check rules maskgate.rules.yml", "test rules maskgate.test.yml"])
def test_the_sample_rules_fire(command: str) -> None:
    ran = subprocess.run(["promtool", *command.split()], cwd=RULES, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@needs_promtool
def test_the_sample_scrape_configuration_is_valid(tmp_path: Path) -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/reference/metrics.md").read_text("utf-8"), re.DOTALL)
    (scrape,) = [block for block in blocks if "scrape_configs" in block]
    (tmp_path / "prometheus.yml").write_text(scrape)
    shutil.copy(RULES / "maskgate.rules.yml", tmp_path)
    for secret in re.findall(r"credentials_file: (\S+)", scrape):
        (tmp_path / secret).write_text("token")
    ran = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
