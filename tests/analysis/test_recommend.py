"""The detector to ship within limits, and why the others lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.analysis.frame import configuration_frame, trial_frame
from harness.analysis.recommend import Bounds, advise
from harness.store import record
from harness.store.paths import SuiteFolder
from harness.store.results import read_results
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
    frame = configuration_frame(trial_frame(read_results(SuiteFolder(_folder(tmp_path)))))
    (advice,) = advise(frame, bounds, metric)
    assert (advice.chosen["architecture"] if advice.chosen is not None else None) == chosen
    assert len(advice.lost) == len(frame) - (chosen is not None)
