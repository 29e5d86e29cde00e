"""The items of a user's Dataset are read once, before training: what is wrong with one is told by its index."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import DataError
from harness.suite.schema import ImageSize, PythonDataset, PythonSplit
from harness.suite.trial import TrialDataset
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.read_items import SplitRead, joined, read_items
from harness.trial.inputs.user_dataset import UserItems

SOURCE = """
import torch

class Own(torch.utils.data.Dataset):
    def __init__(self, count, kinds={}):
        self.count, self.kinds = count, kinds
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        kind = self.kinds.get(str(index), self.kinds.get("all"))
        if kind == "raises":
            raise KeyError("a.jpg")
        size = (6, 2000) if kind == "long" else (20, 30 + index)
        boxes = [[1.0, 2.0, 10.0, 5.0]]
        if kind == "thin":
            boxes.append([1.0, 2.0, 1.005, 5.0])
        if kind == "vanishes":
            boxes, size = [[1.0, 1.0, 1.5, 90.0]], (200, 6400)
        boxes = torch.tensor([] if kind == "empty" else boxes).reshape(-1, 4)
        target = {"boxes": boxes, "labels": torch.full((len(boxes),), 9 if kind == "label" else 1)}
        if kind == "crowd":
            target["iscrowd"] = torch.ones(len(boxes))
        return torch.full((3, *size), 0.5), target
"""
SMALL = ImageSize(min=32, max=64)


def _open(folder: Path, **splits: tuple[int, dict[str, str]]) -> dict[str, UserItems]:
    (folder / "own.py").write_text(SOURCE)
    splits = {"train": (3, {}), "val": (2, {}), **splits}
    source = {
        name: PythonSplit(dataset=f"{folder / 'own.py'}:Own", args={"count": count, "kinds": kinds})
        for name, (count, kinds) in splits.items()
    }
    dataset = TrialDataset(
        name="d", fingerprint="f", source=PythonDataset(format="python", classes=("bolt", "nut"), **source)
    )
    opened = open_dataset(dataset, max_images=None, import_folder=folder).splits
    return {name: items for name, items in opened.items() if isinstance(items, UserItems)}


def _problems(found: dict[str, SplitRead]) -> list[str]:
    return [str(problem) for split in found.values() for problem in split.problems]


@pytest.mark.parametrize("workers", [0, 1])
def test_every_item_of_every_split_is_read(workers: int, tmp_path: Path) -> None:
    """In this process or in others: how large each image is, and how many boxes it has."""
    seen: list[int] = []
    splits = _open(tmp_path, test=(4, {"1": "crowd", "2": "empty"}))
    found = read_items(splits, (SMALL,), workers=workers, on_item=lambda: seen.append(1))
    assert [split.read for split in found.values()] == [3, 2, 4]
    assert len(seen) == 9
    assert found["train"].sizes.tolist() == [[30, 20], [31, 20], [32, 20]]
    assert found["test"].boxes.tolist() == [1, 0, 0, 1]
    assert _problems(found) == []


def test_every_bad_item_is_told_with_its_index(tmp_path: Path) -> None:
    """What reading it finds, and what a detector's resize leaves nothing of: all of them, in order, of all splits."""
    kinds = {"5": "raises", "2": "label", "0": "long", "3": "thin", "4": "vanishes"}
    splits = _open(tmp_path, train=(6, kinds), val=(2, {"1": "label"}))
    where = f"train ({tmp_path / 'own.py'}:Own)"
    sizes = f"image_size: {{min: {SMALL.min}, max: {SMALL.max}}}"
    problems = _problems(read_items(splits, (ImageSize(min=800, max=8000), SMALL), workers=0))
    assert problems[0] == f"{where}[0]: image: 2000 × 6 becomes 64 × 0 at {sizes}; crop it, or raise image_size"
    assert problems[1].startswith(f"{where}[2]: labels[0]: expected a label from 1 to 2")
    assert f"{where}[3]: boxes[1]: [1, 2, 1.005, 5] is thinner than 0.01 pixels" in problems[2]
    assert problems[3] == f"{where}[4]: boxes[0]: [1, 1, 1.5, 90] is thinner than 0.01 pixels at {sizes}; leave it out"
    assert problems[4] == f"{where}[5]: KeyError: 'a.jpg'"
    assert problems[5].startswith("val (")
    assert len(problems) == 6


@pytest.mark.parametrize("kind", ["empty", "crowd"])
def test_a_split_without_a_box_is_told_as_for_files(kind: str, tmp_path: Path) -> None:
    """In the same words."""
    splits = _open(tmp_path, train=(3, {"all": kind}), val=(2, {"all": kind}))
    assert [split.empty for split in read_items(splits, (SMALL,), workers=0).values()] == [
        "train: not one box: nothing to learn from",
        "val: not one box: its mAP is undefined",
    ]


def test_when_time_is_up_a_part_of_each_split_was_read(tmp_path: Path) -> None:
    """At least one item each, drawn at random; that no box was among them says nothing."""
    splits = _open(tmp_path, train=(40, {"all": "empty"}), val=(20, {}))
    found = read_items(splits, (SMALL,), workers=0, limit_s=0.0)
    assert [split.read for split in found.values()] == [1, 1]
    assert int((found["train"].sizes[:, 0] > 0).sum()) == 1
    assert found["train"].empty is None


def test_one_error_lists_many() -> None:
    """The first twenty in full, the others counted; a single one stays as it is, with its traceback."""
    one = DataError("train (own.py:Own)[3]: wrong")
    one.add_note("Traceback")
    assert joined([one]) is one
    many = joined([one, *(DataError(f"train (own.py:Own)[{index}]: wrong") for index in range(4, 30))])
    assert str(many).startswith("27 items cannot be used: train (own.py:Own)[3]: wrong; train (own.py:Own)[4]: wrong")
    assert str(many).endswith("[22]: wrong; 7 more")
    assert many.__notes__ == ["Traceback"]
