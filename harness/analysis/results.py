"""The results of a suite as pandas frames, for a person's own analysis in a notebook.

Owns which columns the frames have. What they mean is computed in `harness.analysis.frame`; the raw rows come from the
Parquet files beside each record.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pandas as pd
from pandas.api.types import is_numeric_dtype, union_categoricals

from harness.analysis.frame import configuration_frame, trial_frame
from harness.store.record import AS_TRAINED
from harness.store.results import planned_trials, read_results

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from harness.store.paths import SuiteFolder
    from harness.store.results import TrialState

log = logging.getLogger(__name__)

_DETECTIONS = ("trial_id", "variant", "image", "class", "score", "x1", "y1", "x2", "y2")
_TIMINGS = ("trial_id", "variant", "pass", "repeat", "round", "index", "image", "images", "seconds")


@dataclass(frozen=True, kw_only=True)
class Results:
    """The trials that a suite asks for, as pandas frames in SI units; each frame is read when it is first used.

    Texts in `detections` and `timings` are categorical, as there can be millions of rows.

    Attributes:
        folder: the suite's results folder.
        states: each trial with its record, its attempts and its last log.
    """

    folder: SuiteFolder
    states: tuple[TrialState, ...]

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row for each trial, and one more for each of its variants.

        Columns that identify a row: trial_id, configuration, dataset, architecture, setting, variant, seed, outcome.
        Columns of numbers, NaN where a trial has no record: map, map_50, map_75, latency_median_s, latency_p95_s,
        throughput_images_per_s, inference_memory_bytes, train_images_per_s, parameters, flops and more.
        """
        return trial_frame(self.states, self.folder)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """One row for each configuration and variant, the most accurate first: the rows of the report.

        The numbers are means over seeds. `label` is the name in the report, `n` the number of seeds that succeeded, and
        `trial_ids` are their trials.
        """
        return configuration_frame(self.trials)

    @cached_property
    def detections(self) -> pd.DataFrame:
        """One row for each stored detection on the evaluated split.

        Columns: trial_id, variant, image (its name), class (its name), score, and x1, y1, x2, y2 in pixels.
        """
        return _concatenate(self._detections(), _DETECTIONS)

    @cached_property
    def timings(self) -> pd.DataFrame:
        """One row for each raw timing.

        Columns: trial_id, variant, pass (latency, throughput, …), repeat (0 for the first time a pass was run; the last
        repeat is the one that counts), round, index (the order in time), image (the number of the first image in the
        evaluated split), images (how many were timed together) and seconds.
        """
        return _concatenate(self._timings(), _TIMINGS)

    def _detections(self) -> Iterator[pd.DataFrame]:
        for state in self._measured:
            folder = self.folder.trial(state.trial.trial_id)
            variants = state.record.variants if state.record else ()
            paths = {AS_TRAINED: folder.detections()}
            paths |= {variant.name: folder.detections(variant.name) for variant in variants}
            for name, path in paths.items():
                yield from _read(path, {"trial_id": state.trial.trial_id, "variant": name}, _DETECTIONS)

    def _timings(self) -> Iterator[pd.DataFrame]:
        for state in self._measured:
            path = self.folder.trial(state.trial.trial_id).samples
            # The first version of this file had no variants.
            added = {"trial_id": state.trial.trial_id, "variant": AS_TRAINED, "repeat": 0}
            yield from _read(path, added, _TIMINGS)

    @property
    def _measured(self) -> tuple[TrialState, ...]:
        return tuple(state for state in self.states if state.record is not None)


def read_frames(folder: SuiteFolder) -> Results:
    """The results of a suite: the trials that it asks for, or all of the folder where no plan says so."""
    return Results(folder=folder, states=planned_trials(read_results(folder)))


def _read(path: Path, added: Mapping[str, object], columns: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Read one Parquet file, with a constant column for each of `added` that it lacks; nothing if it is unreadable."""
    if not path.is_file():
        return
    try:
        frame = pd.read_parquet(path)
        yield frame.assign(**{name: value for name, value in added.items() if name not in frame})[list(columns)]
    except (OSError, ValueError, KeyError) as error:  # pyarrow's own error is a ValueError
        log.warning("%s: cannot be read (%s): its rows are left out", path, error)


def _concatenate(frames: Iterable[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
    """All rows in one frame; texts stay categorical, which takes a few bytes a row instead of a string."""
    parts = list(frames)
    if not parts:
        return pd.DataFrame({name: [] for name in columns})
    joined = {}
    for name in columns:
        values = [part[name] for part in parts]
        if is_numeric_dtype(values[0].dtype):
            joined[name] = pd.concat(values, ignore_index=True)
        else:
            joined[name] = pd.Series(union_categoricals([value.astype("category") for value in values]))
    return pd.DataFrame(joined)
