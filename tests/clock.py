"""A clock that a test steps: waiting takes no time, and the test sees how long a program would have waited."""

from __future__ import annotations

from dataclasses import dataclass

from harness.processes.watch import Clock


@dataclass
class SteppedClock:
    """Starts at 1000 s and advances by what is slept."""

    time_s: float = 1000.0

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.time_s += seconds

    def clock(self) -> Clock:
        """As the program takes it."""
        return Clock(now=self.now, sleep=self.sleep)
