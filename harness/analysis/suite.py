"""Analyse a whole suite: the frame of its records, extended by what its stored detections tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis import significance
from harness.analysis.dataset import DatasetAnalysis
from harness.analysis.detections.cache import load_or_compute
from harness.analysis.frame import configuration_frame, trial_frame
from harness.errors import UsageError
from harness.store.results import TrialState, planned_trials, read_results

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from harness.analysis.significance import Significance
    from harness.store.paths import SuiteFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteAnalysis:
    """Everything that the report is rendered from.

    Attributes:
        states: the trials that the report covers.
        n_other_trials: how many trials lie in the folder that the suite, as last run, does not ask for.
        frame: `frame.configuration_frame` with the columns `map_low`, `map_high` (95 % over images) and `tie_group`.
        datasets: one analysis for each dataset, in the order of the frame.
    """

    states: tuple[TrialState, ...]
    n_other_trials: int
    frame: pd.DataFrame
    datasets: tuple[DatasetAnalysis, ...]


def analyse_suite(
    folder: SuiteFolder,
    *,
    bootstrap: bool = True,
    baseline: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> SuiteAnalysis:
    """Read a results folder and analyse its records and its stored detections.

    Args:
        folder: the suite's results folder.
        bootstrap: False leaves out everything that is computed from detections.
        baseline: the label or architecture of the row that others are compared with; None: the most accurate row.
        progress: called with the number of trials whose detections are analysed, and of all such trials.

    Raises:
        UsageError: no measured row has the name `baseline`.
    """
    all_states = read_results(folder)
    states = planned_trials(all_states)
    frame = configuration_frame(trial_frame(states, folder))
    analyses = load_or_compute(folder, states, progress=progress) if bootstrap else {}
    datasets = []
    for name in dict.fromkeys(frame["dataset"] if not frame.empty else ()):
        rows = frame[frame["dataset"] == name]
        dataset_significance = significance.compare_all(rows[~rows["subset"]], analyses)
        dataset_states = tuple(state for state in states if state.trial.dataset.name == name)
        datasets.append(
            DatasetAnalysis(
                name=str(name),
                rows=_with_intervals(rows, dataset_significance),
                states=dataset_states,
                measured={state.trial.trial_id: state.record for state in dataset_states if state.record},
                analyses=analyses,
                significance=dataset_significance,
                baseline=_baseline(rows, baseline),
            )
        )
    if baseline is not None and all(dataset.baseline is None for dataset in datasets):
        labels = "\n".join(f"  {label}" for label in dict.fromkeys(frame["label"] if not frame.empty else ()))
        raise UsageError(f"--baseline {baseline}: no measured row has this name; the rows are:\n{labels}")
    return SuiteAnalysis(
        states=states,
        n_other_trials=len(all_states) - len(states),
        frame=pd.concat([dataset.rows for dataset in datasets]).sort_index() if datasets else frame,
        datasets=tuple(datasets),
    )


def _with_intervals(rows: pd.DataFrame, significance: Significance) -> pd.DataFrame:
    """Add the columns `map_low`, `map_high` and `tie_group`, NaN where they are not known."""
    nan = float("nan")
    intervals = [significance.intervals.get(index) for index in rows.index]
    return rows.assign(
        map_low=[interval.low if interval else nan for interval in intervals],
        map_high=[interval.high if interval else nan for interval in intervals],
        tie_group=[significance.groups.get(index, nan) for index in rows.index],
    )


def _baseline(rows: pd.DataFrame, name: str | None) -> Hashable | None:
    """Return the index of the most accurate row, or of the most accurate one that has this name."""
    measured = rows[~rows["subset"] & rows["map"].notna()]
    if name is not None:
        measured = measured[(measured["label"] == name) | (measured["architecture"] == name)]
    return None if measured.empty else measured.index[0]
