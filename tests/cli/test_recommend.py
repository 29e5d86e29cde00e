"""`harness recommend` as a person runs it: the detector to ship, and why each other one lost."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from harness.store import record
from tests.conftest import Command
from tests.report.doubtful import AS_GOOD, DOUBTFUL, GOOD, POOR, TRUTH
from tests.report.made import make_detected
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


def _folder(root: Path) -> Path:
    """Accurate and slow, fast and less accurate, neither; one failed, one on a subset, one variant that cannot be."""
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


def test_every_other_one_is_told_why_it_lost(harness_command: Command, tmp_path: Path) -> None:
    """Over a bound, behind, failed, impossible or on a subset: each its own line, all bounds that it breaks in it."""
    done = harness_command("recommend", _folder(tmp_path), "--max-latency", "30 ms", "--min-map", "0.35")
    for line in (
        f"shapes: no advice to ship; best here: {MOBILE} (lr 0.01), eager-fp32: map 0.381 at 20.0 ms (p95 20.0) in ",
        "  1 of 5 rows is not measured",
        f"not {FASTER}: 40.0 ms is over 30.0 ms",
        "50.0 ms is over 30.0 ms; map 0.300 is below 0.350",
        "not measured: no compiler",
        "not measured: failed",
        "only a subset of the images",
    ):
        assert line in done.stdout, done.stdout
    assert done.returncode == 1  # one row failed
    freely = harness_command("recommend", tmp_path)
    assert f"best here: {FASTER}" in freely.stdout
    assert "map 0.381, −0.031, 2.00× as fast (by medians of one process each)" in freely.stdout


def test_what_can_be_shipped_exits_with_0(harness_command: Command, tmp_path: Path) -> None:
    """The fastest of those not separated from the best one, and by what it is."""
    named = ((FASTER, 0.04, GOOD), (MOBILE, 0.02, AS_GOOD), (RETINA, 0.01, POOR))
    rows = [(make_record(make_trial(name), latency_s=seconds), stored) for name, seconds, stored in named]
    make_detected(tmp_path, TRUTH, rows)
    done = harness_command("recommend", tmp_path)
    assert done.returncode == 0, done.stdout
    assert f"shapes: ship {MOBILE}: map 0.4" in done.stdout
    assert "the fastest, by medians of one process each, of 2 whose map is not separated from the best" in done.stdout
    assert "one seed: this holds for these weights" in done.stdout


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_stands_against_an_answer_exits_with_1(harness_command: Command, tmp_path: Path, name: str) -> None:
    """Failed seeds, unmeasured rows, records that contradict themselves, rows that do not compare: with the reason."""
    done = harness_command("recommend", DOUBTFUL[name].make(tmp_path / "made").path)
    assert done.returncode == 1
    assert DOUBTFUL[name].advice in done.stdout
    assert not re.search(r"^\w+.*: ship ", done.stdout, flags=re.MULTILINE)
    assert done.stdout.count("no advice to ship; best here: ") == DOUBTFUL[name].tables


def test_one_limit_does_not_hold_on_two_machines(harness_command: Command, tmp_path: Path) -> None:
    """Not even where the better one keeps to it clearly; without the limit, accuracy decides and it can be shipped."""
    rows = [(make_record(make_trial(FASTER), latency_s=0.02), GOOD),
            (make_record(make_trial(MOBILE), latency_s=0.01, cpu="another CPU"), POOR)]  # fmt: skip
    make_detected(tmp_path, TRUTH, rows)
    done = harness_command("recommend", tmp_path, "--max-latency", "500ms")
    assert done.returncode == 1
    assert "the speeds of the rows do not compare, so neither do they with one limit" in done.stdout
    assert "different environment: cpu a CPU / another CPU" in done.stdout
    assert "its speed does not compare" in done.stdout
    freely = harness_command("recommend", tmp_path)
    assert (freely.returncode, f"ship {FASTER}" in freely.stdout) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--max-latency", "1ms"), 1, "nothing to ship: no row is measured on all images and keeps to the limits"),
        (("--max-latency", "fast"), 2, "'fast' is no quantity such as 30ms"),
        (("--max-memory", "4"), 2, "'4' is no quantity such as 4GB"),
        (("--metric", "mAP"), 2, "'mAP' is not one of"),
    ],
)
def test_what_cannot_be_is_told(
    harness_command: Command, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    """No limit met is 1, a wrong limit 2."""
    done = harness_command("recommend", _folder(tmp_path), *arguments)
    assert done.returncode == code
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
