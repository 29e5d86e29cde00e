"""A user's Dataset is checked item by item: an error says which index, which field, what was expected, what came."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.data.load import load
from harness.data.open import fingerprint, older_fingerprint
from harness.errors import DataError
from harness.suite.schema import FilesDataset, LabelledImages, PythonDataset, PythonSplit
from harness.suite.trial import TrialDataset
from harness.trial.inputs.dataset import check_code, open_dataset
from harness.trial.inputs.user_dataset import UserItems

SOURCE = """
import torch
import torchvision.tv_tensors

class Good(torch.utils.data.Dataset):
    def __init__(self, count=3, **changes):
        self.count, self.changes = count, changes
    def __len__(self):
        return self.count
    def __getitem__(self, index):
        if index == 1:
            return torch.zeros(3, 20, 30), {"boxes": torch.zeros((0, 4)), "labels": torch.zeros(0, dtype=torch.int64)}
        image, target = torch.full((3, 20, 30), 0.5), {
            "boxes": torch.tensor([[1.0, 2.0, 10.0, 12.0]]), "labels": torch.tensor([2])}
        return CHANGES[self.changes["change"]](image, target) if self.changes and index == 2 else (image, target)

CHANGES = {
    "raises": lambda i, t: 1 / 0,
    "no pair": lambda i, t: i,
    "uint8": lambda i, t: (i.to(torch.uint8), t),
    "rgba": lambda i, t: (torch.full((4, 20, 30), 0.5), t),
    "uint8 rgba": lambda i, t: (torch.zeros((4, 20, 30), dtype=torch.uint8), t),
    "channels last": lambda i, t: (i.permute(1, 2, 0), t),
    "no tensor": lambda i, t: ("a.jpg", t),
    "fake box": lambda i, t: (i, {"boxes": torch.zeros((1, 4)), "labels": torch.tensor([1])}),
    "255": lambda i, t: (i * 255, t),
    "nan": lambda i, t: (i * float("nan"), t),
    "grey": lambda i, t: (i[:1], t),
    "list": lambda i, t: (i, [t]),
    "no labels": lambda i, t: (i, {"boxes": t["boxes"]}),
    "int boxes": lambda i, t: (i, {**t, "boxes": t["boxes"].long()}),
    "flat empty": lambda i, t: (i, {"boxes": torch.tensor([]), "labels": torch.zeros(0, dtype=torch.int64)}),
    "xywh": lambda i, t: (i, {**t, "boxes": torch.tensor([[12.0, 2.0, 10.0, 12.0]])}),
    "outside": lambda i, t: (i, {**t, "boxes": torch.tensor([[1.0, 2.0, 31.0, 12.0]])}),
    "nan box": lambda i, t: (i, {**t, "boxes": torch.tensor([[1.0, 2.0, float("nan"), 12.0]])}),
    "background": lambda i, t: (i, {**t, "labels": torch.tensor([0])}),
    "too high": lambda i, t: (i, {**t, "labels": torch.tensor([3])}),
    "label 2": lambda i, t: (i, {**t, "labels": torch.tensor([2])}),
    "label 81": lambda i, t: (i, {**t, "labels": torch.tensor([81])}),
    "int32": lambda i, t: (i, {**t, "labels": torch.tensor([1], dtype=torch.int32)}),
    "xywh tensor": lambda i, t: (i, {**t, "boxes": torchvision.tv_tensors.BoundingBoxes(
        t["boxes"], format="XYWH", canvas_size=(20, 30))}),
    "thin": lambda i, t: (i, {**t, "boxes": torch.tensor([[1.0, 2.0, 1.000000001, 12.0]], dtype=torch.float64)}),
    "exits": lambda i, t: __import__("sys").exit(3),
    "two labels": lambda i, t: (i, {**t, "labels": torch.tensor([1, 2])}),
}
"""

EXPECTED = {
    "raises": ("ZeroDivisionError",),
    "no pair": ("item", "a pair (image, target)", "float32 [3, 20, 30]"),
    "uint8": ("image", "a float tensor [3, H, W]", "uint8", "image.to(torch.float32) / 255"),
    "rgba": ("image", "[4, 20, 30]", "image[:3]"),
    "uint8 rgba": ("image", "uint8 [4, 20, 30]", "image[:3]", "image.to(torch.float32) / 255"),
    "channels last": ("image", "[20, 30, 3]", "image.permute(2, 0, 1)"),
    "no tensor": ("image", "str", "pil_to_tensor"),
    "fake box": ("boxes[0]", "[0, 0, 0, 0]", "an empty [0, 4] tensor", "torch.zeros((0, 4))"),
    "255": ("image", "0–1", "127.5", "divide"),
    "nan": ("image", "nan"),
    "grey": ("image", "[1, 20, 30]", "image.expand(3, -1, -1)"),
    "list": ("target", "a dict", "list"),
    "no labels": ("labels", "a tensor", "no such key"),
    "int boxes": ("boxes", "a float tensor [N, 4]", "int64"),
    "flat empty": ("boxes", "torch.zeros((0, 4))"),
    "xywh": ("boxes[0]", "x1 < x2", "[12, 2, 10, 12]"),
    "outside": ("boxes[0]", "30 × 20"),
    "nan box": ("boxes[0]", "finite", "nan"),
    "background": ("labels[0]", "1 to 2, for bolt, nut", "0 (0 is the background"),
    "too high": ("labels[0]", "a label from 1 to 2, for bolt, nut", "got 3 (0 is the background)"),
    "int32": ("labels", "int64", "int32"),
    "xywh tensor": ("boxes", "xyxy", "format XYWH"),
    "thin": ("boxes[0]", "x1 < x2"),
    "exits": ("SystemExit: 3",),
    "two labels": ("labels", "[1]", "[2]"),
}


@pytest.fixture
def source(tmp_path: Path, request: pytest.FixtureRequest) -> str:
    # One module name a test: python imports a name once, as it does for a user.
    path = tmp_path / f"user_data_{abs(hash(request.node.name))}.py"
    path.write_text(SOURCE)
    return f"{path}:Good"


def _open(source: str, **arguments: object) -> object:
    split = PythonSplit(dataset=source, args=arguments)
    dataset = PythonDataset(format="python", classes=("bolt", "nut"), train=split, val=split)
    return open_dataset(
        TrialDataset(name="d", fingerprint="f", source=dataset), max_images=None, import_folder=Path("/nowhere")
    ).splits["train"]


@pytest.mark.parametrize("change", sorted(EXPECTED))
def test_a_wrong_item_is_named(change: str, source: str) -> None:
    """The message holds the index, the field, the expectation and what came."""
    items = _open(source, change=change)
    items[0]  # type: ignore[index]
    with pytest.raises(DataError) as error:
        items[2]  # type: ignore[index]
    for part in ("train", "[2]", *EXPECTED[change]):
        assert part in str(error.value)


def test_the_range_of_labels_reads_as_a_person_says_it(source: str) -> None:
    """One class has one label; of many classes the first and the last are named."""
    for classes, said in (
        (("bolt",), "labels[0]: expected 1, the label of bolt, the only class, got 2"),
        (
            tuple(f"c{n}" for n in range(1, 81)),
            "expected a label from 1 to 80, for c1, c2, c3, c4, c5, c6, c7, c8, …, c80, got 81",
        ),
    ):
        label = 2 if len(classes) == 1 else 81
        split = PythonSplit(dataset=source, args={"change": f"label {label}"})
        dataset = PythonDataset(format="python", classes=classes, train=split, val=split)
        items = open_dataset(
            TrialDataset(name="d", fingerprint="f", source=dataset), max_images=None, import_folder=Path("/nowhere")
        ).splits["train"]
        with pytest.raises(DataError) as error:
            items[2]
        assert said in str(error.value)


def test_good_items_pass_and_empty_images_are_legal(source: str) -> None:
    """Tensors come through unchanged; an image without boxes has zero rows."""
    items = _open(source)
    assert len(items) == 3  # type: ignore[arg-type]
    item, empty = items[0], items[1]  # type: ignore[index]
    assert item.boxes.tolist() == [[1.0, 2.0, 10.0, 12.0]]
    assert item.labels.tolist() == [2]
    assert empty.boxes.shape == (0, 4)
    assert item.image.dtype == torch.float32


@pytest.mark.parametrize(
    ("dataset", "arguments", "said"),
    [
        ("no_such_module:Good", {}, "cannot be imported: ModuleNotFoundError"),
        ("{file}:Missing", {}, "has no Missing"),
        ("{file}:Good", {"count": "three"}, "cannot be opened"),
        ("{file}:Good", {"count": 0}, "train: no image: nothing to train on"),
    ],
)
def test_a_dataset_that_cannot_be_opened_is_named(
    dataset: str, arguments: dict[str, object], said: str, source: str
) -> None:
    """An import, a name or an argument that does not work is an error of the trial, not a traceback."""
    with pytest.raises(DataError, match=said):
        _open(dataset.format(file=source.rpartition(":")[0]), **arguments)


def test_files_of_one_name_stay_apart(tmp_path: Path) -> None:
    """Two data.py in two folders, and one named like a module of python's, are each what they say."""
    for folder, name, value in (("a", "data.py", 0.25), ("b", "data.py", 0.75), ("c", "random.py", 0.5)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(SOURCE.replace("0.5)", f"{value})"))
    for folder, name, value in (("a", "data.py", 0.25), ("b", "data.py", 0.75), ("c", "random.py", 0.5)):
        assert _open(f"{tmp_path / folder / name}:Good")[0].image.max() == value  # type: ignore[index]


def test_a_folder_that_changes_after_the_plan_fails_its_trials(coco_folder: Path) -> None:
    """A trial runs on the data that it is named after, or not at all."""
    train, val = (
        LabelledImages(images=coco_folder / split, annotations=coco_folder / f"{split}.json")
        for split in ("train", "val")
    )
    source = FilesDataset(format="coco", train=train, val=val)
    planned = TrialDataset(name="d", fingerprint=load(source, depth="headers").fingerprint(), source=source)
    assert list(open_dataset(planned, max_images=None, import_folder=Path()).splits) == ["train", "val"]
    text = (coco_folder / "train.json").read_text()
    (coco_folder / "train.json").write_text(text.replace("30.5", "31.5"))
    with pytest.raises(DataError, match="d: the images or labels have changed since this trial was planned"):
        open_dataset(planned, max_images=None, import_folder=Path())


HOSTILE = """
class Broken(Exception):
    def __str__(self):
        raise RuntimeError("no")
    __repr__ = __str__

class Hostile:
    def __init__(self, at):
        self.at = at
        if at == "open":
            raise Broken()
    def __len__(self):
        return 4
    def __getitem__(self, index):
        if index == 0:
            raise Broken()
        if index == 1:
            raise ValueError("x" * 20_000_000)
        if index == 2:
            raise ValueError("half \\ud800 of a pair")
        return Broken()
"""


def test_no_exception_of_the_users_hides_where_it_came_from(tmp_path: Path) -> None:
    """One whose text is huge, cannot be stored or cannot be had: the item and the type are named, in few words."""
    (tmp_path / "hostile.py").write_text(HOSTILE)

    def split(at: str) -> PythonSplit:
        return PythonSplit(dataset="hostile.py:Hostile", args={"at": at})

    items = UserItems("train", split("item"), ("a",), None, tmp_path)
    broken = "Broken: (Broken.__str__ raised RuntimeError: its text cannot be shown)"
    for index, expected in enumerate(
        (broken, "ValueError: xxx", "ValueError: half \\ud800 of a pair", "item: expected a pair")
    ):
        with pytest.raises(DataError) as raised:
            items[index]
        text = str(raised.value)
        assert text.startswith(f"train (hostile.py:Hostile)[{index}]: {expected}")
        assert len(text) < 1200
        assert text.encode()
    with pytest.raises(DataError, match=r"cannot be opened with \{'at': 'open'\}: Broken: "):
        UserItems("train", split("open"), ("a",), None, tmp_path)


def test_code_that_changes_after_the_plan_fails_its_trials(tmp_path: Path) -> None:
    """Edited in the night, it would be measured under the old trial's name; weights of older versions still can be."""
    (tmp_path / "edited_data.py").write_text("import edited_helper")
    helper = tmp_path / "edited_helper.py"
    helper.write_text("X = 1")
    split = PythonSplit(dataset="edited_data:D")
    source = PythonDataset(format="python", classes=("a",), train=split, val=split)
    planned = TrialDataset(name="parts", fingerprint=fingerprint(source, tmp_path), source=source)
    older = TrialDataset(name="parts", fingerprint=older_fingerprint(source), source=source)
    check_code(planned, import_folder=tmp_path)
    helper.write_text("X = 2")
    check_code(older, import_folder=tmp_path)
    with pytest.raises(DataError, match="parts: the code of the dataset has changed .*; run the suite again"):
        check_code(planned, import_folder=tmp_path)


MASKS = """
import torch

class Masked(torch.utils.data.Dataset):
    def __init__(self, kind):
        self.kind = kind
    def __len__(self):
        return 1
    def __getitem__(self, index):
        target = {"boxes": torch.tensor([[1.0, 2.0, 10.0, 12.0]]), "labels": torch.tensor([1])}
        mask = torch.zeros(1, 20, 30, dtype=torch.bool)
        masks = {"bool": mask, "none": None, "flat": mask[0], "float": mask.float(), "255": mask.to(torch.uint8) + 254}
        return torch.zeros(3, 20, 30), target | ({} if self.kind == "none" else {"masks": masks[self.kind]})
"""


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("none", "got no such key"),
        ("flat", r"uint8 \[20, 30\]|bool \[20, 30\]"),
        ("float", "with other values"),
        ("255", "with other values"),
    ],
)
def test_masks_are_checked_where_the_architecture_trains_from_them(kind: str, said: str, tmp_path: Path) -> None:
    """By shape, type and values; and not looked at by others."""
    (tmp_path / "masked.py").write_text(MASKS)

    def items(kind: str, *, with_masks: bool) -> UserItems:
        split = PythonSplit(dataset=f"{tmp_path / 'masked.py'}:Masked", args={"kind": kind})
        return UserItems("train", split, ("a",), None, tmp_path, with_masks=with_masks)

    with pytest.raises(DataError, match=rf"masks: expected a tensor \[1, 20, 30\].*{said}"):
        items(kind, with_masks=True)[0]
    assert items(kind, with_masks=False)[0].masks is None
    masks = items("bool", with_masks=True)[0].masks
    assert masks is not None
    assert masks.dtype == torch.uint8
