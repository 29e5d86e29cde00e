"""The protocol of whoever is told of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.executors.base import AttemptResult, Event
    from harness.scheduling.plan import Plan
    from harness.store.job import Attempt
    from harness.suite.trial import Trial


class RunObserver(Protocol):
    """Whoever shows a run to a person."""

    def begin(self, plan: Plan) -> None:
        """The run starts."""

    def rehearse(self, alike: Sequence[Trial], number: int, count: int) -> None:
        """The `number`-th of `count` configurations is rehearsed, for all of its seeds that are left."""

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """These trials come, in this order; `expected` seconds each, by id, as far as that is known."""

    def start(self, trial: Trial, log_path: Path) -> None:
        """A trial starts."""

    def event(self, event: Event | None) -> None:
        """The child said something, or nothing yet."""

    def again(self, trial: Trial, attempt: Attempt) -> None:
        """An attempt failed in a way that another one follows."""

    def end(self, trial: Trial, ending: AttemptResult) -> None:
        """A trial, or its rehearsal, ended."""

    def close(self) -> None:
        """The run is over, however it ended."""
