"""Numbers as a reader sees them: units are converted here and nowhere before."""

from __future__ import annotations

import math
from typing import Any

_MEBIBYTE = 2**20
_GIBIBYTE = 2**30
_MINUTE = 60
_HOUR = 3600


def number(value: Any, digits: int) -> str:
    """With a comma between thousands; a dash for what is not known."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def metric_value(value: Any) -> str:
    """A metric between 0 and 1."""
    return number(value, 3)


def points(difference: float) -> str:
    """A difference of metrics, with its sign."""
    return "–" if math.isnan(difference) else f"{difference:+.3f}".replace("-", "\u2212")


def milliseconds(seconds: Any) -> str:
    """From seconds."""
    return number(None if seconds is None else seconds * 1e3, 1)


def mebibytes(size: Any) -> str:
    """From bytes."""
    return number(None if size is None else size / _MEBIBYTE, 0)


def gibibytes(size: Any) -> str:
    """From bytes."""
    return number(None if size is None else size / _GIBIBYTE, 1)


def duration(seconds: float) -> str:
    """As a person says it."""
    if math.isnan(seconds):
        return "–"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest:02d} s" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60:02d} min"


def rough_duration(seconds: float) -> str:
    """As a person says it."""
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:02.0f} min"


def printable(text: object) -> str:
    """Text on one line, without what does not show: control characters, marks that turn the direction of writing."""
    return " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())
