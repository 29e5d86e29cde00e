"""When a training writes checkpoints: as often as a crash may cost training time, and once at its end."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.store import paths
from harness.store.job import Job
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.trial.context import build_context
from harness.trial.events import EventWriter
from harness.trial.interrupt import InterruptHandler
from harness.trial.train.resume import States
from harness.trial.train.trainer import Trainer
from harness.trial.train.validate import Validation
from tests.conftest import FAST, TOY

STEPS = 3  # of an epoch
DATA = "  shapes: {format: synthetic, train: {images: 6}, val: {images: 2}, test: {images: 2}, size: 64, classes: 2}\n"


class _Kept(States):
    """States that are kept in memory: (steps, where training stood)."""

    saved: list[tuple[int, dict[str, Any]]]

    def save(self, state: dict[str, Any], *, steps: int) -> None:
        self.saved.append((steps, state["position"]))


def _saved(
    suite: Path, monkeypatch: pytest.MonkeyPatch, *, checkpoint_s: float, validation_s: float = 0.0
) -> list[tuple[int, int]]:
    """Train with a clock on which a step takes a second; return the steps and finished epochs of each checkpoint."""
    (trial,) = plan_trials(load_suite(suite), {"shapes": "f"}, max_images=None)
    now = 0.0
    events = EventWriter(io.StringIO())
    job = Job(trial=trial, number=1, device="cpu", threads=2, import_folder=str(suite.parent))
    states = _Kept(folder=suite.parent / "states", trial_id=trial.trial_id)
    object.__setattr__(states, "saved", [])

    def step(*_arguments: object) -> None:
        nonlocal now
        now += 1.0

    def validate(_trainer: Trainer) -> Validation:
        nonlocal now
        now += validation_s
        return Validation(map=0.5)

    monkeypatch.setattr("harness.trial.train.trainer.time.monotonic", lambda: now)
    monkeypatch.setattr(Trainer, "_on_step", step)
    monkeypatch.setattr(Trainer, "_validate", validate)
    folder = paths.TrialFolder(suite.parent / "trial")
    Trainer(build_context(job, events), states, folder, events, InterruptHandler(), checkpoint_s=checkpoint_s).train()
    return [(steps, len(position["curve"])) for steps, position in states.saved]


@pytest.fixture
def suite(tiny_suite: Callable[..., Path]) -> Path:
    """Four epochs of three steps, with a validation after each second epoch."""
    return tiny_suite(
        datasets=DATA,
        architectures=TOY,
        rest=f"hyperparameters: {{epochs: 4, batch_size: 2, validate_every: 2}}\n{FAST}",
    )


def test_a_short_training_writes_its_end_alone(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No epoch's end asks for a checkpoint; the end of training does, with its validation, before it is evaluated."""
    assert _saved(suite, monkeypatch, checkpoint_s=600.0) == [(12, 4)]


@pytest.mark.parametrize(
    ("checkpoint_s", "expected"),
    [
        (5.0, [(5, 1), (10, 3), (12, 4)]),
        (4.0, [(4, 1), (8, 2), (12, 3)]),  # the last one is behind the last step: only the validation could be lost
        (3.0, [(3, 0), (6, 1), (9, 2), (12, 3)]),
    ],
)
def test_checkpoints_follow_the_clock(
    checkpoint_s: float, expected: list[tuple[int, int]], suite: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is due by the seconds since the one before; none comes twice for one step, whatever ends there."""
    assert _saved(suite, monkeypatch, checkpoint_s=checkpoint_s) == expected


def test_a_long_validation_is_kept(suite: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes longer than what a crash may cost is followed by a checkpoint."""
    assert _saved(suite, monkeypatch, checkpoint_s=60.0, validation_s=100.0) == [(6, 2), (12, 4)]
