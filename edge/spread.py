"""The middle of many measurements, and how far they lie apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from typing_extensions import Self

Method = Literal["exclusive", "inclusive"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median, and the values that a share of the measurements stay below and exceed."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float], parts: int = 10, method: Method = "exclusive") -> Self:
        """The spread of at least one value: deciles with ``parts`` 10, quartiles with 4."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        cuts = statistics.quantiles(values, n=parts, method=method)
        return cls(statistics.median(values), cuts[0], cuts[-1])

    def told(self, digits: int = 2) -> str:
        """``1.23 (1.20 to 1.31)``."""
        return f"{self.median:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"

    def __str__(self) -> str:
        return self.told()
