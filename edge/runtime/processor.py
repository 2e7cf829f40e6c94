"""What the processor can do, as far as it decides which model file runs quickly on it."""

from __future__ import annotations

import re
from pathlib import Path

INT8_DOT_PRODUCTS = frozenset({"avx512_vnni", "avx_vnni", "avx_vnni_int8", "amx_int8", "asimddp", "i8mm"})
"""Instructions that multiply and add four pairs of bytes at once, as /proc/cpuinfo calls them."""

TOLD = ("neon", "asimd", "fphp", "sse4_2", "avx", "avx2", "avx512f", *sorted(INT8_DOT_PRODUCTS))
"""Instruction sets that matter to the models."""


def instruction_sets(root: Path = Path("/")) -> tuple[str, ...]:
    """Those of ``TOLD`` that the processor has; none where the system does not say."""
    try:
        text = (root / "proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return ()
    found = re.search(r"^(?:flags|Features)\s*:(.*)", text, re.MULTILINE)
    return tuple(name for name in TOLD if found and name in found[1].split())


def quicker_in_float(root: Path = Path("/")) -> bool:
    """Whether the face model takes less time in float than in int8: on x86-64 without int8 dot products.

    There it was measured, see docs/evidence/performance.md; on an Arm processor without them, as in a Pi 4, it was not.
    With AVX-512 and dot products the two take about the same time, and float takes more memory.
    """
    has = set(instruction_sets(root))
    return "avx2" in has and not has & INT8_DOT_PRODUCTS
