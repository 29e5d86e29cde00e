"""The ranges of stored numbers and texts: what is read must be possible.

A damaged or edited document must neither win a comparison nor end a report.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, Field

_MOST = 1e12  # of any quantity: far from what can be measured, and its square is still finite
_MOST_COUNTED = 10**18  # parameters, operations, bytes: fits into 64 bits
_MOST_LOSS = 1e39  # no float32 is larger
_LONGEST = 1e9  # seconds of an attempt: thirty years
_YEARS = range(1970, 2500)

Count = Annotated[int, Field(ge=0, le=_MOST_COUNTED)]
AtLeastOne = Annotated[int, Field(ge=1, le=_MOST_COUNTED)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NotNegative = Annotated[float, Field(ge=0, le=_MOST)]
Duration = Annotated[float, Field(ge=0, le=_LONGEST)]
Above0 = Annotated[float, Field(gt=0, le=_MOST)]
Energy = Annotated[float, Field(ge=-_MOST, le=_MOST)]
Loss = Annotated[float, Field(ge=-_MOST_LOSS, le=_MOST_LOSS)]


def moment(text: str) -> datetime | None:
    """Return the time that an ISO 8601 text means, in UTC; None if it means none that a run can have."""
    try:
        read = datetime.fromisoformat(text)
        in_utc = read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        return None
    return in_utc if in_utc.year in _YEARS else None


def _is_moment(text: str) -> str:
    if text and moment(text) is None:
        raise ValueError("is no time")
    return text


def _is_name(text: str) -> str:
    if not text or text in {".", ".."} or "/" in text or not text.isprintable():
        raise ValueError("cannot be the name of a file or a folder")
    return text


Moment = Annotated[str, AfterValidator(_is_moment)]  # empty where it is not known
EvaluatedSplit = Annotated[str, Field(pattern=r"^(val|test)$")]
FileName = Annotated[str, AfterValidator(_is_name)]
