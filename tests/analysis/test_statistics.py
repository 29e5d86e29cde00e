"""Comparisons of latency give no more false alarms than promised, and detect real differences."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from harness.analysis import statistics
from harness.store import tables
from harness.trial.arrays import stored_timings
from harness.trial.measure.timing import Sample


def _timed(rng: np.random.Generator, *, images: int = 60, slower: float = 1.0, drift: float = 0.0) -> pd.DataFrame:
    """Three rounds over images of different cost: skewed noise, now and then a stall, rounds that drift."""
    cost = np.random.default_rng(7).lognormal(np.log(0.03), 0.2, images)
    rounds = []
    for number in (1, 2, 3):
        noise = rng.lognormal(0, 0.05, images) * np.where(rng.random(images) < 0.02, 3.0, 1.0)
        seconds = cost * slower * noise * (1 + rng.normal(0, drift))
        rounds.append(pd.DataFrame({"round": number, "image": np.arange(images), "seconds": seconds}))
    return pd.concat(rounds, ignore_index=True)


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_a_model_hardly_ever_differs_from_itself(drift: float) -> None:
    """A/A: of 200 simulated pairs of the same model at most 5 % are called different."""
    rng = np.random.default_rng(0)
    different = sum(
        statistics.compare_latency(_timed(rng, drift=drift), _timed(rng, drift=drift)).differs for _ in range(200)
    )
    assert different <= 10


def test_a_real_difference_is_found() -> None:
    """10 % slower is called different in nearly every pair, and the ratio is right."""
    rng = np.random.default_rng(0)
    pairs = [statistics.compare_latency(_timed(rng, slower=1.1), _timed(rng)) for _ in range(100)]
    assert sum(pair.differs for pair in pairs) >= 95
    assert np.mean([pair.ratio.value for pair in pairs]) == pytest.approx(1.1, abs=0.01)


def test_other_images_are_compared_without_pairs() -> None:
    """Two measurements on different images still compare; the interval is wider."""
    rng = np.random.default_rng(0)
    first, second = _timed(rng), _timed(rng)
    paired = statistics.compare_latency(first, second).ratio
    second["image"] += 1000
    unpaired = statistics.compare_latency(first, second).ratio
    assert unpaired.high - unpaired.low > paired.high - paired.low
    assert unpaired.low < 1 < unpaired.high


def test_the_interval_of_a_median_covers_it() -> None:
    """In about 95 of 100 draws of images the interval holds the median of all images."""
    rng = np.random.default_rng(0)
    population = rng.lognormal(0, 0.3, 100_000)
    hits = 0.0
    for _ in range(200):
        seconds = rng.choice(population, 80)
        interval = statistics.median_latency(pd.DataFrame({"round": 1, "image": np.arange(80), "seconds": seconds}))
        hits += float(interval.low <= np.median(population) <= interval.high)
    assert 180 <= hits <= 200


def test_the_last_repetition_of_the_right_variant_is_read(tmp_path: Path) -> None:
    """Earlier repetitions, other passes and other variants stay in the file and out of the statistics."""

    def sample(seconds: float, *, repeat: int = 0, name: str = "latency") -> Sample:
        return Sample(name=name, round=1, index=0, images=1, seconds=seconds, repeat=repeat)

    path = tmp_path / "samples.parquet"
    path.write_bytes(
        tables.write_timings(
            {
                "as trained": stored_timings([sample(9.0), sample(1.0, repeat=1), sample(7.0, name="throughput")]),
                "onnxruntime": stored_timings([sample(3.0)]),
            }
        )
    )
    interval = statistics.read_latencies(path)
    assert {variant: rows["seconds"].tolist() for variant, rows in interval.items()} == {
        "as trained": [1.0],
        "onnxruntime": [3.0],
    }
    assert statistics.read_latencies(tmp_path / "none.parquet") == {}
    path.write_bytes(path.read_bytes()[:-30])
    assert statistics.read_latencies(path) == {}, "a torn file costs an interval, not the report"
