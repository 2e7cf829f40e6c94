"""What the processor says of itself, and which face model suits it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.runtime.processor import instruction_sets, quicker_in_float

CPUINFO = {
    "a laptop of 2017": "model name\t: Intel(R) Core(TM) i5-8250U\nflags\t\t: fpu sse4_2 avx f16c avx2\n",
    "a laptop of 2020": "flags\t\t: fpu sse4_2 avx avx2 avx512f avx512_vnni\n",
    "a laptop of 2022": "flags\t\t: fpu sse4_2 avx avx2 avx_vnni\n",
    "an old netbook": "flags\t\t: fpu sse2 ssse3\n",
    "a Pi 4": "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\n",
    "a Pi 5": "processor\t: 0\nFeatures\t: fp asimd aes fphp asimdhp asimddp\n",
}


@pytest.fixture
def root(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cpuinfo").write_text(CPUINFO[request.param])
    return tmp_path


@pytest.mark.parametrize(
    ("root", "sets"),
    [
        ("a laptop of 2017", ("sse4_2", "avx", "avx2")),
        ("a laptop of 2020", ("sse4_2", "avx", "avx2", "avx512f", "avx512_vnni")),
        ("a Pi 5", ("asimd", "fphp", "asimddp")),
    ],
    indirect=["root"],
)
def test_instruction_sets_are_named(root: Path, sets: tuple[str, ...]) -> None:
    assert instruction_sets(root) == sets


@pytest.mark.parametrize(
    ("root", "quicker"),
    [
        ("a laptop of 2017", True),
        ("a laptop of 2020", False),
        ("a laptop of 2022", False),
        ("an old netbook", False),
        ("a Pi 4", False),
        ("a Pi 5", False),
    ],
    indirect=["root"],
)
def test_float_is_for_desktops_without_dot_products(root: Path, quicker: bool) -> None:
    assert quicker_in_float(root) is quicker


def test_silent_systems_get_int8(tmp_path: Path) -> None:
    assert instruction_sets(tmp_path) == ()
    assert not quicker_in_float(tmp_path)
