"""Records whose stored detections say something else: they lose their numbers, and never win."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from harness.analysis.detections.average_precision import METRICS
from harness.formatting import metric_value
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.analysis.detections.analyse import DetectionAnalysis
    from harness.store.record import Metrics
    from harness.store.results import TrialState

    Analyses = Mapping[tuple[str, str], DetectionAnalysis]

_ROUNDING = 1e-6  # what a record says and what its stored detections give differ by less


def without_contradictions(states: Iterable[TrialState], analyses: Analyses) -> tuple[TrialState, ...]:
    """Take the numbers away from each record, and each variant in it, that its stored detections contradict.

    Compared are mAP, mAP50 and mAP75.

    Args:
        states: the trials.
        analyses: what their stored detections tell, by trial id and variant.
    """
    return tuple(_checked(state, analyses) for state in states)


def _checked(state: TrialState, analyses: Analyses) -> TrialState:
    record = state.record
    if record is None:
        return state
    problem = _contradiction(record.metrics, analyses.get((state.trial.trial_id, AS_TRAINED)))
    if problem is not None:
        return replace(state, record=None, problem=problem)
    variants = []
    for variant in record.variants:
        analysis = analyses.get((state.trial.trial_id, variant.name))
        problem = _contradiction(variant.metrics, analysis) if variant.metrics is not None else None
        variants.append(replace(variant, metrics=None, measurements=None, problem=problem) if problem else variant)
    return replace(state, record=replace(record, variants=tuple(variants)))


def _contradiction(metrics: Metrics, analysis: DetectionAnalysis | None) -> str | None:
    if analysis is None:
        return None
    for name, computed in zip(METRICS, analysis.values, strict=True):
        recorded = getattr(metrics, name)
        if recorded is not None and not abs(recorded - computed) <= _ROUNDING:
            return (
                f"its record has {name} {metric_value(recorded)}, but its stored detections have "
                f"{metric_value(float(computed))} on the stored labels: they do not belong together"
            )
    return None
