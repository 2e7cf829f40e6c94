"""How the learning rate changes during a training."""

from __future__ import annotations

from typing import Any


def warmed_cosine(peak: float, steps: int, *, warmup: int, first: float, last: float) -> Any:
    """A learning rate that rises in a straight line, then falls along a cosine.

    Args:
        peak: The highest rate.
        steps: Batches in all.
        warmup: Batches of the rise.
        first: Where it starts, as a share of ``peak``.
        last: Where it ends, as a share of ``peak``.

    Returns:
        A keras.optimizers.schedules.LearningRateSchedule.
    """
    import keras

    return keras.optimizers.schedules.CosineDecay(
        peak * first,
        decay_steps=max(1, steps - warmup),
        alpha=last,
        warmup_target=peak,
        warmup_steps=warmup,
    )
