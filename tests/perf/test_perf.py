"""Times of what a night does often, printed by pytest-benchmark; nothing here asserts a time."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
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


def _coco_of_train2017_s_shape(path: Path) -> None:
    """118,287 images and 860,001 boxes with polygons, some 300 MB; ids and sizes as in COCO."""
    rng = np.random.default_rng(0)
    images, count, classes = 118_287, 860_001, 80
    sizes = rng.integers(300, 641, (images, 2)).tolist()
    with path.open("w") as stream:
        stream.write('{"info": {"description": "COCO 2017"}, "licenses": [], "images": [')
        url = "http://images.cocodataset.org/train2017"
        stream.write(
            ",".join(
                f'{{"license": 3, "file_name": "{n:012d}.jpg", "coco_url": "{url}/{n:012d}.jpg", "height": {height}, '
                f'"width": {width}, "date_captured": "2013-11-14 11:18:45", "id": {n}}}'
                for n, (width, height) in enumerate(sizes)
            )
        )
        stream.write('], "annotations": [')
        for start in range(0, count, 10_000):
            rows = min(10_000, count - start)
            points = rng.uniform(0, 300, (rows, 24)).round(2).tolist()
            boxes = rng.uniform(2, 149, (rows, 4)).round(2).tolist()
            owners = rng.integers(0, images, rows).tolist()
            text = ",".join(
                f'{{"segmentation": [{polygon}], "area": {box[2] * box[3]:.4f}, "iscrowd": 0, "image_id": {owner}, '
                f'"bbox": {box}, "category_id": {1 + owner % classes}, "id": {start + row + 1}}}'
                for row, (polygon, box, owner) in enumerate(zip(points, boxes, owners, strict=True))
            )
            stream.write(("," if start else "") + text)
        categories = ",".join(
            f'{{"supercategory": "x", "id": {n}, "name": "class {n}"}}' for n in range(1, classes + 1)
        )
        stream.write(f'], "categories": [{categories}]}}')


def test_labels_of_coco(benchmark: BenchmarkFixture, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """COCO train2017's labels from their file to the fingerprint, on one core in a fresh process: time and peak memory.

    The bound on memory is asserted, since it does not depend on the machine's mood; the time (3 s asked) is printed.
    """
    path = tmp_path / "train2017.json"
    _coco_of_train2017_s_shape(path)
    script = (
        "import os, re, sys, time\n"
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
        "from pathlib import Path\n"
        "from harness.data.load import load\n"
        "from harness.suite.spec import FilesDataset\n"
        "started = time.perf_counter()\n"
        "loaded = load(FilesDataset(format='coco', path=Path(sys.argv[1])), depth='labels')\n"
        "loaded.fingerprint()\n"
        "took = time.perf_counter() - started\n"
        "part = loaded.parts['all'].annotations\n"
        # Not getrusage: its peak outlives exec, and is the test process' own.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(took, peak, len(part), len(part.boxes))\n"
    )
    found = []

    def read() -> None:
        done = subprocess.run(
            (sys.executable, "-c", script, path), capture_output=True, text=True, check=True, cwd=ROOT
        )
        found.append([float(word) for word in done.stdout.split()])

    benchmark.pedantic(read, rounds=3)
    times, peaks = [row[0] for row in found], [row[1] / 2**10 for row in found]
    with capsys.disabled():
        size = path.stat().st_size / 1e6
        print(  # noqa: T201 - what the benchmark is for
            f"\nCOCO train2017's shape, {size:.0f} MB: {min(times):.2f}–{max(times):.2f} s (n = {len(times)}), "
            f"peak {max(peaks):.0f} MiB"
        )
    assert found[0][2:] == [118_287, 860_001]
    assert max(peaks) < 1024


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
