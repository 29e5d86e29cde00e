"""The statistics that claims rest on: intervals, the jackknife over images, and corrections for many comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis import student

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

LEVEL = 0.95  # confidence level of intervals and verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A value with the lower and the upper end of its confidence interval."""

    value: float
    low: float
    high: float


def jackknife_covariance(replicates: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance over images of the estimates whose replicates these are: float64 [N, N].

    This is the jackknife (Tukey 1958; Efron and Stein, Annals of Statistics 9, 1981): a class whose only image is left
    out vanishes from the mean over classes, so that what such a class adds by chance counts, which a bootstrap misses.

    Args:
        replicates: float64 [N, G], each estimate without one group of images at a time.
    """
    groups = replicates.shape[1]
    deviations = replicates - replicates.mean(axis=1, keepdims=True)
    covariance: NDArray[np.float64] = deviations @ deviations.T * (groups - 1) / groups
    return covariance


def inflated_interval(value: float, inflation: float, error: float, degrees: float, level: float = LEVEL) -> Interval:
    """Return the interval of a value that may be too high (or, of a difference, too far from 0) by `inflation`.

    The interval holds both the value and the value without the inflation, each with `error` (one standard error, with
    these degrees of freedom of Student's t) on its side.
    """
    half_width = student.quantile(level, degrees) * error if error > 0 else 0.0
    return Interval(
        value=value, low=min(value, value - inflation) - half_width, high=max(value, value - inflation) + half_width
    )


def corrected_level(p: float, adjusted_p: float) -> float:
    """Return the confidence level of one of many intervals, so that it agrees with the p-value's correction.

    An interval of this level excludes 0 exactly where the adjusted p-value is below 0.05.
    """
    return 1 - (1 - LEVEL) * (p / adjusted_p if adjusted_p > 0 else 1.0)


def holm(p: Sequence[float]) -> tuple[float, ...]:
    """Adjust p-values for their number (Holm, Scandinavian Journal of Statistics 6, 1979); keeps their order."""
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, position in enumerate(order):
        highest = max(highest, min(1.0, (len(p) - rank) * p[position]))
        adjusted[position] = highest
    return tuple(adjusted)
