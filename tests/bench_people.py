"""How well people are followed and counted, and what that costs: ``python -m tests.bench_people``.

Plays scenes of simulated walkers at 20 fps with 20 % missed detections, 5 % wrong readings and 2 % of frames with a
false box, drawn frame by frame and in bursts, and prints counts against truth; then the time a frame takes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np

from edge.config import PeopleSettings
from edge.people import PeopleTracker
from edge.values import BBox, Face, Reading
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
    faces = [Face(BBox(110.0 * n, 100, 110.0 * n + 60, 180), 0.9) for n in range(1, people + 1)]
    judged = 0
    for frame in range(int(seconds * 20)):
        asked = tracker.faces_to_judge(faces, frame / 20, (900, HEIGHT))
        judged += len(asked)
        items = [Reading(face, (0.9, 0.05, 0.05)) if face in asked else face for face in faces]
        tracker.update(items, frame / 20, (900, HEIGHT))
    return judged / people / seconds


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
    print(f"a settled person is judged {judged_share(5):.1f} times a second at 20 fps")
    return 0


if __name__ == "__main__":
    sys.exit(main())
