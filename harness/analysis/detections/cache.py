"""The analysis of every trial's detections in a results folder: read from the folder's cache, or computed.

The key of a cache file is the content of the detections and the ground truth, and the version of this computation. The
cache can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import itertools
import logging
import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.detections.analyse import DetectionAnalysis, analyse_detections
from harness.analysis.detections.ground_truth import ground_truth_of
from harness.errors import HarnessError
from harness.formatting import counted
from harness.store import files, paths
from harness.store.problems import note
from harness.store.record import AS_TRAINED
from harness.store.tables import UnreadableError, read_detections
from harness.workers import map_in_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.open import Split
    from harness.store.arrays import StoredGroundTruth
    from harness.store.paths import SuiteFolder, TrialFolder
    from harness.store.record import Record
    from harness.store.results import TrialState

log = logging.getLogger(__name__)

_VERSION = 5  # of the computation; raise it when a field of `DetectionAnalysis` changes its name or meaning
_MIN_PARALLEL_BYTES = 5_000_000  # fewer bytes of detections are analysed sooner than processes start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """One file of detections to analyse.

    Attributes:
        key: the trial id and the variant.
        detections: the file.
        ground_truth: the boxes of the evaluated split.
        min_score: the deployment's score threshold.
        cached: the cache file of the analysis.
    """

    key: tuple[str, str]
    detections: Path
    ground_truth: StoredGroundTruth
    min_score: float
    cached: Path

    def read(self) -> DetectionAnalysis | None:
        """Read the analysis from the cache; None if it is not there or damaged."""
        try:
            data = io.BytesIO(self.cached.read_bytes())  # numpy leaves a damaged file open
            with np.load(data, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            fields = {name: value if value.ndim else value.item() for name, value in arrays.items()}
            return DetectionAnalysis(**{**fields, "class_names": tuple(fields["class_names"].tolist())})
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - a damaged archive can raise anything, and is only a cache
            log.info("%s: cannot be used (%s) and is computed again", self.cached, error)
            return None


def load_or_compute(
    folder: SuiteFolder,
    states: Sequence[TrialState],
    *,
    most_new_bytes: int | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[tuple[str, str], DetectionAnalysis]:
    """Return the analysis of each trial and variant that has ground truth and detections.

    Args:
        folder: the suite's results folder.
        states: the trials.
        most_new_bytes: leave out what is not in the cache beyond so many bytes of detections, and note it; None: all.
        progress: called with the number of analyses that are done, and of all.

    Returns:
        The analyses by trial id and variant; the variant of the model itself is `AS_TRAINED`.
    """
    opened: dict[str, Mapping[str, Split]] = {}
    jobs = [job for state in states for job in _jobs(folder, state, opened)]
    analyses = {job.key: analysis for job in jobs if (analysis := job.read()) is not None}
    new = [job for job in jobs if job.key not in analyses]
    if most_new_bytes is not None:
        so_far = itertools.accumulate(job.detections.stat().st_size for job in new)
        few = [job for job, until in zip(new, so_far, strict=True) if until <= most_new_bytes]
        if len(few) < len(new):
            note(
                f"the detections of {counted(len(new) - len(few), 'row')} are many, so they are analysed when the run "
                "ends: intervals and errors come then, or with `harness report` now"
            )
        new = few
    done = len(jobs) - len(new)
    progress(done, len(jobs))
    for number, (job, analysed) in enumerate(_analyse_all(new), 1):
        if isinstance(analysed, str):
            note(analysed)
        else:
            analyses[job.key] = analysed
            _write(job.cached, analysed)
        progress(min(done + number, len(jobs)), len(jobs))
    return {job.key: analyses[job.key] for job in jobs if job.key in analyses}


def _jobs(folder: SuiteFolder, state: TrialState, opened: dict[str, Mapping[str, Split]]) -> Iterator[_Job]:
    """Yield a job for each stored file of detections of a trial, if its ground truth can be read."""
    if state.record is None:
        return
    trial = folder.trial(state.trial.trial_id)
    names = [None, *(variant.name for variant in state.record.variants if variant.metrics is not None)]
    stored = [(name, path) for name in names if (path := paths.stored(trial.detections(name))).is_file()]
    ground_truth = _read_ground_truth(trial, state.record, opened) if stored else None
    if ground_truth is None:
        return
    min_score = state.trial.protocol.deployment_score_threshold
    for name, path in stored:
        try:
            content = path.read_bytes()
        except OSError as error:
            note(f"{path}: cannot be used: {error}")
            continue
        digest = hashlib.sha256(repr((_VERSION, ground_truth.fingerprint(), min_score)).encode())
        digest.update(content)
        yield _Job(
            key=(state.trial.trial_id, name or AS_TRAINED),
            detections=path,
            ground_truth=ground_truth,
            min_score=min_score,
            cached=folder.cache / f"{digest.hexdigest()[:32]}.npz",
        )


def _read_ground_truth(
    folder: TrialFolder, record: Record, opened: dict[str, Mapping[str, Split]]
) -> StoredGroundTruth | None:
    try:
        return ground_truth_of(folder, record, opened)
    except (OSError, UnreadableError) as error:
        note(f"{paths.stored(folder.ground_truth)}: cannot be used: {error}")
        return None


def _analyse_all(jobs: Sequence[_Job]) -> Iterator[tuple[_Job, DetectionAnalysis | str]]:
    """Yield each job with its analysis, in order; several processes work if the detections are large."""
    workers = min(len(jobs), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if workers < 2 or sum(job.detections.stat().st_size for job in jobs) < _MIN_PARALLEL_BYTES:  # noqa: PLR2004 - one is this process
        yield from ((job, _analyse(job)) for job in jobs)
        return
    try:
        yield from zip(jobs, map_in_processes(_analyse, jobs, processes=workers), strict=True)
    except BrokenProcessPool:
        log.warning(
            "a process that analyses detections was killed, probably for lack of memory; going on in one process"
        )
        yield from ((job, _analyse(job)) for job in jobs)


def _analyse(job: _Job) -> DetectionAnalysis | str:
    """Return the analysis, or why there is none: what another process notes is not told in this one."""
    try:
        detections = read_detections(job.detections.read_bytes(), job.ground_truth)
        return analyse_detections(job.ground_truth, detections, min_score=job.min_score)
    except (OSError, UnreadableError) as error:
        return f"{job.detections}: cannot be used: {error}"


def _write(path: Path, analysis: DetectionAnalysis) -> None:
    stream = io.BytesIO()
    columns: dict[str, Any] = {name: np.asarray(value) for name, value in asdict(analysis).items()}
    np.savez_compressed(stream, **columns)
    try:
        files.make_derived_folder(path.parent)
        files.replace(path, stream.getbuffer())
    except HarnessError as error:  # in a read-only folder, the analysis is computed each time
        log.info("%s: the analysis is not cached: %s", path, error)
