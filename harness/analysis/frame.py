"""Tables of results as pandas frames: one row for each trial, then one for each configuration, averaged over seeds.

Owns the arithmetic of the comparison, all in SI units; `harness.report` converts the units and writes the words.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pandas as pd

from harness.analysis import latency
from harness.analysis.settings import distinguishing_settings, image_size, weights_name
from harness.store.record import AS_TRAINED
from harness.suite.catalog.describe import backbone_name
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.expand import configuration_key
from harness.suite.tuning import is_awaited

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.store.paths import SuiteFolder
    from harness.store.record import Inference, MeasurementWarning, Memory, Metrics, Record, Variant
    from harness.store.results import TrialState
    from harness.suite.trial import Trial

CANNOT = "cannot"
AT_THRESHOLD = "latency_at_"  # begins the names of the median latencies at a score threshold: `latency_at_0.05_s`
_MEANS = (
    "map",
    "map_50",
    "map_75",
    "map_at_detections",
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
    "epochs",
    "images_seen",
    "training_s",
)


def trial_frame(states: Iterable[TrialState], folder: SuiteFolder | None = None) -> pd.DataFrame:
    """Build a frame with one row for each trial and one for each of its variants; numbers are NaN without a record.

    Args:
        states: the trials.
        folder: where the raw timings are, for the intervals of latencies; None leaves the intervals out.
    """
    states = tuple(states)
    settings = distinguishing_settings(state.trial for state in states)
    rows = []
    for state in states:
        trial, choice = state.trial, state.trial.architecture
        built_in = BUILT_IN.get(choice.name)
        row = choice.own or built_in
        fixed = {
            "trial_id": trial.trial_id,
            "configuration": configuration_key(trial),
            "dataset": trial.dataset.name,
            "architecture": choice.name,
            "setting": settings[trial.trial_id],
            "backbone": choice.own.backbone
            if choice.own
            else built_in and backbone_name(built_in, choice.model, choice.weights),
            "stages": row.stages if row else None,
            "weights": weights_name(trial),
            "image_size": image_size(trial),
            "lr": float("nan") if is_awaited(trial) else trial.hyperparameters.lr,
            "seed": trial.seed,
            "subset": trial.max_images is not None,
        }
        named = {"variant": AS_TRAINED, "how": _as_trained(trial), "outcome": _outcome(state)}
        lines = [{**fixed, **named, **_trained(state)}]
        lines += [{**fixed, **_variant(variant, state)} for variant in (state.record.variants if state.record else ())]
        if folder is not None and state.record is not None:
            samples = latency.read_latencies(folder.trial(trial.trial_id).samples)
            lines = [{**line, **_interval(samples.get(line["variant"]))} for line in lines]
        rows += lines
    return pd.DataFrame(rows)


def _interval(samples: pd.DataFrame | None) -> dict[str, float]:
    if samples is None:
        return {}
    interval = latency.median_latency(samples)
    return {"latency_low_s": interval.low, "latency_high_s": interval.high}


def configuration_frame(trials: pd.DataFrame) -> pd.DataFrame:
    """Build a frame with one row for each configuration and variant, best mAP first and subset rows last.

    Numbers are means over seeds. `map_std` and `latency_std_s` are standard deviations over seeds (ddof 1), `n` is the
    number of seeds that succeeded, `trial_ids` are their trials, `asked` is the number of seeds that the suite asks
    for, `all_trial_ids` are their trials, and `outcomes` says how all seeds ended.

    The median and the p95 of latency are averaged over seeds like the others: each is a statistic of its own trial.
    """
    if trials.empty:
        return trials.assign(n=[], asked=[], map_std=[], outcomes=[], warnings=[], trial_ids=[], all_trial_ids=[])
    groups = trials.groupby(["configuration", "variant"], sort=False)
    fixed = ["dataset", "architecture", "setting", "backbone", "stages", "weights", "image_size", "lr", "subset"]
    frame = groups[fixed].first()
    means = [*_MEANS, *(name for name in trials if name.startswith(AT_THRESHOLD))]
    frame[means] = groups[means].mean()
    frame["map_std"] = groups["map"].std(ddof=1)
    frame["latency_std_s"] = groups["latency_median_s"].std(ddof=1)
    frame["n"] = groups["map"].count()
    frame["asked"] = groups.size()
    frame["all_trial_ids"] = groups["trial_id"].agg(tuple)
    frame["latency_n"] = groups["latency_n"].sum(min_count=1)
    # This interval is over the images of one model; the spread over seeds is another one, which `latency_std_s` holds.
    frame.loc[groups.size() > 1, ["latency_low_s", "latency_high_s"]] = float("nan")
    frame["how"] = groups["how"].agg(lambda column: "; ".join(dict.fromkeys(how for how in column if how)))
    frame["batch_size"] = groups["batch_size"].first()
    frame["outcomes"] = groups["outcome"].agg(_count_outcomes)
    measured = trials[trials["map"].notna()].groupby(["configuration", "variant"], sort=False)["trial_id"].agg(tuple)
    frame["trial_ids"] = [measured.get(key, ()) for key in frame.index]
    frame["warnings"] = [_warnings(group) for _, group in groups]
    frame = frame.reset_index()
    deployed = frame.groupby("configuration")["variant"].transform("nunique") > 1
    frame["label"] = [_label(row, named=several) for (_, row), several in zip(frame.iterrows(), deployed, strict=True)]
    return frame.sort_values(["subset", "map"], ascending=[True, False], kind="stable", ignore_index=True)


def pareto_front(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that no other row beats in both latency and mAP, the fastest first."""
    measured = frame.dropna(subset=["map", "latency_median_s"])
    ordered = measured.sort_values(["latency_median_s", "map"], ascending=[True, False], kind="stable")
    best_before = ordered["map"].cummax().shift(fill_value=-1.0)
    return ordered[ordered["map"] > best_before]


def leading_rows(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return at most `count` rows of models as trained, best first: the Pareto front, then the most accurate others.

    Rows of a subset of the images are never among them.
    """
    measured = rows[(rows["variant"] == AS_TRAINED) & rows["map"].notna() & ~rows["subset"]]
    front = pareto_front(measured).index
    ordered = [*measured.index[measured.index.isin(front)], *measured.index[~measured.index.isin(front)]]
    return measured.loc[sorted(ordered[:count])]


def result_of_variant(record: Record | None, variant: str) -> Record | Variant | None:
    """Return what holds the metrics and measurements of a variant; None if they do not exist."""
    if record is None or variant == AS_TRAINED:
        return record
    return next((candidate for candidate in record.variants if candidate.name == variant and candidate.metrics), None)


def _warnings(trials: pd.DataFrame) -> tuple[tuple[str, str], ...]:
    """Collect each warning once, as (name, reason); one that only some seeds have names those seeds."""
    seeds: dict[tuple[str, str], list[str]] = {}
    for warnings, seed in zip(trials["warnings"], trials["seed"], strict=True):
        for warning in warnings:
            seeds.setdefault(warning, []).append(str(seed))
    return tuple(
        (name, reason if len(warned) == len(trials) else f"seed {', '.join(warned)}: {reason}")
        for (name, reason), warned in seeds.items()
    )


def _label(row: pd.Series, *, named: bool) -> str:
    """Name a row: the architecture, the settings that distinguish it, and with `named` how the model runs."""
    setting = f" ({row['setting']})" if row["setting"] else ""
    how = row["how"] if row["variant"] == AS_TRAINED else row["variant"]
    subset = ", subset" if row["subset"] else ""
    return f"{row['architecture']}{setting}" + (f", {how}" if named else "") + subset


def _trained(state: TrialState) -> dict[str, Any]:
    """Return the numbers of the model as it was trained, and of its training."""
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
        **_budget(record),
    }


def _budget(record: Record) -> dict[str, float]:
    """Return how much training went into a trial: epochs, images seen with their repetitions, seconds."""
    epochs, seen = len(record.measurements.epochs), record.measurements.images_seen
    trial, splits = record.trial, record.data.splits
    images = splits["train"].images if splits and "train" in splits else float("nan")
    images = min(images, trial.max_images) if trial.max_images is not None else images
    seconds = record.measurements.training_s
    return {
        "epochs": epochs,
        "images_seen": epochs * images if seen is None else seen,
        "training_s": float("nan") if seconds is None else seconds,
    }


def _variant(variant: Variant, state: TrialState) -> dict[str, Any]:
    """Return the numbers of a variant, or the reason why it cannot run as a warning."""
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
    numbers |= _budget(state.record)
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
        "map_at_detections": metrics.map_at_detections,
        "latency_median_s": measured.latency_s.median,
        "latency_p95_s": measured.latency_s.p95,
        "latency_n": measured.latency_s.n,
        "latency_iqr_s": measured.latency_s.iqr,
        "latency_p99_s": measured.latency_s.p99,
        **{f"{AT_THRESHOLD}{at.score_threshold:g}_s": at.latency_s.median for at in measured.latency_by_threshold},
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
    """Say how the model as trained runs: eager, at the precision of its training."""
    precision = trial.hyperparameters.precision
    return "eager-fp32" if precision == "fp32" else f"eager-{precision}, autocast"


def _outcome(state: TrialState) -> str:
    if state.record is not None:
        return "succeeded"
    if state.problem is not None:
        return "unreadable"
    return state.last.outcome if state.last is not None else "not run yet"


def _count_outcomes(outcomes: pd.Series) -> str:
    """Return `succeeded` if all outcomes are equal, else counts such as `2 succeeded, 1 failed`."""
    counts = Counter(outcomes)
    return next(iter(counts)) if len(counts) == 1 else ", ".join(f"{count} {name}" for name, count in counts.items())
