"""Records whose stored detections say something else: they lose their numbers, and never win."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.formatting import metric_value
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.store.results import TrialState

    Analyses = Mapping[tuple[str, str], DetectionAnalysis]

ROUNDING = 1e-6  # of mAP: what a record says and what its stored detections give differ by less


def without_contradictions(states: Iterable[TrialState], analyses: Analyses) -> tuple[TrialState, ...]:
    """Take the numbers away from each record, and each variant in it, that its stored detections contradict.

    Args:
        states: the trials.
        analyses: what their stored detections tell, by trial id and variant.
    """
    return tuple(_checked(state, analyses) for state in states)


def _checked(state: TrialState, analyses: Analyses) -> TrialState:
    record = state.record
    if record is None:
        return state
    problem = _contradiction(record.metrics.map, analyses.get((state.trial.trial_id, AS_TRAINED)))
    if problem is not None:
        return replace(state, record=None, problem=problem)
    variants = []
    for variant in record.variants:
        analysis = analyses.get((state.trial.trial_id, variant.name))
        problem = _contradiction(variant.metrics.map, analysis) if variant.metrics is not None else None
        variants.append(replace(variant, metrics=None, measurements=None, problem=problem) if problem else variant)
    return replace(state, record=replace(record, variants=tuple(variants)))


def _contradiction(recorded: float | None, analysis: DetectionAnalysis | None) -> str | None:
    if analysis is None or recorded is None or abs(recorded - analysis.map) <= ROUNDING:
        return None
    return (
        f"its record has mAP {metric_value(recorded)}, but its stored detections have {metric_value(analysis.map)} on "
        "the stored labels: they do not belong together"
    )
