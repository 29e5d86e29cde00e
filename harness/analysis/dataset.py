"""Everything that the report's sections on one table of comparable rows are written from."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.analysis.frame import pareto_front

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.significance import Significance
    from harness.analysis.speed import Speeds
    from harness.store.record import Record
    from harness.store.results import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetAnalysis:
    """The results of one dataset whose accuracies compare: equal data, split and protocol.

    Attributes:
        name: the name of the dataset.
        apart: why other rows of the dataset stand in another table; empty if all compare.
        conditions: what distinguishes this table from those, in words; empty if all compare.
        rows: the rows of `frame.configuration_frame`, the most accurate first.
        states: the trials of these rows.
        measured: the record of each trial that has one, by trial id.
        analyses: what each trial's stored detections tell, by trial id and variant.
        significance: which rows are separated in accuracy.
        speeds: which rows are separated in speed, and whose speeds compare at all.
        baseline: the index of the row that all others are compared with; None if nothing is measured.
    """

    name: str
    apart: tuple[str, ...]
    conditions: str
    rows: pd.DataFrame
    states: tuple[TrialState, ...]
    measured: Mapping[str, Record]
    analyses: Mapping[tuple[str, str], DetectionAnalysis]
    significance: Significance
    speeds: Speeds
    baseline: Hashable | None

    @property
    def title(self) -> str:
        """The dataset's name, with what distinguishes this table if the dataset has several."""
        return f"{self.name}: {self.conditions}" if self.conditions else self.name

    @property
    def candidates(self) -> pd.DataFrame:
        """The rows that can be chosen: measured, and on all images unless all rows are subsets."""
        measured = self.rows.dropna(subset=["map", "latency_median_s"])
        full = measured[~measured["subset"]]
        return measured if full.empty else full

    @property
    def front(self) -> pd.DataFrame:
        """The rows that no other row of their environment beats in both speed and accuracy, the fastest first."""
        rows = self.rows[~self.rows["subset"]]
        fronts = [pareto_front(rows.loc[rows.index.isin(group)]) for group in self.speeds.groups]
        return pd.concat(fronts) if fronts else rows.head(0)

    def separated_on_front(self) -> frozenset[Hashable]:
        """Return the rows of the front that are separated from their neighbours there, in accuracy and in speed.

        A front of one row has no neighbours: it must be separated so from the most accurate of the others.
        """
        separated = set()
        front, candidates = self.front.index, self.candidates.index
        for group in self.speeds.groups:
            indices = [index for index in front if index in group]
            others = [index for index in candidates if index in group and index not in indices]
            ordered = indices if len(indices) > 1 else [*indices, *others[:1]]
            pairs = list(itertools.pairwise(ordered))
            for index in indices:
                own = [pair for pair in pairs if index in pair]
                if own and all(self._separated(*pair) for pair in own):
                    separated.add(index)
        return frozenset(separated)

    def _separated(self, first: Hashable, second: Hashable) -> bool:
        pair = self.significance.pair(first, second)
        return pair is not None and pair.separated and self.speeds.claim(first, second).separated

    @property
    def class_names(self) -> tuple[str, ...]:
        """The class names of the first record; empty if there is no record."""
        return next((tuple(record.metrics.per_class) for record in self.measured.values()), ())

    def boxes(self) -> dict[str, int]:
        """Count the evaluated split's boxes by class; empty if no record has these counts."""
        for record in self.measured.values():
            if record.data.splits:
                return dict(record.data.splits[record.metrics.split].boxes_per_class)
        return {}

    def records(self, row: pd.Series) -> tuple[Record, ...]:
        """Return the records of the seeds that a row was averaged over."""
        return tuple(self.measured[trial_id] for trial_id in row["trial_ids"])

    def typical(self, row: pd.Series) -> tuple[str, DetectionAnalysis] | None:
        """Return the row's trial of median mAP (of an even number, the lower middle one) and its analysis.

        None if no trial of the row has an analysis with an mAP.
        """
        analysed = [
            (self.analyses[trial_id, row["variant"]].map, trial_id)
            for trial_id in row["trial_ids"]
            if (trial_id, row["variant"]) in self.analyses
            and not math.isnan(self.analyses[trial_id, row["variant"]].map)
        ]
        if not analysed:
            return None
        _, trial_id = sorted(analysed)[(len(analysed) - 1) // 2]
        return trial_id, self.analyses[trial_id, row["variant"]]
