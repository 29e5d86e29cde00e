"""One error for accuracy: chance over images and over seeds together, for a row's mAP and for the difference of two.

Chance over images comes from the jackknife over the evaluated images, the same groups for every detector, so that what
is hard for both cancels in a difference. Chance over seeds comes from the spread of the seeds' mAPs. What one training
gained by chance on one image is in both, and counts once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.analysis import student
from harness.analysis.detections.average_precision import METRICS
from harness.analysis.error import Error, satterthwaite
from harness.analysis.seeds import SeedVariance, seed_variances
from harness.analysis.statistics import LEVEL, Interval, corrected_level, inflated_interval, jackknife_covariance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.analysis.detections.analyse import DetectionAnalysis

Word = Literal["more accurate", "less accurate", "not separated"]
_ROUNDING = 1e-9  # of mAP: means over the same seeds in another order differ by less


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedAnalyses:
    """The analyses of a row's measured seeds, all on the same ground truth, with the ids of their trials."""

    trial_ids: tuple[str, ...]
    analyses: tuple[DetectionAnalysis, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Interval):
    """A row's mean mAP over seeds with its 95 % interval.

    Attributes:
        inflation: by about how much the mAP is above that of a much larger set.
        error: the standard error.
    """

    inflation: float
    error: float

    @property
    def inflated(self) -> bool:
        """Whether few boxes a class inflate this mAP by more than its standard error."""
        return self.inflation > self.error


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference(Interval):
    """The difference of two rows' mAPs, the first minus the second, with the 95 % interval of this comparison alone.

    Attributes:
        inflation: how much of it few boxes a class may have caused.
        p: the two-sided p-value of this comparison alone.
        error: its variance in parts; without that of seeds, the verdict is on these weights alone.
    """

    inflation: float
    p: float
    error: Error

    @property
    def swapped(self) -> Difference:
        """The second minus the first."""
        return replace(self, value=-self.value, low=-self.high, high=-self.low, inflation=-self.inflation)

    def corrected(self, adjusted_p: float) -> Interval:
        """Return the interval that excludes 0 exactly where the adjusted p-value is below 0.05."""
        return _interval(self.value, self.inflation, self.error, corrected_level(self.p, adjusted_p))

    def word(self, adjusted_p: float) -> Word:
        """Return the verdict on the first row, by a p-value that was adjusted for all comparisons shown."""
        if adjusted_p >= 1 - LEVEL:
            return "not separated"
        return "more accurate" if self.value > 0 else "less accurate"


class Accuracies:
    """The mAPs of several rows on the same ground truth: each with its interval, and the difference of any two.

    Rows are named by their number. The metric is one of `average_precision.METRICS`; all of it is written for mAP.
    """

    def __init__(self, rows: Sequence[SeedAnalyses], metric: str = "map") -> None:
        self._trials = [row.trial_ids for row in rows]
        place = list(METRICS).index(metric)
        self._maps = [np.array([analysis.values[place] for analysis in row.analyses]) for row in rows]
        self._replicates = [np.array([analysis.replicates[place] for analysis in row.analyses]) for row in rows]
        self._values = np.array([maps.mean() for maps in self._maps])
        inflations = [np.mean([analysis.inflations[place] for analysis in row.analyses]) for row in rows]
        self._inflations = np.array(inflations)
        self._seeds = seed_variances([maps.tolist() for maps in self._maps])

    def value(self, row: int) -> float:
        """Return a row's mean mAP over seeds."""
        return float(self._values[row])

    @cached_property
    def _groups(self) -> int:
        return int(self._replicates[0].shape[1])

    @cached_property
    def _covariance(self) -> NDArray[np.float64]:
        """The covariance over images of the rows' means over seeds."""
        return jackknife_covariance(np.array([replicates.mean(axis=0) for replicates in self._replicates]))

    @cached_property
    def _interactions(self) -> tuple[float, ...]:
        """Of each row, the variance over images of what distinguishes one seed from the others; NaN with one seed."""
        found = []
        for replicates in self._replicates:
            deviations = replicates - replicates.mean(axis=0)
            seeds = len(replicates)
            found.append(np.trace(jackknife_covariance(deviations)) / (seeds - 1) if seeds > 1 else math.nan)
        return tuple(found)

    def estimate(self, row: int) -> Estimate:
        """Return a row's mean mAP with its 95 % interval: over images and seeds, over images alone with one seed."""
        error = self._error((row,), float(self._covariance[row, row]))
        inflation = float(self._inflations[row])
        interval = inflated_interval(self.value(row), inflation, error.standard, error.degrees)
        return Estimate(
            value=interval.value,
            low=max(0.0, interval.low),
            high=min(1.0, interval.high),
            inflation=inflation,
            error=error.standard,
        )

    def difference(self, first: int, second: int) -> Difference:
        """Return the difference of two rows' mean mAPs, first minus second."""
        if self._trials[first] == self._trials[second]:
            error = self._error_of_same_trials(first, second)
        else:
            c = self._covariance
            error = self._error((first, second), float(c[first, first] + c[second, second] - 2 * c[first, second]))
        value = self.value(first) - self.value(second)
        inflation = float(self._inflations[first] - self._inflations[second])
        interval = _interval(value, inflation, error)
        # A difference that fewer boxes a class could explain counts only as far as it stands without them.
        surely = min(abs(value), abs(value - inflation)) if value * (value - inflation) > 0 else 0.0
        surely = surely if surely > _ROUNDING else 0.0
        p = student.p_value(surely, error.standard, error.degrees)
        return Difference(value=value, low=interval.low, high=interval.high, inflation=inflation, p=p, error=error)

    def _error(self, rows: tuple[int, ...], images: float) -> Error:
        """Return the error of a row's mean, or of the difference of two rows' means.

        Args:
            rows: one or two rows.
            images: the variance over images of that mean or difference.
        """
        known = [variance for row in rows if (variance := self._seeds[row]) is not None]
        if len(known) < len(rows):
            return Error(images=max(0.0, images), image_degrees=self._groups - 1)
        counts = [len(self._maps[row]) for row in rows]
        shared = sum(self._interaction(row) / count for row, count in zip(rows, counts, strict=True))
        parts = [variance.variance / count for variance, count in zip(known, counts, strict=True)]
        return Error(
            images=max(0.0, images - shared),
            image_degrees=self._groups - 1,
            seeds=sum(parts),
            seed_degrees=_seed_degrees(known, parts),
            seed_rows=len({row for variance in known for row in variance.pool}),
        )

    def _error_of_same_trials(self, first: int, second: int) -> Error:
        """Return the error of the difference of two deployments of the same weights, which pairs them seed by seed."""
        replicates = self._replicates[first] - self._replicates[second]
        images = float(jackknife_covariance(replicates.mean(axis=0, keepdims=True))[0, 0])
        seeds = len(replicates)
        if seeds == 1:
            return Error(images=images, image_degrees=self._groups - 1)
        spread = float(np.var(self._maps[first] - self._maps[second], ddof=1))
        shared = float(np.trace(jackknife_covariance(replicates - replicates.mean(axis=0)))) / (seeds - 1) / seeds
        return Error(
            images=max(0.0, images - shared),
            image_degrees=self._groups - 1,
            seeds=spread / seeds,
            seed_degrees=seeds - 1,
            seed_rows=1,
        )

    def _interaction(self, row: int) -> float:
        """Return the variance over images of what distinguishes one seed; with one seed, as in the rows near it."""
        if not math.isnan(self._interactions[row]):
            return self._interactions[row]
        seeds = self._seeds[row]
        return float(np.mean([self._interactions[other] for other in seeds.pool])) if seeds is not None else 0.0


def _interval(value: float, inflation: float, error: Error, level: float = LEVEL) -> Interval:
    """Return the interval of a difference of two mAPs, which is between −1 and 1."""
    interval = inflated_interval(value, inflation, error.standard, error.degrees, level)
    return replace(interval, low=max(-1.0, interval.low), high=min(1.0, interval.high))


def analysable(analyses: Sequence[DetectionAnalysis]) -> bool:
    """Whether a row's seeds can be compared: one ground truth, whose boxes lie in several groups of images."""
    return (
        bool(analyses)
        and len({analysis.ground_truth_fingerprint for analysis in analyses}) == 1
        and all(analysis.replicates.shape[1] > 1 and np.isfinite(analysis.replicates).all() for analysis in analyses)
    )


def _seed_degrees(variances: Sequence[SeedVariance], parts: Sequence[float]) -> float:
    """Return the degrees of freedom of a sum of seeds' variances: estimates of the same seeds are one estimate."""
    if len({variance.pool for variance in variances}) == 1:
        return variances[0].degrees
    if set(variances[0].pool) & set(variances[1].pool):
        return min(variance.degrees for variance in variances)
    return satterthwaite(parts, [variance.degrees for variance in variances])
