"""What a process reports while it works: one typed event a line of `events.jsonl`, written and read here.

Owns the lines' format. Files of earlier versions stay readable, and a line that cannot be read is left out: an event is
for showing and for telling a working process from a hung one; no result depends on it. A user's code may write into the
file, so numbers are such as can be computed with, and texts are short and can be stored.
"""

from __future__ import annotations

import json
import math
import os
import stat
from dataclasses import dataclass, fields
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, TypeAdapter, ValidationError

from harness import foreign
from harness.store.quantities import AtLeastOne, Count, Fraction, Loss, NotNegative, moment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

_LONGEST_LINE = 2**20  # bytes; an event has some hundred
_LONGEST_TEXT = 200
_Text = Annotated[str, AfterValidator(lambda text: foreign.shortened(text, _LONGEST_TEXT))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event has.

    Attributes:
        time: when it was written, UTC, ISO 8601; empty before that.
        uptime_s: seconds since the process opened the file, by a clock that nobody sets; None if it is not known.
        stage: what the process was doing: data, model, train, evaluate, measure, variant, or waiting for the device.
    """

    time: _Text = ""
    uptime_s: NotNegative | None = None
    stage: _Text = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageEvent(Event):
    """A stage begins; `variant` names the variant that it is about, if any, and `device` the device in use."""

    variant: _Text | None = None
    device: _Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEvent(Event):
    """A training step is done: `step` of `steps` in `epoch` of `epochs`, both counted from 1."""

    stage: _Text = "train"
    epoch: AtLeastOne
    epochs: AtLeastOne
    step: Count
    steps: AtLeastOne
    loss: float
    images_per_s: NotNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationEvent(Event):
    """The accuracy on the val split after an epoch, and the loss; None where the split has no ground truth."""

    stage: _Text = "train"
    epoch: AtLeastOne
    map: Fraction | None
    map_50: Fraction | None
    loss: Loss | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResumedEvent(Event):
    """Training goes on from a checkpoint; `place` says where, such as "at epoch 2, step 5"."""

    stage: _Text = "train"
    place: _Text


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluatedEvent(Event):
    """So many images of a split are evaluated, `of` so many."""

    stage: _Text = "evaluate"
    split: _Text
    images: Count
    of: Count


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredEvent(Event):
    """The measurement of speed and memory goes on."""

    stage: _Text = "measure"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreflightEvent(Event):
    """A step of a preflight took so many seconds: one training step, or the evaluation of one image."""

    step_s: NotNegative | None = None
    evaluation_s: NotNegative | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsReadEvent(Event):
    """A preflight has read so many items of a `python` dataset, `of` so many."""

    stage: str = "data"
    read: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingEvent(Event):
    """The process waits until another one on the same device has been timed."""

    stage: _Text = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantEvent(Event):
    """The process that measures a variant is still at work, though it may say nothing itself."""

    stage: _Text = "variant"
    variant: _Text


@dataclass(frozen=True, slots=True, kw_only=True)
class PausedEvent(Event):
    """Written by whoever watches the process: for so many seconds both stood still, as when a laptop sleeps."""

    paused_s: NotNegative


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvent(Event):
    """An event that this version has no type for, or whose fields are not those it expects; `name` is its name."""

    name: _Text


_LONGEST_GAP_S = 60.0  # between two events of a process that works, where only the times of day are known

_BY_NAME: dict[str, type[Event]] = {
    "stage": StageEvent,
    "step": StepEvent,
    "validation": ValidationEvent,
    "resumed": ResumedEvent,
    "evaluated": EvaluatedEvent,
    "measured": MeasuredEvent,
    "preflight": PreflightEvent,
    "items_read": ItemsReadEvent,
    "variant": VariantEvent,
    "waiting": WaitingEvent,
    "paused": PausedEvent,
    "rehearsed": PreflightEvent,  # the name before version 0.3
}
_NAMES = {kind: name for name, kind in reversed(_BY_NAME.items())}


def event_name(event: Event) -> str:
    """Return the name of the event as its line has it."""
    return event.name if isinstance(event, OtherEvent) else _NAMES[type(event)]


def event_fields(event: Event) -> dict[str, Any]:
    """Return what the event says beside its name and time, without what it leaves open."""
    values = {f.name: getattr(event, f.name) for f in fields(event) if f.name not in {"time", "uptime_s", "name"}}
    optional = {"variant", "device", "step_s", "evaluation_s", "stage"}
    return {name: value for name, value in values.items() if name not in optional or value not in {None, ""}}


def encode_event(event: Event) -> str:
    """Return the event as one line of JSON, with the newline."""
    when = {"time": event.time} | ({} if event.uptime_s is None else {"uptime_s": round(event.uptime_s, 3)})
    return json.dumps({**when, "event": event_name(event), **event_fields(event)}) + "\n"


def decode_event(line: bytes) -> Event | None:
    """Return the event of one line, of this or an earlier version; None where the line holds none."""
    try:
        values = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or not isinstance(values.get("event"), str):
        return None
    name: str = values["event"]
    if name in _BY_NAME:
        try:
            return _adapter(name).validate_python(values)
        except ValidationError:
            pass  # as good as one that this version does not know
    return OtherEvent(name=_text(name), time=_text(values.get("time")), stage=_text(values.get("stage")))


def event_moment(event: Event) -> datetime | None:
    """Return when an event was written, in UTC; None if its time cannot be read."""
    return moment(event.time)


def paused_s(events: Sequence[Event]) -> float:
    """Return for how many seconds a process stood still together with whoever watched it."""
    return sum(event.paused_s for event in events if isinstance(event, PausedEvent) and 0 < event.paused_s < math.inf)


def worked_s(events: Sequence[Event]) -> float:
    """Return how many seconds a process worked, as far as its events tell: without pauses and clock steps.

    Events before version 0.4 have the time of day alone. A step of that clock counts for a minute at most, backwards
    for nothing.
    """
    uptimes = [e.uptime_s for e in events if e.uptime_s is not None and 0 <= e.uptime_s < math.inf]
    if uptimes:
        return max(0.0, uptimes[-1] - paused_s(events))
    moments = [moment for event in events if (moment := event_moment(event)) is not None]
    gaps = ((later - earlier).total_seconds() for earlier, later in pairwise(moments))
    return sum(min(max(gap, 0.0), _LONGEST_GAP_S) for gap in gaps)


def read_events(path: Path) -> tuple[Event, ...]:
    """Return the events in a file so far; none where there is no file."""
    return tuple(EventReader(path).read())


class EventReader:
    """Reads a file of events while it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = 0
        self._torn = b""

    def read(self) -> list[Event]:
        """Return the events of the lines that were completed since the last call."""
        events: list[Event] = []
        while data := self._next():
            *lines, torn = (self._torn + data).split(b"\n")
            self._torn = torn if len(torn) <= _LONGEST_LINE else b""  # the rest of such a line is no event either
            events.extend(event for line in lines if (event := decode_event(line)) is not None)
        return events

    def _next(self) -> bytes:
        try:
            handle = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)  # a pipe in its place would wait for a writer
        except OSError:  # not there yet, or not readable: nothing depends on it
            return b""
        try:
            data = os.pread(handle, _LONGEST_LINE, self._position) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        except OSError:
            return b""
        finally:
            os.close(handle)
        self._position += len(data)
        return data


@cache
def _adapter(name: str) -> TypeAdapter[Event]:
    return TypeAdapter(_BY_NAME[name])


def _text(value: object) -> str:
    return foreign.shortened(value, _LONGEST_TEXT) if isinstance(value, str) else ""
