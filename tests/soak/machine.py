"""The machine: a clock that jumps, memory that runs out, an Edge TPU that dies, and two daemons where one should be."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path

from edge.errors import StoreError
from tests.soak.appliance import Appliance, expect, expect_nothing_lost, running, stored_visits, wait_for
from tests.soak.disks import faulty
from tests.soak.faults import Trial, compiled, fault
from tests.soak.machine_control import Control
from tests.soak.network import finish, simulated
from tests.soak.network_camera import SIZE, network_camera
from tests.soak.simulated import PROGRAM

YEAR = 365.25 * 86400
JUMPS = (3 * YEAR, -5 * YEAR, 12 * YEAR, -0.4 * YEAR)
"""What the wall clock is wrong by, one after the other, in seconds."""
TRUE_TO = 3.0
"""A visit's time may be off by so much in the end, in seconds."""


@fault("machine", "wall clock jumps by years, both ways", short=1, long=3, needs=("gcc",))
def clock_jumps(trial: Trial) -> None:
    """On the machine's own clocks, which is why it takes its time; in the end every visit is where it belongs."""
    control, place = Control(trial.folder / "control"), trial.folder / "counts"
    program = (*PROGRAM, "--real-time", "--crowd", "--seed", str(trial.rng.randrange(2**32)))
    settings = {"counts.path": place / "counts.db", "counts.commit_every": 0.5}
    began = time.time()
    with running(Appliance(trial.folder, settings, program, ("--realtime",), faulty(control, place))) as appliance:
        for jump in JUMPS:
            before = len(appliance.told("visit_ended"))
            control.set(clock_ahead=jump)
            wait_for(lambda: len(appliance.told("visit_ended")) >= before + 2, "visits go on")  # noqa: B023
            appliance.goes_on()
            expect(appliance.is_well(), f"it says {appliance.health()}")
        years = {when[:4] for event in appliance.told("visit_ended") for when in [event["time"]]}
        expect(len(years) > 2, f"the clock did not jump: visits were told in {years}")
        control.set()
        time.sleep(2)
        finish(trial, appliance)
    ended = time.time()
    for start, end, _ in stored_visits(appliance.store):
        expect(
            began - TRUE_TO <= start <= end <= ended + TRUE_TO,
            f"a visit is stored {timedelta(seconds=start - began)} after the start, at {datetime.fromtimestamp(start)}",
        )


@fault("machine", "no more memory to be had", short=1, long=5)
def memory_pressure(trial: Trial) -> None:
    """For a while no address space is granted, though pictures grow. It may go on, or end with an error."""
    with network_camera() as camera, running(Appliance(trial.folder, {"camera.source": camera.url})) as appliance:
        wait_for(lambda: appliance.told("visit_started"), "somebody comes")
        wait_for(appliance.is_well, "the door is watched")
        with address_space(appliance.process.pid, trial.rng.randrange(2**20)):
            camera.size = (1920, 1080)
            refused = unanswered(appliance, 5 if trial.short else 15)
        camera.size = SIZE
        died = not appliance.alive
        trial.note("ended", died)
        trial.note("pages not served meanwhile", refused)
        if died:
            expect(appliance.process.returncode != 0, "it ended as if all were well")
            appliance.start()
        wait_for(appliance.is_well, "it is well again")
        appliance.goes_on(20)
        expect(appliance.stop() == 0, f"it ended with code {appliance.process.returncode}: {appliance.last_words()}")
        expect(stored_visits(appliance.store), "nothing was counted")
        if not died:
            expect_nothing_lost(appliance)


def unanswered(appliance: Appliance, seconds: float) -> int:
    """How many pages were not served, or not well, while asked for a while."""
    until, refused = time.monotonic() + seconds, 0
    while time.monotonic() < until and appliance.alive:
        answers = [appliance.ask(page) for page in ("/health", "/api/status", "/operator", "/metrics")]
        refused += sum(answer is None or answer[0] != HTTPStatus.OK for answer in answers)
        time.sleep(0.1)
    return refused


@contextlib.contextmanager
def address_space(process: int, spare: int) -> Iterator[None]:
    """Let a process have no more address space than it has, and ``spare`` bytes."""
    size = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(process, resource.RLIMIT_AS, (size + spare, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(process, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


@fault("machine", "two daemons on one store", short=1, long=3)
def two_daemons(trial: Trial) -> None:
    with running(simulated(trial)) as first:
        wait_for(first.is_well, "the door is watched")
        second = Appliance(trial.folder / "second", {"counts.path": first.store}, first.program, ("--realtime",))
        second.folder.mkdir()
        with running(second):
            wait_for(lambda: not second.alive, "the second ends")
        code = second.process.returncode
        expect(code == StoreError.exit_code, f"the second ended with code {code}: {second.last_words()}")
        expect("Another maskgate already writes" in second.said, f"the second said: {second.last_words()}")
        first.goes_on()
        finish(trial, first)


@fault("machine", "an Edge TPU's library that dies", short=1, long=3, needs=("gcc",))
def delegate(trial: Trial) -> None:
    """The models are the shipped ones, and the library claims none of their operations: what dies is real."""
    trigger = trial.folder / "pulled out"
    library = compiled("delegate", "-DCRASHES_LATER")
    with network_camera() as camera:
        settings = {
            "camera.source": camera.url,
            "runtime.accelerator": "edgetpu",
            "runtime.edgetpu_library": library,
            "runtime.backend": "litert",
        }
        program = ("-m", "tests.soak.plugged_in", str(trial.folder / "machine"))
        door = Appliance(trial.folder, settings, program, environment={"DELEGATE_TRIGGER": str(trigger)})
        with running(door) as appliance:
            wait_for(lambda: appliance.metric("maskgate_accelerated") == 1, "the models run on the Edge TPU")
            before = appliance.frames()
            trigger.touch()
            wait_for(lambda: appliance.metric("maskgate_accelerated") == 0, "it has noticed")
            expect(appliance.health().get("status") == "degraded", f"it says {appliance.health()}")
            appliance.goes_on(20)
            trigger.unlink()
            began = time.monotonic()
            wait_for(lambda: appliance.metric("maskgate_accelerated") == 1, "the Edge TPU is used again", 120)
            trial.note("used again after (s)", time.monotonic() - began)
            expect(appliance.frames() > before, "no frames were processed meanwhile")
            finish(trial, appliance)
