"""What a step sees follows from (seed, epoch, index) alone, and augmentation keeps boxes on their objects."""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from harness.data.load import load
from harness.errors import DataError
from harness.suite.schema import (
    Augmentation,
    FilesDataset,
    LabelledImages,
    PythonSplit,
    SyntheticDataset,
    SyntheticImages,
)
from harness.suite.trial import TrialDataset
from harness.trial.inputs import loader
from harness.trial.inputs.augment import augment
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.item import Item, Items, as_float
from harness.trial.inputs.loader import (
    TIMEOUT_S,
    EpochBatches,
    EvaluationSet,
    Loader,
    TrainingSet,
    batch_bytes,
    check_batch,
    evaluation_items,
    smallest_part,
    training_loader,
)
from harness.trial.inputs.user_dataset import UserItems
from tests.trial.inputs.marked import marked

EVERYTHING = Augmentation(hflip=0.5, vflip=0.5, photometric=0.5, random_crop=0.7, scale_jitter=(0.5, 2.0))


def _items(images: int = 6) -> Items:
    source = SyntheticDataset(
        format="synthetic", train=SyntheticImages(images=images), val=SyntheticImages(images=1), size=64
    )
    return open_dataset(
        TrialDataset(name="d", fingerprint="f", source=source), max_images=None, import_folder=Path()
    ).splits["train"]


def _epoch(items: Items, epoch: int, *, workers: int, seed: int = 3) -> list[Any]:
    batches = EpochBatches(len(items), 4, seed)
    batches.begin(epoch)
    loader = training_loader(TrainingSet(items, EVERYTHING, seed), batches, workers)
    return [pair for batch in loader for pair in check_batch(batch)]


def test_batches_do_not_depend_on_the_number_of_workers() -> None:
    """The same seed and epoch give the same tensors with 0 and with 2 worker processes; another epoch gives others."""
    items = _items()
    here, there = _epoch(items, 1, workers=0), _epoch(items, 1, workers=2)
    for (image, target), (other_image, other_target) in zip(here, there, strict=True):
        assert torch.equal(image, other_image)
        assert torch.equal(target["boxes"], other_target["boxes"])
    assert any(
        image.shape != other.shape or not torch.equal(image, other)
        for (image, _), (other, _) in zip(here, _epoch(items, 2, workers=0), strict=True)
    )


@pytest.mark.parametrize("jitter", [None, (0.5, 2.0)])
@pytest.mark.parametrize("workers", [0, 1])
def test_images_of_files_travel_as_bytes(workers: int, jitter: tuple[float, float] | None) -> None:
    """From training's and evaluation's loaders, whatever the augmentation: a quarter of the shared memory."""
    items = _items(2)
    batches = EpochBatches(2, 2, 0)
    loader = training_loader(TrainingSet(items, Augmentation(hflip=0.5, scale_jitter=jitter), 0), batches, workers)
    drawn = [image for batch in loader for image, _ in check_batch(batch)]
    assert {image.dtype for image in (*drawn, *(item.image for item in evaluation_items(items, workers)))} == {
        torch.uint8
    }


def test_bytes_become_the_floats_that_they_were() -> None:
    """Every value of a byte, divided by 255, to the bit; and a float image is left alone."""
    values = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(as_float(values), torch.tensor([value / 255 for value in range(256)], dtype=torch.float32))
    assert torch.equal(as_float(values), values.to(torch.float32).div_(255))
    image = torch.rand(3, 4, 4)
    assert as_float(image) is image


def test_mirrored_bytes_are_mirrored_floats() -> None:
    """So training by a seed gives the weights that it gave when images travelled as floats."""
    item = _items(1)[0]
    for seed in range(4):
        torch.manual_seed(seed)
        image, target = augment(item, Augmentation(hflip=0.5))
        torch.manual_seed(seed)
        floats, other = augment(replace(item, image=as_float(item.image)), Augmentation(hflip=0.5))
        assert torch.equal(as_float(image), floats)
        assert torch.equal(target["boxes"], other["boxes"])


def test_the_largest_batch_is_known_before_it_is_read() -> None:
    """The largest images of the split together, three bytes a pixel; and one more for each object with a mask."""
    items = _items(6)
    assert batch_bytes(items, 4) == 4 * 64 * 64 * 3
    objects = sorted(len(items[index].boxes) for index in range(6))
    assert batch_bytes(items, 2, with_masks=True) == 64 * 64 * (2 * 3 + sum(objects[-2:]))


def test_evaluation_reads_ahead_in_order() -> None:
    """Items come whole and in order from worker processes as from this one."""
    items = _items()
    here, there = list(evaluation_items(items, 0)), list(evaluation_items(items, 2))
    assert [item.name for item in there] == [item.name for item in here] == [f"train-{i:06d}.png" for i in range(6)]
    assert all(
        torch.equal(a.image, b.image) and torch.equal(a.boxes, b.boxes) for a, b in zip(here, there, strict=True)
    )


def test_evaluation_holds_no_file_descriptors() -> None:
    """What is kept of many images from worker processes fits in a common limit of open files."""
    import resource

    from harness.trial.evaluate.detect import Detections, evaluate

    def nothing(images: Sequence[torch.Tensor]) -> tuple[Detections, ...]:
        none = torch.zeros(0)
        return tuple(Detections(boxes=none.reshape(0, 4), scores=none, labels=none.long()) for _ in images)

    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    try:
        items = evaluation_items(_items(150), 1)
        truths, _ = evaluate(nothing, items)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert len(truths) == 150


def test_every_image_once_an_epoch_in_another_order() -> None:
    """An epoch is a permutation, the last batch may be short, and epochs and seeds differ."""
    batches = EpochBatches(10, 4, seed=0)
    orders = []
    for epoch in (1, 2):
        batches.begin(epoch)
        drawn = list(batches)
        assert [len(batch) for batch in drawn] == [4, 4, 2]
        assert len(batches) == 3
        orders.append([index for batch in drawn for _, index in batch])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(10))
    batches.begin(2, after=1)  # as after a pause
    assert [index for batch in batches for _, index in batch] == orders[1][4:]
    assert orders[0] != orders[1]


class _Broken:
    class_names: tuple[str, ...] = ("a",)
    annotations = None

    def __len__(self) -> int:
        return 2

    def path(self, index: int) -> str | None:
        return None

    def __getitem__(self, index: int) -> Item:
        raise DataError(f"image {index} is torn")


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_item_is_one_clear_error(workers: int) -> None:
    """From a worker process too, the error is the reader's own sentence and nothing else."""
    with pytest.raises(DataError, match=r"^image [01] is torn$"):
        _epoch(_Broken(), 1, workers=workers)
    with pytest.raises(DataError, match=r"^image 0 is torn$"):
        list(evaluation_items(_Broken(), workers))


class _Drawing(_Broken):
    """Images that each are three random numbers, of torch's, numpy's and python's global generators."""

    def __getitem__(self, index: int) -> Item:
        pixels = torch.tensor([float(torch.rand(())), np.random.random(), random.random()])  # noqa: NPY002
        return replace(marked(), image=pixels[:, None, None].expand(3, 60, 80).contiguous())


def test_an_items_seed_never_reaches_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are seeded on the CPU alone: seeds of the GPU would repeat its draws of training from step to step."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("the GPU's generator was seeded")

    for module in (torch.cuda, torch.mps, torch.xpu):
        for name in ("manual_seed", "manual_seed_all"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, refuse)
    torch.default_generator.manual_seed(5)
    before = torch.get_rng_state()
    dataset = TrainingSet(_Drawing(), Augmentation(hflip=0.5), 3)
    drawn = [dataset[key] for key in ((1, 0), (1, 1), (2, 0), (1, 0))]
    assert torch.equal(torch.get_rng_state(), before), "the generator of training stays where it was"
    first, second, third, again = (item[0][:, 0, 0].tolist() for item in drawn if not isinstance(item, DataError))
    assert first == again
    assert not set(first) & set(second)
    assert not set(first) & set(third)


PARTS = """
import time
import torch
from beside import SIDE, Base

class Parts(Base):
    def __init__(self, opened=False):
        self.opened = (lambda: 0) if opened else None
    def __len__(self):
        return 3
    def __getitem__(self, index):
        if index == 2:
            raise KeyError("left out")
        return torch.full((3, SIDE, SIDE), index / 4), {
            "boxes": torch.tensor([[1.0, 2.0, 10.0, 12.0]]), "labels": torch.tensor([1])}
"""


class _Several(Sequence[Item]):
    """The items of several datasets, one after the other: worker processes take long to start."""

    annotations = None

    def __init__(self, *parts: Items) -> None:
        self.class_names: tuple[str, ...] = ("a",)
        self._places = [(part, index) for part in parts for index in range(len(part))]

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: Any) -> Any:
        part, at = self._places[index]
        return part[at]

    def path(self, index: int) -> str | None:
        return None


@pytest.fixture(params=["fork", "forkserver", pytest.param("spawn", marks=pytest.mark.slow)])
def start_method(request: pytest.FixtureRequest) -> Iterator[str]:
    """How torch's loaders start their processes: as Linux did until Python 3.13, does since, and others do."""
    multiprocessing.set_start_method(request.param, force=True)
    yield request.param
    multiprocessing.set_start_method(None, force=True)


def _user_items(name: str, folder: Path, **args: bool) -> UserItems:
    return UserItems("train", PythonSplit(dataset=name, args=args), ("a",), None, folder)


def test_every_dataset_works_however_processes_start(start_method: str, tmp_path: Path, coco_folder: Path) -> None:
    """A file of the user's, a module of theirs, images in files and drawn ones: the same items as in this process.

    What is wrong with an item is told in the same words too.
    """
    (tmp_path / "beside.py").write_text("import torch\nSIDE = 16\nclass Base(torch.utils.data.Dataset): pass\n")
    for name in ("data.py", f"my_data_{start_method}.py"):
        (tmp_path / name).write_text(PARTS)
    files = FilesDataset(
        format="coco",
        train=LabelledImages(images=coco_folder / "train", annotations=coco_folder / "train.json"),
        val=LabelledImages(images=coco_folder / "val", annotations=coco_folder / "val.json"),
    )
    source = TrialDataset(name="d", fingerprint=load(files, depth="headers").fingerprint(), source=files)
    items = _Several(
        _user_items("data.py:Parts", tmp_path),
        _user_items(f"my_data_{start_method}:Parts", tmp_path),
        open_dataset(source, max_images=None, import_folder=tmp_path).splits["train"],
        _items(2),
    )
    here = EvaluationSet(items)
    there = list(Loader(EvaluationSet(items), 1, batch_size=None, collate_fn=_as_it_is))
    assert len(there) == len(here) == 3 + 3 + 5 + 2
    for index, item in enumerate(there):
        expected = here[index]
        if isinstance(expected, DataError):
            assert str(item) == str(expected)
            assert "KeyError: 'left out'" in str(item)
        else:
            assert torch.equal(item.image, expected.image)
            assert torch.equal(item.boxes, expected.boxes)


def _as_it_is(item: Any) -> Any:
    return item


def test_a_dataset_that_cannot_be_sent_says_what_to_do(tmp_path: Path) -> None:
    """A function of its own in it: with processes that are forked it works, with others there is a sentence."""
    (tmp_path / "beside.py").write_text("import torch\nSIDE = 16\nclass Base(torch.utils.data.Dataset): pass\n")
    (tmp_path / "opened.py").write_text(PARTS)
    items = _user_items("opened.py:Parts", tmp_path, opened=True)
    multiprocessing.set_start_method("spawn", force=True)
    try:
        with pytest.raises(
            DataError, match=r"cannot be sent to a loader's process: \w+Error: .*lambda.*loader_workers: 0"
        ):
            list(evaluation_items(items, 1))
    finally:
        multiprocessing.set_start_method(None, force=True)


class _Slow(Loader):
    """A loader whose worker processes fall silent once, for so long."""

    def __init__(self, silent_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(EvaluationSet(_items(2)), 0, batch_size=None, collate_fn=_as_it_is)
        self._silent_s, self._patch = silent_s, monkeypatch
        self.raised = 0

    def _begin(self) -> Iterator[Any]:
        return self

    def __next__(self) -> int:
        if self.raised == 0:
            self.raised += 1
            later = time.monotonic() + self._silent_s
            self._patch.setattr(loader.time, "monotonic", lambda: later)  # type: ignore[attr-defined]
            raise RuntimeError(f"DataLoader timed out after {TIMEOUT_S} seconds")
        raise StopIteration


def test_a_pause_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes that stood still together with this one, for longer than the limit, are waited for once more."""
    slow = _Slow(8 * 3600, monkeypatch)
    assert list(slow) == []
    assert slow.raised == 1
    with pytest.raises(RuntimeError, match="gave no batch for 300 s"):
        list(_Slow(TIMEOUT_S + 1, monkeypatch))


@pytest.mark.parametrize(
    ("images", "batch_size", "lengths"), [(9, 4, {4, 1}), (8, 4, {4}), (3, 4, {3}), (5, 1, {1}), (7, 7, {7})]
)
def test_the_lengths_of_an_epochs_batches(images: int, batch_size: int, lengths: set[int]) -> None:
    """They are those that iterating gives."""
    batches = EpochBatches(images, batch_size, seed=0)
    assert batches.lengths() == lengths == {len(batch) for batch in batches}


@pytest.mark.parametrize(
    ("images", "parts", "smallest"), [(4, 1, 4), (5, 2, 2), (3, 2, 1), (5, 4, 1), (9, 4, 3), (2, 4, 1)]
)
def test_the_smallest_part_of_a_batch(images: int, parts: int, smallest: int) -> None:
    """A batch that passes in parts is cut as a training step cuts it."""
    assert smallest_part(images, parts) == smallest


REPEATS = np.array([1.0, 1.25, 2.0, 2.6, 1.0, 1.0])


def _counts(batches: EpochBatches, epoch: int) -> list[int]:
    batches.begin(epoch)
    numbers = [number for batch in batches for key_epoch, number in batch if key_epoch == epoch]
    assert len(numbers) == len(set(numbers)) == batches.images(epoch)
    assert len(batches) == batches.steps(epoch) == len(list(batches))
    return [sum(number % len(REPEATS) == index for number in numbers) for index in range(len(REPEATS))]


def test_images_come_as_often_as_their_factors_say() -> None:
    """In each epoch the factor rounded up or down, by chance, and over many epochs the factor itself."""
    batches = EpochBatches(len(REPEATS), 4, 3, REPEATS)
    counts = np.array([_counts(batches, epoch) for epoch in range(1, 401)])
    assert (counts >= np.floor(REPEATS)).all()
    assert (counts <= np.ceil(REPEATS)).all()
    assert counts.mean(axis=0) == pytest.approx(REPEATS, abs=0.08)
    assert abs(np.corrcoef(counts[:, 1], counts[:, 3])[0, 1]) < 0.15, "each image is rounded by itself"
    assert counts[:200].tolist() == [_counts(EpochBatches(6, 4, 3, REPEATS), epoch) for epoch in range(1, 201)]
    assert counts[:200].tolist() != [_counts(EpochBatches(6, 4, 4, REPEATS), epoch) for epoch in range(1, 201)]


def test_factors_of_one_change_no_order() -> None:
    """An epoch without repetitions is that of a training without balance, in the same order."""
    plain, balanced = EpochBatches(6, 4, 3), EpochBatches(6, 4, 3, np.ones(6))
    for batches in (plain, balanced):
        batches.begin(5, after=1)
    assert list(plain) == list(balanced)
    assert len(list(plain)) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_repetitions_differ_and_do_not_depend_on_workers(workers: int) -> None:
    """An image that comes twice in an epoch is augmented in two ways, the same ones with any number of workers."""
    items = _items()
    augmentation = Augmentation(hflip=0.5, scale_jitter=(0.5, 2.0))

    def epoch(workers: int) -> list[Any]:
        batches = EpochBatches(len(items), 4, 3, np.full(6, 2.0))
        batches.begin(2)
        loader = training_loader(TrainingSet(items, augmentation, 3), batches, workers)
        return [image for batch in loader for image, _ in check_batch(batch)]

    images = epoch(workers)
    assert len(images) == 12
    assert not any(torch.equal(a, b) for n, a in enumerate(images) for b in images[:n])
    assert all(torch.equal(a, b) for a, b in zip(images, epoch(0), strict=True))


@pytest.mark.parametrize("total", [None, 150])
def test_batches_of_one_orientation(total: int | None) -> None:
    """Each image once, all but the last few batches wide or tall, as many batches as without; they alternate."""
    rng = np.random.default_rng(0)
    wide = rng.random(101) < 0.7
    plain, grouped = (EpochBatches(101, 8, 3, None, total, each) for each in (None, wide))
    for epoch in (1, 2):
        plain.begin(epoch)
        grouped.begin(epoch)
        batches = [[number for _, number in batch] for batch in grouped]
        assert sorted(number for batch in batches for number in batch) == sorted(
            number for b in plain for _, number in b
        )
        assert [len(batch) for batch in batches] == [len(batch) for batch in plain]
        kinds = [set(wide[batch].tolist()) for batch in batches]
        mixed = [index for index, kind in enumerate(kinds) if len(kind) > 1]
        assert mixed in ([], [len(batches) - 2], [len(batches) - 1])
        whole = [kind == {True} for kind in kinds[:-2]]
        assert sum(a != b for a, b in itertools.pairwise(whole)) > 1  # not first all wide ones, then all tall ones
        grouped.begin(epoch, after=5)
        assert [[number for _, number in batch] for batch in grouped] == batches[5:]


def test_repetitions_are_grouped_by_their_image() -> None:
    """A repetition is as wide as the image that it shows."""
    wide = np.array([True, False, True, False])
    batches = EpochBatches(4, 2, 0, np.array([2.0, 2.0, 1.0, 1.0]), None, wide)
    batches.begin(1)
    kinds = [{bool(wide[number % 4]) for _, number in batch} for batch in batches]
    assert len(kinds) == 3
    assert [len(kind) for kind in kinds] == [1, 1, 2]
