"""The interval of a median covers it, and the right timings are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from harness.analysis import latency
from harness.store import tables
from harness.trial.arrays import stored_timings
from harness.trial.measure.timing import Sample


def test_the_interval_of_a_median_covers_it() -> None:
    """In about 95 of 100 draws of images the interval holds the median of all images."""
    rng = np.random.default_rng(0)
    population = rng.lognormal(0, 0.3, 100_000)
    hits = 0.0
    for _ in range(200):
        seconds = rng.choice(population, 80)
        interval = latency.median_latency(pd.DataFrame({"round": 1, "image": np.arange(80), "seconds": seconds}))
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
    read = latency.read_latencies(path)
    assert {variant: rows["seconds"].tolist() for variant, rows in read.items()} == {
        "as trained": [1.0],
        "onnxruntime": [3.0],
    }
    assert latency.read_latencies(tmp_path / "none.parquet") == {}
    path.write_bytes(path.read_bytes()[:-30])
    assert latency.read_latencies(path) == {}, "a torn file costs an interval, not the report"
