"""What more images or seeds would make of an error."""

from __future__ import annotations

import math

import pytest
from scipy import stats

from harness.analysis.error import Error


def _seen(standard: float, degrees: float) -> float:
    return float(stats.t.ppf(0.975, degrees) + stats.norm.ppf(0.8)) * standard


@pytest.mark.parametrize(("times", "degrees"), [(1, 2), (2, 6), (4, 14)])
def test_more_seeds_shrink_the_error_and_tell_more_of_it(times: int, degrees: int) -> None:
    """Two rows of two seeds each, whose spread is all there is, have 2 degrees of freedom; of four each, 6."""
    error = Error(images=0.0, image_degrees=99, seeds=0.0004, seed_degrees=2, seed_rows=2).with_more(seeds=times)
    assert error.degrees == degrees
    assert error.detectable == pytest.approx(_seen(0.02 / math.sqrt(times), degrees))


def test_more_images_leave_the_seeds_alone() -> None:
    """With one seed there is nothing else."""
    error = Error(images=0.0004, image_degrees=99).with_more(images=4)
    assert (error.images, error.seeds, error.degrees) == (0.0001, None, 399)
    both = Error(images=0.0004, image_degrees=99, seeds=0.0001, seed_degrees=4, seed_rows=2).with_more(images=4)
    assert both.standard == pytest.approx(math.sqrt(0.0001 + 0.0001))
    assert both.seed_degrees == 4
