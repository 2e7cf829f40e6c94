"""How the time of a picture grows: with people, with its size, with threads; and that of the counts page with rows."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from edge.people import PeopleTracker
from edge.sinks.counts import database
from edge.sinks.counts.reading import read_rows
from edge.sinks.web.report import read_today
from edge.values import Frame, Image
from edge.vision.pipeline import Pipeline, load_pipeline
from tests.bench import web
from tests.bench.results import Options, Quartiles, Section, Table, plot
from tests.bench.scenes import HEIGHT, WIDTH, crowds, settings, with_one_person

CROWDS = (0, 1, 2, 3, 5, 8, 10, 15, 20)
FRAME_SIZES = ((320, 240), (640, 480), (800, 600), (1280, 720), (1920, 1080))
CLIENTS = (0, 1, 5, 10, 20)
ROWS = (10**3, 10**4, 10**5, 10**6, 10**7)
VISITS_AN_HOUR = 200
Stopwatch = Callable[[Callable[[], object]], float]
BYTES_A_ROW = 90
"""Room that a visit takes in the file while it is filled, roughly."""


def run(options: Options) -> Section:
    """All of it; each comparison takes turns."""
    section = Section()
    pipeline = load_pipeline(settings(runtime__threads=1))
    _people(pipeline, options, section)
    _sizes(pipeline, options, section)
    _threads(pipeline, options, section)
    with TemporaryDirectory() as folder:
        _clients(options, section, Path(folder))
    _rows(options, section)
    return section


def _people(pipeline: Pipeline, options: Options, section: Section) -> None:
    sizes = CROWDS[:3] if options.quick else CROWDS
    stills = crowds(pipeline, sizes)
    trackers = [PeopleTracker(settings().people) for _ in sizes]
    every: dict[int, list[float]] = {size: [] for size in sizes}
    door: dict[int, list[float]] = {size: [] for size in sizes}
    for frame in range(options.some(200, 45)):
        for size, still, tracker in zip(sizes, stills, trackers, strict=True):
            every[size].append(_spent(partial(_judge, pipeline, still)))
            took = _spent(partial(_at_door, pipeline, tracker, still, frame / 20))
            if frame >= 40:
                door[size].append(took)
    for size, still in zip(sizes, stills, strict=True):
        if len(pipeline.detect(Frame.still(still))) != size:
            section.notes.append(f"Of {size} people shown, {len(pipeline.detect(Frame.still(still)))} were found.")
    rows = [(str(size), Quartiles.of(every[size]).told(), Quartiles.of(door[size]).told()) for size in sizes]
    head = ("people", "ms, all judged in every picture", "ms, at the door: settled people judged now and then")
    section.tables.append(Table("People in view, 640x480, one thread, processor time:", head, rows))
    lines = {
        "all judged in every picture": [(size, Quartiles.of(every[size]).median) for size in sizes],
        "at the door": [(size, Quartiles.of(door[size]).median) for size in sizes],
    }
    section.plots.append(
        plot(options.out / "people.png", "Time of a picture", "people in view", "ms", lines, xticks=sizes)
    )
    section.data["people"] = {
        size: {"all": Quartiles.of(every[size]).json(), "door": Quartiles.of(door[size]).json()} for size in sizes
    }


def _judge(pipeline: Pipeline, image: Image) -> None:
    pipeline.judge(image, pipeline.detect(Frame.still(image)))


def _at_door(pipeline: Pipeline, tracker: PeopleTracker, still: Image, at: float) -> None:
    plan = tracker.match(pipeline.detect(Frame.still(still)), at, (WIDTH, HEIGHT))
    tracker.update(plan, pipeline.judge(still, plan.to_judge))


def _sizes(pipeline: Pipeline, options: Options, section: Section) -> None:
    (image,) = with_one_person(pipeline, 1)
    pictures = {
        f"{width}x{height}": cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
        for width, height in FRAME_SIZES
    }
    work = {name: partial(_judge, pipeline, one) for name, one in pictures.items()}
    took = _in_turn(work, options.some(200, 5), _spent)
    head = ("picture", "ms, found and judged, scaled in the loop")
    section.tables.append(
        Table(
            "Size of the picture, one person, one thread, processor time:",
            head,
            [(n, Quartiles.of(t).told()) for n, t in took.items()],
        )
    )
    points = [(w * h / 1e6, Quartiles.of(took[f"{w}x{h}"]).median) for w, h in FRAME_SIZES]
    section.plots.append(
        plot(options.out / "sizes.png", "Time of a picture by its size", "megapixels", "ms", {"one person": points})
    )
    section.data["sizes"] = {name: Quartiles.of(times).json() for name, times in took.items()}


def _threads(pipeline: Pipeline, options: Options, section: Section) -> None:
    still = crowds(pipeline, [1])[0]
    pipelines = {
        f"{count} thread{'s' * (count > 1)}": load_pipeline(settings(runtime__threads=count)) for count in (1, 2)
    }
    work = {name: partial(_judge, one, still) for name, one in pipelines.items()}
    took = _in_turn(work, options.some(300, 5), _timed)
    rows = [(name, Quartiles.of(times).told()) for name, times in took.items()]
    section.tables.append(Table(f"Threads a model, one person, {os.cpu_count()} cores:", ("", "ms"), rows))
    section.data["threads"] = {name: Quartiles.of(times).json() for name, times in took.items()}


def _clients(options: Options, section: Section, folder: Path) -> None:
    bench = web.Bench(options.some(150, 30), live_picture=False, folder=folder)
    bench.spell()
    numbers = CLIENTS[:2] if options.quick else CLIENTS
    spells: dict[int, list[web.Spell]] = {number: [] for number in numbers}
    for _ in range(options.some(6, 1)):
        for number in numbers:
            with web.clients(bench.url, bench.key, [f"{number}:/events"]):
                spells[number].append(bench.spell())
    bench.close()
    rows = [
        (
            str(number),
            Quartiles.of([one.cpu for one in took]).told(),
            Quartiles.of([one.server for one in took]).told(1),
        )
        for number, took in spells.items()
    ]
    head = ("clients of /events", "processor time a picture, ms", "of it the server's thread, %")
    section.tables.append(Table("Those who look at the screens:", head, rows))
    points = {
        "whole process": [(number, Quartiles.of([one.cpu for one in took]).median) for number, took in spells.items()]
    }
    title = "Processor time of a picture by clients of the screens"
    section.plots.append(plot(options.out / "clients.png", title, "clients of /events", "ms", points, xticks=numbers))
    section.data["clients"] = {
        number: {
            "cpu_ms": Quartiles.of([s.cpu for s in took]).json(),
            "server_percent": Quartiles.of([s.server for s in took]).json(),
        }
        for number, took in spells.items()
    }


def _rows(options: Options, section: Section) -> None:
    points: dict[str, list[tuple[float, float]]] = {"today by hour (the counts page)": [], "everything by day": []}
    table = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in ROWS[:2] if options.quick else ROWS:
            if shutil.disk_usage(folder).free < 2 * rows * BYTES_A_ROW:
                section.notes.append(f"{rows:,} rows are left out: there is no room in {folder}.")
                continue
            store = Path(folder, f"{rows}.db")
            fill(store, rows)
            now = datetime.now(timezone.utc)
            today = [_timed(partial(read_today, store, now)) for _ in range(options.some(30, 3))]
            days = [_timed(partial(_by_day, store)) for _ in range(options.some(5, 2))]
            table.append(
                (
                    f"{rows:,}",
                    f"{store.stat().st_size / 1e6:.1f}",
                    Quartiles.of(today).told(1),
                    Quartiles.of(days).told(1),
                )
            )
            points["today by hour (the counts page)"].append((rows, Quartiles.of(today).median))
            points["everything by day"].append((rows, Quartiles.of(days).median))
            store.unlink()
    head = ("visits in the store", "MB", "today by hour, ms", "everything by day, ms")
    section.tables.append(Table(f"Rows in the store, {VISITS_AN_HOUR} visits an hour without a break:", head, table))
    section.plots.append(
        plot(
            options.out / "rows.png",
            "Reading the counts",
            "visits in the store",
            "ms",
            points,
            xscale="log",
            yscale="log",
        )
    )
    section.data["rows"] = {name: {int(x): y for x, y in line} for name, line in points.items()}


def fill(store: Path, visits: int) -> None:
    """A store with so many visits that end now, and the hours they fall into."""
    database.open_for_writing(store).close()
    now = int(time.time())
    verdict = "CASE n % 10 WHEN 0 THEN 'without_mask' WHEN 1 THEN 'unsure' ELSE 'with_mask' END"
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("INSERT INTO boots VALUES (1, 'bench', 0)")
    numbers = "WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < ?)"
    begin = f"? - n * {3600 / VISITS_AN_HOUR}"
    connection.execute(
        f"INSERT INTO visits(boot, started, ended, verdict) {numbers} "
        f"SELECT 1, {begin} - 3, {begin}, {verdict} FROM numbers",
        (visits, now, now),
    )
    connection.execute(
        f"INSERT INTO hours(boot, hour, with_mask, without_mask, unsure, frames, uptime) {numbers} "
        f"SELECT 1, ? / 3600 * 3600 - n * 3600, {VISITS_AN_HOUR * 8 // 10}, {VISITS_AN_HOUR // 10}, "
        f"{VISITS_AN_HOUR // 10}, 72000, 3600 FROM numbers",
        (max(1, visits // VISITS_AN_HOUR), now),
    )
    connection.commit()
    connection.close()


def _by_day(store: Path) -> None:
    connection = database.open_for_reading(store)
    read_rows(connection, None, "day")
    connection.close()


def _in_turn(work: Mapping[str, Callable[[], object]], rounds: int, clock: Stopwatch) -> dict[str, list[float]]:
    """Milliseconds by name, after one round that does not count."""
    for one in work.values():
        one()
    took: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, one in work.items():
            took[name].append(clock(one))
    return took


def _spent(work: Callable[[], object]) -> float:
    """Milliseconds of the processor, which others' work disturbs less."""
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1e3


def _timed(work: Callable[[], object]) -> float:
    """Milliseconds by the clock."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1e3
