"""What would end a trial in the night ends its preflight in the evening."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import DataError, TrialError
from harness.trial.events import EventWriter
from harness.trial.inputs import loader
from harness.trial.preflight import run_preflight
from tests.conftest import TINY_RCNN
from tests.trial.test_context import OWN, OWN_DATASET, build

ONE_WORKER = "hyperparameters: {epochs: 1, batch_size: 2, lr: 1e-4, loader_workers: 1}\n"
# Reads in this process, and is silent in a worker, as one whose shared memory is full.
SILENT = OWN.replace(
    "assert torch.utils.data.get_worker_info(), ", "import time; worker() and time.sleep(60); "
).replace("import torch\n", "import torch\n\ndef worker():\n    return torch.utils.data.get_worker_info()\n")


def test_loader_processes_that_fall_silent_end_the_preflight(
    monkeypatch: pytest.MonkeyPatch, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """One batch is drawn as training will, with a limit on the time, and the error says what to do."""
    (tmp_path / "own.py").write_text(SILENT)
    monkeypatch.setattr(loader, "batch_bytes", lambda *_, **__: 1)
    monkeypatch.setattr(loader, "TIMEOUT_S", 1.0)
    monkeypatch.setattr("harness.trial.context.batch_bytes", lambda *_, **__: 1)
    context = build(tiny_suite(datasets=OWN_DATASET, rest=ONE_WORKER))
    with pytest.raises(RuntimeError, match=r"gave no batch for 1 s: .*/dev/shm has .* free.*docker run --shm-size"):
        run_preflight(context, EventWriter(io.StringIO()), where="here", startup_s=0.0)


SIZES = """
import torch

class Own(torch.utils.data.Dataset):
    def __init__(self, sizes):
        self.sizes = sizes
    def __len__(self):
        return len(self.sizes)
    def __getitem__(self, index):
        side = self.sizes[index]
        return torch.rand(3, side, side), {"boxes": torch.tensor([[1.0, 1.0, 9.0, 9.0]]), "labels": torch.tensor([1])}
"""


def _sizes_dataset(folder: Path, train: list[int]) -> str:
    (folder / "own.py").write_text(SIZES)
    splits = ", ".join(
        f'{name}: {{dataset: "own.py:Own", args: {{sizes: {sizes}}}}}'
        for name, sizes in (("train", train), ("val", [64]))
    )
    return f"  own: {{format: python, classes: [a], {splits}}}\n"


@pytest.mark.parametrize(
    ("images", "settings", "said"),
    [
        (5, "batch_size: 4", r"single image \(1 of the 5 images, in batches of 4\).* such as batch_size: 3,"),
        (7, "batch_size: 4, accumulate: 2", r"single image \(3 of the 7 images, in batches of 4, each in 2 parts\)"),
        (1, "batch_size: 2", r"single image \(1 of the 1 images, in batches of 2\).* with more images,"),
    ],
)
@pytest.mark.parametrize("drawn", [True, False])
def test_the_smallest_batch_is_trained(
    images: int, settings: str, said: str, *, drawn: bool, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """A last batch, or part of one, of a single image at 32 pixels ends the preflight, which says what to do."""
    datasets = _sizes_dataset(tmp_path, [32] * images)
    if drawn:
        datasets = f"  d: {{format: synthetic, train: {{images: {images}}}, val: {{images: 2}}, size: 32, seed: 2}}\n"
    small = TINY_RCNN.replace("min: 64, max: 64", "min: 32, max: 32")
    rest = f"hyperparameters: {{epochs: 1, lr: 1e-4, {settings}}}\n"
    suite = tiny_suite(datasets=datasets, architectures=small, rest=rest)
    with pytest.raises(TrialError, match=f"{said}.*or a larger image_size"):
        run_preflight(build(suite), EventWriter(io.StringIO()), where="here", startup_s=0.0)


def test_a_network_for_one_image_size_is_not_told_to_take_a_larger_one(tiny_suite: Callable[..., Path]) -> None:
    """SSDlite's last feature map is one pixel whatever the images: only other batches help."""
    datasets = "  d: {format: synthetic, train: {images: 5}, val: {images: 2}, size: 32, seed: 2}\n"
    architectures = "  - name: ssdlite320_mobilenet_v3_large\n    weights: none\n"
    rest = "hyperparameters: {epochs: 1, lr: 1e-4, batch_size: 4}\n"
    suite = tiny_suite(datasets=datasets, architectures=architectures, rest=rest)
    with pytest.raises(TrialError, match=r"single image \(1 of the 5 images.* such as batch_size: 3$"):
        run_preflight(build(suite), EventWriter(io.StringIO()), where="here", startup_s=0.0)


def test_the_items_of_a_users_dataset_are_read_once(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """All of them, which tells the largest and the smallest; the next preflight on the same data is told them."""
    suite = tiny_suite(datasets=_sizes_dataset(tmp_path, [64, 40, 96, 64]))
    stream = io.StringIO()
    context = build(suite)
    preflight = run_preflight(context, EventWriter(stream), where="here", startup_s=0.0)
    items = preflight.items
    assert items is not None
    assert (items.read, items.of) == (5, 5)
    assert set(items.largest) == set(items.smallest) == {0, 1, 2, 3}
    assert '"event": "items_read", "stage": "data", "read": 5, "of": 5' in stream.getvalue()

    told = io.StringIO()
    again = run_preflight(build(suite), EventWriter(told), where="here", startup_s=0.0, items=items)
    assert again.items == items
    assert "items_read" not in told.getvalue()


def test_a_bad_item_anywhere_ends_the_preflight(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Before the first step, whichever split it is in."""
    datasets = _sizes_dataset(tmp_path, [64] * 4)
    (tmp_path / "own.py").write_text(SIZES.replace("side = ", "assert len(self.sizes) > 1; side = "))
    with pytest.raises(DataError, match=r"val .*\[0\]: AssertionError"):
        run_preflight(build(tiny_suite(datasets=datasets)), EventWriter(io.StringIO()), where="here", startup_s=0.0)
