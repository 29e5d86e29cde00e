"""Numbers and sizes of images that annotation files state, as numbers or as text."""

from __future__ import annotations

import math

_MAX_SIDE = 2**31  # pixels, exclusive


def number(text: str) -> float:
    """Parse a decimal number; return NaN for any other text."""
    try:
        return float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan


def image_size(width: object, height: object) -> tuple[int, int]:
    """Return an image's (width, height) in pixels, stated as numbers or as text; (0, 0) unless both are such sizes."""
    sides = number(str(width)), number(str(height))
    return (int(sides[0]), int(sides[1])) if all(1 <= side < _MAX_SIDE for side in sides) else (0, 0)
