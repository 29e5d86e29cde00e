"""The protocol of an observer, which follows a run as it happens, and how several of them follow one run.

Owns who hears of what. What an observer makes of it (a view on a terminal, lines, a tracker) is its own business, and
no result depends on it: one that raises is left out from then on.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol, cast

from harness import foreign

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from harness.executors.base import AttemptResult
    from harness.scheduling.estimate import StageSeconds
    from harness.scheduling.plan import Plan
    from harness.scheduling.race_forecast import RaceForecast
    from harness.store.events import Event
    from harness.store.job import Attempt
    from harness.store.race import BlockResult, Entrant, Race
    from harness.suite.trial import Trial

log = logging.getLogger(__name__)


class RunObserver(Protocol):
    """Follows a run."""

    def begin(self, plan: Plan) -> None:
        """The run starts with this plan."""

    def preflight(self, trials: Sequence[Trial], number: int, count: int) -> None:
        """The preflight of the `number`-th of `count` configurations starts; `trials` are its seeds to come."""

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """These trials follow, in this order; `expected` has the seconds of each, by id, as far as that is known."""

    def start(self, trial: Trial, log_path: Path) -> None:
        """An attempt of a trial starts; its output goes to `log_path`."""

    def event(self, event: Event) -> None:
        """An attempt, or preflight, in progress reports an event; `EventObserver` hears whose it is."""

    def poll(self) -> None:
        """The attempts in progress were looked at, about twice a second: the moment to redraw something."""

    def retry(self, trial: Trial, attempt: Attempt) -> None:
        """An attempt failed, and another one of the same trial follows."""

    def end(self, trial: Trial, result: AttemptResult) -> None:
        """A trial, or its preflight, ended."""

    def close(self) -> None:
        """The run is over, however it ended. Called once, after everything else."""


class EventObserver(Protocol):
    """What an observer may have in place of `RunObserver.event`, to tell trials apart that run at the same time."""

    def event_of(self, trial: Trial, event: Event) -> None:
        """An attempt, or preflight, of this trial reports an event."""


class RaceObserver(Protocol):
    """What an observer may have beside the methods of `RunObserver`, to follow races of speed as well."""

    def expect_race(self, forecast: RaceForecast) -> None:
        """After the trials there will be a race."""

    def race(self, race: Race, folder: Path, n_turns: int, expected_s: float) -> None:
        """A race starts, or goes on: so many turns are left, which take so many seconds; its files go to `folder`."""

    def turn(self, race: Race, block: int, entrant: Entrant) -> None:
        """An entrant's turn in a block starts."""

    def turn_end(self, race: Race, block: int, entrant: Entrant, result: BlockResult | None, reason: str) -> None:
        """It ended, with a result or for a reason; the entrant then takes no further part."""


class StageObserver(Protocol):
    """What an observer may have beside the methods of `RunObserver`, to know how long each stage of a trial takes."""

    def expect_stages(self, stages: Mapping[str, StageSeconds]) -> None:
        """Trials take so long, by id, as far as that is known: told before the first one and after each."""


class SearchObserver(Protocol):
    """What an observer may have beside the methods of `RunObserver`, to follow what a search makes known."""

    def replan(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """These trials follow now, as `RunObserver.expect` told before: after each trial of a suite with a search."""


class Observers:
    """Several observers as one: each hears of everything, and one that raises is left out from then on.

    Only exceptions count as that; a signal that arrives while an observer works ends the run as ever.
    """

    def __init__(self, observers: Sequence[RunObserver]) -> None:
        self._observers = list(observers)

    def begin(self, plan: Plan) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.begin(plan))

    def preflight(self, trials: Sequence[Trial], number: int, count: int) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.preflight(trials, number, count))

    def expect(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.expect(trials, expected))

    def start(self, trial: Trial, log_path: Path) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.start(trial, log_path))

    def event(self, trial: Trial, event: Event) -> None:
        """Pass it on, with whose it is to those who tell trials apart."""

        def tell(observer: RunObserver) -> None:
            if hasattr(observer, "event_of"):
                cast("EventObserver", observer).event_of(trial, event)
            else:
                observer.event(event)

        self._tell(tell)

    def poll(self) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.poll())

    def retry(self, trial: Trial, attempt: Attempt) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.retry(trial, attempt))

    def end(self, trial: Trial, result: AttemptResult) -> None:
        """Pass it on."""
        self._tell(lambda observer: observer.end(trial, result))

    def expect_stages(self, stages: Mapping[str, StageSeconds]) -> None:
        """Pass it on to those who want to know."""
        self._tell_if_asked("expect_stages", stages)

    def replan(self, trials: Sequence[Trial], expected: Mapping[str, float]) -> None:
        """Pass it on to those who follow searches."""
        self._tell_if_asked("replan", trials, expected)

    def expect_race(self, forecast: RaceForecast) -> None:
        """Pass it on to those who follow races."""
        self._tell_if_asked("expect_race", forecast)

    def race(self, race: Race, folder: Path, n_turns: int, expected_s: float) -> None:
        """Pass it on to those who follow races."""
        self._tell_if_asked("race", race, folder, n_turns, expected_s)

    def turn(self, race: Race, block: int, entrant: Entrant) -> None:
        """Pass it on to those who follow races."""
        self._tell_if_asked("turn", race, block, entrant)

    def turn_end(self, race: Race, block: int, entrant: Entrant, result: BlockResult | None, reason: str) -> None:
        """Pass it on to those who follow races."""
        self._tell_if_asked("turn_end", race, block, entrant, result, reason)

    def close(self) -> None:
        """Pass it on, once; an observer that was left out has been closed already."""
        while self._observers:
            _close(self._observers.pop(0))

    def _tell_if_asked(self, method: str, *arguments: object) -> None:
        """Tell those that have the method."""
        self._tell(lambda observer: getattr(observer, method, lambda *_: None)(*arguments))

    def _tell(self, call: Callable[[RunObserver], None]) -> None:
        for observer in tuple(self._observers):
            try:
                call(observer)
            except Exception as error:  # noqa: BLE001 - it may raise anything
                self._observers.remove(observer)
                name = type(observer).__name__
                told = foreign.shortened(foreign.whole_traceback(error))
                log.warning("the observer %s failed and is left out from now on; the run goes on\n%s", name, told)
                _close(observer)  # it may hold a terminal or a connection


def _close(observer: RunObserver) -> None:
    """Close it; an error of that is logged, and the run goes on."""
    try:
        observer.close()
    except Exception as error:  # noqa: BLE001 - likewise
        log.warning("the observer %s could not be closed: %s", type(observer).__name__, foreign.described(error))
