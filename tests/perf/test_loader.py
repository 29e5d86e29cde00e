"""The training loader beside a plain one, as torchvision's script has it: JPEGs of 1280 × 960, mirror images."""

from __future__ import annotations

import json
import time
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from torch.utils.data import DataLoader

from harness.data.load import load
from harness.suite.schema import Augmentation, FilesDataset, LabelledImages
from harness.suite.trial import TrialDataset
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.image_cache import open_caches
from harness.trial.inputs.loader import EpochBatches, TrainingSet, check_batch, training_loader
from harness.trial.measure.memory import available_bytes
from tests.perf.reference_loop import Images, OneOrientation, seed_worker, torchvision_image

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.bench

WIDTH, HEIGHT, COUNT, BATCH, ROUNDS = 1280, 960, 48, 8, 5


def _write(folder: Path, split: str, count: int) -> LabelledImages:
    rng = np.random.default_rng(count)  # no image in two splits
    images, boxes = [], []
    for index in range(count):
        pixels = rng.integers(0, 255, (HEIGHT // 10, WIDTH // 10, 3), dtype=np.uint8)
        name = f"{split}{index}.jpg"
        Image.fromarray(pixels).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC).save(folder / name, quality=90)
        images.append({"id": index, "file_name": name, "width": WIDTH, "height": HEIGHT})
        box = [10 + index, 10, 100, 90]
        boxes.append({"id": index + 1, "image_id": index, "category_id": 1, "bbox": box, "area": 9000, "iscrowd": 0})
    file = folder / f"{split}.json"
    file.write_text(json.dumps({"images": images, "annotations": boxes, "categories": [{"id": 1, "name": "a"}]}))
    return LabelledImages(annotations=file, images=folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_loader(benchmark: BenchmarkFixture, tmp_path: Path, workers: int) -> None:
    """An epoch of ours in turn with one of the plain loader, both after a first one."""
    source = FilesDataset(format="coco", train=_write(tmp_path, "train", COUNT), val=_write(tmp_path, "val", 2))
    data = TrialDataset(name="jpegs", fingerprint=load(source, depth="headers").fingerprint(), source=source)
    caches = partial(open_caches, "auto", tmp_path / "cache", data.fingerprint, free_memory=available_bytes())
    items = open_dataset(data, max_images=None, import_folder=tmp_path, caches=caches).splits["train"]
    batches = EpochBatches(COUNT, BATCH, 0)
    loader = training_loader(TrainingSet(items, Augmentation(), 0), batches, workers)
    plain_data = Images(tmp_path, "train", torchvision_image)
    plain_loader = DataLoader(
        plain_data,
        batch_sampler=OneOrientation(plain_data, BATCH),
        num_workers=workers,
        collate_fn=list,
        worker_init_fn=seed_worker,
        persistent_workers=workers > 0,
    )

    def epoch() -> int:
        batches.begin(1)
        return sum(len(check_batch(batch)) for batch in loader)

    plains: list[float] = []

    def plain_epoch() -> None:
        started = time.perf_counter()
        assert sum(map(len, plain_loader)) == COUNT
        plains.append(time.perf_counter() - started)

    started = time.perf_counter()
    assert epoch() == COUNT
    first_s = time.perf_counter() - started
    plain_epoch()
    benchmark.pedantic(epoch, setup=plain_epoch, rounds=ROUNDS)
    assert benchmark.stats is not None
    ours = np.asarray(benchmark.stats.stats.data)
    ratios = np.asarray(plains[-ROUNDS:]) / ours
    benchmark.extra_info["said"] = (
        f"{COUNT / np.median(ours):.0f} images/s ({COUNT / first_s:.0f} in the first epoch), "
        f"{np.median(ratios):.1f} times the plain loader's {COUNT / np.median(plains):.0f} "
        f"({ratios.min():.1f} to {ratios.max():.1f}, n = {ROUNDS})"
    )
