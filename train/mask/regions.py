"""Faces with some context, cut from their photos once: to decode a large photo takes longer than to train on it."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock
from typing import NamedTuple

import numpy as np

from edge.values import BBox, Image
from train.mask.augment import Landmarks, region
from train.mask.data import Sample, face_box, load
from train.mask.paint import cloth_of

BUDGET = 768 * 1024 * 1024
"""Bytes of pictures kept in memory; those not drawn for longest leave first."""


class Region(NamedTuple):
    """A square BGR cut-out, and the face's box and landmarks in its pixels. Not to be written to."""

    image: Image
    bbox: BBox
    landmarks: Landmarks | None


class Regions:
    """Cut-outs by face, for several threads.

    Args:
        budget: Bytes to keep.
    """

    def __init__(self, budget: int = BUDGET) -> None:
        self._budget = budget
        self._kept: OrderedDict[str, Region] = OrderedDict()
        self._bytes = 0
        self._cloths: dict[str, Image] = {}
        self._lock = Lock()

    def of(self, sample: Sample) -> Region:
        """The face with context; see `train.mask.augment.region`."""
        with self._lock:
            found = self._kept.get(sample.key)
            if found is not None:
                self._kept.move_to_end(sample.key)
                return found
        return self._keep(sample.key, _cut(sample))

    def cloth(self, sample: Sample) -> Image:
        """The cloth of a face's mask; see `train.mask.paint.cloth_of`."""
        found = self._cloths.get(sample.key)
        if found is None:
            assert sample.landmarks is not None
            found = self._cloths[sample.key] = cloth_of(load(sample.path), sample.landmarks)
        return found

    def _keep(self, key: str, cut: Region) -> Region:
        with self._lock:
            if key not in self._kept:
                self._kept[key] = cut
                self._bytes += cut.image.nbytes
            while self._bytes > self._budget and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.image.nbytes
        return cut


def _cut(sample: Sample) -> Region:
    picture = load(sample.path)
    landmarks = None if sample.landmarks is None else np.array(sample.landmarks, np.float32)
    cut = Region(*region(picture, face_box(sample, picture), landmarks))
    cut.image.flags.writeable = False
    return cut
