"""What belongs to a night alone: when it ends, and the signals that cut it short."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

_UNITS_S = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_MOST_S = 365 * _UNITS_S["d"]
_BUDGET = re.compile(r"(?:\d+(?:\.\d+)?[dhms])+")


def until(_context: click.Context, _parameter: click.Parameter, value: str | None) -> datetime | None:
    """A time of day, the next one to come (`07:00`), or a date and time (`2026-05-01 07:00`), in local time."""
    if value is None:
        return None
    now = datetime.now().astimezone()
    try:
        if re.fullmatch(r"\d{1,2}:\d{2}", value):
            hour, minute = map(int, value.split(":"))
            moment = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return moment if moment > now else moment + timedelta(days=1)
        moment = datetime.fromisoformat(value).astimezone()
    except ValueError:
        raise click.BadParameter(f"{value!r} is no time such as 07:00 or '2026-05-01 07:00'") from None
    if moment <= now:
        raise click.BadParameter(f"{value!r} has passed")
    return moment


def budget(_context: click.Context, _parameter: click.Parameter, value: str | None) -> timedelta | None:
    """A length of time: `8h`, `90m`, `1h30m`."""
    if value is None:
        return None
    text = value.replace(" ", "")
    parts = re.findall(r"(\d+(?:\.\d+)?)([dhms])", text)
    seconds = sum(float(number) * _UNITS_S[unit] for number, unit in parts)
    if not _BUDGET.fullmatch(text) or not 0 < seconds <= _MOST_S:
        raise click.BadParameter(f"{value!r} is no length of time such as 8h, 90m or 1h30m")
    return timedelta(seconds=seconds)
