"""One dataset's share of the page: what every section of it is written from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.environments import differences

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.analysis.significance import Significance
    from harness.store.record import Record
    from harness.store.results import TrialState


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetAnalysis:
    """What is known of one dataset.

    Attributes:
        rows: of `frames.configuration_frame`, best first.
        states: its trials.
        measured: their records, by trial id.
        evidence: of these, by trial id and variant.
        significance: of the rows.
        baseline: the row that all others are compared with; None where nothing is measured.
    """

    name: str
    rows: pd.DataFrame
    states: tuple[TrialState, ...]
    measured: Mapping[str, Record]
    analyses: Mapping[tuple[str, str], DetectionAnalysis]
    significance: Significance
    baseline: Hashable | None

    @property
    def mixed(self) -> bool:
        """Whether speeds come from different environments, so that they do not compare."""
        return bool(differences([record.environment for record in self.measured.values()]))

    @property
    def class_names(self) -> tuple[str, ...]:
        """As the first record has them; nothing without one."""
        return next((tuple(record.metrics.per_class) for record in self.measured.values()), ())

    def boxes(self) -> dict[str, int]:
        """How many boxes of each class the evaluated split has, where records tell."""
        for record in self.measured.values():
            if record.data.splits:
                return dict(record.data.splits[record.metrics.split].boxes_per_class)
        return {}

    def records(self, row: pd.Series) -> tuple[Record, ...]:
        """Of a row's measured seeds."""
        return tuple(self.measured[trial_id] for trial_id in row["trial_ids"])

    def typical(self, row: pd.Series) -> tuple[str, DetectionAnalysis] | None:
        """The trial of median mAP among a row's seeds (of two the lower), and its evidence; None without any."""
        known = [
            (self.analyses[trial_id, row["variant"]].map, trial_id)
            for trial_id in row["trial_ids"]
            if (trial_id, row["variant"]) in self.analyses
            and not math.isnan(self.analyses[trial_id, row["variant"]].map)
        ]
        if not known:
            return None
        _, trial_id = sorted(known)[(len(known) - 1) // 2]
        return trial_id, self.analyses[trial_id, row["variant"]]
