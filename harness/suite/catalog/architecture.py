"""What every row of the catalogue holds, whatever family it belongs to.

Rows are data. How a row becomes a network is the business of its family, the module that `family` names. Fields that
only one family needs belong to a subclass of `Architecture` beside that family's rows.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the published weights were trained; `lr` belongs to `batch_size` images a step."""

    lr: float
    batch_size: int = 16
    epochs: int = 26
    milestones: tuple[int, ...] = (16, 22)


Value = int | tuple[float, ...] | tuple[tuple[float, ...], ...]  # of an option
_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An argument of the builder that a suite may set under `model`: a whole number from 0, or of another kind.

    Attributes:
        name: the argument's name.
        kind: `count`, a whole number; `channels`, three numbers of a red, a green and a blue channel; `numbers`, one or
            more positive numbers; `levels`, for each of `levels` feature maps one or more positive numbers, everywhere
            as many.
        maximum: the largest value that the builder takes, or None if any value goes.
        above_zero: whether channels must be above 0.
        levels: the number of feature maps.
        pretrained_only: whether it has no effect unless the weights are published ones.
    """

    name: str
    kind: Literal["count", "channels", "numbers", "levels"] = "count"
    maximum: int | None = None
    above_zero: bool = False
    levels: int = 0
    pretrained_only: bool = False

    def read(self, value: object) -> Value:
        """The value of a suite file as a trial holds it.

        Raises:
            ValueError: it is none of this option's; the text says what is allowed.
        """
        if self.kind == "count":
            return self._count(value)
        if self.kind == "levels":
            if isinstance(value, list) and len(value) == self.levels:
                sizes = tuple(_positive(level if isinstance(level, list) else [level]) for level in value)
                if all(sizes) and len({len(level) for level in sizes}) == 1:
                    return sizes
            raise ValueError(
                f"takes a list of {self.levels} entries, one for each feature map from the finest to the coarsest: "
                "each a number > 0 or a list of such, everywhere as many"
            )
        numbers = _positive(value) if self.kind == "numbers" or self.above_zero else _numbers(value)
        if self.kind == "channels" and len(numbers) != _CHANNELS:
            raise ValueError(f"takes three numbers{' > 0' if self.above_zero else ''}, for red, green and blue")
        if not numbers:
            raise ValueError("takes a list of numbers > 0")
        return numbers

    def _count(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError("takes an integer ≥ 0")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"takes at most {self.maximum}")
        return value


def _numbers(value: object) -> tuple[float, ...]:
    """The numbers of a list; none if it is no list of finite numbers."""
    if not isinstance(value, list) or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in value):
        return ()
    numbers = tuple(map(float, value))
    return numbers if all(map(math.isfinite, numbers)) else ()


def _positive(value: object) -> tuple[float, ...]:
    numbers = _numbers(value)
    return numbers if all(number > 0 for number in numbers) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One row of the catalogue.

    Attributes:
        name: how suites, folders and reports call it: letters, digits, `_`, `.` and `-`.
        family: the module that builds it (`harness.trial.models.base.Family`), as `package.module`, or as `file.py`
            relative to the file that defines the row. It is imported in the processes of trials only.
        backbone: the backbone's name, for the report.
        stages: 1 or 2.
        parameters: number of parameters of the published weights; with other classes a few less or more.
        recipe: where hyperparameters come from that a suite leaves open.
        published_map: COCO val2017 mAP of the published weights, from 0 to 1; None where nothing is published.
        published_files: each word that a suite may write under `weights` for a published file, beside `none` and a
            path, with that file's name in torch hub's cache.
        options: what a suite may set under `model`.
    """

    name: str
    family: str
    backbone: str
    stages: int
    parameters: int
    recipe: Recipe
    published_map: float | None = None
    published_files: Mapping[str, str] = field(default_factory=dict)
    options: tuple[Option, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r}: expected letters, digits, '_', '.' and '-' (it names folders)")
