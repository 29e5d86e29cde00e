"""Numbers and texts as a reader sees them, and quantities as a reader writes them: units are converted here alone."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SECONDS = {"ms": 1e-3, "s": 1.0}
BYTES = {"KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

_MEBIBYTE = 2**20
_DOUBTFUL = re.compile(r"[^\n\t -~]")
_MINUTE = 60
_HOUR = 3600


def number(value: Any, digits: int) -> str:
    """Format a number with a comma between thousands; None and NaN are shown as a dash."""
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """Format a count with its noun: `1 image`, `1,200 images`; `plural` where an s is not enough."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def metric_value(value: Any) -> str:
    """Format a metric between 0 and 1 with three digits."""
    return number(value, 3)


def points(difference: float) -> str:
    """Format a difference of two metrics with its sign; NaN is shown as a dash."""
    if math.isnan(difference):
        return "–"
    text = f"{difference:+.3f}".replace("-", "\u2212")
    return text[1:] if float(text[1:]) == 0 else text  # no sign where nothing is left


def bracketed(low: float, high: float, show: Callable[[float], str] = metric_value) -> str:
    """Format the ends of an interval: `[0.312–0.452]`; empty if they are not known."""
    return "" if math.isnan(low) or math.isnan(high) else f"[{show(low)}–{show(high)}]"


def milliseconds(seconds: Any) -> str:
    """Format a time, given in seconds, as a number of milliseconds."""
    return number(None if seconds is None else seconds * 1e3, 1)


def mebibytes(size: Any) -> str:
    """Format a size, given in bytes, as a number of MiB."""
    return number(None if size is None else size / _MEBIBYTE, 0)


def memory(size: Any) -> str:
    """Format a size, given in bytes, with its unit, the same for all sizes: `1,234 MiB`; a dash if it is not known."""
    text = mebibytes(size)
    return text if text == "–" else f"{text} MiB"


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


def visible(text: str) -> str:
    """Return the text with all that a terminal obeys, or does not show, as python's escapes; lines stay lines.

    That is control characters, marks that change the direction of writing, characters without a width, and bytes of
    file names that are no UTF-8.
    """
    return _DOUBTFUL.sub(_escaped, text)


def without_doubtful(text: str) -> str:
    """Return the text without what `visible` escapes, which leaves the width that it takes on a terminal."""
    return _DOUBTFUL.sub(lambda match: match[0] if _escaped(match) == match[0] else "", text)


def on_one_line(text: object) -> str:
    """Return the text as `visible` does, with line breaks as escapes too."""
    return visible(str(text)).replace("\n", "\\n").replace("\t", "\\t")


def printable(text: object) -> str:
    """Return the text on one line, without control characters and marks that change the direction of writing."""
    return " ".join("".join(character if character.isprintable() else " " for character in str(text)).split())


def short_name(name: object, length: int = 60) -> str:
    """Return a name on one line, of at most `length` characters: of a longer one its beginning and its end.

    Names come from users' files, and one of thousands of characters would fill the page and take minutes to draw.
    """
    shown = printable(name)
    if len(shown) <= length:
        return shown
    end = length // 3
    return f"{shown[: length - end - 1]}…{shown[-end:]}"


def parse_quantity(text: str, units: Mapping[str, float], example: str) -> float:
    """Read a number with a unit, such as `30ms`; the case of the unit does not matter.

    Args:
        text: what a person wrote.
        units: the allowed units, each with its factor to the SI unit.
        example: a text that would be right, for the message.

    Returns:
        The number in the SI unit.

    Raises:
        ValueError: the text is no such number; the message says what is allowed.
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z/]+)\s*", text)
    unit = next((unit for unit in units if match and unit.lower() == match[2].lower()), None)
    if match is None or unit is None:
        raise ValueError(f"{text!r} is no quantity such as {example} (known: {', '.join(units)})")
    return float(match[1]) * units[unit]


def _escaped(match: re.Match[str]) -> str:
    character = match[0]
    if character.isprintable() or unicodedata.category(character) == "Zs":  # a wide space is a space
        return character
    if "\udc80" <= character <= "\udcff":  # python's stand-in for a byte
        return f"\\x{ord(character) - 0xDC00:02x}"
    return character.encode("unicode_escape").decode()
