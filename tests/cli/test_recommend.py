"""`harness recommend` as a person runs it: the detector to ship, and why each other one lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.store import record
from tests.conftest import Command
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
    assert done.returncode == 0
    for line in (
        f"shapes: ship {MOBILE} (lr 0.01), eager-fp32: map 0.381 at 20.0 ms (p95 20.0) in 1,024 MiB",
        f"not {FASTER}: 40.0 ms is over 30.0 ms",
        "50.0 ms is over 30.0 ms; map 0.300 is below 0.350",
        "not measured: no compiler",
        "not measured: failed",
        "only a subset of the images",
    ):
        assert line in done.stdout, done.stdout
    freely = harness_command("recommend", tmp_path)
    assert f"ship {FASTER}" in freely.stdout
    assert "map 0.381, −0.031, 2.0× faster" in freely.stdout


def test_other_environments_are_told(harness_command: Command, tmp_path: Path) -> None:
    """A recommendation over two machines says that their speeds do not compare."""
    make_folder(tmp_path, [make_record(make_trial(FASTER)), make_record(make_trial(MOBILE), cpu="another CPU")])
    done = harness_command("recommend", tmp_path)
    assert "measured in different environments (cpu a CPU / another CPU): their speeds do not compare" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--max-latency", "1ms"), 1, "nothing keeps to these limits"),
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
