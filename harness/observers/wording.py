"""What a person sees while a suite runs: a live view on a terminal, plain timestamped lines elsewhere.

Owns showing; a view that fails to draw must not end a night, so it only formats what it is told.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.scheduling.plan import Plan
    from harness.store.job import Attempt
    from harness.suite.trial import Trial
from harness.formatting import rough_duration


def describe(stage: str, step: Mapping[str, Any]) -> str:
    """What a trial does, from its stage and its last training step."""
    if stage == "train" and step:
        return (
            f"epoch {step['epoch']}/{step['epochs']} step {step['step']}/{step['steps']} loss {step['loss']:.3f} "
            f"{step['images_per_s']:.1f} img/s"
        )
    return {
        "data": "opening the data",
        "model": "building the model",
        "evaluate": "evaluating",
        "measure": "measuring speed and memory",
        "variant": "deploying the weights in another way",
        "train": "training",
    }.get(stage, stage)


def forecast(trials: Sequence[Trial], expected: Mapping[str, float]) -> str:
    """How long these trials take and when they end, as far as that is known."""
    known = [expected[trial.trial_id] for trial in trials if trial.trial_id in expected]
    count = f"{len(trials)} trial{'s' if len(trials) != 1 else ''} left"
    if not known:
        return f"{count}; nothing tells yet how long they take"
    ends = (datetime.now().astimezone() + timedelta(seconds=sum(known))).strftime("%a %H:%M")
    unknown = f", and {len(trials) - len(known)} that nothing is known of" if len(known) < len(trials) else ""
    return f"{count}: about {rough_duration(sum(known))}, until {ends}{unknown}"


def opening_lines(plan: Plan) -> list[str]:
    """What a person should know before the first trial."""
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
    after = f" after {took}" if took else ""
    reason = f": {attempt.reason}" if attempt.reason else ""
    return f"{attempt.outcome.replace('_', ' ')}{after}{reason}"
