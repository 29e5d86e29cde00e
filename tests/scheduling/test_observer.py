"""Several observers of one run: each hears of everything; one that raises is left out, and the run goes on."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import api
from harness.errors import Interrupted
from harness.observers.live import LiveView
from harness.observers.plain import PlainView
from harness.scheduling.observer import Observers
from harness.store.events import Event, MeasuredEvent
from harness.suite.trial import Trial
from tests.executors.scripted import ScriptedExecutor
from tests.store.make import make_trial

METHODS = ("begin", "preflight", "expect", "start", "event", "poll", "retry", "end", "close")


class Recorder:
    """Writes down what it hears; raises at the call that it is given."""

    def __init__(self, raises_at: str | None = None, error: BaseException | None = None) -> None:
        self.heard: list[str] = []
        self._raises_at, self._error = raises_at, error or RuntimeError("the tracker is offline")

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in METHODS:
            raise AttributeError(name)

        def hear(*_: object) -> None:
            self.heard.append(name)
            if name == self._raises_at:
                raise self._error

        return hear


@pytest.mark.parametrize("method", METHODS)
def test_one_that_raises_is_left_out_and_closed(method: str, caplog: pytest.LogCaptureFixture) -> None:
    """At whichever call; the others hear that call and all after it, and the log names the one and its error."""
    broken, whole = Recorder(method), Recorder()
    observers: Any = Observers((broken, whole))
    arguments = {"preflight": 3, "expect": 2, "start": 2, "retry": 2, "end": 2, "begin": 1, "event": 2}
    getattr(observers, method)(*(None,) * arguments.get(method, 0))
    observers.event(make_trial(), MeasuredEvent())
    closing = method == "close"
    assert broken.heard == ([method] if closing else [method, "close"])
    assert whole.heard == ([method] if closing else [method, "event"])
    problem = "could not be closed" if closing else "failed and is left out from now on"
    assert f"the observer Recorder {problem}" in caplog.text
    assert "RuntimeError: the tracker is offline" in caplog.text


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted(2)])
def test_a_signal_while_an_observer_works_ends_the_run(error: BaseException) -> None:
    """It is the person's wish, not the observer's fault."""
    observers = Observers((Recorder("poll", error),))
    with pytest.raises(KeyboardInterrupt):
        observers.poll()


def test_a_run_with_one_that_raises_is_the_same_run(
    tiny_suite: Callable[..., Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Two views and one that raises at the first trial: the views show all of it, the trial has its outcome."""
    plan = api.plan(tiny_suite(), results=tmp_path / "r", device="cpu")
    plain, live = io.StringIO(), io.StringIO()
    views: Sequence[Any] = (
        Recorder("start"),
        PlainView(Console(file=plain, width=200)),
        LiveView(Console(file=live, width=200, force_terminal=True, color_system=None)),
    )
    executor = ScriptedExecutor(("preflight_passed", None), ("failed", "error"))
    summary = api.run(plan, device="cpu", executor=executor, observers=views)
    assert (summary.failed, len(executor.jobs)) == (1, 2)
    assert "failed after 0 s: as scripted" in plain.getvalue()
    assert "0 of 1 trials done, 0 left, 1 failed" in live.getvalue()
    assert views[0].heard == ["begin", "preflight", "end", "expect", "start", "close"]
    assert caplog.text.count("is left out from now on") == 1


def test_events_reach_every_observer_as_they_are() -> None:
    """Typed, the same object."""
    received: list[Event] = []

    class Listener(Recorder):
        def event(self, event: Event) -> None:
            received.append(event)

    event = MeasuredEvent()
    Observers((Listener(), Listener())).event(make_trial(), event)
    assert received == [event, event]


def test_one_that_tells_trials_apart_hears_whose_event_it_is() -> None:
    """In place of the event alone."""
    received: list[object] = []

    class Listener(Recorder):
        def event_of(self, trial: Trial, event: Event) -> None:
            received.extend((trial, event))

    one, event = make_trial(), MeasuredEvent()
    listener = Listener()
    observers: Any = (listener,)
    Observers(observers).event(one, event)
    assert received == [one, event]
    assert listener.heard == []
