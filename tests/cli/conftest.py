"""A trial of the toy detector that has learned something, for the commands that start from fine-tuned weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from harness.data.open import fingerprint, open_splits
from harness.store import files, record
from harness.store.job import JOB, Job
from harness.store.paths import SuiteFolder
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.suite.schema import SyntheticDataset, SyntheticImages
from tests.conftest import TOY
from tests.executors.attempt import attempt
from tests.executors.fork_server import fork_from

SHAPES = SyntheticDataset(
    format="synthetic", train=SyntheticImages(images=40), val=SyntheticImages(images=8), size=64, classes=2
)


@dataclass(frozen=True)
class Shipped:
    """A results folder with one trial, and its evaluated images as files."""

    results: Path
    trial: Path
    images: Path


@pytest.fixture(scope="session")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    return train(tmp_path_factory.mktemp("shipped"), ["openvino"])


def train(
    root: Path,
    variants: Sequence[str],
    *,
    architecture: str = TOY,
    dataset: SyntheticDataset = SHAPES,
    epochs: int = 14,
) -> Shipped:
    """Run one trial without a page, and write its evaluated images."""
    suite = root / "ship.yaml"
    suite.write_text(
        f"suite: ship\ndatasets:\n  shapes: {{format: synthetic, train: {{images: {dataset.train.images}}}, val: "
        f"{{images: {dataset.val.images}}}, size: {dataset.size}, classes: {dataset.classes}}}\n"
        f"architectures:\n{architecture}"
        f"hyperparameters: {{epochs: {epochs}, batch_size: 4, lr: 2e-3, optimizer: adamw, schedule: constant}}\n"
        "protocol: {level: quick, rounds: 1, throughput_batch_size: 1, "
        f"variants: [{', '.join(variants)}]}}\n"
    )
    (trial,) = plan_trials(load_suite(suite), {"shapes": fingerprint(dataset)}, max_images=None)
    folder = SuiteFolder(root / "results" / "ship").trial(trial.trial_id)
    place = folder.next_attempt()
    job = Job(trial=trial, number=1, device="cpu", threads=2, import_folder=str(root))
    files.commit(place.job, record.encode(JOB, job))
    process = fork_from(attempt, str(place.path))
    process.join()
    assert process.exitcode == 0, place.log.read_text()
    write_images(root / "images", dataset)
    return Shipped(results=root / "results", trial=folder.path, images=root / "images")


def write_images(folder: Path, dataset: SyntheticDataset) -> None:
    """Write the evaluated images as PNG, under the names that the trial gives them."""
    split = open_splits(dataset)[0]["val"]
    for index, name in enumerate(split.annotations.file_names):
        path = (folder / name).with_suffix(".png")
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(split.read_image(index)).save(path)
