"""Times of what a night does often, printed by pytest-benchmark; nothing here asserts a time."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import torch

from harness.report import page
from harness.store import files, record
from harness.suite.load import load_suite
from harness.suite.plan import plan_trials
from tests.conftest import ROOT
from tests.store.make import make_folder, make_record, make_trial
from tests.trial.test_evaluate import random_split

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def test_load_and_plan(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """A suite of 3,000 trials, from its file to its ids."""
    path = tmp_path / "s.yaml"
    text = (ROOT / "suites" / "quickstart.yaml").read_text()
    path.write_text(f"{text}seeds: {list(range(1000))}\n")

    def plan() -> int:
        return len(plan_trials(load_suite(path), {"shapes": "f"}, limit=None))

    assert benchmark.pedantic(plan, rounds=3) == 3000


def test_commit(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """One record, encoded and on disk, with both fsyncs."""
    made, number = make_record(make_trial()), itertools.count()
    done = benchmark.pedantic(
        lambda: files.commit(tmp_path / str(next(number)), record.encode(record.RECORD, made)), rounds=20
    )
    assert done


def test_report(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The page of 200 records."""
    folder = make_folder(tmp_path, [make_record(make_trial(seed=seed)) for seed in range(200)])
    assert benchmark.pedantic(lambda: page.write(folder), rounds=2, warmup_rounds=1).is_file()


def test_accuracy(benchmark: BenchmarkFixture) -> None:
    """COCO's numbers and each class' own, over 500 images."""
    from harness.trial.evaluate import accuracy

    truths, found = random_split(0, images=500)
    metrics = benchmark.pedantic(lambda: accuracy(truths, found, class_names=list("abcd"), split="val"), rounds=2)
    assert metrics.images == 500


@pytest.mark.parametrize("harness", [False, True], ids=["plain torchvision", "harness"])
def test_training_step(benchmark: BenchmarkFixture, *, harness: bool) -> None:
    """One step of Faster R-CNN, by the harness' loop and by torchvision's own lines: the ratio is what counts."""
    from harness.suite.spec import Hyperparameters, ImageSize
    from harness.trial.finetune import build_optimizer, finetune
    from harness.trial.loader import EpochBatches
    from harness.trial.models import build

    torch.manual_seed(0)
    model, _ = build.build(
        "fasterrcnn_mobilenet_v3_large_fpn", weights="none", classes=2, image_size=ImageSize(min=64, max=64), options={}
    )
    images = [torch.rand(3, 64, 64) for _ in range(2)]
    targets = [{"boxes": torch.tensor([[5.0, 5.0, 40.0, 40.0]]), "labels": torch.tensor([1])} for _ in range(2)]
    h = Hyperparameters(epochs=1, batch_size=2, lr=1e-4, weight_decay=0.0, milestones=(), warmup_steps=0)

    def ours() -> None:
        finetune(
            model,
            [list(zip(images, targets, strict=True))] * 5,
            EpochBatches(10, 2, 0),
            h,
            device=torch.device("cpu"),
            on_step=lambda *_: None,
            validate=lambda: (None, None),
        )

    def plain() -> None:
        optimizer = build_optimizer(list(model.parameters()), h)
        model.train()
        for _ in range(5):
            loss = sum(model(images, targets).values())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    benchmark.pedantic(ours if harness else plain, rounds=3, warmup_rounds=1)
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
