"""The results of a suite as pandas frames, for a person's own analysis in a notebook.

Owns which columns the frames have. What they mean is computed in `harness.analysis.frame`; the raw rows come from the
Parquet files beside each record.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype, union_categoricals

from harness.analysis.frame import configuration_frame, trial_frame
from harness.store.arrays import StoredDetections, StoredTimings
from harness.store.paths import stored
from harness.store.problems import note
from harness.store.record import AS_TRAINED
from harness.store.results import compared_trials, read_results
from harness.store.tables import UnreadableError, read_all_detections, read_timings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from harness.store.paths import SuiteFolder
    from harness.store.results import TrialState

T = TypeVar("T")
_NONE = np.zeros(0, dtype=np.int64)
_NO_DETECTIONS = StoredDetections(images=_NONE, classes=_NONE, scores=np.zeros(0), boxes=np.zeros((0, 4))), (), ()
_NO_TIMINGS = StoredTimings(
    passes=np.zeros(0, dtype=np.str_), repeats=_NONE, rounds=_NONE, images=_NONE, counts=_NONE, seconds=np.zeros(0)
)


@dataclass(frozen=True, kw_only=True)
class Results:
    """The trials that a suite asks for, as pandas frames in SI units; each frame is read when it is first used.

    Texts in `detections` and `timings` are categorical, as there can be millions of rows.

    Attributes:
        folder: the suite's results folder.
        states: each trial with its record, its attempts and its last log, without those of a search.
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

        The numbers are means over seeds, all of the trials themselves: where rows raced, the report shows the latency
        of the race, and it leaves out records that their stored detections contradict. `label` is the name in the
        report, `n` the number of seeds that succeeded, and `trial_ids` are their trials.
        """
        return configuration_frame(self.trials)

    @cached_property
    def detections(self) -> pd.DataFrame:
        """One row for each stored detection on the evaluated split.

        Columns: trial_id, variant, image (its name), class (its name), score, and x1, y1, x2, y2 in pixels.
        """
        return _concatenate(self._detections(), _detection_frame("", "", *_NO_DETECTIONS))

    @cached_property
    def timings(self) -> pd.DataFrame:
        """One row for each raw timing.

        Columns: trial_id, variant, pass (latency, throughput, …), repeat (0 for the first time a pass was run; the last
        repeat is the one that counts), round, image (the number of the first image in the evaluated
        split), images (how many were timed together) and seconds.
        """
        return _concatenate(self._timings(), _timing_frame("", "", _NO_TIMINGS))

    def _detections(self) -> Iterator[pd.DataFrame]:
        for state in self._measured:
            folder = self.folder.trial(state.trial.trial_id)
            variants = state.record.variants if state.record else ()
            paths = {AS_TRAINED: folder.detections()}
            paths |= {variant.name: folder.detections(variant.name) for variant in variants}
            for variant, path in paths.items():
                found = _read(stored(path), read_all_detections)
                if found is not None:
                    yield _detection_frame(state.trial.trial_id, variant, *found)

    def _timings(self) -> Iterator[pd.DataFrame]:
        for state in self._measured:
            found = _read(self.folder.trial(state.trial.trial_id).samples, read_timings)
            for variant, timings in (found or {}).items():
                yield _timing_frame(state.trial.trial_id, variant, timings)

    @property
    def _measured(self) -> tuple[TrialState, ...]:
        return tuple(state for state in self.states if state.record is not None)


def read_frames(folder: SuiteFolder) -> Results:
    """The results of a suite: the trials that it asks for, or all of the folder where no plan says so; no searches."""
    return Results(folder=folder, states=compared_trials(read_results(folder)))


def _read(path: Path, decode: Callable[[bytes], T]) -> T | None:
    """What a Parquet file holds; None where there is no such file, or where it cannot be read, which is logged."""
    if not path.is_file():
        return None
    try:
        return decode(path.read_bytes())
    except (OSError, UnreadableError) as error:
        note(f"{path}: cannot be read ({error}): its rows are left out")
        return None


def _detection_frame(
    trial_id: str, variant: str, detections: StoredDetections, images: Sequence[str], class_names: Sequence[str]
) -> pd.DataFrame:
    columns = {
        **_constant(len(detections), trial_id=trial_id, variant=variant),
        "image": pd.Categorical.from_codes(detections.images, list(images)),
        "class": pd.Categorical.from_codes(detections.classes, list(class_names)),
        "score": detections.scores,
        **dict(zip(("x1", "y1", "x2", "y2"), detections.boxes.T, strict=True)),
    }
    return pd.DataFrame(columns)


def _timing_frame(trial_id: str, variant: str, timings: StoredTimings) -> pd.DataFrame:
    columns = {
        **_constant(len(timings), trial_id=trial_id, variant=variant),
        "pass": pd.Categorical(timings.passes),
        "repeat": timings.repeats,
        "round": timings.rounds,
        "image": timings.images,
        "images": timings.counts,
        "seconds": timings.seconds,
    }
    return pd.DataFrame(columns)


def _constant(count: int, **texts: str) -> dict[str, pd.Categorical]:
    """For each name a column of the same text in every row."""
    zeros = np.zeros(count, dtype=np.int8)
    return {name: pd.Categorical.from_codes(zeros, [text]) for name, text in texts.items()}


def _concatenate(frames: Iterable[pd.DataFrame], empty: pd.DataFrame) -> pd.DataFrame:
    """All rows in one frame, `empty` if there are none; texts stay categorical, which takes a few bytes a row."""
    parts = list(frames) or [empty]
    joined = {}
    for name in empty:
        values = [part[name] for part in parts]
        if is_numeric_dtype(values[0].dtype):
            joined[name] = pd.concat(values, ignore_index=True)
        else:
            joined[name] = pd.Series(union_categoricals(values))
    return pd.DataFrame(joined)
