"""A flag that a signal handler sets while the thread that it interrupts waits on it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import pytest

from edge.worker import Flag

STORM = """
import signal, sys, time
from edge.worker import Flag

flag = Flag()
signal.signal(signal.SIGALRM, lambda number, frame: flag.set())
ends = time.monotonic() + 2
while time.monotonic() < ends:
    flag = Flag()
    signal.setitimer(signal.ITIMER_REAL, 0.0005)
    while not flag.wait(0.00001):
        pass
"""


def test_handlers_set_what_they_interrupt() -> None:
    subprocess.run([sys.executable, "-c", STORM], timeout=60, check=True)


def test_all_who_wait_wake() -> None:
    flag, woken = Flag(), []
    threads = [threading.Thread(target=lambda: woken.append(flag.wait(60))) for _ in range(3)]
    for thread in threads:
        thread.start()
    flag.set()
    for thread in threads:
        thread.join(60)
    assert woken == [True] * 3


@pytest.mark.parametrize("timeout", [-1.0, 0.0, 0.05])
def test_a_wait_ends_unset(timeout: float) -> None:
    flag, began = Flag(), time.monotonic()
    assert not flag.wait(timeout)
    assert time.monotonic() - began >= timeout
    assert not flag.is_set()


def test_a_set_flag_waits_for_nothing() -> None:
    flag = Flag()
    flag.set()
    assert flag.is_set()
    assert flag.wait()
