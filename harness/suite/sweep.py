"""The axes of a sweep: any hyperparameter, and what an architecture starts from: its image size, weights and options.

Owns which axes there are and what a point of the sweep changes; `harness.suite.load` makes the settings.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from harness.suite import messages, short_forms
from harness.suite.recipe import HYPERPARAMETERS
from harness.suite.schema import ArchitectureChoice, Hyperparameters
from harness.suite.validators import nearest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.suite.yaml_document import Place

_HYPERPARAMETERS = tuple(field.name for field in fields(Hyperparameters))
_OF_ARCHITECTURES = ("image_size", "weights", "backbone")
_OPTION = "model."  # begins the name of an axis over an architecture's option
_CHOICE = TypeAdapter(ArchitectureChoice)

Point = tuple[tuple[str, Any], ...]  # the names and values of one point


def check(sweep: Mapping[str, Sequence[Any]], report: messages.Report) -> None:
    """Check each axis, and each value of a hyperparameter on its own."""
    if "backbone" in sweep and "model.backbone" in sweep:
        report(("sweep", "model.backbone"), "backbone, an axis too, says the same thing; remove one of them")
    for key, values in sweep.items():
        if is_of_architecture(key):
            continue
        if key not in _HYPERPARAMETERS:
            known = (*_HYPERPARAMETERS, *_OF_ARCHITECTURES)
            report(
                ("sweep", key),
                f"unknown hyperparameter{nearest(key, known)}; known: {', '.join(known)}, and model.OPTION",
            )
            continue
        for index, value in enumerate(values):
            try:
                HYPERPARAMETERS.validate_json(json.dumps(short_forms.hyperparameters({key: value})))
            except ValidationError as error:
                for detail in error.errors():
                    report(("sweep", key, index), messages.describe_value(detail))


def points(sweep: Mapping[str, Sequence[Any]]) -> Iterator[Point]:
    """Yield each combination of the axes' values."""
    return itertools.product(*([(key, value) for value in values] for key, values in sweep.items()))


def is_of_architecture(key: str) -> bool:
    """Whether an axis is over what an architecture starts from, and not over a hyperparameter."""
    return key in _OF_ARCHITECTURES or (key.startswith(_OPTION) and len(key) > len(_OPTION))


def hyperparameters(point: Point) -> dict[str, Any]:
    """The hyperparameters of a point, without short forms."""
    values: dict[str, Any] = short_forms.hyperparameters(
        {key: value for key, value in point if not is_of_architecture(key)}
    )
    return values


def conflicts(sweep: Mapping[str, Any], architecture: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    """Yield each axis that an architecture sets as well.

    Args:
        architecture: as the suite file has it, without short forms.
        place: of the architecture in the file.
    """
    for key in sweep:
        if key.startswith(_OPTION) or key == "backbone":
            holder, name = "model", key.removeprefix(_OPTION)
        elif is_of_architecture(key):
            holder, name = "", key
        else:
            holder, name = "hyperparameters", key
        if name in (architecture.get(holder, {}) if holder else architecture):
            where = (*place, holder, name) if holder else (*place, name)
            yield where, f"also an axis of sweep; set {name} in one of the two"


def choice_at(point: Point, architecture: Mapping[str, Any], folder: Path, report: messages.Report) -> Any:
    """An architecture of a suite with what a point of the sweep changes of it; None if that is not allowed.

    Args:
        point: of the sweep; its hyperparameters are passed over.
        architecture: as the suite file has it, without short forms.
        folder: the suite's, which files of weights are relative to.
        report: is told what is not allowed, with its place in the sweep.
    """
    changes = {key: value for key, value in point if is_of_architecture(key)}
    options = {
        key.removeprefix(_OPTION): value
        for key, value in changes.items()
        if key.startswith(_OPTION) or key == "backbone"
    }
    own = {key: value for key, value in changes.items() if key in ("image_size", "weights")}
    model = {**architecture.get("model", {}), **options}
    content = short_forms.architecture({**architecture, **own, **({"model": model} if model else {})})
    try:
        return _CHOICE.validate_json(json.dumps(content), context=folder)
    except ValidationError as error:
        for detail in error.errors():
            key = str(detail["loc"][0]) if detail["loc"] else ""
            report(("sweep", key) if key in changes else ("sweep",), messages.describe_value(detail))
        return None
