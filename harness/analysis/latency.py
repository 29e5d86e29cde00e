"""Raw timings of single processes: reading those of the latency pass, and how certain their median is over images.

How two detectors compare is not here: processes of the same weights differ by more than images do, so that is raced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from harness.analysis.statistics import Interval
from harness.store.problems import note
from harness.store.tables import UnreadableError, read_timings

if TYPE_CHECKING:
    from pathlib import Path

    from harness.store.arrays import StoredTimings


def read_latencies(samples: Path) -> dict[str, pd.DataFrame]:
    """Return the timings of the latency pass by variant, from samples.parquet; empty if it is missing or unreadable."""
    if not samples.is_file():
        return {}
    try:
        timings = read_timings(samples.read_bytes())
    except (OSError, UnreadableError) as error:
        note(f"{samples}: cannot be read ({error}): intervals of latencies are left out")
        return {}
    return {variant: _standing_latencies(group) for variant, group in timings.items() if "latency" in group.passes}


def _standing_latencies(timings: StoredTimings) -> pd.DataFrame:
    """Return round, image and seconds of the last repetition of the latency pass."""
    latency = timings.passes == "latency"
    rows = latency & (timings.repeats == timings.repeats[latency].max())
    return pd.DataFrame(
        {"round": timings.rounds[rows], "image": timings.images[rows], "seconds": timings.seconds[rows]}
    )


def median_latency(samples: pd.DataFrame) -> Interval:
    """Return the median of all timings, in seconds, with the 95 % interval of the median over images.

    The interval lies between the order statistics of ranks n/2 ± 1.96 √n / 2, which holds for any distribution
    (Conover, Practical Nonparametric Statistics, 1999, section 3.2; normal approximation).
    """
    medians = np.sort(samples.groupby("image")["seconds"].median().to_numpy())
    count = len(medians)
    half_width = 1.96 * np.sqrt(count) / 2
    low = medians[max(0, int(np.floor(count / 2 - half_width)))]
    high = medians[min(count - 1, int(np.ceil(count / 2 + half_width)) - 1)]
    return Interval(value=float(samples["seconds"].median()), low=float(low), high=float(high))
