"""`harness data check` of a suite reads the items of its `python` datasets, and says how many."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from harness.cli.data_check import _checked_text
from harness.data.check import CheckResult
from tests.conftest import Command

NOISY = """
import torch
print("imported")

class Own(torch.utils.data.Dataset):
    def __len__(self):
        return 3
    def __getitem__(self, index):
        print("reading", index)
        boxes = torch.zeros((1, 4)) if index == 2 else torch.tensor([[1.0, 1.0, 9.0, 9.0]])
        return torch.full((3, 64, 64), 0.5), {"boxes": boxes, "labels": torch.tensor([1])}
"""


def test_the_items_of_a_python_dataset_are_checked(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """A bad item is an error with its index beside the other datasets; what the code prints spoils no JSON."""
    (tmp_path / "own.py").write_text(NOISY)
    own = "  own: {format: python, classes: [a], train: {dataset: own.py:Own}, val: {dataset: own.py:Own}}\n"
    drawn = "  c: {format: synthetic, train: {images: 2}, val: {images: 2}}\n"
    done = harness_command("data", "check", tiny_suite(datasets=own + drawn), "--json")
    content = json.loads(done.stdout)
    assert done.returncode == 1
    (problem,) = content["problems"]
    assert (problem["dataset"], problem["code"], problem["count"]) == ("own", "bad_item", 2)
    assert problem["places"][1]["file"].endswith("own.py:Own)[2]")
    assert "an empty [0, 4] tensor" in problem["places"][1]["detail"]
    own_summary = content["summary"]["datasets"]["own"]
    assert (own_summary["items_read"], own_summary["items"], own_summary["boxes"]) == (6, 6, 4)
    assert "items" not in content["summary"]["datasets"]["c"]


def test_how_many_items_were_read_is_said() -> None:
    """What was not read is not called sound."""
    checked = {"format": "python", "class_names": ("a",), "splits": {"train": (9, 4)}, "problems": ()}
    whole = _checked_text("own", CheckResult(**checked, read=(9, 9)))  # type: ignore[arg-type]
    assert whole.endswith("read 9 of 9 items\nNo problems found.")
    part = _checked_text("own", CheckResult(**checked, read=(4, 9)))  # type: ignore[arg-type]
    assert part.endswith("read 4 of 9 items\nNo problems found in those items.")
