"""Daemons that are killed: ``python -m tests.soak.killed FOLDER TIMES SEED`` prints what became of each, as JSON.

Everything is imported once, and each daemon is a fork that calls the command as the shell would.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from edge import cli
from tests.soak.appliance import FailedError, expect, stored_visits, wait_for
from tests.soak.power import acknowledged_in
from tests.soak.simulated import acknowledge, procession, set_the_stage

FRAMES = 200_000
RATE = 400.0
"""Scene seconds a second: some 40 visits."""
LONGEST = 0.5
"""Life of a daemon from its first visit, or from its start where that is to be hit, in seconds."""
AT_THE_START = 0.2
"""Share of the daemons that are killed before they may have opened the store."""


def main() -> int:
    folder, times, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(sys.argv[3])
    store, acks = folder / "counts.db", folder / "acks"
    os.environ |= {
        "HOME": str(folder),
        "MASKGATE_COUNTS_PATH": str(store),
        "MASKGATE_COUNTS_RECORDINGS": "true",
        "MASKGATE_ALERTS_OUTPUT": "none",
        "MASKGATE_WEB_ENABLED": "false",
    }
    scene = procession(FRAMES, rng.randrange(2**32))
    for _ in range(times):
        before = acknowledged_in(acks)
        child = os.fork()
        if child == 0:
            set_the_stage(scene, RATE)
            acknowledge(acks)
            os._exit(cli.main(["run", "--quiet", "--realtime"]))
        problem = None
        try:
            if rng.random() > AT_THE_START:
                wait_for(lambda: acknowledged_in(acks) > before, "it counts")  # noqa: B023
            time.sleep(rng.uniform(0.0, LONGEST))
            end(child)
            check(store, acknowledged_in(acks))
        except FailedError as failure:
            problem = str(failure)
        print(json.dumps({"acknowledged": acknowledged_in(acks), "problem": problem}), flush=True)
    return 0


def end(child: int) -> None:
    """Kill a daemon; it must have been at work until then."""
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    expect(os.WIFSIGNALED(status), f"it had already ended, with code {os.waitstatus_to_exitcode(status)}")


def check(store: Path, acknowledged: int) -> None:
    """Fail unless the store is whole and holds what was acknowledged."""
    stored = len(stored_visits(store)) if acknowledged else 0
    expect(stored >= acknowledged, f"{acknowledged} visits were acknowledged and {stored} are stored")


if __name__ == "__main__":
    sys.exit(main())
