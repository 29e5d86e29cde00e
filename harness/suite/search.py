"""What a suite file says under `search`: how many trials tune each architecture, over which hyperparameters.

Owns the keys, and what a trial knows of the search that it belongs to. `harness.suite.axes` reads the ranges and the
choices of `over`, `harness.suite.tuning` makes the trials, and `harness.scheduling` decides which values come next.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le, MinLen

SearchMetric = Literal["map", "map_50"]
Sampler = Literal["tpe", "random"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The tuning of hyperparameters: so many trials for each architecture, before its seeds run with the best values.

    `over` names what is tuned: `lr: [1e-4, 1e-2, log]` is a range on a logarithmic scale, `momentum: [0.8, 0.99]` one
    on a linear scale, `schedule: [cosine, multistep]` and `batch_size: {choices: [4, 8]}` are choices. The best values
    are those of the highest `metric` on val. `epochs` is the length of these trials; without it they are as long as
    those of the seeds. `seed` seeds the trials of the search and the choice of their values.
    """

    __pydantic_config__: ClassVar = {"strict": True, "extra": "forbid", "allow_inf_nan": False}

    trials: Annotated[int, Ge(1), Le(1000)]
    over: Annotated[Mapping[str, Any], MinLen(1)]
    metric: SearchMetric = "map"
    epochs: Annotated[int, Ge(1)] | None = None
    sampler: Sampler = "tpe"
    seed: Annotated[int, Ge(0)] = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchStep:
    """What makes a trial one of a search. It is evaluated on val, so that nothing is chosen on test.

    Attributes:
        chain: a hash over all that the trials of one search share: data, architecture, settings, what is tuned and how.
        number: from 1.
        values: the values that it tries, by hyperparameter.
        metric: what is compared, on val.
    """

    chain: str
    number: int
    values: Mapping[str, Any]
    metric: SearchMetric


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """What a search found for a trial. Only `chain` and `values` are part of the trial's identity.

    Attributes:
        chain: the search, as `SearchStep` names it.
        values: the best values, by hyperparameter; None while the search has not ended.
        trial_id: the trial of the search that had them; None while the search has not ended.
        metric: what they are best in, on val.
        score: its value there; None while the search has not ended.
        epochs: the length of a trial of the search; None where a budget of images or minutes sets it.
        n_succeeded: how many trials of the search had a score.
        n_failed: how many had none.
    """

    chain: str
    values: Mapping[str, Any]
    trial_id: str | None
    metric: SearchMetric
    score: float | None
    epochs: int | None
    n_succeeded: int
    n_failed: int


def of_length(values: Mapping[str, Any], epochs: int | None) -> dict[str, Any]:
    """Return the values with a search's length of training; without one they keep their own."""
    return {**values, **({} if epochs is None else {"epochs": epochs, "budget": None})}
