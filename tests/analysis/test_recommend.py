"""The detector to ship within limits, and why the others lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.choice import MIN_MAP
from harness.analysis.recommend import Advice, Bounds, advise
from harness.analysis.suite import analyse_suite
from harness.store import record
from harness.store.arrays import StoredDetections
from harness.store.paths import SuiteFolder
from tests.report.doubtful import AS_GOOD, GOOD, POOR, TRUTH
from tests.report.made import drawn_detections, drawn_labels, make_detected
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


def _folder(root: Path) -> Path:
    """Write results of an accurate, a fast and a bad row, a failed one, a subset and an unsupported variant."""
    records = [
        make_record(make_trial(FASTER), map=0.412, latency_s=0.040),
        replace(
            make_record(make_trial(MOBILE), map=0.381, latency_s=0.020),
            variants=(record.Variant(name="compile", problem="no compiler"),),
        ),
        make_record(make_trial(RETINA), map=0.300, latency_s=0.050),
        make_record(make_trial(RETINA, max_images=4), map=0.9, latency_s=0.001),
    ]
    make_folder(root, records, failed=((make_trial(MOBILE, h={"lr": 0.5}), make_outcome()),))
    return root


@pytest.mark.parametrize(
    ("bounds", "metric", "chosen"),
    [
        (Bounds(), "map", FASTER),
        (Bounds(max_latency_s=0.03), "map", MOBILE),
        (Bounds(max_latency_s=0.04), "map", FASTER),
        (Bounds(max_latency_s=0.03, min_metric=0.4), "map", None),
        (Bounds(max_memory_bytes=2**29), "map", None),
        (Bounds(min_metric=0.15), "map_50", FASTER),
        (Bounds(min_metric=0.3), "map_50", None),
    ],
)
def test_the_best_within_the_bounds_wins(tmp_path: Path, bounds: Bounds, metric: str, chosen: str | None) -> None:
    """A limit may be met exactly; neither a subset nor an unmeasured row wins."""
    suite = analyse_suite(SuiteFolder(_folder(tmp_path)))
    (advice,) = advise(suite, bounds, metric)
    assert (advice.chosen["architecture"] if advice.chosen is not None else None) == chosen
    assert len(advice.lost) == len(suite.frame) - (chosen is not None)
    assert not advice.ships  # a row failed, and there are no detections


def _advise(root: Path, *rows: tuple[str, StoredDetections, float], bounds: Bounds | None = None) -> Advice:
    found = [(make_record(make_trial(name), latency_s=seconds), stored) for name, stored, seconds in rows]
    (advice,) = advise(analyse_suite(make_detected(root, TRUTH, found)), bounds or Bounds(), "map")
    return advice


@pytest.mark.parametrize(
    ("bounds", "chosen"),
    [
        (Bounds(), RETINA),  # the fastest of the three that are as good
        (Bounds(max_latency_s=0.015), MOBILE),  # alone within the limit
        (Bounds(min_metric=0.43), FASTER),  # alone above the limit
        (Bounds(max_latency_s=0.001), None),
    ],
)
def test_the_fastest_of_those_not_separated_wins(tmp_path: Path, bounds: Bounds, chosen: str | None) -> None:
    """Of those within the limits: neither the most accurate one by its number, nor the fastest of all."""
    rows = ((FASTER, GOOD, 0.04), (RETINA, AS_GOOD, 0.02), (MOBILE, POOR, 0.01))
    advice = _advise(tmp_path, *rows, bounds=bounds)
    assert advice.label == chosen
    assert advice.ships == (chosen is not None)
    tied = "the fastest, by medians of one process each, of 2 whose map is not separated from the best"
    assert (tied in advice.remarks) == (chosen == RETINA)


def test_one_that_learnt_nothing_is_never_the_fastest(tmp_path: Path) -> None:
    """However fast: with few images nothing is separated from nothing."""
    truth = drawn_labels(np.random.default_rng(3), images=4, classes=1, crowds=0.0)
    little, nothing = (drawn_detections(np.random.default_rng(1), truth, hits=hits, each=4) for hits in (0.5, 0.0))
    rows = [(make_record(make_trial(FASTER), latency_s=0.04), little),
            (make_record(make_trial(MOBILE), latency_s=0.01), nothing)]  # fmt: skip
    suite = analyse_suite(make_detected(tmp_path, truth, rows))
    (pair,) = suite.datasets[0].significance.pairs.values()
    assert not pair.separated
    assert suite.frame["map"].min() < MIN_MAP < suite.frame["map"].max()
    (advice,) = advise(suite, Bounds(), "map")
    assert advice.label == FASTER


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (Bounds(max_latency_s=0.0913), "91.34 ms is over 91.30 ms"),
        (Bounds(max_latency_s=0.0913399), "91.3400 ms is over 91.3399 ms"),
        (Bounds(max_latency_s=0.05), "91.3 ms is over 50.0 ms"),
        (Bounds(max_memory_bytes=2**30 - 1000), "1,024.000 MiB is over 1,023.999 MiB"),
        (Bounds(min_metric=0.50001), "map 0.50000 is below 0.50001"),
    ],
)
def test_a_limit_is_told_apart_from_what_breaks_it(tmp_path: Path, bounds: Bounds, reason: str) -> None:
    """With as many digits as that takes, and no more."""
    folder = make_folder(tmp_path, [make_record(make_trial(), map=0.5, latency_s=0.09134)])
    (advice,) = advise(analyse_suite(folder), bounds, "map")
    assert advice.lost == ((RETINA, reason),)
