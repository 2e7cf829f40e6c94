"""Fixtures that the tests of trainings share."""

from __future__ import annotations

from tests.train.mask_photos import eager, tiny_backbone

__all__ = ["eager", "tiny_backbone"]
