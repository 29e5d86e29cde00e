"""When a run ends, as a person writes it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import click
import pytest

from harness.cli import deadline

PARAMETER: Any = None


def test_until_is_the_next_such_time() -> None:
    """A time of day within a day from now, a date and time as it stands; what is past or no time is refused."""
    now = datetime.now().astimezone()
    for minutes in (-60, 60):
        text = (now + timedelta(minutes=minutes)).strftime("%H:%M")
        moment = deadline.until(PARAMETER, PARAMETER, text)
        assert moment is not None
        assert timedelta(0) < moment - now <= timedelta(days=1)
        assert moment.strftime("%H:%M") == text
    later = (now + timedelta(days=3)).replace(second=0, microsecond=0)
    assert deadline.until(PARAMETER, PARAMETER, later.strftime("%Y-%m-%d %H:%M")) == later
    assert deadline.until(PARAMETER, PARAMETER, None) is None
    for wrong in ("25:00", "soon", "2020-01-01 07:00", "7"):
        with pytest.raises(click.BadParameter, match="is no time|has passed"):
            deadline.until(PARAMETER, PARAMETER, wrong)


@pytest.mark.parametrize(
    ("text", "hours"), [("8h", 8), ("90m", 1.5), ("1h30m", 1.5), ("1d", 24), ("0.5h", 0.5), ("1h 30m", 1.5)]
)
def test_budgets_are_lengths_of_time(text: str, hours: float) -> None:
    """Days, hours, minutes, seconds, together too."""
    assert deadline.budget(PARAMETER, PARAMETER, text) == timedelta(hours=hours)


@pytest.mark.parametrize("text", ["8", "h", "-1h", "0h", "8 hours", "1e3h", "999999d"])
def test_what_is_no_length_of_time_is_refused(text: str) -> None:
    """With examples of what is."""
    with pytest.raises(click.BadParameter, match="such as 8h, 90m or 1h30m"):
        deadline.budget(PARAMETER, PARAMETER, text)
