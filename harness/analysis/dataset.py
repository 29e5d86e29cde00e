"""Everything that the report's sections on one dataset are written from."""

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
    """The results of one dataset.

    Attributes:
        name: the name of the dataset.
        rows: the dataset's rows of `frame.configuration_frame`, the most accurate first.
        states: the dataset's trials.
        measured: the record of each trial that has one, by trial id.
        analyses: what each trial's stored detections tell, by trial id and variant.
        significance: which rows differ in accuracy.
        baseline: the index of the row that all others are compared with; None if nothing is measured.
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
        """Whether the trials ran in different environments, so that their speeds cannot be compared."""
        return bool(differences([record.environment for record in self.measured.values()]))

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
