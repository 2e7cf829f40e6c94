"""What a training needs. A module of tests that imports this is skipped where it is not installed."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

keras = pytest.importorskip("keras")
pytest.importorskip("pycocotools")
pytest.importorskip("sklearn")
