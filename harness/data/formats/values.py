"""Numbers that annotation files state as text."""

from __future__ import annotations

import math


def number(text: str) -> float:
    """Parse a decimal number; return NaN for any other text."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
