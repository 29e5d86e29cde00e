"""From the states of trials to frames: one row a trial, then one row a configuration, seeds aggregated.

Owns the arithmetic of the comparison, all in SI units; `harness.report.markdown` converts and words it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis import statistics
from harness.analysis.settings import settings, size, weights
from harness.store.record import AS_TRAINED
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.expand import configuration_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.store.paths import SuiteFolder
    from harness.store.record import Inference, MeasurementWarning, Memory, Metrics, Record, Variant
    from harness.store.results import TrialState
    from harness.suite.trial import Trial

CANNOT = "cannot"
AT_THRESHOLD = "latency at "  # columns of the latency pass by score threshold, in seconds
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
    "worst_memory_bytes",
    "driver_memory_bytes",
    "transform_s",
    "forward_s",
    "postprocess_s",
    "joules_per_image",
    "joules",
    "compile_s",
    "latency_n",
    "latency_iqr_s",
    "latency_p99_s",
    "latency_low_s",
    "latency_high_s",
)


def trial_frame(states: Iterable[TrialState], folder: SuiteFolder | None = None) -> pd.DataFrame:
    """One row a trial, and one more for each of its variants; numbers are NaN where it has no record.

    Args:
        folder: where the raw samples are, for the interval of a latency.
    """
    states = tuple(states)
    told_apart = settings(states)
    rows = []
    for state in states:
        trial, choice = state.trial, state.trial.architecture
        row = choice.own or BUILT_IN.get(choice.name)
        fixed = {
            "trial_id": trial.trial_id,
            "configuration": configuration_key(trial),
            "dataset": trial.dataset.name,
            "architecture": choice.name,
            "setting": told_apart[trial.trial_id],
            "backbone": row.backbone if row else None,
            "stages": row.stages if row else None,
            "weights": weights(trial),
            "image_size": size(trial),
            "seed": trial.seed,
            "subset": trial.max_images is not None,
        }
        named = {"variant": AS_TRAINED, "how": _as_trained(trial), "outcome": _outcome(state)}
        own = [{**fixed, **named, **_plain(state)}]
        own += [{**fixed, **_variant(variant, state)} for variant in (state.record.variants if state.record else ())]
        if folder is not None and state.record is not None:
            samples = statistics.read_latencies(folder.trial(trial.trial_id).samples)
            own = [{**line, **_interval(samples.get(line["variant"]))} for line in own]
        rows += own
    return pd.DataFrame(rows)


def _interval(samples: pd.DataFrame | None) -> dict[str, float]:
    if samples is None:
        return {}
    interval = statistics.median_latency(samples)
    return {"latency_low_s": interval.low, "latency_high_s": interval.high}


def configuration_frame(trials: pd.DataFrame) -> pd.DataFrame:
    """One row a configuration and variant, best mAP first and subset rows last.

    Means over seeds, with `map_std` and `latency_std_s` (ddof 1), their number `n`, and the outcomes.
    `trial_ids` are of the seeds that the means are over.

    Latency's median and p95 are averaged over seeds like the others: each is already a statistic of its own trial.
    """
    if trials.empty:
        return trials.assign(n=[], map_std=[], outcomes=[], warnings=[], trial_ids=[])
    groups = trials.groupby(["configuration", "variant"], sort=False)
    fixed = ["dataset", "architecture", "setting", "backbone", "stages", "weights", "image_size", "subset"]
    frame = groups[fixed].first()
    means = [*_MEANS, *(name for name in trials if name.startswith(AT_THRESHOLD))]
    frame[means] = groups[means].mean()
    frame["map_std"] = groups["map"].std(ddof=1)
    frame["latency_std_s"] = groups["latency_median_s"].std(ddof=1)
    frame["n"] = groups["map"].count()
    frame["latency_n"] = groups["latency_n"].sum(min_count=1)
    # Over images, of one model; between seeds there is another spread, which `map_std` tells.
    frame.loc[groups.size() > 1, ["latency_low_s", "latency_high_s"]] = float("nan")
    frame["how"] = groups["how"].agg(lambda column: "; ".join(dict.fromkeys(how for how in column if how)))
    frame["batch_size"] = groups["batch_size"].first()
    frame["outcomes"] = groups["outcome"].agg(_counted)
    measured = trials[trials["map"].notna()].groupby(["configuration", "variant"], sort=False)["trial_id"].agg(tuple)
    frame["trial_ids"] = [measured.get(key, ()) for key in frame.index]
    frame["warnings"] = [_warnings(group) for _, group in groups]
    frame = frame.reset_index()
    deployed = frame.groupby("configuration")["variant"].transform("nunique") > 1
    frame["label"] = [_label(row, named=several) for (_, row), several in zip(frame.iterrows(), deployed, strict=True)]
    return frame.sort_values(["subset", "map"], ascending=[True, False], kind="stable", ignore_index=True)


def pareto_front(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that no other row beats in both latency and mAP, fastest first."""
    measured = frame.dropna(subset=["map", "latency_median_s"])
    ordered = measured.sort_values(["latency_median_s", "map"], ascending=[True, False], kind="stable")
    best_before = ordered["map"].cummax().shift(fill_value=-1.0)
    return ordered[ordered["map"] > best_before]


def leading(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """The models as trained that a close look is worth most, best first: of the front, then the most accurate.

    Rehearsals are never among them.
    """
    measured = rows[(rows["variant"] == AS_TRAINED) & rows["map"].notna() & ~rows["subset"]]
    front = pareto_front(measured).index
    chosen = [*measured.index[measured.index.isin(front)], *measured.index[~measured.index.isin(front)]][:count]
    return measured.loc[sorted(chosen)]


def result_of_variant(record: Record | None, variant: str) -> Record | Variant | None:
    """What has the metrics and measurements of a variant; None where it has none."""
    if record is None or variant == AS_TRAINED:
        return record
    return next((found for found in record.variants if found.name == variant and found.metrics), None)


def _warnings(trials: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Each warning once; one that not all seeds have says whose it is."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for warnings, seed in zip(trials["warnings"], trials["seed"], strict=True):
        for warning in warnings:
            seeds.setdefault(warning, []).append(str(seed))
    return tuple(
        (name, reason if len(own) == len(trials) else f"seed {', '.join(own)}: {reason}")
        for (name, reason), own in seeds.items()
    )


def _label(row: pd.Series, *, named: bool) -> str:
    """What a row is called: the architecture, what tells it apart, and how it runs where there are several ways."""
    setting = f" ({row['setting']})" if row["setting"] else ""
    way = row["how"] if row["variant"] == AS_TRAINED else row["variant"]
    subset = ", subset" if row["subset"] else ""
    return f"{row['architecture']}{setting}" + (f", {way}" if named else "") + subset


def _plain(state: TrialState) -> dict[str, Any]:
    """The model as it was trained, and its training."""
    record = state.record
    if record is None:
        return {**dict.fromkeys(_MEANS, float("nan")), "batch_size": float("nan"), "warnings": ()}
    measured = record.measurements
    return {
        **_deployed(record, record.metrics, measured, record.warnings),
        "train_images_per_s": measured.train_images_per_s,
        "training_memory_bytes": _peak(measured.memory.training),
        "wall_s": sum(a.wall_s for a in record.attempts if a.outcome != "preflight_passed"),
        "joules": measured.joules,
    }


def _variant(variant: Variant, state: TrialState) -> dict[str, Any]:
    """The same weights in another way, or why that cannot be."""
    assert state.record is not None
    named = {"variant": variant.name, "how": variant.how or ""}
    if variant.metrics is None or variant.measurements is None:
        warnings = ((CANNOT, variant.problem or "no reason was given"),)
        return {
            **dict.fromkeys((*_MEANS, "batch_size"), float("nan")),
            **named,
            "outcome": CANNOT,
            "warnings": warnings,
        }
    numbers = _deployed(state.record, variant.metrics, variant.measurements, variant.warnings)
    return {**numbers, **named, "outcome": "succeeded", "compile_s": variant.compile_s}


def _deployed(
    record: Record, metrics: Metrics, measured: Inference, warnings: tuple[MeasurementWarning, ...]
) -> dict[str, Any]:
    phases = measured.phases_s
    return {
        **dict.fromkeys(_MEANS, float("nan")),
        "map": metrics.map,
        "map_50": metrics.map_50,
        "map_75": metrics.map_75,
        "latency_median_s": measured.latency_s.median,
        "latency_p95_s": measured.latency_s.p95,
        "latency_n": measured.latency_s.n,
        "latency_iqr_s": measured.latency_s.iqr,
        "latency_p99_s": measured.latency_s.p99,
        **{f"{AT_THRESHOLD}{at.score_threshold:g}": at.latency_s.median for at in measured.latency_by_threshold},
        "throughput_images_per_s": measured.throughput_images_per_s,
        "batch_size": measured.throughput_batch_size,
        "inference_memory_bytes": _peak(measured.memory.inference),
        "worst_memory_bytes": _peak(measured.memory.worst_case),
        "driver_memory_bytes": measured.memory.inference.peak_driver_bytes,
        "parameters": record.model.parameters,
        "flops": record.model.flops,
        "transform_s": phases.transform.median if phases else float("nan"),
        "forward_s": phases.forward.median if phases else float("nan"),
        "postprocess_s": phases.postprocess.median if phases else float("nan"),
        "joules_per_image": measured.joules_per_image,
        "warnings": tuple((warning.name, warning.reason) for warning in warnings),
    }


def _peak(memory: Memory | None) -> int | None:
    if memory is None:
        return None
    return memory.peak_reserved_bytes if memory.peak_reserved_bytes is not None else memory.peak_resident_bytes


def _as_trained(trial: Trial) -> str:
    """How the model runs by itself: eager, at the precision of its training."""
    precision = trial.hyperparameters.precision
    return "eager-fp32" if precision == "fp32" else f"eager-{precision}, autocast"


def _outcome(state: TrialState) -> str:
    if state.record is not None:
        return "succeeded"
    if state.problem is not None:
        return "unreadable"
    return state.last.outcome if state.last is not None else "not run yet"


def _counted(outcomes: pd.Series) -> str:
    """`succeeded`, or `2 succeeded, 1 failed`."""
    counts = Counter(outcomes)
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts.items())
