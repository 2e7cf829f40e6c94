"""What heads with anchors share: grids of cells and boxes as fractions of the model's input."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Boxes = NDArray[np.float32]
"""(N, 4) float32: x0, y0, x1, y1, as fractions of the picture."""


def grid(columns: int, rows: int) -> NDArray[np.float32]:
    """The centres of a grid's cells as fractions, (rows * columns, 2), row by row."""
    x, y = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def from_centres(centres: NDArray[np.float32], sides: NDArray[np.float32]) -> Boxes:
    """Corners from (N, 2) centres and (N, 2) widths and heights."""
    return np.concatenate([centres - sides / 2, centres + sides / 2], axis=1)
