"""The whole story on the user's own data: a COCO folder, a Dataset class; what is done is not done again."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from harness.api import suite as stages
from harness.errors import MachineError
from harness.store.paths import SuiteFolder
from tests.conftest import TINY_MODEL, Command
from tests.executors import forked

USER_DATA = """
import torch

class Parts(torch.utils.data.Dataset):
    classes = 2
    def __init__(self, count, broken=False):
        self.count, self.broken = count, broken
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        boxes = torch.tensor([[5.0, 6.0, 30.0, 40.0]])[: index % 2]
        labels = torch.full((len(boxes),), 9 if self.broken and index == 3 else 1)
        return torch.rand(3, 48, 64), {"boxes": boxes, "labels": labels}
"""


def _record(results: Path) -> dict[str, object]:
    (path,) = results.glob("*/trials/*/record.json")
    content: dict[str, object] = json.loads(path.read_text())
    return content


def test_a_coco_folder_runs_to_a_report(
    harness_command: Command, tiny_suite: Callable[..., Path], coco_folder: Path, tmp_path: Path
) -> None:
    """JPEGs, ids with gaps, an image without boxes, a crowd, a test split: a record, raw files and a page, once."""
    splits = ", ".join(f"{s}: {{images: data/{s}, annotations: data/{s}.json}}" for s in ("train", "val", "test"))
    suite = tiny_suite(datasets=f"  parts: {{format: coco, {splits}}}\n")
    results = tmp_path / "results"
    done = harness_command("run", suite, "--results", results)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Report: {results / 'tiny' / 'report.md'}" in done.stdout

    record = _record(results)
    assert list(record) == [
        "schema_version", "trial", "outcome", "metrics", "measurements", "model", "data", "environment", "warnings",
        "attempts", "variants",
    ]  # fmt: skip
    assert record["outcome"] == "succeeded"
    assert record["metrics"]["split"] == "test"  # type: ignore[index]
    assert set(record["metrics"]["per_class"]) == {"bolt", "nut"}  # type: ignore[index]
    assert record["measurements"]["latency_s"]["n"] >= 20  # type: ignore[index]
    assert record["environment"]["device"] == "cpu"  # type: ignore[index]

    (folder,) = (results / "tiny" / "trials").iterdir()
    samples = pd.read_parquet(folder / "samples.parquet")
    phases = {f"phase {name}" for name in ("transform", "forward", "postprocess")}
    thresholds = {f"latency at {threshold}" for threshold in ("0.001", "0.05", "0.3")}
    assert set(samples["pass"]) == {"latency", "throughput"} | phases | thresholds
    latency = samples[samples["pass"] == "latency"]
    latency = latency[latency["repeat"] == latency["repeat"].max()]["seconds"]
    assert abs(latency.median() - record["measurements"]["latency_s"]["median"]) < 1e-12  # type: ignore[index]
    predictions = pd.read_parquet(folder / "detections.parquet")
    assert list(predictions.columns) == ["image", "class", "score", "x1", "y1", "x2", "y2"]
    truths = pd.read_parquet(folder / "ground_truth.parquet")
    assert truths["image"].tolist() == ["000.jpg"] * 2 + ["001.jpg"] + ["002.jpg"] * 2
    assert truths["class"].astype("object").fillna("none").tolist() == ["bolt", "nut", "none", "bolt", "nut"]
    assert truths["crowd"].eq(True).tolist() == [False] * 4 + [True]

    page = (results / "tiny" / "report.md").read_text()
    assert "1 of 1 trials measured" in page
    assert "toy" in page
    assert re.search(r"How sure:\*\* \d+ test images?", page)
    kinds = {"speed-accuracy", "learning", "confusion", "images", "worst", "precision-recall", "calibration"}
    pictures = re.findall(r"!\[.*\]\((.+)\)", page)
    assert {Path(picture).stem.removesuffix("-parts") for picture in pictures} <= {*kinds, "disputed"}
    assert any("images-" in picture for picture in pictures)  # of the user's own files
    for picture in pictures:
        assert (results / "tiny" / picture).read_bytes()[:3] in {b"<?x", b"\xff\xd8\xff"}
    assert truths["file"].str.endswith(".jpg").all()
    assert (results / "tiny" / "report.html").read_text().startswith("<!doctype html>")

    again = harness_command("run", suite, "--results", results)
    assert again.returncode == 0
    assert "1 of 1 trials measured, 1 of them before" in again.stdout
    assert [path.name for path in sorted((folder / "attempts").iterdir())] == ["1", "2"]  # the rehearsal was the first


def test_a_users_dataset_runs_and_a_broken_one_fails_with_a_reason(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """A Dataset beside the suite file runs; one with a label out of range is a failed row, and the other goes on."""
    (tmp_path / "parts.py").write_text(USER_DATA)
    good = "{format: python, classes: [bolt], train: {dataset: 'parts:Parts', args: {count: 4}}, "
    good += "val: {dataset: 'parts:Parts', args: {count: 4}}}"
    bad = good.replace("args: {count: 4}", "args: {count: 4, broken: true}", 1)
    suite = tiny_suite(datasets=f"  bad: {bad}\n  good: {good}\n")
    results = tmp_path / "results"
    done = harness_command("run", suite, "--results", results, "--no-preflight")
    assert done.returncode == 1, done.stdout + done.stderr
    said = "train (parts:Parts)[3]: labels[0]: expected 1, the label of bolt, the only class, got 9"
    assert said in done.stdout
    assert _record(results)["trial"]["dataset"]["name"] == "good"  # type: ignore[index]
    page = (results / "tiny" / "report.md").read_text()
    assert "1 of 2 trials measured, **1 failed**" in page
    assert "labels\\[0\\]: expected 1, the label of bolt" in page
    assert "log.txt" in page
    assert next((results / "tiny" / "plots").glob("images-good.jpg")).stat().st_size > 1000  # its images lie in no file


def test_a_report_that_stumbles_costs_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Between two trials a fault of the report is told and no more; a full disk stops the run as ever."""

    def stumble(_folder: object) -> None:
        raise KeyError("a column")

    def full(_folder: object) -> None:
        raise MachineError("the disk is full")

    monkeypatch.setattr(stages, "report", stumble)
    stages._write_report_between(SuiteFolder(tmp_path), complete=True)
    assert "the run goes on" in caplog.text
    monkeypatch.setattr(stages, "report", full)
    with pytest.raises(MachineError):
        stages._write_report_between(SuiteFolder(tmp_path), complete=True)


def test_a_rehearsal_is_stamped_and_never_counts_as_done(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """`--limit` gives trials of their own, marked in record and page; the real ones are still left."""
    suite, results = tiny_suite(), tmp_path / "results"
    assert harness_command("run", suite, "--results", results, "--limit", "2").returncode == 0
    record = _record(results)
    assert record["trial"]["max_images"] == 2  # type: ignore[index]
    assert record["metrics"]["images"] == 2  # type: ignore[index]
    assert [warning["name"] for warning in record["warnings"]][-1] == "subset"  # type: ignore[attr-defined]
    assert "not comparable" in (results / "tiny" / "report.md").read_text()
    assert "0 done, 1 left" in harness_command("plan", suite, "--results", results).stdout
    assert harness_command("run", suite, "--results", results, "--no-preflight").returncode == 0
    page = (results / "tiny" / "report.md").read_text()
    assert "not comparable" not in page
    assert "1 more lies in trials/" in page


def test_diverging_and_unavailable_weights_fail_their_trials_alone(
    tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """A loss that is not finite is told with its step and parts, missing weights with their file; no record."""
    diverging = (
        f"  - name: fasterrcnn_mobilenet_v3_large_fpn\n{TINY_MODEL}    hyperparameters: {{lr: 1e30, warmup_steps: 0}}\n"
    )
    suite = tiny_suite(
        architectures=f"{diverging}  - name: retinanet_resnet50_fpn\n    image_size: {{min: 64, max: 64}}\n"
    )
    results = tmp_path / "results"
    nowhere = {"TORCH_HOME": str(tmp_path / "cache"), "https_proxy": "http://127.0.0.1:9"}
    done = forked.BackgroundCommand("run", str(suite), "--results", str(results), "--no-preflight", environment=nowhere)
    output = done.output()
    assert done.returncode == 1, output
    assert re.search(r"the loss is not finite at epoch 1, step 2 of 2: .*loss_classifier", output)
    assert "retinanet_resnet50_fpn_coco-eeacb38b.pth is not in" in output
    assert "weights: backbone" in output
    assert "**2 failed**" in (results / "tiny" / "report.md").read_text()
    assert not list(results.glob("*/trials/*/record.json"))


def test_bad_data_stop_the_run_or_are_counted(
    harness_command: Command, tiny_suite: Callable[..., Path], coco_folder: Path, tmp_path: Path
) -> None:
    """`run` says what `data check` says and starts nothing; with `on_bad_data: skip` it runs, and the page counts."""
    (coco_folder / "train" / "004.jpg").unlink()
    content = json.loads((coco_folder / "train.json").read_text())
    content["annotations"][0]["bbox"][2] = -3
    (coco_folder / "train.json").write_text(json.dumps(content))
    splits = ", ".join(f"{s}: {{images: data/{s}, annotations: data/{s}.json}}" for s in ("train", "val"))
    suite, results = tiny_suite(datasets=f"  parts: {{format: coco, {splits}}}\n"), tmp_path / "results"
    done = harness_command("run", suite, "--results", results)
    checked = harness_command("data", "check", suite, "--fast")
    assert (done.returncode, checked.returncode) == (2, 1)
    for code in ("missing_image", "degenerate_box"):
        (block,) = re.findall(rf"error {code} \(1\).*?what to do: [^\n]+\n", checked.stdout, re.DOTALL)
        assert block in done.stderr
    assert not results.exists()

    suite.write_text(f"{suite.read_text()}on_bad_data: skip\n")
    done = harness_command("run", suite, "--results", results, "--no-preflight")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "data parts: skipped: 1 missing_image, 1 degenerate_box" in done.stdout
    record = _record(results)
    assert record["data"]["skipped"] == {"missing_image": 1, "degenerate_box": 1}  # type: ignore[index]
    assert record["data"]["splits"]["train"]["images"] == 4  # type: ignore[index]
    page = (results / "tiny" / "report.md").read_text()
    assert "**Left out as bad (`on_bad_data: skip`): 1 × missing_image, 1 × degenerate_box.**" in page
