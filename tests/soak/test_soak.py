"""That the soak would tell: disks lose what they may and no more, leaks fail, what was not survived is counted."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.nonempty import some
from tests.soak.appliance import FailedError, expect
from tests.soak.faults import Fault, Trial
from tests.soak.frames import Sample, check_flat, slope, verdicts_of
from tests.soak.power_cut import SECTOR, Disk, Entry
from tests.soak.report import Line, row
from tests.soak.simulated import procession

ROOT = Path(__file__).parents[2]
NAME = Path("counts.db-wal")
OLD, NEW = b"o" * 4 * SECTOR, b"n" * 4 * SECTOR


def write(content: bytes, offset: int = 0) -> Entry:
    return Entry("W", NAME, offset, len(content), content)


def did(kind: str, path: Path = NAME, size: int = 0) -> Entry:
    return Entry(kind, path, 0, size, b"")


def after_power_cut(seed: int, *entries: Entry) -> bytes | None:
    disk = Disk()
    for entry in entries:
        disk.take(entry)
    disk.lose_power(random.Random(seed))
    file = disk.files.get(NAME.name)
    return bytes(file.safe or b"") if file else None


class TestDisk:
    @given(seed=st.integers(0, 10_000))
    def test_what_was_synced_stays(self, seed: int) -> None:
        assert after_power_cut(seed, write(OLD), did("S")) == OLD

    @given(seed=st.integers(0, 10_000))
    def test_unsynced_sectors_are_old_or_new(self, seed: int) -> None:
        content = after_power_cut(seed, write(OLD), did("S"), write(NEW))
        assert content
        assert len(content) == len(OLD)
        for begin in some(range(0, len(content), SECTOR)):
            assert content[begin : begin + SECTOR] in (b"o" * SECTOR, b"n" * SECTOR)

    def test_writes_arrive_whole_partly_or_never(self) -> None:
        found = {after_power_cut(seed, write(OLD), did("S"), write(NEW)) for seed in range(200)}
        assert {OLD, NEW} < found
        assert NEW[:SECTOR] + OLD[SECTOR:] in found
        assert OLD[:SECTOR] + NEW[SECTOR:] in found

    def test_removed_files_return_until_synced(self) -> None:
        begun = (write(OLD), did("S"), did("U"))
        assert {after_power_cut(seed, *begun) for seed in range(50)} == {OLD, None}
        assert {after_power_cut(seed, *begun, did("D", Path("folder"))) for seed in range(50)} == {None}

    def test_a_truncation_may_not_have_happened(self) -> None:
        cut = {after_power_cut(seed, write(OLD), did("S"), did("T", size=100)) for seed in range(50)}
        assert cut == {OLD, OLD[:100]}


def trial(folder: Path, frames: int) -> Trial:
    return Trial(folder, random.Random(0), 1, True, Line("a", "b"), frames)


class TestLongDay:
    def samples(self, mebibytes: float = 0.0, handles: int = 0) -> list[Sample]:
        """Of a million frames in which memory and open files grow by so much."""
        return [
            Sample(10_000 * n, 90 + mebibytes * n / 100 + n % 3 / 10, 20 + handles * n // 100, 9) for n in range(101)
        ]

    def test_growth_is_told_a_million_frames(self) -> None:
        assert slope(self.samples(7.0), "resident") == pytest.approx(7.0, abs=0.05)

    def test_a_steady_process_passes(self, tmp_path: Path) -> None:
        check_flat(trial(tmp_path, 1_000_000), self.samples())

    def test_memory_that_grows_fails(self, tmp_path: Path) -> None:
        with pytest.raises(FailedError, match=r"memory grew by [56]\.\d MiB"):
            check_flat(trial(tmp_path, 1_000_000), self.samples(mebibytes=7.0))

    def test_files_that_pile_up_fail(self, tmp_path: Path) -> None:
        with pytest.raises(FailedError, match="open files went from"):
            check_flat(trial(tmp_path, 1_000_000), self.samples(handles=10))

    def test_visits_belong_to_who_was_there(self) -> None:
        walker = procession(1000, 1).walkers[0]
        at = 1e9 + walker.start + 1
        assert verdicts_of(walker, [(at - 100, at - 90, "unsure"), (at, at + 2, "with_mask")], 1e9) == ["with_mask"]
        assert verdicts_of(walker, [(at + 100, at + 102, "with_mask")], 1e9) == []


class TestFault:
    def survives_even(self, trial: Trial) -> None:
        self.number += 1
        expect(self.number % 2, "it fell over")

    number = 0

    def test_failures_are_counted_and_said(self) -> None:
        line = Fault("disk", "on fire", self.survives_even, short=1, long=4).run(short=False, seed=1, frames=0)
        assert (line.survived, line.tried, line.well) == (2, 4, False)
        assert row(line).startswith("! disk")
        assert "2/4" in row(line)
        assert "it fell over" in row(line)

    def test_an_aborted_trial_is_a_failure(self) -> None:
        line = Fault("disk", "a mistake of ours", lambda trial: 1 / 0, 1, 1).run(True, 1, 0)  # type: ignore[arg-type]
        assert (line.survived, line.tried) == (0, 1)
        assert line.failures == ["the trial broke off: ZeroDivisionError('division by zero')"]

    def test_impossible_trials_are_no_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tests.soak.faults.NEEDS", {"a volcano": lambda: False})
        line = Fault("disk", "lava", self.survives_even, 1, 1, needs=("a volcano",)).run(True, 1, 0)
        assert line.well
        assert row(line).endswith("not tried: needs a volcano")


@pytest.mark.parametrize(("arguments", "said"), [(["--help"], "make soak ARGS=--short"), (["--list"], "300 times")])
def test_it_explains_itself(arguments: list[str], said: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.soak", *arguments], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert said in ran.stdout


def test_an_unknown_fault_is_refused() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.soak", "--only", "volcano"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == 2
    assert "--list shows them" in ran.stderr
