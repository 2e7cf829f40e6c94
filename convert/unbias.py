"""Takes out of an int8 face detector's scores what quantization adds to all of them.

Rounding moves each score a little, up or down, and on average not by 0: thresholds that suit the float model would let
through more boxes, or fewer. The mean that calibration pictures show is taken from the last bias, as in section 4.2 of
https://arxiv.org/abs/1906.04721, measured instead of computed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge.runtime import open_model
from edge.values import Image
from edge.vision.model_input import ModelInput
from edge.vision.preprocess import normalise
from train.common.logistic import logit
from train.face.model import STRIDES

LOW, HIGH = 0.2, 0.8
"""Float scores that count: where thresholds lie."""

HALF_STEP = 1 / 512
"""Half a step of an int8 score: keeps its logit finite."""


def unbias(model: Any, pictures: Sequence[Image], quantized: Callable[[Any], bytes]) -> dict[int, float]:
    """Move the biases of a detector's scores, in place, so that its int8 form scores as it did in float on average.

    Args:
        model: As ``train.face.model`` builds it.
        pictures: (H, W, 3) uint8 RGB of the model's input size.
        quantized: Gives the .tflite file of a model.

    Returns:
        By stride, what was added to the bias, in logits: 0 where no score of the pictures counts.
    """
    moved = {}
    for stride, (before, after) in _scores(model, pictures, quantized(model)).items():
        counts = (before > LOW) & (before < HIGH)
        shift = np.mean(logit(after[counts], HALF_STEP) - logit(before[counts], HALF_STEP)) if counts.any() else 0.0
        layer = model.get_layer(f"logit_{stride}")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel, bias - np.float32(shift)])
        moved[stride] = -float(shift)
    return moved


def _scores(model: Any, pictures: Sequence[Image], content: bytes) -> dict[int, tuple[NDArray[Any], NDArray[Any]]]:
    """By stride, the scores of all cells of all pictures, (N,) each, in float and in int8."""
    int8 = open_model(content)
    _, height, width, _ = model.input_shape
    prepare = ModelInput(int8.input, width, height)
    seen: dict[int, list[tuple[NDArray[Any], NDArray[Any]]]] = {stride: [] for stride in STRIDES}
    for picture in pictures:
        floats = model.predict_on_batch(normalise(picture)[None])
        maps = {output.values.shape: output.real() for output in int8.invoke(prepare(picture))}
        for stride in STRIDES:
            before = floats[f"score_{stride}"]
            seen[stride].append((before.ravel(), maps[before.shape].ravel()))
    return {
        stride: (np.concatenate([before for before, _ in pairs]), np.concatenate([after for _, after in pairs]))
        for stride, pairs in seen.items()
    }
