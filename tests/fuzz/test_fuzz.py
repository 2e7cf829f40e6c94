"""Input that once broke something, and input as it should be, tried on every target of ``tests.fuzz``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import fuzz
from tests.fuzz import models
from tests.nonempty import some

KEPT = [pytest.param(name, case, id=f"{name}/{case.name}") for name in fuzz.TARGETS for case in fuzz.cases(name)]


@pytest.mark.parametrize("name", fuzz.TARGETS)
def test_input_as_it_should_be_passes(name: str, tmp_path: Path) -> None:
    target = fuzz.target(name)
    with target.opened(tmp_path) as attempt:
        for seed in some(target.seeds()):
            assert len(seed) <= target.LONGEST
            attempt(seed)


@pytest.mark.parametrize(("name", "case"), KEPT)
def test_earlier_failures_are_fixed(name: str, case: Path, tmp_path: Path) -> None:
    with fuzz.target(name).opened(tmp_path) as attempt:
        attempt(case.read_bytes())


def test_any_changed_model_byte_is_refused(tmp_path: Path) -> None:
    assert models.every_byte(tmp_path, step=1021) > 200
