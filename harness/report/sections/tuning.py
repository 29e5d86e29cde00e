"""The page's section on how hyperparameters were tuned: what each search cost and found, and whether all are equal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.formatting import counted, duration, metric_value
from harness.report.markup import escape, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.analysis.searches import SearchSummary
    from harness.suite.search import Search

_METRICS = {"map": "mAP", "map_50": "mAP50"}
_SAMPLERS = {"tpe": "Optuna's TPE", "random": "random points"}


def section(searches: Sequence[SearchSummary], asked: Search | None) -> list[str]:
    """Return the table of searches, and the sentence that says whether they had equal budgets; nothing without any.

    Args:
        searches: all of the suite.
        asked: what the suite file says; None where it is not known any more.
    """
    if not searches:
        return []
    return [
        "## How hyperparameters were tuned",
        _budget(searches),
        table(("architecture", "dataset", *_COLUMNS), [_line(one) for one in searches], left=3),
        _how(searches, asked),
    ]


_COLUMNS = ("best values", "trials", "failed", "left", "epochs each", "time", "first, on val", "best, on val")


def _line(one: SearchSummary) -> tuple[str, ...]:
    return (
        escape(one.label),
        escape(one.dataset + (", subset" if one.subset else "")),
        _values(one.values) + (" (decided nothing: all scores are equal)" if one.decided_nothing else ""),
        f"{one.n_succeeded} of {one.n_asked}",
        str(one.n_failed),
        str(one.n_left),
        "–" if one.epochs is None else str(one.epochs),
        duration(one.wall_s),
        metric_value(one.scores[0] if one.scores else None),
        metric_value(one.best),
    )


def _budget(searches: Sequence[SearchSummary]) -> str:
    """Say whether all configurations had the same number of trials of the same length; else which had not."""
    short = [one for one in searches if one.n_succeeded < one.n_asked]
    budgets = {one.budget for one in searches}
    if len(budgets) == 1 and not short:
        trials, epochs = next(iter(budgets))
        budget = f"{counted(trials, 'trial')} of {_length(epochs)}"
        if len(searches) == 1:
            return f"The row was tuned before its seeds ran: {budget}."
        return (
            f"**Equal tuning budgets:** each row was tuned before its seeds ran, by {budget}. Equal in trials and in "
            "their length; the time that they took differs."
        )
    parts = ["**Tuning has not ended.**" if any(one.n_left for one in searches) else "**Unequal tuning budgets:**"]
    for one in short:
        why = [f"{one.n_failed} failed"] if one.n_failed else []
        why += [f"{one.n_left} left"] if one.n_left else []
        untuned = "; nothing was found, so its seeds run with the values they have without a search"
        parts.append(
            f"{escape(one.label)} on {escape(one.dataset)} had {one.n_succeeded} of {counted(one.n_asked, 'trial')} of "
            f"{_length(one.epochs)} ({', '.join(why)})" + (untuned if one.best is None and not one.n_left else "") + "."
        )
    full = {(one.n_asked, one.epochs) for one in searches if one not in short}
    parts += [f"The others had {counted(trials, 'trial')} of {_length(epochs)}." for trials, epochs in full]
    return " ".join(parts)


def _length(epochs: int | None) -> str:
    return "the suite's budget" if epochs is None else counted(epochs, "epoch")


def _how(searches: Sequence[SearchSummary], asked: Search | None) -> str:
    metric = _METRICS[searches[0].metric]
    space = ""
    if asked is not None:
        over = ", ".join(f"{escape(name)} in {escape(_axis(axis))}" for name, axis in asked.over.items())
        space = f" Tuned: {over}, by {_SAMPLERS[asked.sampler]}, seed {asked.seed}."
    return (
        f"The values with the highest {metric} on val were taken; test was not looked at.{space} The trials of a "
        "search are in no other table of this page: they trained for a short time, and the best was chosen."
    )


def _axis(axis: Any) -> str:
    """Write an axis as the suite file does: `[0.0001, 0.01, log]`."""
    choices = axis["choices"] if isinstance(axis, dict) else axis
    text = ", ".join(_value(value) for value in choices)
    return f"{{{text}}}" if isinstance(axis, dict) else f"[{text}]"


def _values(values: Mapping[str, Any] | None) -> str:
    if values is None:
        return "–"
    return escape(", ".join(f"{name} {_value(value)}" for name, value in values.items()))


def _value(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return value if isinstance(value, str) else json.dumps(value)
