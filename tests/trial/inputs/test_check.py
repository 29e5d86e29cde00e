"""What the process that reads a user's items answers: everything that is wrong with each split."""

from __future__ import annotations

from pathlib import Path

from harness.data.own_items import ANSWER, REQUEST, ItemsRequest
from harness.suite.schema import ImageSize, PythonDataset, PythonSplit
from harness.trial.inputs.check import check_items
from tests.trial.inputs.test_read_items import SMALL, SOURCE


def _request(folder: Path, **splits: PythonSplit) -> ItemsRequest:
    (folder / "own.py").write_text(SOURCE)
    dataset = PythonDataset(format="python", classes=("bolt",), **splits)
    request = ItemsRequest(dataset=dataset, import_folder=str(folder), image_sizes=(ImageSize(), SMALL))
    assert REQUEST.validate_json(REQUEST.dump_json(request)) == request
    return request


def _own(count: int, **kinds: str) -> PythonSplit:
    named = {name.removeprefix("at"): kind for name, kind in kinds.items()}
    return PythonSplit(dataset="own.py:Own", args={"count": count, "kinds": named})


def test_splits_are_answered_one_by_one(tmp_path: Path) -> None:
    """Bad items, a split without an item, and one that cannot be imported, beside each other."""
    request = _request(
        tmp_path, train=_own(4, at1="label", at3="long"), val=_own(0), test=PythonSplit(dataset="own.py:Missing")
    )
    answer = check_items(request)
    assert ANSWER.validate_json(ANSWER.dump_json(answer)) == answer
    assert list(answer) == ["train", "val", "test"]
    train, val, test = answer.values()
    assert (train.items, train.read, train.boxes, train.empty) == (4, 4, 3, None)
    assert [problem.partition(": ")[0] for problem in train.problems] == [
        "train (own.py:Own)[1]",
        "train (own.py:Own)[3]",
    ]
    assert val.empty == "val: no image: nothing to evaluate"
    assert test.problems == ("test (own.py:Missing): own.py has no Missing",)


def test_a_split_without_a_box_is_answered(tmp_path: Path) -> None:
    """In the words of every other format."""
    answer = check_items(_request(tmp_path, train=_own(3), val=_own(2, all="empty")))
    assert [split.empty for split in answer.values()] == [None, "val: not one box: its mAP is undefined"]
