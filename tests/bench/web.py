"""What those who look cost the pipeline.

Runs the real loop on the looped demo clip as fast as it goes, with the screens served, and compares spells without
clients to spells with 20 of them in another process: kiosk pages, then operators, five of them at the set-up page, who
look through the camera. Spells alternate, so that a machine that is busy with other things is busy with both; a spell
with clients is compared with the mean of its neighbours. The clients only read and forget, twice a second, because on a
real door they run elsewhere. The last table has the frames come at the clip's own rate, as a camera sends them.

Three figures: frames a second of the loop; processor time of this process (loop and server together) a frame; and what
of it the server's own thread took, which tells even on a busy machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from edge.alerts.none import NoAlert
from edge.alerts.policy import AlertPolicy
from edge.cameras.choose import open_camera
from edge.cameras.loop import Looped
from edge.cameras.recording import Recording
from edge.clock import SystemClock
from edge.config import Config, load
from edge.control import Commands
from edge.door.loop import Door
from edge.people import PeopleTracker
from edge.sinks.together import Sinks
from edge.sinks.web import token
from edge.sinks.web.sink import WebScreens
from edge.vision.pipeline import Pipeline, load_pipeline
from tests.bench.results import Options, Quartiles, Section, Table

CLIENTS = 20
EVENTS, PICTURES = [f"{CLIENTS}:/events"], [f"{CLIENTS}:/events", f"{CLIENTS}:/picture"]
OPERATORS = ["20:/events?status=en", "5:/camera/preview", "5:/api/aim"]
"""What 15 operator pages and five set-up pages ask for, five of them looking through the camera."""


class Spell(NamedTuple):
    """Frames a second, milliseconds of processor time a frame, and the server's share of that time, in percent."""

    fps: float
    cpu: float
    server: float

    @property
    def a_second(self) -> float:
        """Of the server's thread, in milliseconds of processor time per second: the same at any frame rate."""
        return self.fps * self.cpu * self.server / 100


class Size(NamedTuple):
    """How many pairs of spells, of how many frames, and whether those come at the clip's own rate."""

    rounds: int
    frames: int
    paced: bool = False


class Bench:
    """The loop and the screens of one process."""

    def __init__(self, frames: int, live_picture: bool, folder: Path) -> None:
        self._clock = SystemClock()
        self.key = token.make(folder / "web-token")
        overrides = {"web.port": 0, "web.live_picture": live_picture, "camera.source": "demo"}
        overrides["web.token_file"] = str(folder / "web-token")
        self._settings = load(environment={"HOME": "/nonexistent"}, overrides=overrides)
        self._config: Config = self._settings.config
        self._pipeline: Pipeline = load_pipeline(self._config)
        self._screens = WebScreens(self._config, self._clock, Commands(), {})
        self._frames = frames

    @property
    def url(self) -> str:
        """Of the kiosk page."""
        assert self._screens.url, self._screens.trouble
        return self._screens.url

    def spell(self, paced: bool = False) -> Spell:
        """Run the loop for as many frames as asked, as fast as it goes or at the clip's own rate."""
        choice = open_camera(self._config.camera, self._clock)
        commands = Commands()
        door = Door(
            source=Recording(Looped(choice.camera, choice.reopen), self._clock, paced, commands.stopped),
            pipeline=self._pipeline,
            people=PeopleTracker(self._config.people),
            alerts=AlertPolicy(self._config.alerts, NoAlert("a benchmark"), self._clock),
            sinks=Sinks([self._screens], commands),
            clock=self._clock,
            settings=self._settings,
            commands=commands,
            max_frames=self._frames,
        )
        process, server = time.process_time(), self._server_time()
        summary = door.run()
        process, server = time.process_time() - process, self._server_time() - server
        return Spell(summary.fps, 1e3 * process / summary.frames, 100 * server / process)

    def _server_time(self) -> float:
        (thread,) = (thread for thread in threading.enumerate() if thread.name == "web")
        assert thread.ident
        return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))

    def close(self) -> None:
        """Stop serving."""
        self._screens.close()


@contextmanager
def clients(url: str, key: str, wanted: list[str]) -> Iterator[None]:
    """Those who look, in a process of their own."""
    command = [sys.executable, "-m", "tests.bench.web_clients", url, key, *wanted]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


def run(options: Options) -> Section:
    """Alternate spells without and with clients: of the events, of the live picture, too, and of operators."""
    section = Section()
    full = Size(options.some(24, 2), options.some(200, 30))
    slow = Size(options.some(8, 2), options.some(120, 20), paced=True)
    for wanted, size in ((EVENTS, full), (PICTURES, full), (OPERATORS, full), (OPERATORS, slow)):
        with TemporaryDirectory() as folder:
            bench = Bench(size.frames, wanted is PICTURES, Path(folder))
            section.tables.append(_compare(bench, size, wanted, section))
    return section


def _compare(bench: Bench, size: Size, wanted: list[str], section: Section) -> Table:
    bench.spell()
    alone, watched = [bench.spell(size.paced)], []
    for _ in range(size.rounds):
        with clients(bench.url, bench.key, wanted):
            watched.append(bench.spell(size.paced))
        alone.append(bench.spell(size.paced))
    bench.close()
    neighbours = [Spell(*map(statistics.mean, zip(*pair, strict=True))) for pair in pairwise(alone)]
    slower = [100 * (1 - one.fps / other.fps) for one, other in zip(watched, neighbours, strict=True)]
    dearer = [100 * (one.cpu / other.cpu - 1) for one, other in zip(watched, neighbours, strict=True)]
    figures = {
        "frames a second": ([one.fps for one in alone], [one.fps for one in watched], slower),
        "processor time a frame, ms": ([one.cpu for one in alone], [one.cpu for one in watched], dearer),
    }
    rows = [(name, *(Quartiles.of(values).told(1) for values in columns)) for name, columns in figures.items()]
    shares = [Quartiles.of([one.server for one in spells]) for spells in (alone, watched)]
    rows.append(("of it the server's thread, %", *(share.told(1) for share in shares), ""))
    load = [Quartiles.of([one.a_second for one in spells]) for spells in (alone, watched)]
    rows.append(("the server's thread, ms per second", *(one.told(1) for one in load), ""))
    who = f"Clients {', '.join(wanted)}{' at the rate of a camera' if size.paced else ''}"
    section.data[who] = {
        "slower_percent": Quartiles.of(slower).json(),
        "dearer_percent": Quartiles.of(dearer).json(),
        "server_percent": shares[1].json(),
        "server_ms_per_second": load[1].json(),
    }
    head = ("", "alone", "watched", "the loop's loss, %")
    return Table(f"{who}, {size.rounds} pairs of spells of {size.frames} frames:", head, rows)
