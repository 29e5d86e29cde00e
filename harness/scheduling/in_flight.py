"""The trials that run at the same time, each in a slot: attempt after attempt, until another one cannot mend it.

Owns the loop that looks at all of them. Which trial comes next is the scheduler's business.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from harness.executors.supervise import interrupt, stop_all

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.executors.base import AttemptResult
    from harness.executors.slots import Slot
    from harness.executors.supervise import RunningAttempt, Supervisor
    from harness.scheduling.observer import Observers
    from harness.suite.trial import Trial

    Start = Callable[[Slot], RunningAttempt]

_LONG_S = 1.0


@dataclass(slots=True, kw_only=True)
class _Running:
    trial: Trial
    start: Start
    attempt: RunningAttempt


class InFlight:
    """Trials in their slots.

    Args:
        slots: as many trials run at once.
        is_over: whether a trial that ended so gets no other attempt.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        supervisor: Supervisor,
        observer: Observers,
        *,
        is_over: Callable[[Trial, AttemptResult], bool],
    ) -> None:
        self._slots = tuple(slots)
        self._supervisor, self._observer, self._is_over = supervisor, observer, is_over
        self._by_trial: dict[str, tuple[Slot, _Running]] = {}
        self._looked_at = supervisor.clock.now()

    def __enter__(self) -> Self:
        """End all that run, where the block is left by an error."""
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            interrupt(self._attempts(), error)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """Those that run."""
        return tuple(running.trial for _, running in self._by_trial.values())

    @property
    def has_room(self) -> bool:
        """Whether a slot is free."""
        return bool(self._free())

    def add(self, trial: Trial, start: Start) -> None:
        """Start a trial in a free slot.

        Args:
            start: starts an attempt of it in a slot; called again for another attempt.
        """
        slot = self._free()[0]
        self._by_trial[trial.trial_id] = slot, _Running(trial=trial, start=start, attempt=start(slot))

    def follow(self, trial: Trial, attempt: RunningAttempt, start: Start) -> None:
        """Take in a trial that runs already; where all slots are taken there is one more until it has ended."""
        slot = (*self._free(), self._slots[0])[0]
        self._by_trial[trial.trial_id] = slot, _Running(trial=trial, start=start, attempt=attempt)

    def next_ended(self) -> tuple[Trial, AttemptResult]:
        """Wait until a trial is over, and return how its last attempt ended.

        Raises:
            MachineError: an attempt found that the machine cannot go on.
            Interrupted: a signal asked this process to stop.
        """
        self._leave_out(self._supervisor.clock.now() - self._looked_at, but="")  # the caller was busy meanwhile
        while True:
            for trial_id, (slot, running) in tuple(self._by_trial.items()):
                result = self._look_at(trial_id, running)
                if result is None:
                    continue
                if self._is_over(running.trial, result):
                    del self._by_trial[trial_id]
                    self._observer.end(running.trial, result)
                    self._looked_at = self._supervisor.clock.now()
                    return running.trial, result
                self._observer.retry(running.trial, result.attempt)
                running.attempt = running.start(slot)
            self._observer.poll()
            self._supervisor.wait()

    def stop(self, reason: str) -> None:
        """End all that run, for this reason; the next run goes on with them."""
        stop_all(self._attempts(), reason)
        self._by_trial.clear()

    def _free(self) -> list[Slot]:
        """Return the slots in which no trial runs, in order."""
        free = list(self._slots)
        for slot, _ in self._by_trial.values():
            if slot in free:
                free.remove(slot)
        return free

    def _look_at(self, trial_id: str, running: _Running) -> AttemptResult | None:
        """Let one attempt step on; what takes long there, such as ending it, is not held against the others."""
        began = self._supervisor.clock.now()
        result = running.attempt.step()
        took_s = self._supervisor.clock.now() - began
        if took_s > _LONG_S:
            self._leave_out(took_s, but=trial_id)
        return result

    def _leave_out(self, seconds: float, *, but: str) -> None:
        for trial_id, (_, running) in self._by_trial.items():
            if trial_id != but:
                running.attempt.leave_out(seconds)

    def _attempts(self) -> list[RunningAttempt]:
        return [running.attempt for _, running in self._by_trial.values()]
