"""The error of an mAP or of a difference of two: its parts, their degrees of freedom, and what more data would make it.

The parts are computed in `harness.analysis.accuracy`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.analysis import student
from harness.analysis.statistics import LEVEL

if TYPE_CHECKING:
    from collections.abc import Sequence

_POWER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """The variance of an mAP, or of a difference of two, in its parts.

    Attributes:
        images: the variance that more images would lower.
        image_degrees: its degrees of freedom.
        seeds: the variance that more seeds would lower; None if it is not known, because there is one seed.
        seed_degrees: its degrees of freedom.
        seed_rows: of how many rows the seeds are that it comes from.
    """

    images: float
    image_degrees: float
    seeds: float | None = None
    seed_degrees: float = 0.0
    seed_rows: int = 0

    @property
    def standard(self) -> float:
        """The standard error."""
        return math.sqrt(self.images + (self.seeds or 0.0))

    @property
    def degrees(self) -> float:
        """The degrees of freedom of Student's t for the sum of the two variances.

        A variance of few degrees that came out small by chance would lend the sum the degrees of the other one, and
        give too many verdicts (7 % instead of 5 with two seeds each), so it enters a little larger than it is.
        """
        if self.seeds is None:
            return self.image_degrees
        likely = self.seeds * (1 + 4 / self.seed_degrees**2)
        return satterthwaite((self.images, likely), (self.image_degrees, self.seed_degrees))

    @property
    def detectable(self) -> float:
        """The difference that would be called separated with a probability of 80 %, compared alone."""
        quantiles = student.quantile(LEVEL, self.degrees) + student.quantile(2 * _POWER - 1, math.inf)
        return quantiles * self.standard

    def with_more(self, *, images: float = 1.0, seeds: float = 1.0) -> Error:
        """Return the error of so many times as many images and seeds, whose spread would also be known better."""
        return replace(
            self,
            images=self.images / images,
            image_degrees=(self.image_degrees + 1) * images - 1,
            seeds=None if self.seeds is None else self.seeds / seeds,
            seed_degrees=(self.seed_degrees + self.seed_rows) * seeds - self.seed_rows,
        )


def satterthwaite(variances: Sequence[float], degrees: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of independent variances (Welch, Biometrika 34, 1947)."""
    total = sum(variances)
    if total == 0:
        return min(degrees)
    return total**2 / sum(part**2 / df for part, df in zip(variances, degrees, strict=True))
