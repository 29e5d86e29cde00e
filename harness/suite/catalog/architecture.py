"""What every row of the catalogue holds, whatever family it belongs to.

Rows are data. How a row becomes a network is the business of its family, the module that `family` names. Fields that
only one family needs belong to a subclass of `Architecture` beside that family's rows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An argument of the builder that a suite may set under `model`; its value is a whole number from 0.

    Attributes:
        name: the argument's name.
        maximum: the largest value that the builder takes, or None if any value goes.
        pretrained_only: whether it has no effect unless the weights are published ones.
    """

    name: str
    maximum: int | None = None
    pretrained_only: bool = False


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
