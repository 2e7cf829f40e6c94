"""Odd and hostile inputs end in pictures or in one sentence, soon, and take no memory to speak of."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from tests.cameras.odd_inputs import ODD, Odd, outcome
from tests.stand_ins import memory

MOST_SECONDS = 30.0
MOST_MEMORY = 64 * memory.MEGABYTE


@pytest.mark.parametrize("odd", ODD, ids=[odd.what for odd in ODD])
def test_it_ends_as_the_table_says(odd: Odd, tmp_path: Path) -> None:
    with odd.make(tmp_path) as source:
        memory.forget_peak()
        before, began = memory.resident(), time.monotonic()
        said = outcome(source)
        assert re.search(odd.expected, said)
        assert memory.peak() - before < MOST_MEMORY
        assert time.monotonic() - began < MOST_SECONDS


def test_there_are_thirty_or_more() -> None:
    assert len({odd.what for odd in ODD}) >= 30
