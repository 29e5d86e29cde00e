"""Numbers as a reader sees them: units are converted here and nowhere before."""

from __future__ import annotations

import math
from typing import Any

_MEBIBYTE = 2**20
_GIBIBYTE = 2**30
_MINUTE = 60
_HOUR = 3600


def number(value: Any, digits: int) -> str:
    """Format a number with a comma between thousands; None and NaN are shown as a dash."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def metric_value(value: Any) -> str:
    """Format a metric between 0 and 1 with three digits."""
    return number(value, 3)


def points(difference: float) -> str:
    """Format a difference of two metrics with its sign; NaN is shown as a dash."""
    return "–" if math.isnan(difference) else f"{difference:+.3f}".replace("-", "\u2212")


def milliseconds(seconds: Any) -> str:
    """Format a time, given in seconds, as a number of milliseconds."""
    return number(None if seconds is None else seconds * 1e3, 1)


def mebibytes(size: Any) -> str:
    """Format a size, given in bytes, as a number of MiB."""
    return number(None if size is None else size / _MEBIBYTE, 0)


def gibibytes(size: Any) -> str:
    """Format a size, given in bytes, as a number of GiB."""
    return number(None if size is None else size / _GIBIBYTE, 1)


def duration(seconds: float) -> str:
    """Format a duration: `50 s`, `2 min 13 s`, `1 h 02 min`; NaN is shown as a dash."""
    if math.isnan(seconds):
        return "–"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes, remainder = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {remainder:02d} s" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60:02d} min"


def rough_duration(seconds: float) -> str:
    """Format a duration in whole seconds or minutes: `50 s`, `2 min`, `1 h 02 min`."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:02.0f} min"


def printable(text: object) -> str:
    """Return the text on one line, without control characters and marks that change the direction of writing."""
    return " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())
