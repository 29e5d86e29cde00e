"""How long a training is, in epochs, images or minutes, is what was asked, whatever interrupts it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from harness.suite.schema import Budget, EarlyStopping, Hyperparameters
from harness.trial.inputs.loader import EpochBatches
from harness.trial.train.length import training_length
from harness.trial.train.loop import Training, finetune
from harness.trial.train.validate import Validation
from tests.trial.train.test_loop import CPU, _Line


def _h(**changes: object) -> Hyperparameters:
    content = {"batch_size": 4, "lr": 0.1, "weight_decay": 0.0, "warmup_steps": 0, "milestones": (), **changes}
    return Hyperparameters(**content)  # type: ignore[arg-type]


class _Loader:
    """Batches of the numbers that the sampler gives, each an image of one pixel; a step takes no time but its own."""

    def __init__(self, batches: EpochBatches, before: Callable[[], None] = lambda: None) -> None:
        self.batches, self.before = batches, before

    def __iter__(self) -> Any:
        for keys in self.batches:
            self.before()
            yield [(torch.ones(3, 1, 1), {"boxes": torch.zeros(0, 4)}) for _ in keys]


def _train(h: Hyperparameters, images: int, **more: Any) -> tuple[_Line, Training]:
    detector = _Line()
    batches = EpochBatches(images, h.batch_size, 0, None, h.budget.images if h.budget else None)
    options: dict[str, Any] = {"on_step": lambda *_: None, "validate": lambda: Validation(map=0.5), **more}
    loader = _Loader(batches, options.pop("before", lambda: None))
    return detector, finetune(detector, loader, batches, h, device=CPU, **options)


@pytest.mark.parametrize(
    ("asked", "epochs", "batches"),
    [(25, 3, [4, 4, 2, 4, 4, 2, 4, 4]), (20, 2, [4, 4, 2, 4, 4, 2]), (10, 1, [4, 4, 2]), (3, 1, [4])],
)
def test_a_budget_of_images_ends_with_the_batch_that_reaches_it(asked: int, epochs: int, batches: list[int]) -> None:
    """Epochs of ten images in batches of four: the last epoch is shorter, the images seen are counted."""
    detector, training = _train(_h(budget=Budget(images=asked)), 10)
    assert detector.seen == batches
    assert (training.images_seen, len(training.epochs), training.stopped_epoch) == (sum(batches), epochs, None)


def test_a_budget_of_images_counts_repetitions() -> None:
    """With balanced classes epochs differ in length, and the budget is of images as they come."""
    repeats = np.array([1.4, 1.0, 1.6, 1.0])
    free, bounded = (EpochBatches(4, 2, 7, repeats, total) for total in (None, 11))
    assert bounded.epochs is not None
    assert sum(bounded.images(epoch) for epoch in range(1, bounded.epochs + 1)) in (11, 12)
    for epoch in range(1, bounded.epochs + 1):
        free.begin(epoch)
        bounded.begin(epoch)
        assert list(bounded) == list(free)[: bounded.steps(epoch)]
    assert free.epochs is None


def test_val_is_evaluated_at_the_end_of_a_budget_of_images() -> None:
    """And after each second epoch, as `validate_every: 2` asks."""
    _, training = _train(_h(budget=Budget(images=28), validate_every=2), 10)
    assert [epoch.val_map for epoch in training.epochs] == [None, 0.5, 0.5]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that a training sees; a step takes what a loader adds to it."""
    now = [0.0]
    monkeypatch.setattr("harness.trial.train.loop.time.perf_counter", lambda: now[0])
    return now


def test_minutes_are_those_of_steps_and_validations(clock: list[float]) -> None:
    """A step takes 2 s, a validation 5 s: training ends with what reaches 30 s."""

    def step() -> None:
        clock[0] += 2.0

    def validate() -> Validation:
        clock[0] += 5.0
        return Validation(map=0.5)

    h = _h(budget=Budget(minutes=0.5), validate_every=1)
    told: list[tuple[int, int]] = []
    detector, training = _train(
        h, 10, before=step, validate=validate, on_step=lambda epoch, epochs, *_: told.append((epoch, epochs))
    )
    assert len(detector.seen) == 9  # 6 + 5 + 6 + 5 + 6 + 5 s: the third validation goes past the end
    assert training.wall_s == 33.0
    assert [epoch.val_map for epoch in training.epochs] == [0.5] * 3
    assert training.stopped_epoch is None
    assert told[0] == (1, 5)  # two of thirty seconds for a third of an epoch
    assert told[-1] == (3, 4)


def test_a_killed_training_has_no_more_minutes(clock: list[float]) -> None:
    """What was trained before counts, the gap does not; a state from within the last step's epoch closes it."""
    states: list[dict[str, Any]] = []

    def step() -> None:
        clock[0] += 2.0

    def keep(state: Callable[[], dict[str, Any]], _steps: int, *, finished: bool) -> None:
        states.append(copy.deepcopy(state()))

    h = _h(budget=Budget(minutes=0.5))
    whole, training = _train(h, 40, before=step, save_checkpoint=keep)
    assert (len(whole.seen), training.images_seen, len(training.epochs)) == (15, 60, 2)
    for done, state in enumerate(states[:-1], 1):
        clock[0] += 1000.0
        again, resumed = _train(h, 40, before=step, state=copy.deepcopy(state))
        assert len(again.seen) == max(0, 15 - min(done - (done > 10), 15)), done
        assert resumed.images_seen == 60
        assert [epoch.lr for epoch in resumed.epochs] == [epoch.lr for epoch in training.epochs]


@pytest.mark.parametrize("schedule", ["cosine", "multistep"])
def test_rates_follow_the_length(schedule: str, clock: list[float]) -> None:
    """Half of the epochs, of the images or of the minutes is half of the cosine, and two thirds pass a milestone."""

    def step() -> None:
        clock[0] += 1.0

    rates = []
    for length in ({"epochs": 6}, {"budget": Budget(images=60)}, {"budget": Budget(minutes=0.3)}):
        h = _h(schedule=schedule, milestones=(0.5, 0.75), **length)
        _, training = _train(h, 10, before=step)
        rates.append([epoch.lr for epoch in training.epochs])
    assert rates[0] == rates[1] == pytest.approx(rates[2], rel=0.2)
    assert len(set(rates[0])) == {"cosine": 6, "multistep": 3}[schedule]


def test_early_stopping_ends_a_budget_early() -> None:
    """The last epoch is told, as without a budget."""
    h = _h(budget=Budget(images=1000), validate_every=1, early_stopping=EarlyStopping(patience=2))
    _, training = _train(h, 10)
    assert (training.stopped_epoch, training.images_seen) == (3, 30)


def test_what_a_length_comes_to_is_foreseen() -> None:
    """The steps and validations of epochs, of images, and of minutes at the speed of a preflight."""
    plain = EpochBatches(10, 4, 0)
    for h, batches, expected in (
        (_h(epochs=5, validate_every=2), plain, (15, 2)),
        (_h(budget=Budget(images=25), validate_every=2), EpochBatches(10, 4, 0, None, 25), (8, 2)),
        (_h(budget=Budget(minutes=1.0), validate_every=2), plain, (24, 5)),  # 15 s for two epochs with a validation
        (_h(budget=Budget(minutes=1.0)), plain, (30, 0)),
    ):
        assert training_length(h, batches).expected(batches, step_s=2.0, validation_s=3.0) == expected
