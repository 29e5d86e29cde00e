"""One dataset's share of the page: what every section of it is written from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    import pandas as pd

    from harness.report.certainty import Certainty
    from harness.report.evidence.examine import Evidence
    from harness.store.record import Record
    from harness.store.results import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is known of one dataset.

    Attributes:
        rows: of `frames.configuration_frame`, best first.
        states: its trials.
        evidence: of these, by trial id and variant.
        certainty: of the rows.
        baseline: the row that all others are compared with; None where nothing is measured.
    """

    dataset: str
    rows: pd.DataFrame
    states: tuple[State, ...]
    evidence: Mapping[tuple[str, str], Evidence]
    certainty: Certainty
    baseline: Hashable | None

    @property
    def class_names(self) -> tuple[str, ...]:
        """As the first record has them; nothing without one."""
        return next((tuple(state.record.metrics.per_class) for state in self.states if state.record), ())

    def records(self, row: pd.Series) -> tuple[Record, ...]:
        """Of a row's measured seeds."""
        return tuple(state.record for state in self.states if state.record and state.trial.trial_id in row["trial_ids"])

    def typical(self, row: pd.Series) -> tuple[str, Evidence] | None:
        """The trial of median mAP among a row's seeds (of two the lower), and its evidence; None without any."""
        known = [
            (self.evidence[trial_id, row["variant"]].map, trial_id)
            for trial_id in row["trial_ids"]
            if (trial_id, row["variant"]) in self.evidence
        ]
        if not known:
            return None
        _, trial_id = sorted(known)[(len(known) - 1) // 2]
        return trial_id, self.evidence[trial_id, row["variant"]]
