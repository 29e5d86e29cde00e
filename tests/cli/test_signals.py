"""The signals that ask a run to stop."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.cli.signals import listen_for_signals
from harness.errors import Interrupted
from tests.conftest import Command

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """The handlers of the tests' own process come back afterwards."""
    before = {number: signal.getsignal(number) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_interrupts_and_the_second_one_says_so(number: int) -> None:
    """Each as the signal's number, which the exit code is made of."""
    signal.signal(number, signal.SIG_DFL)
    listen_for_signals()
    for again in (False, True):
        with pytest.raises(Interrupted) as interrupt:
            os.kill(os.getpid(), number)
        assert (interrupt.value.number, interrupt.value.again) == (number, again)


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup asks for."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    listen_for_signals()
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_command_in_this_process_leaves_its_handlers_as_they_were(harness_command: Command, tmp_path: Path) -> None:
    """Or Ctrl-C would no longer stop the tests."""
    before = [signal.getsignal(number) for number in NUMBERS]
    assert harness_command("measure", "nothing", "--results", tmp_path).returncode == 2
    assert [signal.getsignal(number) for number in NUMBERS] == before
