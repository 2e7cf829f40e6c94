"""Prepares an image for a model: by a table of the 256 grey levels."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge.errors import ModelError
from edge.runtime import TensorSpec
from edge.values import Image
from edge.vision.preprocess import SYMMETRIC, Levels, normalise, quantization_table

SIGN_BIT = 0x80
"""Flipping this bit subtracts 128 from a grey level, as int8."""


class ModelInput:
    """Turns (height, width, 3) uint8 pictures into what a model's input takes.

    All are written into the same memory: what a call returns holds until the next one.

    Args:
        spec: Of the model's input.
        width: That the manifest promises, in pixels.
        height: That the manifest promises, in pixels.
        levels: What the model wants to be shown for the grey levels.

    Raises:
        ModelError: The model's input has another shape, or is neither int8 nor float32.
    """

    def __init__(self, spec: TensorSpec, width: int, height: int, levels: Levels = SYMMETRIC) -> None:
        if spec.shape != (1, height, width, 3):
            raise ModelError(
                f"The model takes {spec.shape}, and its manifest says {(1, height, width, 3)}; convert it again."
            )
        if spec.dtype not in (np.int8, np.float32):
            raise ModelError(f"The model takes {spec.dtype} pictures; convert it to int8 or float32.")
        self._values = np.empty(spec.shape, spec.dtype)
        self._table: NDArray[Any] = normalise(np.arange(256, dtype=np.uint8), levels)
        self._only_shifts = False
        if spec.dtype == np.int8:
            self._table = quantization_table(spec.quantization.scale, spec.quantization.zero_point, levels)
            self._only_shifts = bool((self._table == np.arange(-128, 128)).all())

    def __call__(self, image: Image) -> NDArray[Any]:
        """(height, width, 3) uint8 to (1, height, width, 3) int8 or float32."""
        if self._only_shifts:  # the usual scale: a flipped highest bit, for a twentieth of the table's time
            np.bitwise_xor(image, SIGN_BIT, out=self._values[0].view(np.uint8))
        else:
            cv2.LUT(image, self._table, dst=self._values[0])
        return self._values
