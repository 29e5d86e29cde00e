"""What a turn of a race measures; that it runs in a process of its own is told by tests/cli/test_race.py."""

from __future__ import annotations

import pytest

from harness.trial.measure.timing import Sample
from harness.trial.race import median_over_images


def _sample(index: int, seconds: float) -> Sample:
    return Sample(name="latency", round=1, index=index, images=1, seconds=seconds)


def test_an_image_that_was_timed_more_often_counts_once() -> None:
    """The median over images of each one's median: 2 of 1, 2, 9."""
    samples = [_sample(0, 1.0), _sample(1, 2.0), _sample(2, 9.0), _sample(0, 1.0), _sample(0, 1.2), _sample(0, 0.9)]
    assert median_over_images(samples) == pytest.approx(2.0)
