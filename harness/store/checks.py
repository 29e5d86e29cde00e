"""What is asked of the process that checks an architecture, and what it answers while it runs, line by line.

The architecture's code needs torch and may crash or hang, so `harness.trial.battery` runs in a process of its own. Owns
the request's file and the lines of the answer's.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

from harness.suite.schema import ImageSize, Precision  # noqa: TC001 - pydantic reads the annotations

Outcome = Literal["running", "passed", "failed", "not supported", "not run"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckRequest:
    """What to check.

    Attributes:
        architecture: the name of a built-in or installed row, or an import path: of a row, or of a function that
            builds a network.
        folder: where the user's modules are searched for.
        classes: the number of classes.
        image_size: the detector's resize; None: a small one, or the native one where no other goes.
        weights: what it starts from, as a suite names it.
        model: the architecture's options.
        device: cpu, or cuda:N.
        compiled: whether `torch.compile` is checked too, which takes a minute.
    """

    architecture: str
    folder: str
    classes: int
    image_size: ImageSize | None
    weights: str
    model: Mapping[str, Any]
    device: str
    precision: Precision
    compiled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """One check: how it ended, what was found or why it failed, and the seconds that it took.

    `not supported` is an answer, not a failure. `running` is written when it begins, so that whoever reads knows which
    one a crash belongs to.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    wall_s: float = 0.0


REQUEST = TypeAdapter(CheckRequest)
RESULT = TypeAdapter(CheckResult)
