"""The time left: simulated nights whose true length is known at every moment, told as a run tells them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from harness.executors.base import AttemptResult
from harness.observers.state import RunState
from harness.scheduling.estimate import StageSeconds
from harness.scheduling.race_forecast import RaceForecast
from harness.store.events import (
    EvaluatedEvent,
    Event,
    MeasuredEvent,
    PausedEvent,
    ResumedEvent,
    StageEvent,
    StepEvent,
    ValidationEvent,
    VariantEvent,
)
from tests.clock import SteppedClock
from tests.store.make import make_attempt, make_trial

STAGES = StageSeconds(start_s=10, training_s=400, validation_s=80, evaluation_s=180, measurement_s=180, variants_s=100)
EPOCHS, STEPS, IMAGES = 4, 50, 60


@dataclass
class Night:
    """Some trials, of which each piece of work takes `slower(time)` times what was expected."""

    n_trials: int = 3
    slots: int = 1
    slower_from_s: float = float("inf")
    slower: float = 1.0
    clock: SteppedClock = field(default_factory=SteppedClock)

    def __post_init__(self) -> None:
        protocol = replace(make_trial().protocol, variants=("compile", "onnxruntime"))
        made = [make_trial(seed=seed, h={"epochs": EPOCHS, "validate_every": 2}) for seed in range(self.n_trials)]
        self.trials = tuple(replace(trial, protocol=protocol) for trial in made)
        self.state = RunState(self.clock.now)
        self.began = self.clock.now()
        self.state.begin(SimpleNamespace(selected=self.trials, records={}, given_up=(), slots=(None,) * self.slots))  # type: ignore[arg-type]
        self.state.expect_stages({trial.trial_id: STAGES for trial in self.trials})
        self.state.expect(self.trials, {trial.trial_id: STAGES.total_s() for trial in self.trials})

    def work(self, seconds: float, *events: Event) -> tuple[float, float | None]:
        """Do what was expected to take so long, tell the events, and return the time and what is said to be left.

        The events are those of the trial that was started last.
        """
        factor = self.slower if self.clock.now() - self.began >= self.slower_from_s else 1.0
        self.clock.sleep(seconds * factor)
        for event in events:
            self.state.event(tuple(self.state.running.values())[-1].trial, event)
        return self.clock.now(), self.state.remaining_s()

    def train(self, first_epoch: int = 1, last_epoch: int = EPOCHS) -> Iterator[tuple[float, float | None]]:
        yield self.work(0, StageEvent(stage="train"))
        for epoch in range(first_epoch, last_epoch + 1):
            for step in range(1, STEPS + 1):
                event = StepEvent(epoch=epoch, epochs=EPOCHS, step=step, steps=STEPS, loss=1.0, images_per_s=1.0)
                yield self.work(400 / EPOCHS / STEPS, event)
            if epoch % 2 == 0:
                for image in range(1, IMAGES + 1):
                    yield self.work(40 / IMAGES, EvaluatedEvent(stage="train", split="val", images=image, of=IMAGES))
                yield self.work(0, ValidationEvent(epoch=epoch, map=0.1, map_50=0.2))

    def trial(self, trial: Any) -> Iterator[tuple[float, float | None]]:
        self.state.start(trial)
        yield self.work(0, StageEvent(stage="data"))
        yield self.work(10, StageEvent(stage="model"))
        yield from self.train()
        yield self.work(0, StageEvent(stage="evaluate"))
        for image in range(1, IMAGES + 1):
            yield self.work(180 / IMAGES, EvaluatedEvent(split="val", images=image, of=IMAGES))
        yield self.work(0, StageEvent(stage="measure"))
        for _ in range(60):
            yield self.work(3, MeasuredEvent())
        for name in trial.protocol.variants:
            yield self.work(0, StageEvent(stage="variant", variant=name))
            for _ in range(10):
                yield self.work(5, VariantEvent(variant=name))
        self.state.end(trial, AttemptResult(attempt=make_attempt("succeeded", None), recorded=True))
        yield self.work(0)

    def run(self) -> list[tuple[float, float]]:
        """Run all; returns (what was said to be left, what really was) at each moment."""
        said = [moment for trial in self.trials for moment in self.trial(trial)]
        assert all(left is not None for _, left in said)
        return [(left or 0.0, self.clock.now() - time) for time, left in said]


def test_the_time_left_is_right_in_every_stage() -> None:
    """Training, validating, evaluating, measuring and variants all count: never 0 s while there are minutes to come."""
    for said, true in Night().run():
        assert said == pytest.approx(true, rel=0.05, abs=10)


def test_it_follows_a_machine_that_slows_down() -> None:
    """Three times slower from the middle of the second trial: right again after a few minutes, and until the end."""
    night = Night(slower_from_s=1.5 * STAGES.total_s(), slower=3.0)
    told = night.run()
    whole = told[0][1]
    late = [(said, true) for said, true in told if whole - true > night.slower_from_s + 240]
    assert len(late) > 300
    for said, true in late:
        assert said == pytest.approx(true, rel=0.1, abs=40)


def test_it_follows_one_that_is_faster_than_expected() -> None:
    """Half the time from the beginning: a first step in a preflight is often slow."""
    told = Night(slower_from_s=0.0, slower=0.5).run()
    for said, true in told[len(told) // 5 :]:
        assert said == pytest.approx(true, rel=0.1, abs=30)


def test_a_stage_that_takes_longer_than_expected_never_leaves_nothing() -> None:
    """Nobody knows how much longer, but there is something to come."""
    night = Night(n_trials=1)
    for _ in night.trial(night.trials[0]):
        if night.state.running[night.trials[0].trial_id].stage == "measure":
            break
    left = [night.work(60, MeasuredEvent())[1] for _ in range(20)]
    assert min(value or 0.0 for value in left) > STAGES.variants_s


def test_training_that_stops_early_says_nothing_of_the_machine() -> None:
    """What is left out takes no time, and the rest as long as ever."""
    night = Night(n_trials=1)
    night.state.start(night.trials[0])
    list(night.train(last_epoch=2))
    _, left = night.work(0, StageEvent(stage="evaluate"))
    assert left == pytest.approx(180 + 180 + 100, rel=0.02)


def test_a_resumed_trial_counts_what_earlier_attempts_have_done() -> None:
    """From its first step on, without taking them for a fast machine."""
    night = Night(n_trials=1)
    night.state.start(night.trials[0])
    night.work(10, ResumedEvent(place="at epoch 3, step 1"))
    said = list(night.train(first_epoch=3))
    assert said[1][1] == pytest.approx(200 - 2 + 40 + 180 + 180 + 100, rel=0.02)
    assert said[-1][1] == pytest.approx(180 + 180 + 100, rel=0.02)


def test_a_pause_is_no_slow_machine() -> None:
    """An hour in which the machine slept."""
    night = Night(n_trials=1)
    night.state.start(night.trials[0])
    for number, _ in enumerate(night.train()):
        if number == 60:
            night.clock.sleep(3600)
            night.state.event(night.trials[0], PausedEvent(paused_s=3600))
    _, left = night.work(0, StageEvent(stage="evaluate"))
    assert left == pytest.approx(180 + 180 + 100, rel=0.05)


def test_what_other_seeds_took_replaces_what_was_foreseen() -> None:
    """Told after a trial has ended."""
    night = Night(n_trials=2)
    list(night.trial(night.trials[0]))
    night.state.expect_stages({night.trials[1].trial_id: StageSeconds(training_s=50.0)})
    assert night.state.remaining_s() == pytest.approx(50, rel=0.05)


def test_without_stages_the_whole_counts_as_training() -> None:
    """As an observer's caller may have it; where a trial's length is not known, nothing is said."""
    trial, clock = make_trial(h={"epochs": 2}), SteppedClock()
    state = RunState(clock.now)
    state.expect((trial,), {})
    assert state.remaining_s() is None
    state.expect((trial,), {trial.trial_id: 100.0})
    state.start(trial)
    for step in (1, 2):
        clock.sleep(25)
        state.event(trial, StepEvent(epoch=1, epochs=2, step=step, steps=2, loss=1.0, images_per_s=1.0))
    assert state.remaining_s() == pytest.approx(50)


def test_the_race_counts_and_runs_down() -> None:
    """While trials run as a whole, then turn by turn; an entrant that leaves takes its turns with it."""
    night = Night(n_trials=1)
    night.state.race = RaceForecast(entrants=3, blocks=5, seconds=150.0)
    assert night.state.remaining_s() == pytest.approx(STAGES.total_s() + 150)
    list(night.trial(night.trials[0]))
    assert night.state.remaining_s() == pytest.approx(150, rel=0.05)
    night.state.begin_race(15, 150.0)
    assert night.state.remaining_s() == pytest.approx(150, rel=0.05)
    night.state.end_turn(1)
    night.state.end_turn(5)
    assert night.state.remaining_s() == pytest.approx(90, rel=0.05)
    night.state.end_turn(9)
    assert night.state.remaining_s() == 0


def test_what_runs_at_the_same_time_counts_once() -> None:
    """Five trials in two slots: two side by side, two more, and the last one alone."""
    night = Night(n_trials=5, slots=2)
    whole = STAGES.total_s()
    assert night.state.remaining_s() == pytest.approx(3 * whole)
    for trial in night.trials[:2]:
        night.state.start(trial)
    night.work(10, StageEvent(stage="train"))
    assert night.state.remaining_s() == pytest.approx(3 * whole - 10, rel=0.01)
    for trial in night.trials[:2]:
        night.state.end(trial, AttemptResult(attempt=make_attempt("succeeded", None), recorded=True))
    assert night.state.remaining_s() == pytest.approx(2 * whole, rel=0.01)
    night.state.start(night.trials[2])
    assert night.state.remaining_s() == pytest.approx(2 * whole, rel=0.05)
