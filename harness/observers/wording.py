"""Sentences about a run that its views, `harness plan` and `harness status` share. Formats; prints nothing."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from harness.formatting import counted, milliseconds, printable, rough_duration
from harness.scheduling.estimate import finish_s

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import ItemsReadEvent, StepEvent
    from harness.store.job import Attempt
    from harness.store.race import BlockResult, Entrant, Race
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
        "waiting": "waiting until another trial on this device has been timed",
    }.get(stage, stage)


def items_read_text(event: ItemsReadEvent) -> str:
    """Say how many items of a `python` dataset a preflight has read."""
    rest = "" if event.read == event.of else "; five minutes were not enough for the others"
    return f"read {event.read:,} of {counted(event.of, 'item')} of the dataset{rest}"


def forecast(
    trials: Sequence[Trial], expected: Mapping[str, float], race: RaceForecast | None = None, slots: int = 1
) -> str:
    """Say how long these trials take and when they end, as far as that is known.

    Args:
        trials: in the order in which they start.
        expected: seconds by trial id.
        race: what follows them.
        slots: how many run at once.
    """
    seconds = [expected[trial.trial_id] for trial in trials if trial.trial_id in expected]
    count = f"{counted(len(trials), 'trial')} left"
    if not seconds:
        return f"{count}; how long they take is not known yet"
    total_s = finish_s(seconds, slots) + (race.seconds or 0.0 if race is not None else 0.0)
    end = (datetime.now().astimezone() + timedelta(seconds=total_s)).strftime("%a %H:%M")
    n_unknown = len(trials) - len(seconds)
    unknown = f", and {n_unknown} of unknown length" if n_unknown else ""
    then = f", {race_forecast(race)}" if race is not None else ""
    at_once = f" in {slots} slots ({rough_duration(sum(seconds))} of work)" if slots > 1 else ""
    return f"{count}: about {rough_duration(total_s)}{at_once}, until {end}{unknown}{then}"


def race_forecast(race: RaceForecast) -> str:
    """Say how long the race after the trials takes."""
    took = "of unknown length" if race.seconds is None else f"of about {rough_duration(race.seconds)}"
    return f"with a race of speed {took} at the end ({race.blocks} blocks of up to {race.entrants} rows)"


def turn_text(race: Race, block: int, entrant: Entrant, result: BlockResult | None, reason: str) -> str:
    """Say what an entrant's turn in a race came to."""
    if result is None:
        return f"block {block}/{race.blocks}: {entrant.label} {printable(reason)}; it leaves the race"
    return f"block {block}/{race.blocks}: {entrant.label} {milliseconds(result.image_median_s)} ms"


def race_text(race: Race, folder: Path, n_turns: int, expected_s: float) -> str:
    """Say that a race starts, or goes on."""
    whole = len(race.entrants) * race.blocks
    begins = "starts" if n_turns == whole else f"goes on with {n_turns} of {whole} turns"
    return (
        f"race of speed on {race.dataset} {begins}: {counted(len(race.entrants), 'row')}, {race.blocks} blocks, about "
        f"{rough_duration(expected_s)}; files: {folder}"
    )


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
    reason = f": {printable(attempt.reason)}" if attempt.reason else ""
    return f"{attempt.outcome.replace('_', ' ')}{after}{reason}"
