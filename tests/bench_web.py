"""What those who look cost the pipeline: ``python -m tests.bench_web``.

Runs the real loop on the looped demo clip as fast as it goes, with the screens served, and compares spells without
clients to spells with 20 of them in another process. Spells alternate, so that a machine that is busy with other things
is busy with both; a spell with clients is compared with the mean of its neighbours. The clients only read and forget,
twice a second, because on a real door they run elsewhere.

Three figures: frames a second of the loop; processor time of this process (loop and server together) a frame; and what
of it the server's own thread took, which tells even on a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from edge.alerts.none import NoAlert
from edge.alerts.policy import AlertPolicy
from edge.cameras.choose import open_camera
from edge.cameras.loop import Looped
from edge.cameras.source import Recording
from edge.clock import SystemClock
from edge.config import Config, load
from edge.door import Door
from edge.events import SceneTime
from edge.live import Screen
from edge.outbox import standard_error
from edge.people import PeopleTracker
from edge.pipeline import Pipeline, load_pipeline
from edge.web.sink import Shown, WebScreens

CLIENTS = 20


class Spell(NamedTuple):
    """Frames a second, milliseconds of processor time a frame, and the server's share of that time, in percent."""

    fps: float
    cpu: float
    server: float


class Bench:
    """The loop and the screens of one process."""

    def __init__(self, frames: int, live_picture: bool) -> None:
        self._clock = SystemClock()
        overrides = {"web.port": 0, "web.live_picture": live_picture, "camera.source": "demo"}
        self._config: Config = load(environment={"HOME": "/nonexistent"}, overrides=overrides).config
        self._pipeline: Pipeline = load_pipeline(self._config)
        shown = Shown(lambda: self._pipeline.runtime, Path("/nonexistent/counts.db"), {})
        self._screens = WebScreens(self._config, self._clock, shown)
        self._frames = frames

    @property
    def url(self) -> str:
        """Of the kiosk page."""
        assert self._screens.url, self._screens.trouble
        return self._screens.url

    def spell(self) -> Spell:
        """Run the loop for as many frames as asked."""
        choice = open_camera(self._config.camera, self._clock)
        outbox = standard_error(False)
        door = Door(
            source=Recording(Looped(choice.camera, choice.reopen), self._clock, False, threading.Event()),
            pipeline=self._pipeline,
            people=PeopleTracker(self._config.people),
            alerts=AlertPolicy(self._config.alerts, NoAlert("a benchmark"), self._clock),
            screen=Screen(outbox, self._clock, terminal=False, quiet=True),
            scene_time=SceneTime(self._clock, self._clock.monotonic()),
            clock=self._clock,
            stopped=threading.Event(),
            sinks=[self._screens],
            max_frames=self._frames,
        )
        process, server = time.process_time(), self._server_time()
        summary = door.run()
        process, server = time.process_time() - process, self._server_time() - server
        outbox.close()
        return Spell(summary.fps, 1e3 * process / summary.frames, 100 * server / process)

    def _server_time(self) -> float:
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "web")
        assert thread.ident
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))

    def close(self) -> None:
        """Stop serving."""
        self._screens.close()


@contextmanager
def clients(url: str, paths: list[str]) -> Iterator[None]:
    """Those who look, in a process of their own."""
    command = [sys.executable, "-m", "tests.bench_web_clients", url, str(CLIENTS), *paths]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


def compare(rounds: int, frames: int, paths: list[str]) -> None:
    """Alternate spells, and print what the clients cost."""
    bench = Bench(frames, "/picture" in paths)
    bench.spell()
    alone, watched = [bench.spell()], []
    for _ in range(rounds):
        with clients(bench.url, paths):
            watched.append(bench.spell())
        alone.append(bench.spell())
    bench.close()
    neighbours = [Spell(*map(statistics.mean, zip(*pair, strict=True))) for pair in pairwise(alone)]
    slower = [1 - one.fps / other.fps for one, other in zip(watched, neighbours, strict=True)]
    dearer = [one.cpu / other.cpu - 1 for one, other in zip(watched, neighbours, strict=True)]
    print(f"{CLIENTS} clients of {' and '.join(paths)}, {rounds} spells of {frames} frames each:")
    print(f"  frames a second   alone {describe([one.fps for one in alone])}")
    print(f"                    watched {describe([one.fps for one in watched])}")
    print(f"  slower by         {describe([100 * one for one in slower])} %")
    print(f"  processor time    alone {describe([one.cpu for one in alone])} ms a frame")
    print(f"                    watched {describe([one.cpu for one in watched])} ms a frame")
    print(f"  of it the server  alone {describe([one.server for one in alone])} %")
    print(f"                    watched {describe([one.server for one in watched])} %")
    print(f"  dearer by         {describe([100 * one for one in dearer])} %", flush=True)


def describe(values: list[float]) -> str:
    """Median, and the middle half."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.1f} ({low:.1f} to {high:.1f})"


def main() -> int:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=24, help="spells with clients (%(default)s)")
    parser.add_argument("--frames", type=int, default=200, help="frames in each spell (%(default)s)")
    options = parser.parse_args()
    compare(options.rounds, options.frames, ["/events"])
    compare(options.rounds, options.frames, ["/events", "/picture"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
