"""The evidence of every trial of a results folder: computed where it is new, else read from the folder's cache.

The cache is keyed by content: what was found, the labels, and this code's version. It can be deleted at any time.
"""

from __future__ import annotations

import hashlib
import io
import logging
import multiprocessing
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.analysis.detections.analyse import DetectionAnalysis, analyse_detections
from harness.analysis.detections.ground_truth import ground_truth_of
from harness.errors import HarnessError
from harness.store import files, paths
from harness.store.record import AS_TRAINED
from harness.store.tables import UnreadableError, read_detections

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.data.open import Split
    from harness.store.arrays import StoredGroundTruth
    from harness.store.paths import SuiteFolder, TrialFolder
    from harness.store.record import Record
    from harness.store.results import TrialState

log = logging.getLogger(__name__)

_VERSION = 2  # of the computation: raise it when any number of `Evidence` changes its meaning
_FEW = 5_000_000  # bytes of detections that are examined sooner than processes start


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Job:
    """One file of detections, and what it is judged by."""

    key: tuple[str, str]
    detections: Path
    labels: StoredGroundTruth
    deployed: float
    cached: Path

    def read(self) -> DetectionAnalysis | None:
        """From the cache."""
        try:
            data = io.BytesIO(self.cached.read_bytes())  # numpy leaves a damaged file open
            with np.load(data, allow_pickle=False) as stored:
                found = {name: stored[name] for name in stored.files}
            plain = {name: value if value.ndim else value.item() for name, value in found.items()}
            return DetectionAnalysis(**{**plain, "class_names": tuple(plain["class_names"].tolist())})
        except FileNotFoundError:
            return None
        except Exception as error:  # noqa: BLE001 - a damaged archive raises whatever it likes, and is only a cache
            log.info("%s: cannot be used (%s), computed anew", self.cached, error)
            return None


def load_or_compute(
    folder: SuiteFolder,
    states: Sequence[TrialState],
    *,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> dict[tuple[str, str], DetectionAnalysis]:
    """By trial id and variant (`AS_TRAINED` for the model itself); without those that left no labels or detections.

    Args:
        progress: told how many are done, of how many.
    """
    opened: dict[str, Mapping[str, Split]] = {}
    jobs = [job for state in states for job in _jobs(folder, state, opened)]
    found = {job.key: analysis for job in jobs if (analysis := job.read()) is not None}
    new = [job for job in jobs if job.key not in found]
    done = len(jobs) - len(new)
    progress(done, len(jobs))
    for number, (job, analysis) in enumerate(_examined(new), 1):
        if analysis is not None:
            found[job.key] = analysis
            _write(job.cached, analysis)
        progress(min(done + number, len(jobs)), len(jobs))
    return {job.key: found[job.key] for job in jobs if job.key in found}


def _jobs(folder: SuiteFolder, state: TrialState, opened: dict[str, Mapping[str, Split]]) -> Iterator[_Job]:
    if state.record is None:
        return
    trial = folder.trial(state.trial.trial_id)
    names = [None, *(variant.name for variant in state.record.variants if variant.metrics is not None)]
    stored = [(name, path) for name in names if (path := paths.stored(trial.detections(name))).is_file()]
    labels = _labels(trial, state.record, opened) if stored else None
    if labels is None:
        return
    deployed = state.trial.protocol.deployment_score_threshold
    for name, path in stored:
        try:
            content = path.read_bytes()
        except OSError as error:
            log.warning("%s: cannot be used: %s", path, error)
            continue
        digest = hashlib.sha256(repr((_VERSION, labels.fingerprint(), deployed)).encode())
        digest.update(content)
        yield _Job(
            key=(state.trial.trial_id, name or AS_TRAINED),
            detections=path,
            labels=labels,
            deployed=deployed,
            cached=folder.cache / f"{digest.hexdigest()[:32]}.npz",
        )


def _labels(folder: TrialFolder, record: Record, opened: dict[str, Mapping[str, Split]]) -> StoredGroundTruth | None:
    try:
        return ground_truth_of(folder, record, opened)
    except (OSError, UnreadableError) as error:
        log.warning("%s: cannot be used: %s", paths.stored(folder.ground_truth), error)
        return None


def _examined(jobs: Sequence[_Job]) -> Iterator[tuple[_Job, DetectionAnalysis | None]]:
    """In order; side by side where there is much to do."""
    workers = min(len(jobs), len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
    if workers < 2 or sum(job.detections.stat().st_size for job in jobs) < _FEW:  # noqa: PLR2004 - one is this one
        yield from ((job, _examine(job)) for job in jobs)
        return
    # Not forked: a progress bar's thread may hold a lock that the copy would wait for in vain.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_deaf) as pool:
        try:
            yield from zip(jobs, pool.map(_examine, jobs), strict=True)
        except BrokenProcessPool:
            log.warning("a process that examines detections was killed, likely for want of memory: one at a time now")
            yield from ((job, _examine(job)) for job in jobs)


def _deaf() -> None:
    """Ctrl-C is the parent's to answer."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _examine(job: _Job) -> DetectionAnalysis | None:
    try:
        found = read_detections(job.detections.read_bytes(), job.labels)
        return analyse_detections(job.labels, found, min_score=job.deployed)
    except (OSError, UnreadableError) as error:
        log.warning("%s: cannot be used: %s", job.detections, error)
        return None


def _write(path: Path, analysis: DetectionAnalysis) -> None:
    stream = io.BytesIO()
    columns: dict[str, Any] = {name: np.asarray(value) for name, value in asdict(analysis).items()}
    np.savez_compressed(stream, **columns)
    try:
        files.make_folder(path.parent)
        files.replace(path, stream.getbuffer())
    except HarnessError as error:  # results that one may only read are as good
        log.info("%s: not kept for the next time: %s", path, error)
