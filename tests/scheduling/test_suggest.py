"""A suggestion is a function of the seed and of what was tried, within the space, and better than chance."""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

import pytest

from harness.scheduling.suggest import suggest
from harness.suite.axes import read_axes
from harness.suite.search import Sampler

AXES = read_axes(
    {"lr": [1e-4, 1e-1, "log"], "batch_size": [2, 8], "schedule": ["cosine", "constant"], "momentum": [0.8, 0.99]}
)


def _search(n: int, *, seed: int = 0, sampler: Sampler = "tpe") -> list[tuple[dict[str, Any], float | None]]:
    """Try so many points; the score is highest at a rate of 0.003 with a cosine schedule; every third trial fails."""
    tried: list[tuple[dict[str, Any], float | None]] = []
    for number in range(n):
        values = suggest(AXES, tried, sampler=sampler, seed=seed)
        score = 1 - abs(math.log10(values["lr"] / 0.003)) / 3 - 0.3 * (values["schedule"] == "constant")
        tried.append((values, None if number % 3 == 2 else score))
    return tried


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_a_suggestion_follows_from_the_seed_and_what_was_tried(sampler: Sampler) -> None:
    """So a search can be begun again at any of its trials."""
    assert _search(8, sampler=sampler) == _search(8, sampler=sampler)
    assert _search(8, sampler=sampler) != _search(8, seed=1, sampler=sampler)


def test_values_lie_in_the_space() -> None:
    """Numbers with at most four digits that matter, whole ones where they have to be."""
    for values, _ in _search(20):
        assert 1e-4 <= values["lr"] <= 1e-1
        assert float(f"{values['lr']:.4g}") == values["lr"]
        assert values["batch_size"] in range(2, 9)
        assert isinstance(values["batch_size"], int)
        assert values["schedule"] in {"cosine", "constant"}


def test_what_is_suggested_learns() -> None:
    """Of 20 trials the last ten score better than those of random points, over ten seeds."""
    late = [[score for _, score in _search(20, seed=seed)[10:] if score is not None] for seed in range(10)]
    chance = [
        [score for _, score in _search(20, seed=seed, sampler="random")[10:] if score is not None] for seed in range(10)
    ]
    assert fmean(map(fmean, late)) > fmean(map(fmean, chance)) + 0.1


def test_no_point_is_tried_twice() -> None:
    """Of six points, six trials try each once; choices may be mappings."""
    axes = read_axes({"augmentation": {"choices": [{"hflip": 0.0}, {"hflip": 0.5}, "ssd"]}, "accumulate": [1, 2]})
    tried: list[tuple[dict[str, Any], float | None]] = []
    for _ in range(6):
        tried.append((suggest(axes, tried, sampler="tpe", seed=0), 0.5))
    assert len({str(values) for values, _ in tried}) == 6
