"""Student's t: how large a difference must be, for its standard error and the degrees of freedom of that error."""

from __future__ import annotations

import math

from scipy.special import stdtr, stdtrit


def quantile(level: float, degrees: float) -> float:
    """Return the half-width, in standard errors, of a two-sided interval of this confidence level."""
    return float(stdtrit(degrees, (1 + level) / 2))


def p_value(value: float, error: float, degrees: float) -> float:
    """Return the two-sided p-value of a value with this standard error; 1 if both are 0, 0 if only the error is."""
    if error == 0:
        return float(value == 0)
    if math.isinf(value):
        return 0.0
    return float(2 * stdtr(degrees, -abs(value) / error))
