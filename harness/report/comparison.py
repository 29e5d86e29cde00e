"""The comparison that the report is rendered from: the records' frame, with what the stored detections add to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from harness.errors import UsageError
from harness.report import certainty, frames
from harness.report.evidence.gather import gather
from harness.report.part import Part
from harness.store.results import State, covered, read_results

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from harness.report.certainty import Certainty
    from harness.store.files import SuiteFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that the report is rendered from.

    Attributes:
        states: the trials that are covered.
        others: how many more lie in the folder.
        frame: `frames.configuration_frame` with `map_low`, `map_high` (95 % over images) and `tie_group`.
        parts: by dataset.
    """

    states: tuple[State, ...]
    others: int
    frame: pd.DataFrame
    parts: tuple[Part, ...]


def compared(
    folder: SuiteFolder,
    *,
    bootstrap: bool = True,
    baseline: str | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Comparison:
    """Read the records, and what their detections tell.

    Args:
        bootstrap: False leaves out everything that is computed from detections.
        baseline: the label or architecture that others are compared with; None: the most accurate one.
        progress: told how many trials' detections are examined, of how many.

    Raises:
        UsageError: there is no such baseline.
    """
    found = read_results(folder)
    states = covered(found)
    frame = frames.configuration_frame(frames.trial_frame(states, folder))
    evidence = gather(folder, states, progress=progress) if bootstrap else {}
    parts = []
    for dataset in dict.fromkeys(frame["dataset"] if not frame.empty else ()):
        rows = frame[frame["dataset"] == dataset]
        judged = certainty.judge(rows[~rows["rehearsal"]], evidence)
        here = tuple(state for state in states if state.trial.dataset.name == dataset)
        parts.append(
            Part(
                dataset=str(dataset),
                rows=_with_intervals(rows, judged),
                states=here,
                measured={state.trial.trial_id: state.record for state in here if state.record},
                evidence=evidence,
                certainty=judged,
                baseline=_baseline(rows, baseline),
            )
        )
    if baseline is not None and all(part.baseline is None for part in parts):
        known = "\n".join(f"  {label}" for label in dict.fromkeys(frame["label"] if not frame.empty else ()))
        raise UsageError(f"--baseline {baseline}: no row of that name is measured; there are:\n{known}")
    whole = pd.concat([part.rows for part in parts]).sort_index() if parts else frame
    return Comparison(states=states, others=len(found) - len(states), frame=whole, parts=tuple(parts))


def _with_intervals(rows: pd.DataFrame, judged: Certainty) -> pd.DataFrame:
    nothing = float("nan")
    intervals = [judged.intervals.get(index) for index in rows.index]
    return rows.assign(
        map_low=[interval.low if interval else nothing for interval in intervals],
        map_high=[interval.high if interval else nothing for interval in intervals],
        tie_group=[judged.groups.get(index, nothing) for index in rows.index],
    )


def _baseline(rows: pd.DataFrame, wanted: str | None) -> Hashable | None:
    """The row's index; the most accurate one unless another is wanted."""
    real = rows[~rows["rehearsal"] & rows["map"].notna()]
    if wanted is not None:
        real = real[(real["label"] == wanted) | (real["architecture"] == wanted)]
    return None if real.empty else real.index[0]
