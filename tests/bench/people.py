"""How well people are followed and counted, and what that costs.

Plays scenes of simulated walkers at 20 fps with 20 % missed detections, 5 % wrong readings and 2 % of frames with a
false box, drawn frame by frame and in bursts, and prints counts against truth; then the time a frame takes: the
tracker's own, and all of it with the shipped models for one person and for ten; then what the important constants of
the tracker gain, each switched off in turn.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge.config import Config, PeopleSettings
from edge.people import PeopleTracker
from edge.values import BBox, Face, Frame, Reading, Verdict
from edge.vision.pipeline import load_pipeline
from tests.bench import people_tuning
from tests.bench.people_tuning import KINDS
from tests.bench.results import Options, Quartiles, Section, Table
from tests.bench.scenes import crowds
from tests.stand_ins.simulate import HEIGHT, WIDTH, Outcome, Scene, score

SEEDS = (2025, 101, 102, 103)


def accuracy(kind: str, seed: int, visits: int, arrivals: float) -> Outcome:
    """What is made of one scene with that kind of fault."""
    scene = Scene(visits, KINDS[kind], arrivals=arrivals, seed=seed)
    return score(scene, PeopleTracker(PeopleSettings()), sparing=True)


IMPORT = """
import time, numpy
def resident(): return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6
before, begin = resident(), time.perf_counter()
from lap import lapjv
print((time.perf_counter() - begin) * 1e3, resident() - before)
"""


def import_cost() -> tuple[float, float]:
    """Milliseconds and megabytes that importing the assignment library takes, beyond numpy (in a fresh process)."""
    ran = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    milliseconds, megabytes = map(float, ran.stdout.split())
    return milliseconds, megabytes


def frame_cost(people: int, frames: int = 400) -> tuple[float, float]:
    """Microseconds that ``match`` and ``update`` take with so many people in view (medians)."""
    tracker = PeopleTracker(PeopleSettings())
    rng = np.random.default_rng(0)
    matching, updating = [], []
    for frame in range(frames):
        jitter = rng.normal(0, 1, (people, 2))
        corners = [(40 + 110 * (n % 5) + x, 40 + 200 * (n // 5) + y) for n, (x, y) in enumerate(jitter)]
        faces = [Face(BBox(x, y, x + 60, y + 80), 0.9) for x, y in corners]
        begin = time.perf_counter()
        plan = tracker.match(faces, frame / 20, (WIDTH, HEIGHT))
        middle = time.perf_counter()
        tracker.update(plan, [Reading(face, (0.9, 0.05, 0.05)) for face in plan.to_judge])
        matching.append(middle - begin)
        updating.append(time.perf_counter() - middle)
    return float(np.median(matching)) * 1e6, float(np.median(updating)) * 1e6


def judged_share(people: int, seconds: float = 30.0) -> float:
    """Mask readings a second that settled people who stand at the door ask for, each."""
    tracker = PeopleTracker(PeopleSettings())
    frame_size = (110 * (people + 2), HEIGHT)
    faces = [Face(BBox(110.0 * n, 100, 110.0 * n + 60, 180), 0.9) for n in range(1, people + 1)]
    judged = 0
    for frame in range(-40, int(seconds * 20)):
        plan = tracker.match(faces, frame / 20, frame_size)
        judged += len(plan.to_judge) if frame >= 0 else 0
        tracker.update(plan, [Reading(face, (0.9, 0.05, 0.05)) for face in plan.to_judge])
    return judged / people / seconds


class Cost(NamedTuple):
    """Of the frames of one crowd: (frames,) milliseconds by the clock and of the processor, mask readings a frame."""

    times: NDArray[np.float64]
    processor: NDArray[np.float64]
    readings: float


def pipeline_cost(sizes: Sequence[int], seconds: float) -> dict[int, Cost]:
    """What a frame takes from detection to events once so many people stand at the door, settled.

    All crowds take turns at every frame of a scene of 20 frames a second, so that whatever else the machine does falls
    on all of them alike.

    Returns:
        By number of people.
    """
    pipeline = load_pipeline(Config())
    stills = crowds(pipeline, sizes)
    trackers = [PeopleTracker(PeopleSettings()) for _ in sizes]
    took: list[list[tuple[float, float]]] = [[] for _ in sizes]
    judged = [0 for _ in sizes]
    settling = 3.0
    for frame in range(int((settling + seconds) * 20)):
        at = frame / 20
        for which, (still, tracker) in enumerate(zip(stills, trackers, strict=True)):
            begin, begin_processor = time.perf_counter(), time.process_time()
            plan = tracker.match(pipeline.detect(Frame.still(still)), at, (WIDTH, HEIGHT))
            readings = pipeline.judge(still, plan.to_judge)
            tracker.update(plan, readings)
            if at >= settling:
                took[which].append((time.perf_counter() - begin, time.process_time() - begin_processor))
                judged[which] += len(readings)
    for people, tracker in zip(sizes, trackers, strict=True):
        found = sum(person.verdict is not Verdict.UNSURE for person in tracker.people)
        if found != people:
            raise SystemExit(f"{people} people were shown, {found} of them found and judged; the figures mean nothing.")
    return {
        people: Cost(*(np.array(both) * 1e3).T, readings / len(both))
        for people, both, readings in zip(sizes, took, judged, strict=True)
    }


def _pipeline_table(seconds: float) -> Table:
    """Frame times with the shipped models, one person against ten."""
    costs = pipeline_cost((1, 10), seconds)
    one = costs[1]
    rows = [
        (
            str(people),
            Quartiles.of(cost.times.tolist()).told(1),
            f"{cost.times.mean() / one.times.mean():.2f}",
            Quartiles.of(cost.processor.tolist()).told(1),
            f"{cost.processor.mean() / one.processor.mean():.2f}",
            f"{cost.readings:.2f}",
        )
        for people, cost in costs.items()
    ]
    head = ("people", "ms a frame", "times one (means)", "ms of the processor", "times one", "mask readings a frame")
    return Table("Settled people, shipped models, from detection to events:", head, rows)


def run(options: Options) -> Section:
    """Counts against truth, then times."""
    section = Section()
    visits, arrivals = options.some(1000, 40), 0.2
    scenes = [(kind, seed) for kind in KINDS for seed in (SEEDS[:1] if options.quick else SEEDS)]
    play = partial(accuracy, visits=visits, arrivals=arrivals)
    with ProcessPoolExecutor(len(KINDS)) as pool:
        outcomes = dict(zip(scenes, pool.map(play, *zip(*scenes, strict=True)), strict=True))
    about = f"{visits} walkers, {arrivals * 3600:.0f} an hour, 20 fps, 20 % missed, 5 % wrong readings:"
    head = (
        *("faults", "seed", "true visits", "counted", "split", "missed", "of nobody"),
        *("wrong verdicts", "unsure", "masked people alarmed"),
    )
    section.tables.append(Table(about, head, [_counted(*scene, outcome) for scene, outcome in outcomes.items()]))
    section.tables.append(
        Table(
            "What following people costs:",
            (
                "people",
                "match, us a frame",
                "update, us a frame",
                "settled: judged a second, each",
            ),
            [
                (str(people), *(f"{us:.0f}" for us in frame_cost(people)), f"{judged_share(people):.1f}")
                for people in (1, 3, 10)
            ],
        )
    )
    milliseconds, megabytes = import_cost()
    section.notes.append(f"Importing lap takes {milliseconds:.1f} ms and {megabytes:.1f} MB.")
    section.tables.append(_pipeline_table(options.some(15, 1)))
    gains, errors = people_tuning.table(options)
    section.tables.append(gains)
    section.data = {f"{kind}, seed {seed}": asdict(outcome) for (kind, seed), outcome in outcomes.items()}
    section.data["errors by change"] = errors
    return section


def _counted(kind: str, seed: int, outcome: Outcome) -> list[str]:
    surplus = (outcome.counted - outcome.truth) / outcome.truth
    counts = (outcome.split, outcome.missed, outcome.unmatched)
    shares = [f"{count} ({count / outcome.counted:.1%})" for count in (outcome.wrong, outcome.unsure)]
    return [
        *(kind, str(seed), str(outcome.truth), f"{outcome.counted} ({surplus:+.1%})", *map(str, counts)),
        *(*shares, str(outcome.false_alarms)),
    ]
