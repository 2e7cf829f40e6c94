"""What Prometheus reads at /metrics, from the newest status. docs/reference/metrics.md lists the names.

A frame costs two observations of a histogram; everything else is put together when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from edge import board
from edge.clock import Clock
from edge.pacing import SlidingRate
from edge.sinks import Sink
from edge.sinks.registry import Opening
from edge.status import SourceKind, Status
from edge.values import Event, EventKind, StageTimes, Verdict
from edge.vision.models.about import about

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, which every version of it reads."""
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.0)
"""Upper bounds, in seconds: from an accelerator's milliseconds to a board that is far too slow."""
RATE_OVER = 10.0
"""Window of the frame rate, in seconds."""


def open_sink(opening: Opening) -> Sink:
    """Wait to be asked."""
    return Metrics(opening.clock, about(opening.config), opening.config.camera.stale_after)


class Metrics(Sink, Collector):
    """A sink that Prometheus can read.

    Args:
        clock: The machine's.
        about: Version of maskgate and of its models.
        stale_after: Maximum age of a current frame, in seconds.
        root: Where /proc and /sys are, which tell of the board.
    """

    name = "the metrics"
    every = 0.25

    def __init__(self, clock: Clock, about: Mapping[str, str], stale_after: float, root: Path = Path("/")) -> None:
        self.pages = {"/metrics": self.page}
        self._clock = clock
        self._about = about
        self._stale_after = stale_after
        self._board_model, self._board_kind = board.model_name(root), board.profile_of(root).name
        self._root = root
        self._status: Status | None = None
        self._events = dict.fromkeys((EventKind.ALERT_ON, EventKind.CAMERA_BACK), 0)
        self._rate = SlidingRate(RATE_OVER)
        self._registry = CollectorRegistry()
        stages = Histogram(
            "maskgate_stage_duration_seconds",
            "Time a frame spent in a stage; close to zero in classify when nobody was judged",
            ["stage"],
            buckets=BUCKETS,
            registry=self._registry,
        )
        self._detect, self._classify = stages.labels("detect"), stages.labels("classify")
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def frame(self, times: StageTimes) -> None:
        """Observe the stages of a frame."""
        self._detect.observe(times.detect)
        self._classify.observe(times.classify)

    def tell(self, events: Sequence[Event]) -> None:
        """Count what no status holds."""
        for event in events:
            if event.kind in self._events:
                self._events[event.kind] += 1

    def show(self, status: Status) -> None:
        """Take in a status."""
        self._rate.mark(status.at, status.frames)
        self._status = status

    def page(self) -> tuple[bytes, str]:
        """The page that Prometheus reads, and its content type. May be called from any thread."""
        return generate_latest(self._registry), CONTENT_TYPE

    def collect(self) -> Iterable[Metric]:
        """Everything but the histograms, for the registry."""
        info = {"version": self._about["maskgate"], "face": self._about["face"], "mask": self._about["mask"]}
        yield InfoMetricFamily("maskgate_build", "Version of maskgate, SHA-256 of its models", value=info)
        named = {"model": self._board_model, "kind": self._board_kind}
        yield InfoMetricFamily("maskgate_board", "The board's own name, and the profile used", value=named)
        yield from self._board()
        yield _counter("alerts", "Alarms that were started", self._events[EventKind.ALERT_ON])
        yield _counter("camera_reconnects", "Times a lost camera came back", self._events[EventKind.CAMERA_BACK])
        if self._status:
            now = self._clock.monotonic()
            yield from self._of_parts(self._status)
            yield from self._of_frames(self._status, now)
            yield from self._of_people(self._status)

    def _of_parts(self, status: Status) -> Iterable[Metric]:
        degraded = bool(status.counts and status.counts.degraded)
        yield _gauge("counts_degraded", "Whether counts cannot be written and wait in memory", degraded)
        if status.broker is not None:
            yield _gauge("mqtt_connected", "Whether the MQTT broker is connected", status.broker)
        if status.accelerated is not None:
            yield _gauge("accelerated", "Whether models run on the accelerator, not the processor", status.accelerated)
        if status.alerts.outputs:
            up = GaugeMetricFamily("maskgate_alert_output_up", "Whether an alert output works", labels=["output"])
            for output in status.alerts.outputs:
                up.add_metric([output.kind], output.trouble is None)
            yield up
        yield _gauge("alert_muted", "Whether buzzer and sound are muted", status.alerts.muted_until is not None)
        yield _gauge("alert_quiet", "Whether these are quiet hours", status.alerts.quiet_hours)
        audible = "Whether an alarm would be heard now: not muted, not in quiet hours, with a working buzzer or sound"
        yield _gauge("alert_audible", audible, status.alerts.audible)
        source = GaugeMetricFamily("maskgate_source", "What the frames come from", labels=["kind"])
        for kind in SourceKind:
            source.add_metric([kind.value], kind is status.camera.kind)
        yield source

    def _of_frames(self, status: Status, now: float) -> Iterable[Metric]:
        rate = self._rate.per_second(now) or 0.0
        yield _counter("frames", "Frames processed", status.frames)
        yield _counter("frames_dropped", "Frames that a newer one replaced before they were processed", status.dropped)
        yield _gauge("frames_per_second", f"Frames processed per second, over {RATE_OVER:.0f} s", rate)
        age = status.frame_age(now)
        since_start = now - status.started_at
        yield _gauge(
            "last_frame_age_seconds",
            "Age of the newest frame processed; before the first, time since the start",
            since_start if age is None else age,
        )
        in_service = not status.reasons(now, self._stale_after)
        yield _gauge("camera_up", "Whether the camera sends fresh pictures", in_service)
        yield _counter("camera_losses", "Times the camera was lost", status.camera.losses)

    def _of_people(self, status: Status) -> Iterable[Metric]:
        yield _gauge("people", "People in view", len(status.people))
        yield _gauge("alarm", "Whether the alarm sounds", status.alarm)
        if not status.counted:
            return
        visits = CounterMetricFamily("maskgate_visits", "Visits that ended, by verdict", labels=["verdict"])
        for verdict in Verdict:
            visits.add_metric([verdict.value], status.totals.get(verdict, 0))
        yield visits

    def _board(self) -> Iterable[Metric]:
        degrees = board.temperature_celsius(self._root)
        if degrees is not None:
            yield _gauge("temperature_celsius", "The board's hottest sensor", degrees)
        causes = board.throttled(self._root)
        if causes is not None:
            family = GaugeMetricFamily("maskgate_throttled", "Whether the board slows itself down", labels=["cause"])
            for cause, now in causes.items():
                family.add_metric([cause], now)
            yield family
        warnings = len(list(board.power_warnings(self._root)))
        yield _gauge("power_warnings", "What was wrong with power or heat since boot, or is now", warnings)


def _gauge(name: str, about: str, value: float) -> Metric:
    return GaugeMetricFamily(f"maskgate_{name}", about, value=value)


def _counter(name: str, about: str, value: float) -> Metric:
    return CounterMetricFamily(f"maskgate_{name}", about, value=value)
