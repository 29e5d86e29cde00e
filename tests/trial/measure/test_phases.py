"""A detector that marks its phases wrongly is told so."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
import torch

from harness.errors import TrialError
from harness.trial.measure.phases import time_phases
from tests.trial.measure.fakes import Device
from tests.trial.models.fakes import IncapableDetector


class _Unmarked(IncapableDetector):
    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        mark()
        yield


def test_borders_that_are_not_marked_are_an_error() -> None:
    """With the method's name and how many there were."""
    device = Device([0.01])
    with pytest.raises(TrialError, match=r"_Unmarked.mark_phases: expected 2 marks in each detect, got 0"):
        time_phases(
            device.run, [torch.zeros(3, 8, 8)], [0], round_=1, detector=_Unmarked(), stopwatch=device.stopwatch()
        )
