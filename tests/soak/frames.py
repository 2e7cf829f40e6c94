"""A very long day: the whole daemon on a clock that runs as fast as frames are taken, against the truth."""

from __future__ import annotations

import bisect
import contextlib
import json
import math
import threading
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from edge.values import Verdict
from tests.soak.appliance import Appliance, expect, expect_nothing_lost, running, stored_visits, wait_for
from tests.soak.faults import Trial, fault, say
from tests.soak.network import GET_EVENTS, crowd
from tests.soak.simulated import FPS, PROGRAM, procession
from tests.stand_ins.broker import Broker, Listener
from tests.stand_ins.simulate import Walker

LISTENERS = 3
SAMPLE_EVERY = 0.1
PAGE_EVERY = 0.5
PAGES = ("/health", "/api/status", "/operator")
SETTLED_AFTER = 0.2
"""Share of the frames after which memory is looked at: what is loaded once and filled once is there by then."""
MOST_GROWTH = 4.0
"""What memory may grow by from then on, by regression, in MiB."""
TOLD_EVERY = 60.0
CUT_OFF = 5.0
"""Who comes this shortly before the end may not have been judged, in seconds."""
MOST_MISJUDGED = 0.005
"""Share of people whose verdict may be another: readings are wrong at random, and an honest tracker is unsure then."""


class Sample(NamedTuple):
    """The process after so many frames: memory in MiB, open files, threads."""

    frames: int
    resident: float
    handles: int
    threads: int


@fault("frames", "a day of simulated frames", short=1, long=1, alone=True, needs=("mosquitto",))
def frames(trial: Trial) -> None:
    """Real store, screens with people who look, MQTT with a real broker; memory and handles flat, no count missing."""
    seed = trial.rng.randrange(2**32)
    with contextlib.ExitStack() as parts:
        broker = Broker(trial.folder).start()
        parts.callback(broker.stop)
        listener = Listener(broker.port)
        parts.callback(listener.close)
        settings = {"mqtt.host": "127.0.0.1", "mqtt.port": broker.port, "mqtt.door": "front", "mqtt.events": True}
        program = (*PROGRAM, "--frames", str(trial.frames), "--seed", str(seed))
        options = ("--quiet", "--realtime", "--max-frames", str(trial.frames))
        appliance = parts.enter_context(running(Appliance(trial.folder, settings, program, options)))
        began = time.monotonic()
        samples = watch(appliance, trial.frames)
        trial.note("frames", trial.frames)
        trial.note("frames (a second)", trial.frames / (time.monotonic() - began))
        code = appliance.process.wait()
        expect(code == 0, f"it ended with code {code}: {appliance.last_words()}")
        check_flat(trial, samples)
        check_counts(trial, appliance, seed)
        check_broker(appliance, listener)


def watch(appliance: Appliance, frames: int) -> list[Sample]:
    """Look at the process until it ends, with people at its pages all the time."""
    samples: list[Sample] = []
    wait_for(lambda: appliance.frames() > 0, "it runs")
    said = time.monotonic()
    with visitors(appliance):
        while appliance.alive:
            done = appliance.frames()
            try:
                sample = Sample(done, appliance.resident(), appliance.handles(), appliance.threads())
            except (OSError, IndexError):  # it has just ended
                break
            if done >= 0:
                samples.append(sample)
            if time.monotonic() - said >= TOLD_EVERY:
                said = time.monotonic()
                say(f"  {done:,} of {frames:,} frames, {sample.resident:.1f} MiB, {sample.handles} handles")
            time.sleep(SAMPLE_EVERY)
    return samples


@contextlib.contextmanager
def visitors(appliance: Appliance) -> Iterator[None]:
    """Some who listen to the events and read them all, and one who opens the pages."""
    left = threading.Event()
    with crowd(appliance, LISTENERS, GET_EVENTS) as sockets:

        def read() -> None:
            while not left.wait(0.05):
                for one in sockets:
                    with contextlib.suppress(OSError):
                        one.recv(1 << 20)

        def look() -> None:
            while not left.wait(PAGE_EVERY):
                for page in PAGES:
                    appliance.ask(page)

        threads = [threading.Thread(target=work, daemon=True) for work in (read, look)]
        for thread in threads:
            thread.start()
        yield
        left.set()
        for thread in threads:
            thread.join()


def slope(samples: Sequence[Sample], name: str) -> float:
    """How a figure grows by linear regression, a million frames."""
    frames = np.array([sample.frames for sample in samples]) / 1e6
    return float(np.polyfit(frames, [getattr(sample, name) for sample in samples], 1)[0])


def check_flat(trial: Trial, samples: Sequence[Sample]) -> None:
    """Fail unless memory and handles stay what they are once the daemon has settled."""
    settled = [sample for sample in samples if sample.frames >= SETTLED_AFTER * trial.frames]
    expect(len(settled) >= 8, f"only {len(settled)} looks at the process: too short to tell")
    trial.note("looks", len(settled))
    growth = slope(settled, "resident")
    span = (settled[-1].frames - settled[0].frames) / 1e6
    trial.note("memory (MiB)", max(sample.resident for sample in settled))
    trial.note("memory grows (MiB per million frames)", growth)
    trial.note("handles grow (per million frames)", slope(settled, "handles"))
    trial.note("handles", max(sample.handles for sample in settled))
    expect(growth * span < MOST_GROWTH, f"memory grew by {growth * span:.1f} MiB")
    handles = [sample.handles for sample in settled]
    third = max(1, len(handles) // 3)
    expect(max(handles[-third:]) <= max(handles[:third]) + 2, f"open files went from {handles[0]} to {handles[-1]}")
    expect(settled[-1].threads <= settled[0].threads + 2, "threads pile up")


def check_counts(trial: Trial, appliance: Appliance, seed: int) -> None:
    """Fail unless everybody who walked past was counted, under the right verdict, and nothing told was lost."""
    stored = expect_nothing_lost(appliance)
    visits = stored_visits(appliance.store)
    (summary,) = appliance.told("summary")
    expect(summary["visits"] == stored, f"the summary says {summary['visits']} visits, and {stored} are stored")
    walkers = those_who_walked(trial.frames, seed)
    offset = beginning(visits, walkers)
    verdicts = [verdicts_of(walker, visits, offset) for walker in walkers]
    missed = sum(not found for found in verdicts)
    misjudged = sum(walker.label.value not in found for walker, found in zip(walkers, verdicts, strict=True)) - missed
    trial.note("people", len(walkers))
    trial.note("visits", stored)
    trial.note("missed", missed)
    trial.note("counted twice", stored - len(walkers) + missed)
    trial.note("counted under another verdict", misjudged)
    expect(not missed, f"{missed} of {len(walkers)} people were not counted")
    expect(misjudged <= MOST_MISJUDGED * len(walkers), f"{misjudged} of {len(walkers)} people got another verdict")


def those_who_walked(frames: int, seed: int) -> list[Walker]:
    """The truth: everybody who was there long enough before the last frame."""
    scene = procession(frames, seed)
    end = frames / FPS
    for at, _, _ in scene:
        if at >= end:
            break
    return [walker for walker in scene.walkers if walker.start < end - CUT_OFF and walker.appearances]


def beginning(visits: Sequence[tuple[float, float, str]], walkers: Sequence[Walker]) -> float:
    """UTC seconds of scene second 0, by the first visit, which is the first walker's."""
    return visits[0][0] - walkers[0].start if visits and walkers else math.nan


def verdicts_of(walker: Walker, visits: Sequence[tuple[float, float, str]], offset: float) -> list[str]:
    """The verdicts of the visits that began while the walker was there."""
    begin, end = offset + walker.start - 1, offset + walker.end + 1
    first = bisect.bisect_left(visits, begin, key=lambda visit: visit[0])
    after = bisect.bisect_right(visits, end, lo=first, key=lambda visit: visit[0])
    return [verdict for _, _, verdict in visits[first:after]]


def check_broker(appliance: Appliance, listener: Listener) -> None:
    """Fail unless the broker has heard the same in the end."""
    stored = {str(verdict): 0 for verdict in Verdict}
    for _, _, verdict in stored_visits(appliance.store):
        stored[verdict] += 1
    wanted = stored | {"visits": sum(stored.values())}
    counts = "maskgate/front/counts"
    wait_for(lambda: json.loads(listener.latest.get(counts, "{}")) == wanted, f"the broker has heard {wanted}", 10)
