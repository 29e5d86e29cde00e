"""From the states of trials to frames: one row a trial, then one row a configuration, seeds aggregated.

Owns the arithmetic of the comparison, all in SI units; `harness.report.markdown` converts and words it.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.suite.catalog import BY_NAME
from harness.suite.plan import TRIAL, configuration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.store.record import Memory
    from harness.store.results import State
    from harness.suite.spec import Trial

_MEANS = (
    "map",
    "map_50",
    "map_75",
    "latency_median_s",
    "latency_p95_s",
    "throughput_images_per_s",
    "train_images_per_s",
    "training_memory_bytes",
    "inference_memory_bytes",
    "parameters",
    "flops",
    "wall_s",
)


def trial_frame(states: Iterable[State]) -> pd.DataFrame:
    """One row a trial; numbers are NaN where it has no record."""
    states = tuple(states)
    settings = _settings(states)
    rows = []
    for state in states:
        trial, choice = state.trial, state.trial.architecture
        row = BY_NAME.get(choice.name)
        rows.append(
            {
                "trial_id": trial.trial_id,
                "configuration": configuration(trial),
                "dataset": trial.dataset.name,
                "architecture": choice.name,
                "setting": settings[trial.trial_id],
                "backbone": row.backbone if row else None,
                "stages": row.stages if row else None,
                "weights": _weights(trial),
                "image_size": _size(trial),
                "seed": trial.seed,
                "rehearsal": trial.limit is not None,
                "outcome": _outcome(state),
                **_numbers(state),
            }
        )
    return pd.DataFrame(rows)


def configuration_frame(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a configuration, best mAP first: means over seeds, `map_sd` (ddof 1), `n`, the outcomes.

    Latency's median and p95 are averaged over seeds like the others: each is already a statistic of its own trial.
    """
    if trials.empty:
        return trials.assign(n=[], map_sd=[], outcomes=[], flags=[])
    groups = trials.groupby("configuration", sort=False)
    fixed = ["dataset", "architecture", "setting", "backbone", "stages", "weights", "image_size", "rehearsal"]
    frame = groups[fixed].first()
    frame[list(_MEANS)] = groups[list(_MEANS)].mean()
    frame["map_sd"] = groups["map"].std(ddof=1)
    frame["n"] = groups["map"].count()
    frame["outcomes"] = groups["outcome"].agg(_counted)
    frame["flags"] = groups["flags"].agg(
        lambda column: tuple(dict.fromkeys(flag for flags in column for flag in flags))
    )
    return frame.reset_index().sort_values("map", ascending=False, kind="stable", ignore_index=True)


def pareto_front(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that no other row beats in both latency and mAP, fastest first."""
    measured = frame.dropna(subset=["map", "latency_median_s"])
    ordered = measured.sort_values(["latency_median_s", "map"], ascending=[True, False], kind="stable")
    best_before = ordered["map"].cummax().shift(fill_value=-1.0)
    return ordered[ordered["map"] > best_before]


def _numbers(state: State) -> dict[str, Any]:
    if state.record is None:
        return {**dict.fromkeys(_MEANS, float("nan")), "flags": ()}
    metrics, measured, model = state.record.metrics, state.record.measurements, state.record.model
    return {
        "map": metrics.map,
        "map_50": metrics.map_50,
        "map_75": metrics.map_75,
        "latency_median_s": measured.latency_s.median,
        "latency_p95_s": measured.latency_s.p95,
        "throughput_images_per_s": measured.throughput_images_per_s,
        "train_images_per_s": measured.train_images_per_s,
        "training_memory_bytes": _peak(measured.memory.training),
        "inference_memory_bytes": _peak(measured.memory.inference),
        "parameters": model.parameters,
        "flops": model.flops,
        "wall_s": sum(a.wall_s for a in state.record.attempts if a.outcome != "rehearsed"),
        "flags": tuple((flag.name, flag.reason) for flag in state.record.flags),
    }


def _peak(memory: Memory | None) -> int | None:
    if memory is None:
        return None
    return memory.peak_reserved_bytes if memory.peak_reserved_bytes is not None else memory.peak_resident_bytes


def _outcome(state: State) -> str:
    if state.record is not None:
        return "succeeded"
    return state.last.outcome if state.last is not None else "not run yet"


def _counted(outcomes: pd.Series) -> str:
    """`succeeded`, or `2 succeeded, 1 failed`."""
    counts = Counter(outcomes)
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts.items())


def _size(trial: Trial) -> str:
    return f"{trial.architecture.image_size.min}/{trial.architecture.image_size.max}"


def _weights(trial: Trial) -> str:
    """The word, or a file's name with the start of its hash."""
    choice = trial.architecture
    return f"{Path(choice.weights).name} {choice.weights_sha256[:8]}" if choice.weights_sha256 else choice.weights


def _settings(states: tuple[State, ...]) -> dict[str, str]:
    """What tells apart trials of one architecture on one dataset: `lr 0.01, image_size.min 480`, often nothing."""
    flat = {
        state.trial.trial_id: _flat(
            {
                **TRIAL.dump_python(state.trial, mode="json")["hyperparameters"],
                "model": dict(state.trial.architecture.model),
                "image_size": _size(state.trial),
                "weights": _weights(state.trial),
                "protocol": asdict(state.trial.protocol),
                "data": state.trial.dataset.fingerprint[:8],
            }
        )
        for state in states
    }
    values: dict[tuple[str, str, str], set[str]] = {}
    for state in states:
        group = (state.trial.dataset.name, state.trial.architecture.name)
        for key, value in flat[state.trial.trial_id].items():
            values.setdefault((*group, key), set()).add(json.dumps(value))
    return {
        state.trial.trial_id: ", ".join(
            f"{key} {_short(value)}"
            for key, value in flat[state.trial.trial_id].items()
            if len(values[state.trial.dataset.name, state.trial.architecture.name, key]) > 1
        )
        for state in states
    }


def _flat(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value})
    return flat


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
