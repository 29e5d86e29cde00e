"""Which values a search tries next, with Optuna's samplers.

A suggestion is a function of the search's seed, of its number and of the results before it, and of nothing else: Optuna
keeps no file and no state of ours, and its study is made anew each time. So a search that was killed goes on as if it
had not been.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import TYPE_CHECKING, Any

from harness.suite.axes import n_points

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.suite.axes import Axis
    from harness.suite.search import Sampler

_RANDOM_TRIALS = 4  # before TPE models anything; Optuna's 10 are more than most searches here have
_DIGITS = 4  # of a number: more say nothing, and people copy them
_TRIES = 20  # at a point that was not tried before


def suggest(
    axes: Sequence[Axis],
    tried: Sequence[tuple[Mapping[str, Any], float | None]],
    *,
    sampler: Sampler,
    seed: int,
) -> dict[str, Any]:
    """Return the values to try next, by hyperparameter: a point that was not tried before, if there is one.

    Numbers of a range have four significant digits.

    Args:
        axes: what is tuned.
        tried: the values of each trial so far, in order, and their score, the higher the better; None: it failed.
        sampler: `tpe` is Optuna's tree-structured Parzen estimator (Bergstra et al. 2011), after four random points.
        seed: of the search.
    """
    seen = [dict(values) for values, _ in tried]
    values: dict[str, Any] = {}
    for attempt in range(_TRIES):
        values = _ask(axes, tried, sampler=sampler, seed=_seed(seed, len(tried), attempt))
        if values not in seen:
            return values
    if n_points(axes) > len(seen):  # then each axis can be counted
        for point in itertools.product(*(axis.values() for axis in axes)):
            values = dict(zip((axis.name for axis in axes), point, strict=True))
            if values not in seen:
                return values
    return values


def _ask(
    axes: Sequence[Axis], tried: Sequence[tuple[Mapping[str, Any], float | None]], *, sampler: Sampler, seed: int
) -> dict[str, Any]:
    import optuna
    from optuna.samplers import RandomSampler, TPESampler
    from optuna.trial import TrialState, create_trial

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # it greets each study
    try:
        chosen = (
            RandomSampler(seed=seed) if sampler == "random" else TPESampler(seed=seed, n_startup_trials=_RANDOM_TRIALS)
        )
        study = optuna.create_study(direction="maximize", sampler=chosen)
        distributions = {axis.name: _distribution(axis) for axis in axes}
        for values, score in tried:
            study.add_trial(
                create_trial(
                    state=TrialState.FAIL if score is None else TrialState.COMPLETE,
                    value=score,
                    params={axis.name: _encoded(axis, values[axis.name]) for axis in axes},
                    distributions=distributions,
                )
            )
        asked = study.ask(distributions).params
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {axis.name: _decoded(axis, asked[axis.name]) for axis in axes}


def _distribution(axis: Axis) -> Any:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if axis.choices:
        return CategoricalDistribution([_encoded(axis, choice) for choice in axis.choices])
    if axis.integer:
        return IntDistribution(int(axis.low), int(axis.high), log=axis.log)
    return FloatDistribution(axis.low, axis.high, log=axis.log)


def _encoded(axis: Axis, value: Any) -> Any:
    """Return a value as Optuna takes it: a choice as JSON, for it may be a mapping."""
    return json.dumps(value, sort_keys=True) if axis.choices else value


def _decoded(axis: Axis, value: Any) -> Any:
    if axis.choices:
        return json.loads(value)
    if axis.integer:
        return int(value)
    return min(max(float(f"{value:.{_DIGITS}g}"), axis.low), axis.high)


def _seed(*parts: int) -> int:
    """Return a seed that differs for each sequence of numbers."""
    return int.from_bytes(hashlib.sha256(json.dumps(parts).encode()).digest()[:4])
