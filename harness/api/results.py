"""What starts from a results folder: the report, a comparison, a recommendation, the status of a run, pandas frames."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.arguments import check_number, no_progress, one_of, texts
from harness.errors import UsageError
from harness.scheduling import estimate
from harness.scheduling.search import shared_preflights
from harness.store import files, lock, problems, run_status
from harness.store.results import find_trial, planned_trials, read_plan, read_results, suite_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from harness.analysis.compare.results import ResultComparison
    from harness.analysis.recommend import Advice
    from harness.analysis.results import Results
    from harness.scheduling.estimate import StageSeconds
    from harness.store.lock import Holder
    from harness.store.paths import SuiteFolder
    from harness.store.results import TrialState


_BETWEEN_TRIALS_BYTES = 1_000_000  # of new detections that are analysed between two trials


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStatus:
    """How far the trials of a results folder are.

    Attributes:
        folder: the suite's results folder.
        suite_file: the suite file as it was named when it was last run.
        states: each trial that the suite asks for.
        counts: how many trials are measured, failed, and left.
        span: when the first attempt started and when the last one ended; None if there was none.
        holder: the process that runs the suite now; None if nobody does.
        failures: what failed, grouped by reason.
        expected_stages: seconds that each trial's stages take, by its id, as far as that is known.
    """

    folder: SuiteFolder
    suite_file: str | None
    states: tuple[TrialState, ...]
    counts: tuple[int, int, int]
    span: tuple[datetime, datetime] | None
    holder: Holder | None
    failures: tuple[run_status.Failed, ...]
    expected_stages: Mapping[str, StageSeconds]

    @property
    def pending(self) -> tuple[TrialState, ...]:
        """The trials that have no record and did not fail."""
        return tuple(state for state in self.states if state.record is None and not state.failed)


def report(
    results: str | Path,
    *,
    bootstrap: bool = True,
    baseline: str | None = None,
    exports: Mapping[str, str | Path | BinaryIO] | None = None,
    progress: Callable[[int, int], None] = no_progress,
) -> Path:
    """Write the report of a suite's results again, as `report.md` and `report.html`.

    Args:
        results: the suite's results folder, results/<suite>.
        bootstrap: whether to compute what needs the stored detections, such as intervals, which takes seconds.
        baseline: the row that the others are compared with, by its label or architecture; None: the most accurate one.
        exports: by format (csv, parquet, json, latex) a file, or a binary stream, that the rows are written to as well.
        progress: called with how many trials' detections are analysed, and of how many.

    Returns:
        The path of `report.md`.

    Raises:
        UsageError: there are no such results, no such baseline, no such format, or a file cannot be written there.
        MachineError: the disk is full or failing.
    """
    from harness.analysis.suite import analyse_suite
    from harness.report import write  # pandas and matplotlib take a second, which plan and validate need not wait for
    from harness.report.exports import FORMATS

    folder = suite_folder(Path(results))
    wrong = [name for name in exports or () if name not in FORMATS]
    if wrong:
        raise UsageError(f"exports: {', '.join(wrong)}: the formats are {', '.join(FORMATS)}")
    with problems.collected() as noted:
        analysis = analyse_suite(folder, bootstrap=bootstrap, baseline=baseline, progress=progress)
    for name, place in (exports or {}).items():
        content = FORMATS[name](analysis.frame)
        if isinstance(place, str | Path):
            files.write_out(Path(place), content)
        else:
            try:
                place.write(content)
            except TypeError:
                raise UsageError(f"exports: {name}: needs a stream of bytes, such as open(…, 'wb')") from None
    return write.write(folder, analysis, noted)


def report_between_trials(folder: SuiteFolder) -> None:
    """Write the report soon: what needs many detections that are not analysed yet comes when the run ends.

    Raises:
        UsageError: the folder cannot be written.
        MachineError: the disk is full or failing.
    """
    from harness.analysis.suite import analyse_suite
    from harness.report import write

    with problems.collected() as noted:
        analysis = analyse_suite(folder, most_new_bytes=_BETWEEN_TRIALS_BYTES)
    write.write(folder, analysis, noted)


def compare(
    reference: str | Path,
    candidate: str | Path,
    *,
    gates: Sequence[str] = (),
    progress: Callable[[int, int], None] = no_progress,
) -> ResultComparison:
    """Compare the results of two runs: whether each detector is more or less accurate, or not separated.

    Args:
        reference: a suite's results folder, or `FOLDER@COMMIT`: the folder as git has it in a commit.
        candidate: the same, for the results that are judged.
        gates: how far the candidate may fall behind, such as `map:-0.01` or `latency:+10%`.
        progress: called with how many trials' detections are analysed, and of how many.

    Raises:
        UsageError: there are no such results, no such commit, or a text is no gate.
    """
    from harness.analysis.compare.gates import parse_gates
    from harness.analysis.compare.results import compare_results

    parsed = parse_gates(texts("gates", gates))
    with contextlib.ExitStack() as opened:
        first, second = (_opened(str(place), opened) for place in (reference, candidate))
        return compare_results(first, second, parsed, progress=progress)


def _opened(place: str, opened: contextlib.ExitStack) -> SuiteFolder:
    """The results folder at a place; one of a commit lies in a temporary folder until `opened` is closed."""
    from harness.store import git

    path, commit = git.parted(place)
    return suite_folder(path) if commit is None else opened.enter_context(git.at_commit(path, commit))


def recommend(
    results: str | Path,
    *,
    max_latency_s: float | None = None,
    max_memory_bytes: int | None = None,
    min_metric: float | None = None,
    metric: str = "map",
    progress: Callable[[int, int], None] = no_progress,
) -> tuple[Advice, ...]:
    """Say for each dataset which detector to ship within limits, and why each other one lost, as the report does.

    It is the fastest of those whose accuracy is not separated from the best one's within the limits.

    Args:
        results: the suite's results folder, results/<suite>.
        max_latency_s: the longest median latency of one image, in seconds; None: no limit.
        max_memory_bytes: the highest peak memory of inference; None: no limit.
        min_metric: the lowest value of `metric`; None: no limit.
        metric: what the detector is to be best in: map, map_50 or map_75.
        progress: called with how many trials' detections are analysed, and of how many.

    Returns:
        One advice for each table of rows that compare; `ships` says whether it can be followed.

    Raises:
        UsageError: there are no such results, or no such metric.
    """
    from harness.analysis.recommend import METRICS, Bounds, advise
    from harness.analysis.suite import analyse_suite

    one_of("metric", metric, METRICS)
    for name, limit in (
        ("max_latency_s", max_latency_s),
        ("max_memory_bytes", max_memory_bytes),
        ("min_metric", min_metric),
    ):
        check_number(name, limit)
    bounds = Bounds(max_latency_s=max_latency_s, max_memory_bytes=max_memory_bytes, min_metric=min_metric)
    return advise(analyse_suite(suite_folder(Path(results)), progress=progress), bounds, metric)


def load_results(results: str | Path) -> Results:
    """Read the results of a suite as pandas frames: trials, rows, detections and timings.

    Args:
        results: the suite's results folder, results/<suite>.

    Raises:
        UsageError: there are no such results.
    """
    from harness.analysis.results import read_frames

    return read_frames(suite_folder(Path(results)))


def status(results: str | Path) -> RunStatus:
    """See how far a suite is, from the files of its results folder alone: also while it runs, also on another machine.

    Raises:
        UsageError: there are no such results.
    """
    folder = suite_folder(Path(results))
    states = planned_trials(read_results(folder))
    preflights = {state.trial.trial_id: state.preflight for state in states if state.preflight is not None}
    records = [state.record for state in states if state.record]
    trials = [state.trial for state in states]
    return RunStatus(
        folder=folder,
        suite_file=read_plan(folder).suite_file,
        states=states,
        counts=run_status.counts(states),
        span=run_status.span(states),
        holder=lock.holder(folder.lock),
        failures=run_status.failures(states),
        expected_stages=estimate.expected_stages(trials, shared_preflights(trials, preflights), records),
    )


def load_trial(trial_id: str, results: str | Path = "results") -> TrialState:
    """Read one trial: its record, its attempts, its last log.

    Args:
        trial_id: the id of the trial; its start is enough.
        results: the folder that holds `<suite>/`, or one suite's own.

    Raises:
        UsageError: no trial's id starts so, or several do.
    """
    return find_trial(trial_id, Path(results))[1]
