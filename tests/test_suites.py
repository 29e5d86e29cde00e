"""The suites that ship do what they promise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, TINY_MODEL, Command


@pytest.mark.slow
def test_smoke_goes_through_everything(harness_command: Command, tmp_path: Path) -> None:
    """One-stage and two-stage detectors of torchvision, from the file to the report."""
    done = harness_command("run", "suites/smoke.yaml", "--results", tmp_path, "--no-race", cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(tmp_path.glob("smoke/trials/*/record.json"))) == 2


@pytest.mark.slow
def test_a_trial_repeats_to_the_last_bit(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """The same trial run twice has the same id, the same weights and the same accuracy."""
    suite = tiny_suite(architectures=f"  - name: fasterrcnn_mobilenet_v3_large_fpn\n{TINY_MODEL}")
    found = []
    for results in (tmp_path / "first", tmp_path / "second"):
        assert harness_command("run", suite, "--results", results, "--no-preflight").returncode == 0
        (path,) = results.glob("tiny/trials/*/record.json")
        record = json.loads(path.read_text())
        found.append((path.parent.name, record["model"]["state_sha256"], record["metrics"]))
    assert found[0] == found[1]


@pytest.mark.slow
def test_quickstart_teaches_all_three_and_then_skips_them(harness_command: Command, tmp_path: Path) -> None:
    """Every architecture reaches map_50 ≥ 0.30, and a second run measures nothing again.

    Under onnxruntime each has the same mAP within 0.005.
    """
    done = harness_command("run", "suites/quickstart.yaml", "--results", tmp_path, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.glob("quickstart/trials/*/record.json")]
    assert len(records) == 3
    for record in records:
        assert record["metrics"]["map_50"] >= 0.30, record["trial"]["trial_id"]
    again = harness_command("run", "suites/quickstart.yaml", "--results", tmp_path, cwd=ROOT)
    assert "3 of 3 trials measured, 3 of them before" in again.stdout
    for path in tmp_path.glob("quickstart/trials/*"):
        told = ("measure", path.name, "--results", tmp_path, "--variants", "onnxruntime")
        done = harness_command(*told, cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads((path / "measurements" / "1" / "record.json").read_text())
        (variant,) = found["variants"]
        assert variant["metrics"]["map"] == pytest.approx(found["metrics"]["map"], abs=0.005)


@pytest.mark.slow
def test_one_detector_of_each_family_learns(harness_command: Command, tmp_path: Path) -> None:
    """Each has a map_50 of 0.2 more than the same detector after eight images at a rate of almost nothing."""
    content = yaml.safe_load((ROOT / "suites" / "families.yaml").read_text())
    content["datasets"]["shapes"]["train"] = {"images": 8}
    content["protocol"] = "quick"
    for row in content["architectures"]:
        if "python" in row:
            row["python"] = f"{ROOT}/suites/{row['python']}"
        row["hyperparameters"] = {"epochs": 1, "lr": 1e-12}
    untrained = tmp_path / "untrained.yaml"
    untrained.write_text(yaml.safe_dump({**content, "suite": "untrained"}))
    found: dict[str, dict[str, float]] = {}
    for suite in (ROOT / "suites" / "families.yaml", untrained):
        done = harness_command("run", suite, "--results", tmp_path, "--no-race", cwd=ROOT)
        assert done.returncode == 0, done.stdout + done.stderr
        records = [json.loads(path.read_text()) for path in tmp_path.glob(f"{suite.stem}/trials/*/record.json")]
        found[suite.stem] = {each["trial"]["architecture"]["name"]: each["metrics"]["map_50"] for each in records}
        for each in records:
            for variant in each["variants"]:
                if variant["metrics"] is not None:
                    assert variant["metrics"]["map"] == pytest.approx(each["metrics"]["map"], abs=0.005)
    assert len(found["families"]) == len(content["architectures"])
    for name, reached in found["families"].items():
        assert reached >= found["untrained"][name] + 0.2, name
