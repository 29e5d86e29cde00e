"""What the spread between seeds says of a difference, where no stored detections say more."""

from __future__ import annotations

import math
from statistics import fmean, variance
from typing import TYPE_CHECKING

from harness.report.statistics import Interval

if TYPE_CHECKING:
    from collections.abc import Sequence

# Student's t at 97.5 %, for 1 to 30 degrees of freedom (NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2);
# beyond, the last one stays, which errs to the safe side by at most 4 %.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120,
      2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)  # fmt: skip


def welch(ours: Sequence[float], theirs: Sequence[float]) -> Interval:
    """The difference of two means, ours less theirs, with its 95 % interval over two seeds or more on either side.

    Welch's interval (Biometrika 34, 1947), with his degrees of freedom rounded down.
    """
    value = fmean(ours) - fmean(theirs)
    shares = [variance(side) / len(side) for side in (ours, theirs)]
    spread = sum(shares)
    if spread == 0:
        return Interval(value=value, low=value, high=value)
    parts = zip(shares, (ours, theirs), strict=True)
    degrees = spread**2 / sum(share**2 / (len(side) - 1) for share, side in parts)
    reach = _T[min(max(1, int(degrees)), len(_T)) - 1] * math.sqrt(spread)
    return Interval(value=value, low=value - reach, high=value + reach)
