"""How far a trial is in its stages, and how fast this machine is lately compared with what was expected of it.

Both in *expected seconds*: what a preflight, or a trial that ran, says that a piece of work takes. What is left of them
times the pace of the last minutes is the time left: so it counts every stage, and follows a machine that slows down.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from harness.store.events import EvaluatedEvent, PausedEvent, ResumedEvent, StageEvent, StepEvent, event_moment

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from harness.scheduling.estimate import StageSeconds
    from harness.store.events import Event
    from harness.suite.trial import Trial

_RECENT_S = 120.0
_BELIEF_S = 2.0  # of work at the expected pace, counted with what was seen, so that the first step alone says little
_AT_LEAST = 0.05  # of the time that a stage has taken so far is left of it, where only its end tells that it is done
_ORDER = ("start", "train", "evaluate", "measure", "variant")
_STAGES = {"data": "start", "model": "start", **{stage: stage for stage in _ORDER}}


class Pace:
    """How many seconds an expected second takes, by the work of the last two minutes."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, float]] = deque()
        self._seconds = 0.0

    def add(self, seconds: float, expected_s: float) -> None:
        """Work that was expected to take `expected_s` took so many seconds."""
        self._recent.append((seconds, expected_s))
        self._seconds += seconds
        while self._seconds - self._recent[0][0] >= _RECENT_S:
            self._seconds -= self._recent.popleft()[0]

    def factor(self) -> float:
        """Return what to multiply expected seconds by."""
        expected_s = sum(expected for _, expected in self._recent)
        return (self._seconds + _BELIEF_S) / (expected_s + _BELIEF_S)


def replayed(trial: Trial, events: Sequence[Event], expected: StageSeconds, now: datetime) -> tuple[float, float]:
    """Return what is left of an attempt, in expected seconds, and the factor of its pace, from the events it wrote."""
    told = [(moment.timestamp(), event) for event in events if (moment := event_moment(event)) is not None]
    at = told[0][0] if told else now.timestamp()
    pace = Pace()
    progress = StageProgress(trial, pace, lambda: at)
    for at, event in told:  # noqa: B007 - the clock above reads it
        progress.event(event, expected)
    at = now.timestamp()
    return progress.left_s(expected), pace.factor()


class StageProgress:
    """Where an attempt is in its stages.

    Args:
        trial: what it runs.
        pace: learns from its training and evaluation how fast the machine is.
        clock: gives the time in seconds.
    """

    def __init__(self, trial: Trial, pace: Pace, clock: Callable[[], float]) -> None:
        self._validate_every = trial.hyperparameters.validate_every
        self._n_variants = len(trial.protocol.variants)
        self._pace, self._clock = pace, clock
        self._stage, self._began = "start", clock()
        self._variant = 0  # the number of the one in progress
        self._seen: tuple[float, float] | None = None  # when progress was last told, and what was done by then
        self.trained = self._validated = self._evaluated = 0.0  # fractions
        self._epoch = (1, 1)  # of how many

    def event(self, event: Event, expected: StageSeconds) -> None:
        """Take in what the attempt reports."""
        stage = _STAGES.get(event.stage, self._stage)
        if stage != self._stage:
            self._stage, self._began, self._seen = stage, self._clock(), None
        if isinstance(event, PausedEvent):
            self._began, self._seen = self._began + event.paused_s, None
        elif isinstance(event, ResumedEvent):
            self._seen = None  # the next step says what earlier attempts have done
        elif isinstance(event, StageEvent) and stage == "variant":
            self._variant, self._began = self._variant + 1, self._clock()
        elif isinstance(event, StepEvent):
            self.trained = (event.epoch - 1 + event.step / event.steps) / event.epochs
            self._validated = self._validations(event.epoch, 0.0, event.epochs)
            self._epoch = event.epoch, event.epochs
            self._learn(expected)
        elif isinstance(event, EvaluatedEvent):
            if stage == "train":
                self._validated = self._validations(self._epoch[0], event.images / max(event.of, 1), self._epoch[1])
            else:
                self._evaluated = event.images / max(event.of, 1)
            self._learn(expected)

    def left_s(self, expected: StageSeconds) -> float:
        """Return the expected seconds of what is still to be done."""
        left = _ORDER[_ORDER.index(self._stage) :]
        return sum(expected.of(stage) for stage in left) - self._done_s(expected)

    def _done_s(self, expected: StageSeconds) -> float:
        """Return the expected seconds of what is done of the present stage."""
        if self._stage == "train":
            return self.trained * expected.training_s + self._validated * expected.validation_s
        if self._stage == "evaluate":
            return self._evaluated * expected.evaluation_s
        whole_s, parts = expected.of(self._stage), max(1, self._n_variants) if self._stage == "variant" else 1
        part_s = whole_s / parts
        passed_s = (self._clock() - self._began) / self._pace.factor()
        before = max(0, self._variant - 1) if self._stage == "variant" else 0
        return min(before, parts - 1) * part_s + part_s - max(part_s - passed_s, _AT_LEAST * passed_s)

    def _learn(self, expected: StageSeconds) -> None:
        """Compare the time since progress was last told with what was expected of it."""
        now, done_s = self._clock(), self._done_s(expected)
        if self._seen is not None and done_s >= self._seen[1]:
            self._pace.add(now - self._seen[0], done_s - self._seen[1])
        self._seen = now, done_s

    def _validations(self, epoch: int, present: float, epochs: int) -> float:
        """Return which fraction of all validations is done, of the present one `present`."""
        whole = epochs // self._validate_every if self._validate_every else 0
        return min(1.0, ((epoch - 1) // self._validate_every + present) / whole) if whole else 0.0
