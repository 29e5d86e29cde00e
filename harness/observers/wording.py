"""Sentences about a run that its views, `harness plan` and `harness status` share. Formats; prints nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from harness.formatting import rough_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.scheduling.plan import Plan
    from harness.store.events import StepEvent
    from harness.store.job import Attempt
    from harness.suite.trial import Trial


def describe(stage: str, step: StepEvent | None) -> str:
    """Say what a trial is doing, from its stage and its last training step."""
    if stage == "train" and step is not None:
        return (
            f"epoch {step.epoch}/{step.epochs} step {step.step}/{step.steps} loss {step.loss:.3f} "
            f"{step.images_per_s:.1f} img/s"
        )
    return {
        "data": "opening the data",
        "model": "building the model",
        "evaluate": "evaluating",
        "measure": "measuring speed and memory",
        "variant": "measuring another way to deploy the weights",
        "train": "training",
    }.get(stage, stage)


def forecast(trials: Sequence[Trial], expected: Mapping[str, float]) -> str:
    """Say how long these trials take and when they end, as far as that is known.

    Args:
        expected: seconds by trial id.
    """
    seconds = [expected[trial.trial_id] for trial in trials if trial.trial_id in expected]
    count = f"{len(trials)} trial{'s' if len(trials) != 1 else ''} left"
    if not seconds:
        return f"{count}; how long they take is not known yet"
    end = (datetime.now().astimezone() + timedelta(seconds=sum(seconds))).strftime("%a %H:%M")
    n_unknown = len(trials) - len(seconds)
    unknown = f", and {n_unknown} of unknown length" if n_unknown else ""
    return f"{count}: about {rough_duration(sum(seconds))}, until {end}{unknown}"


def opening_lines(plan: Plan) -> list[str]:
    """Say what is skipped, before the first trial."""
    lines = []
    done = sum(trial.trial_id in plan.records for trial in plan.selected)
    if done:
        lines.append(f"{done} of {len(plan.selected)} trials are recorded already and are skipped")
    for trial in plan.given_up:
        attempt = plan.failed[trial.trial_id]
        lines.append(f"{trial.trial_id} is not tried again: it {outcome_text(attempt)}")
    if plan.given_up:
        lines.append("--retry-failed tries failed trials again")
    return lines


def outcome_text(attempt: Attempt, took: str = "") -> str:
    """Say how an attempt ended, after how long, and why."""
    after = f" after {took}" if took else ""
    reason = f": {attempt.reason}" if attempt.reason else ""
    return f"{attempt.outcome.replace('_', ' ')}{after}{reason}"
