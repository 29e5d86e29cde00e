"""The detector to ship within limits, and why the others lost."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
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
Command = Callable[..., "subprocess.CompletedProcess[str]"]


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


def test_every_other_row_has_the_reason_why_it_lost(harness_command: Command, tmp_path: Path) -> None:
    """Over a limit, behind, failed, unsupported or on a subset: each has a line, with all limits that it breaks."""
    process = harness_command("recommend", _folder(tmp_path), "--max-latency", "30 ms", "--min-map", "0.35")
    assert process.returncode == 0
    for line in (
        f"shapes: ship {MOBILE} (lr 0.01), eager-fp32: map 0.381 at 20.0 ms (p95 20.0) in 1,024 MiB",
        f"not {FASTER}: 40.0 ms is over 30.0 ms",
        "50.0 ms is over 30.0 ms; map 0.300 is below 0.350",
        "not measured: no compiler",
        "not measured: failed",
        "only a subset of the images",
    ):
        assert line in process.stdout, process.stdout
    without_limits = harness_command("recommend", tmp_path)
    assert f"ship {FASTER}" in without_limits.stdout
    assert "map 0.381, −0.031, 2.0× faster" in without_limits.stdout


def test_different_environments_are_reported(harness_command: Command, tmp_path: Path) -> None:
    """A recommendation over two machines says that their speeds do not compare."""
    make_folder(tmp_path, [make_record(make_trial(FASTER)), make_record(make_trial(MOBILE), cpu="another CPU")])
    process = harness_command("recommend", tmp_path)
    assert "measured in different environments (cpu a CPU / another CPU): their speeds do not compare" in process.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--max-latency", "1ms"), 1, "nothing keeps to these limits"),
        (("--max-latency", "fast"), 2, "'fast' is no quantity such as 30ms"),
        (("--max-memory", "4"), 2, "'4' is no quantity such as 4GB"),
        (("--metric", "mAP"), 2, "'mAP' is not one of"),
    ],
)
def test_wrong_or_impossible_limits_have_their_exit_code(
    harness_command: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    """Limits that no row keeps to give 1, a wrong limit gives 2."""
    process = harness_command("recommend", _folder(tmp_path), *arguments)
    assert process.returncode == code
    assert message in process.stdout + process.stderr
    assert "Traceback" not in process.stderr
