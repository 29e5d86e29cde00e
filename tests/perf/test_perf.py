"""Times of what a night does often, printed by `make bench`; nothing here asserts a time, some assert a ratio."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from harness import api
from harness.store import files, record
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from tests.conftest import ROOT
from tests.report.made import drawn_detections, drawn_labels, of_classes, write
from tests.store.make import make_folder, make_record, make_trial

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.bench


def test_load(benchmark: BenchmarkFixture) -> None:
    """The quickstart's file, checked."""
    loaded = benchmark.pedantic(lambda: load_suite(ROOT / "suites" / "quickstart.yaml"), rounds=10)
    assert len(loaded.settings) == 3


def test_plan(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Nearly 10,000 trials, from the file to their ids."""
    path = tmp_path / "s.yaml"
    text = (ROOT / "suites" / "quickstart.yaml").read_text()
    path.write_text(f"{text}sweep: {{weight_decay: [0.01, 0.02]}}\nseeds: {list(range(1666))}\n")

    def plan() -> int:
        return len(plan_trials(load_suite(path), {"shapes": "f"}, max_images=None))

    assert benchmark.pedantic(plan, rounds=3) == 3 * 2 * 1666


def test_commit(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """One record, encoded and on disk, with both fsyncs."""
    made, number = make_record(make_trial()), itertools.count()
    done = benchmark.pedantic(
        lambda: files.commit(tmp_path / str(next(number)), record.encode(record.RECORD, made)), rounds=20
    )
    assert done


def test_report(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The page of 1,000 records."""
    folder = make_folder(tmp_path, [make_record(make_trial(seed=seed)) for seed in range(1000)])
    assert benchmark.pedantic(lambda: api.report(folder.path), rounds=3, warmup_rounds=1).is_file()


def test_error_of_a_pair(benchmark: BenchmarkFixture) -> None:
    """Intervals and difference of two detectors: 5,000 images in 1,000 groups, 100 detections each, 80 classes."""
    from harness.analysis.accuracy import Accuracies, Difference, SeedAnalyses
    from harness.analysis.detections.analyse import analyse_detections

    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=5000, classes=80, max_boxes=14, crowds=0.01)
    found = [drawn_detections(rng, truth, each=100, hits=0.15) for _ in range(2)]

    def both() -> Difference:
        analyses = (analyse_detections(truth, one, min_score=0.05) for one in found)
        rows = [SeedAnalyses(trial_ids=(str(number),), analyses=(one,)) for number, one in enumerate(analyses)]
        return Accuracies(rows).difference(0, 1)

    assert benchmark.pedantic(both, rounds=1).p <= 1


def test_report_with_everything(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The page of 12 trials of 5,000 images, with nothing cached."""
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=5000, classes=80, max_boxes=14, crowds=0.01)
    trials = [make_trial(h={"lr": number / 1000}) for number in range(1, 13)]
    records = [of_classes(make_record(trial, latency_s=0.01 * k, map=0.3), truth) for k, trial in enumerate(trials, 1)]
    folder = make_folder(tmp_path, records)
    for made in records:
        write(folder, made, truth, drawn_detections(rng, truth, each=100, hits=0.15))
    assert benchmark.pedantic(lambda: api.report(folder.path), rounds=1).is_file()


def test_accuracy(benchmark: BenchmarkFixture) -> None:
    """COCO's numbers and each class' own, over 5,000 images of 100 detections and 80 classes."""
    from harness.trial.evaluate.coco import accuracy
    from harness.trial.evaluate.detect import Detections, GroundTruth
    from harness.trial.measure import memory

    rng = np.random.default_rng(0)
    truths, found = [], []
    for index in range(5000):
        count = int(rng.integers(1, 15))
        corners = rng.uniform(0, 400, (count, 2)).astype(np.float32)
        boxes = torch.from_numpy(np.hstack([corners, corners + rng.uniform(8, 200, (count, 2)).astype(np.float32)]))
        labels = torch.from_numpy(rng.integers(1, 81, count))
        near = torch.from_numpy(rng.integers(0, count, 100))
        moved = boxes[near] + torch.from_numpy(rng.normal(0, 8, (100, 4)).astype(np.float32))
        moved[:, 2:] = torch.maximum(moved[:, 2:], moved[:, :2] + 1)
        truths.append(
            GroundTruth(
                name=str(index),
                boxes=boxes,
                labels=labels,
                crowds=torch.zeros(count, dtype=torch.bool),
                areas=(boxes[:, 2:] - boxes[:, :2]).prod(dim=1),
            )
        )
        scores = torch.from_numpy(rng.random(100, dtype=np.float32))
        found.append(Detections(boxes=moved, scores=scores, labels=labels[near]))
    names = [f"class {number}" for number in range(80)]
    cpu = torch.device("cpu")
    memory.reset_peak(cpu)
    before = memory.read_peak(cpu).peak_resident_bytes
    metrics = benchmark.pedantic(lambda: accuracy(truths, found, class_names=names, split="val"), rounds=2)
    after = memory.read_peak(cpu).peak_resident_bytes
    if before is not None and after is not None:
        benchmark.extra_info["said"] = f"{(after - before) / 2**20:.0f} MiB above the arrays"
    assert metrics.images == 5000
    assert (metrics.map or 0) > 0
