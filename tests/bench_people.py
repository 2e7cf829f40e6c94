"""How well people are followed and counted, and what that costs: ``python -m tests.bench_people``.

Plays scenes of simulated walkers at 20 fps with 20 % missed detections, 5 % wrong readings and 2 % of frames with a
false box, drawn frame by frame and in bursts, and prints counts against truth; then the time a frame takes: the
tracker's own, and all of it with the shipped models for one person and for ten.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.config import Config, PeopleSettings
from edge.demo import DEMO_CLIP
from edge.people import PeopleTracker
from edge.people.track import is_cut
from edge.pipeline import Pipeline, load_pipeline
from edge.values import BBox, Face, Image, Reading, Verdict
from tests.simulate import HEIGHT, WIDTH, Faults, Outcome, Scene, score

KINDS = {"independent": Faults(), "bursty (mean 0.2 s)": Faults(burst=4)}


def accuracy(kind: str, visits: int, arrivals: float, seed: int) -> Outcome:
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
    """Microseconds that ``faces_to_judge`` and ``update`` take with so many people in view (medians)."""
    tracker = PeopleTracker(PeopleSettings())
    rng = np.random.default_rng(0)
    asking, updating = [], []
    for frame in range(frames):
        jitter = rng.normal(0, 1, (people, 2))
        corners = [(40 + 110 * (n % 5) + x, 40 + 200 * (n // 5) + y) for n, (x, y) in enumerate(jitter)]
        faces = [Face(BBox(x, y, x + 60, y + 80), 0.9) for x, y in corners]
        begin = time.perf_counter()
        asked = tracker.faces_to_judge(faces, frame / 20, (WIDTH, HEIGHT))
        middle = time.perf_counter()
        items = [Reading(face, (0.9, 0.05, 0.05)) if face in asked else face for face in faces]
        tracker.update(items, frame / 20, (WIDTH, HEIGHT))
        asking.append(middle - begin)
        updating.append(time.perf_counter() - middle)
    return float(np.median(asking)) * 1e6, float(np.median(updating)) * 1e6


def judged_share(people: int, seconds: float = 30.0) -> float:
    """Mask readings a second that settled people who stand at the door ask for, each."""
    tracker = PeopleTracker(PeopleSettings())
    frame_size = (110 * (people + 2), HEIGHT)
    faces = [Face(BBox(110.0 * n, 100, 110.0 * n + 60, 180), 0.9) for n in range(1, people + 1)]
    judged = 0
    for frame in range(-40, int(seconds * 20)):
        asked = tracker.faces_to_judge(faces, frame / 20, frame_size)
        judged += len(asked) if frame >= 0 else 0
        items = [Reading(face, (0.9, 0.05, 0.05)) if face in asked else face for face in faces]
        tracker.update(items, frame / 20, frame_size)
    return judged / people / seconds


def crowds(pipeline: Pipeline, sizes: Sequence[int]) -> list[Image]:
    """Stills of so many people standing at the door: one head from the demo clip, pasted side by side."""
    picture, face = clearest(pipeline)
    x0, y0, x1, y1 = (round(edge) for edge in face.bbox)
    margin = (x1 - x0) // 3
    head = picture[max(0, y0 - margin) : y1 + margin, max(0, x0 - margin) : x1 + margin]
    head = cv2.resize(head, (110, round(110 * head.shape[0] / head.shape[1])))
    stills = []
    for people in sizes:
        still: Image = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
        for n in range(people):
            x, y = 9 + 126 * (n % 5), 40 + 230 * (n // 5)
            still[y : y + head.shape[0], x : x + 110] = head
        stills.append(still)
    return stills


def clearest(pipeline: Pipeline) -> tuple[Image, Face]:
    """The picture of the demo clip with the surest face that no edge cuts."""
    clip = cv2.VideoCapture(str(DEMO_CLIP))
    best: tuple[Image, Face] | None = None
    while (read := clip.read())[0]:
        picture = read[1].astype(np.uint8)
        for face in pipeline.detect(picture):
            if not is_cut(face.bbox, (WIDTH, HEIGHT)) and (best is None or face.score > best[1].score):
                best = picture, face
    assert best
    return best


class Cost(NamedTuple):
    """Of the frames of one crowd: (frames,) milliseconds by the clock and of the processor, mask readings a frame."""

    times: NDArray[np.float64]
    processor: NDArray[np.float64]
    readings: float


def pipeline_cost(sizes: Sequence[int], seconds: float = 15.0) -> dict[int, Cost]:
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
            faces = pipeline.detect(still)
            asked = tracker.faces_to_judge(faces, at, (WIDTH, HEIGHT))
            readings = pipeline.judge(still, asked)
            tracker.update([*readings, *(face for face in faces if face not in asked)], at, (WIDTH, HEIGHT))
            if at >= settling:
                took[which].append((time.perf_counter() - begin, time.process_time() - begin_processor))
                judged[which] += len(asked)
    for people, tracker in zip(sizes, trackers, strict=True):
        found = sum(person.verdict is not Verdict.UNSURE for person in tracker.people)
        if found != people:
            raise SystemExit(f"{people} people were shown, {found} of them found and judged; the figures mean nothing.")
    return {
        people: Cost(*(np.array(both) * 1e3).T, readings / len(both))
        for people, both, readings in zip(sizes, took, judged, strict=True)
    }


def print_pipeline_cost() -> None:
    """Frame times with the shipped models, one person against ten."""
    costs = pipeline_cost((1, 10))
    for people, cost in costs.items():
        low, middle, high = np.percentile(cost.times, (10, 50, 90))
        print(
            f"{people:2} settled, shipped models: {cost.times.mean():.1f} ms a frame (median {middle:.1f}, "
            f"a tenth below {low:.1f}, a tenth above {high:.1f}), {cost.processor.mean():.1f} ms of the processor, "
            f"{cost.readings:.2f} mask readings a frame"
        )
    one, ten = costs.values()
    print(
        f"ten people cost {ten.times.mean() / one.times.mean():.2f} times one; of the processor's time, which others' "
        f"work disturbs less, {ten.processor.mean() / one.processor.mean():.2f} times"
    )


def main() -> int:
    """Print every figure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--visits", type=int, default=1000, help="walkers in each scene (%(default)s)")
    parser.add_argument("--arrivals", type=float, default=0.2, help="walkers a second (%(default)s)")
    parser.add_argument("--seed", type=int, default=2025)
    options = parser.parse_args()
    print(f"{options.visits} walkers, {options.arrivals * 3600:.0f} an hour, 20 fps, 20 % missed, 5 % wrong readings")
    play = partial(accuracy, visits=options.visits, arrivals=options.arrivals, seed=options.seed)
    with ProcessPoolExecutor(len(KINDS)) as pool:
        outcomes = list(pool.map(play, KINDS))
    for kind, outcome in zip(KINDS, outcomes, strict=True):
        print(
            f"{kind:20} true visits {outcome.truth}, counted {outcome.counted} "
            f"({(outcome.counted - outcome.truth) / outcome.truth:+.1%}): split {outcome.split}, "
            f"missed {outcome.missed}, of nobody {outcome.unmatched}; wrong verdicts {outcome.wrong} "
            f"({outcome.wrong / outcome.counted:.2%}), unsure {outcome.unsure} "
            f"({outcome.unsure / outcome.counted:.1%}); masked people alarmed {outcome.false_alarms}"
        )
    milliseconds, megabytes = import_cost()
    print(f"importing lap takes {milliseconds:.1f} ms and {megabytes:.1f} MB")
    for people in (1, 3, 10):
        asking, updating = frame_cost(people)
        print(f"{people:2} in view: asking which faces to judge {asking:.0f} us, update {updating:.0f} us a frame")
    for people in (1, 3, 10):
        print(f"{people:2} settled: each is judged {judged_share(people):.1f} times a second at 20 fps")
    print_pipeline_cost()
    return 0


if __name__ == "__main__":
    sys.exit(main())
