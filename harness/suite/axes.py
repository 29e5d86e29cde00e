"""Read what a search tunes: for each hyperparameter a range, or a list of choices.

    lr: [1e-4, 1e-2, log]             a range on a logarithmic scale
    momentum: [0.8, 0.99]             a range on a linear scale; of a whole number, whole numbers
    schedule: [cosine, multistep]     choices that are no numbers
    batch_size: {choices: [4, 8]}     any choices

Owns this grammar and its checks against the type of each hyperparameter. Both ends of a range belong to it.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from harness.suite import messages, short_forms
from harness.suite.recipe import HYPERPARAMETERS
from harness.suite.schema import Hyperparameters
from harness.suite.validators import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_NAMES = tuple(field.name for field in fields(Hyperparameters))
_FORMS = "expected [low, high], [low, high, log], a list of words, or {choices: [...]}"
_ENDS = 2
_MAX_SAMPLES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One hyperparameter of a search: either a range from `low` to `high`, or `choices`.

    Attributes:
        name: the hyperparameter.
        low: the smallest value.
        high: the largest value.
        log: whether the range is even on a logarithmic scale.
        integer: whether its values are whole numbers.
        choices: the values, where it is no range.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    integer: bool = False
    choices: tuple[Any, ...] = ()

    def points(self) -> float:
        """Return how many values it has; infinite for a range of numbers that need not be whole."""
        if self.choices:
            return len(self.choices)
        return self.high - self.low + 1 if self.integer else math.inf

    def values(self) -> tuple[Any, ...]:
        """Return all its values if they can be counted, else the ends."""
        if self.choices:
            return self.choices
        return tuple(range(int(self.low), int(self.high) + 1)) if self.integer else (self.low, self.high)

    def holds(self, value: object) -> bool:
        """Return whether a value lies in it."""
        if self.choices:
            return value in self.choices
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and self.low <= float(value) <= self.high  # type: ignore[arg-type]


def n_points(axes: Sequence[Axis]) -> float:
    """Return how many points the axes have together; infinite where one of them is continuous."""
    return math.prod(axis.points() for axis in axes)


def combinations(axes: Sequence[Axis]) -> Iterator[dict[str, Any]]:
    """Yield points of the axes, to see whether values contradict each other; all of them, unless they are too many."""
    values = (axis.values() for axis in axes)
    for point in itertools.islice(itertools.product(*values), _MAX_SAMPLES):
        yield dict(zip((axis.name for axis in axes), point, strict=True))


def read_axes(over: Mapping[str, Any], report: messages.Report = lambda _place, _text: None) -> tuple[Axis, ...]:
    """Return the axes of a search, without those that cannot be read, whose problems are reported."""
    axes = []
    for name, value in over.items():
        place = ("search", "over", name)
        if name not in _NAMES:
            report(place, f"unknown hyperparameter{nearest(name, _NAMES)}; known: {', '.join(_NAMES)}")
        elif name in {"epochs", "budget"}:
            report(place, "is not tuned: search.epochs is the length of a search's trials; remove it")
        else:
            axis = _read(name, value, place, report)
            axes += [axis] if axis is not None else []
    return tuple(axes)


def _read(name: str, value: Any, place: tuple[str | int, ...], report: messages.Report) -> Axis | None:
    if isinstance(value, dict):
        choices = value.get("choices")
        if set(value) != {"choices"} or not isinstance(choices, list):
            report(place, f"{_FORMS}, got {messages.shown(value)}")
            return None
        return _choices(name, choices, (*place, "choices"), report)
    if not isinstance(value, list):
        report(place, f"{_FORMS}, got {messages.shown(value)}")
        return None
    ends = value[:_ENDS]
    if len(value) >= _ENDS and all(map(_is_number, ends)) and value[_ENDS:] in ([], ["log"]):
        return _range(name, ends, place, report, log=len(value) > _ENDS)
    if any(map(_is_number, value)):
        report(place, f"{_FORMS}, got {messages.shown(value)}; numbers to choose from are {{choices: [...]}}")
        return None
    return _choices(name, value, place, report)


def _choices(name: str, values: list[Any], place: tuple[str | int, ...], report: messages.Report) -> Axis | None:
    texts = [json.dumps(value, sort_keys=True) for value in values]
    if len(values) < _ENDS or len(set(texts)) < len(texts):
        report(place, f"expected at least two choices, each once, got {messages.shown(values)}")
        return None
    good = [_fits(name, value, (*place, index), report) for index, value in enumerate(values)]
    return Axis(name=name, choices=tuple(values)) if all(good) else None


def _range(
    name: str, ends: list[float], place: tuple[str | int, ...], report: messages.Report, *, log: bool
) -> Axis | None:
    low, high = ends
    kinds = _number_kinds(name)
    if not kinds:
        report(place, f"{name} is no number; list what to choose from: [word, word] or {{choices: [...]}}")
        return None
    fit = [_fits(name, value, (*place, index), report) for index, value in enumerate(ends)]
    if not all(fit):
        return None
    if not low < high:
        report(place, f"expected [low, high] with low < high, got {messages.shown(ends)}")
        return None
    if log and low <= 0:
        report(place, f"a logarithmic range begins above 0, got {messages.shown(ends)}")
        return None
    return Axis(name=name, low=low, high=high, log=log, integer="number" not in kinds)


def _fits(name: str, value: Any, place: tuple[str | int, ...], report: messages.Report) -> bool:
    """Return whether the hyperparameter takes the value; report it if not."""
    try:
        HYPERPARAMETERS.validate_json(json.dumps(short_forms.hyperparameters({name: value})))
    except ValidationError as error:
        for detail in error.errors():
            report(place, messages.describe_value(detail))
        return False
    return True


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number_kinds(name: str) -> set[str]:
    """Return which of `number` and `integer` a hyperparameter takes."""
    schema: dict[str, Any] = HYPERPARAMETERS.json_schema()["properties"][name]
    options = [schema, *schema.get("anyOf", ())]
    return {option["type"] for option in options if option.get("type") in {"number", "integer"}}
