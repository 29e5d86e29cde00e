"""A signal stops a trial at once, or where it can be left; a second one only where nobody else would."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from harness.errors import Interrupted
from harness.trial.interrupt import InterruptHandler


@pytest.fixture
def handlers() -> Iterator[None]:
    """The test run's own handlers, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_raises_where_the_program_is(number: signal.Signals) -> None:
    """And `check` raises from then on."""
    interrupt = InterruptHandler()
    interrupt.listen()
    interrupt.check()
    with pytest.raises(Interrupted) as raised:
        signal.raise_signal(number)
    assert (raised.value.number, raised.value.again) == (number, False)
    with pytest.raises(Interrupted):
        interrupt.check()


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize("second_stops", [False, True])
def test_a_deferred_signal_waits_for_check(*, second_stops: bool) -> None:
    """A trial's process that is told twice, by a reboot and by its runner, still finishes its step; inline it stops."""
    interrupt = InterruptHandler(second_stops=second_stops)
    interrupt.listen()
    with interrupt.deferred():
        signal.raise_signal(signal.SIGTERM)
        assert (interrupt.asked, interrupt.asked_again) == (True, False)
        if second_stops:
            with pytest.raises(Interrupted) as raised:
                signal.raise_signal(signal.SIGTERM)
            assert raised.value.again
        else:
            signal.raise_signal(signal.SIGTERM)
        assert interrupt.asked_again
    with pytest.raises(Interrupted):
        interrupt.check()
