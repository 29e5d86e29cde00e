"""The comparison that the report is rendered from: the records' frame, with what the stored detections add to it."""

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
        states: the trials that are covered.
        others: how many more lie in the folder.
        frame: `frames.configuration_frame` with `map_low`, `map_high` (95 % over images) and `tie_group`.
        datasets: each of them, in the order of the frame.
    """

    states: tuple[TrialState, ...]
    others: int
    frame: pd.DataFrame
    datasets: tuple[DatasetAnalysis, ...]


def analyse_suite(
    folder: SuiteFolder,
    *,
    bootstrap: bool = True,
    baseline: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> SuiteAnalysis:
    """Read the records, and what their detections tell.

    Args:
        bootstrap: False leaves out everything that is computed from detections.
        baseline: the label or architecture that others are compared with; None: the most accurate one.
        progress: told how many trials' detections are examined, of how many.

    Raises:
        UsageError: there is no such baseline.
    """
    everything = read_results(folder)
    states = planned_trials(everything)
    frame = configuration_frame(trial_frame(states, folder))
    analyses = load_or_compute(folder, states, progress=progress) if bootstrap else {}
    datasets = []
    for name in dict.fromkeys(frame["dataset"] if not frame.empty else ()):
        rows = frame[frame["dataset"] == name]
        judged = significance.compare_all(rows[~rows["subset"]], analyses)
        here = tuple(state for state in states if state.trial.dataset.name == name)
        datasets.append(
            DatasetAnalysis(
                name=str(name),
                rows=_with_intervals(rows, judged),
                states=here,
                measured={state.trial.trial_id: state.record for state in here if state.record},
                analyses=analyses,
                significance=judged,
                baseline=_baseline(rows, baseline),
            )
        )
    if baseline is not None and all(dataset.baseline is None for dataset in datasets):
        known = "\n".join(f"  {label}" for label in dict.fromkeys(frame["label"] if not frame.empty else ()))
        raise UsageError(f"--baseline {baseline}: no row of that name is measured; there are:\n{known}")
    whole = pd.concat([dataset.rows for dataset in datasets]).sort_index() if datasets else frame
    return SuiteAnalysis(states=states, others=len(everything) - len(states), frame=whole, datasets=tuple(datasets))


def _with_intervals(rows: pd.DataFrame, judged: Significance) -> pd.DataFrame:
    nothing = float("nan")
    intervals = [judged.intervals.get(index) for index in rows.index]
    return rows.assign(
        map_low=[interval.low if interval else nothing for interval in intervals],
        map_high=[interval.high if interval else nothing for interval in intervals],
        tie_group=[judged.groups.get(index, nothing) for index in rows.index],
    )


def _baseline(rows: pd.DataFrame, wanted: str | None) -> Hashable | None:
    """The row's index; the most accurate one unless another is wanted."""
    real = rows[~rows["subset"] & rows["map"].notna()]
    if wanted is not None:
        real = real[(real["label"] == wanted) | (real["architecture"] == wanted)]
    return None if real.empty else real.index[0]
