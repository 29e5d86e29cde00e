"""Analyse a whole suite: the frame of its records, extended by what its stored detections and its races tell."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis import comparable, environments, significance, speed
from harness.analysis.contradiction import without_contradictions
from harness.analysis.dataset import DatasetAnalysis
from harness.analysis.detections.cache import load_or_compute
from harness.analysis.frame import configuration_frame, trial_frame
from harness.analysis.race.read import read_times
from harness.analysis.searches import SearchSummary, search_summaries
from harness.errors import UsageError
from harness.store.results import TrialState, compared_trials, planned_trials, read_results

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.race.read import RaceTimes
    from harness.analysis.significance import Significance
    from harness.store.paths import SuiteFolder

    Analyses = Mapping[tuple[str, str], DetectionAnalysis]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteAnalysis:
    """Everything that the report is rendered from.

    Attributes:
        states: the trials that the report covers, those of searches too, which are in no row.
        n_other_trials: how many trials lie in the folder that the suite, as last run, does not ask for.
        frame: `frame.configuration_frame` with the columns `map_low`, `map_high` (the 95 % interval), `rank_low`,
            `rank_high` and `letters`, and those of `speed.with_race`.
        datasets: one analysis for each table of rows that compare, in the order of the frame.
        searches: how each configuration was tuned; empty where the suite has no search.
    """

    states: tuple[TrialState, ...]
    n_other_trials: int
    frame: pd.DataFrame
    datasets: tuple[DatasetAnalysis, ...]
    searches: tuple[SearchSummary, ...] = ()


def analyse_suite(
    folder: SuiteFolder,
    *,
    bootstrap: bool = True,
    baseline: str | None = None,
    most_new_bytes: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> SuiteAnalysis:
    """Read a results folder and analyse its records, its stored detections and its races.

    Args:
        folder: the suite's results folder.
        bootstrap: False leaves out everything that is computed from detections.
        baseline: the label or architecture of the row that others are compared with; None: the most accurate row, as in
            a table without a row of this name.
        most_new_bytes: of detections that are analysed, beyond those in the cache; None: all of them.
        progress: called with the number of trials whose detections are analysed, and of all such trials.

    Raises:
        UsageError: no measured row has the name `baseline`.
    """
    all_states = read_results(folder)
    states = planned_trials(all_states)
    analyses = {}
    if bootstrap:
        analyses = load_or_compute(folder, compared_trials(states), most_new_bytes=most_new_bytes, progress=progress)
    states = without_contradictions(states, analyses)
    compared = compared_trials(states)
    frame = configuration_frame(trial_frame(compared, folder))
    if baseline is not None and (frame.empty or _named(frame, baseline).empty):
        labels = "\n".join(f"  {label}" for label in dict.fromkeys(frame["label"] if not frame.empty else ()))
        raise UsageError(f"--baseline {baseline}: no measured row has this name; the rows are:\n{labels}")
    datasets = [
        dataset
        for name in dict.fromkeys(frame["dataset"] if not frame.empty else ())
        for dataset in _tables(folder, str(name), frame[frame["dataset"] == name], compared, analyses, baseline)
    ]
    return SuiteAnalysis(
        states=states,
        n_other_trials=len(all_states) - len(states),
        frame=pd.concat([dataset.rows for dataset in datasets]).sort_index() if datasets else frame,
        datasets=tuple(datasets),
        searches=search_summaries(states),
    )


def _tables(
    folder: SuiteFolder,
    name: str,
    rows: pd.DataFrame,
    states: Sequence[TrialState],
    analyses: Analyses,
    baseline: str | None,
) -> Iterator[DatasetAnalysis]:
    """Yield one analysis for each group of a dataset's rows whose accuracies compare."""
    by_id = {state.trial.trial_id: state for state in states}
    groups = comparable.groups(rows, by_id, "accuracy")
    measured = [_measured(rows.loc[list(group)], by_id) for group in groups]
    apart = comparable.different([one for group in measured for one in group], "accuracy") if len(groups) > 1 else ()
    for number, group in enumerate(groups):
        members = rows.loc[list(group)]
        race = read_times(folder, name, set(zip(members["configuration"], members["variant"], strict=True)))
        elsewhere = _elsewhere(race, measured[number])
        yield _table(
            name,
            members,
            by_id,
            analyses,
            None if elsewhere else race,
            baseline,
            apart=apart,
            conditions=comparable.conditions(measured, number),
            race_elsewhere=elsewhere,
        )


def _elsewhere(race: RaceTimes | None, measured: Sequence[tuple[TrialState, str]]) -> tuple[str, ...]:
    """Return in what the environment of a race differs from that of the trials; a newer harness may race them."""
    if race is None:
        return ()
    used = [state.record.environment for state, _ in measured if state.record]
    raced = race.environment
    alike = [replace(one, harness=raced.harness, tf32=raced.tf32) for one in used]
    return environments.differences([raced, *alike])


def _measured(rows: pd.DataFrame, states: Mapping[str, TrialState]) -> list[tuple[TrialState, str]]:
    full = rows[~rows["subset"]]
    return [(states[trial_id], row["variant"]) for _, row in full.iterrows() for trial_id in row["trial_ids"]]


def _table(  # noqa: PLR0913 - what a table is made from
    name: str,
    rows: pd.DataFrame,
    states: Mapping[str, TrialState],
    analyses: Analyses,
    race: RaceTimes | None,
    baseline: str | None,
    *,
    apart: tuple[str, ...],
    conditions: str,
    race_elsewhere: tuple[str, ...],
) -> DatasetAnalysis:
    rows = speed.with_race(rows, race)
    errors = significance.compare_all(rows[~rows["subset"]], analyses)
    rows = _with_intervals(rows, errors)
    groups = comparable.groups(rows, states, "latency")
    mixed = comparable.mixed(rows, states, "latency")
    reasons = comparable.different(_measured(rows, states), "latency") if len(groups) > 1 or mixed else ()
    own = {trial_id: states[trial_id] for trial_ids in rows["all_trial_ids"] for trial_id in trial_ids}
    dataset = DatasetAnalysis(
        name=name,
        apart=apart,
        conditions=conditions,
        rows=rows,
        states=tuple(own.values()),
        measured={trial_id: state.record for trial_id, state in own.items() if state.record},
        analyses=analyses,
        significance=errors,
        speeds=speed.compare_speeds(
            rows, race, groups=groups, reasons=reasons, mixed=mixed, race_elsewhere=race_elsewhere
        ),
        baseline=_baseline(rows, baseline),
    )
    separated = dataset.separated_on_front()
    return replace(dataset, rows=rows.assign(front_separated=[index in separated for index in rows.index]))


def _with_intervals(rows: pd.DataFrame, errors: Significance) -> pd.DataFrame:
    """Add the columns of accuracy's error, NaN or empty where it is not known."""
    nan = float("nan")
    estimates = [errors.estimates.get(index) for index in rows.index]
    ranks = [errors.ranks.get(index, (nan, nan)) for index in rows.index]
    return rows.assign(
        map_low=[estimate.low if estimate else nan for estimate in estimates],
        map_high=[estimate.high if estimate else nan for estimate in estimates],
        map_inflation=[estimate.inflation if estimate else nan for estimate in estimates],
        inflated=[bool(estimate and estimate.inflated) for estimate in estimates],
        rank_low=[low for low, _ in ranks],
        rank_high=[high for _, high in ranks],
        letters=[errors.letters.get(index, "") for index in rows.index],
    )


def _baseline(rows: pd.DataFrame, name: str | None) -> Hashable | None:
    """Return the index of the most accurate row of this name; of the most accurate row where none has it."""
    measured = _named(rows, name)
    measured = _named(rows, None) if measured.empty else measured
    return None if measured.empty else measured.index[0]


def _named(rows: pd.DataFrame, name: str | None) -> pd.DataFrame:
    """Return the rows that are measured on all images, of this label or architecture if there is one."""
    measured = rows[~rows["subset"] & rows["map"].notna()]
    return measured if name is None else measured[(measured["label"] == name) | (measured["architecture"] == name)]
