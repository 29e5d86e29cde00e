"""Hugging Face's metadata.jsonl: how people spell its objects, what their numbers mean, and lines that are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from harness.data.formats.dataset_card import class_names_in
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.data.problems import Problem
from harness.suite.schema import FilesDataset

_BOX = (20.0, 10.0, 80.0, 60.0)
_XYWH = [20, 10, 60, 50]

_CARD = """---
license: mit
size_categories:
- n<1K
dataset_info:
  features:
  - name: image
    dtype: image
  - name: objects
    {objects}
  splits:
  - name: train
    num_examples: 1
---
# Parts
"""
_OLD = """sequence:
    - name: bbox
      sequence: float32
      length: 4
    - name: category
      dtype:
        class_label:
          names:
            '0': nut
            '1': bolt"""
_NEW = """struct:
    - name: bbox
      list: {list: float32, length: 4}
    - name: categories
      list:
        class_label:
          names: {'0': nut, '1': bolt}"""


def _read(folder: Path, *lines: object, **options: object) -> LoadedDataset:
    folder.mkdir(exist_ok=True)
    for number in range(3):
        if not (folder / f"p{number}.jpg").exists():
            Image.new("RGB", (200, 100), (number, 0, 0)).save(folder / f"p{number}.jpg")
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (folder / "metadata.jsonl").write_text("\n".join(texts) + "\n")
    return load(FilesDataset(format="auto", path=folder, **options), depth="headers")  # type: ignore[arg-type]


def _line(objects: object, name: str = "p0.jpg") -> dict[str, object]:
    return {"file_name": name, "objects": objects}


def _table(loaded: LoadedDataset, split: str = "all") -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    assert loaded.format == "huggingface"
    columns = loaded.splits[split].annotations
    return {
        name: [
            (columns.class_names[label], tuple(box))
            for label, box in zip(
                columns.labels[columns.rows(row)].tolist(), columns.boxes[columns.rows(row)].tolist(), strict=True
            )
        ]
        for row, name in enumerate(columns.file_names)
    }


def _problem(loaded: LoadedDataset, code: str) -> Problem:
    return next(problem for problem in loaded.findings.problems() if problem.code == code)


SPELLINGS: dict[str, dict[str, object]] = {
    "lists by field": _line({"bbox": [_XYWH], "categories": ["bolt"]}),
    "category": _line({"id": [4], "area": [3000], "bbox": [_XYWH], "category": ["bolt"]}),
    "label": _line({"bbox": [_XYWH], "label": ["bolt"]}),
    "names beside numbers": _line({"bbox": [_XYWH], "category_id": [7], "category": ["bolt"]}),
    "a list of objects": _line([{"bbox": _XYWH, "category": "bolt"}]),
    "in the line itself": {"file_name": "p0.jpg", "bboxes": [_XYWH], "labels": ["bolt"]},
    "from Windows": _line({"bbox": [_XYWH], "categories": ["bolt"]}, ".\\p0.jpg"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_how_objects_are_spelled(spelling: str, tmp_path: Path) -> None:
    """Boxes are x, y, width, height in pixels; empty lists are an image without objects."""
    loaded = _read(
        tmp_path, SPELLINGS[spelling], _line({"bbox": [], "categories": []}, "p1.jpg"), "", _line([], "p2.jpg")
    )
    assert not loaded.findings.problems()
    assert _table(loaded) == {"p0.jpg": [("bolt", _BOX)], "p1.jpg": [], "p2.jpg": []}
    file = FilesDataset(format="auto", path=tmp_path / "metadata.jsonl")
    assert _table(load(file, depth="headers")) == _table(loaded)


@pytest.mark.parametrize("objects", [_OLD, _NEW])
def test_numbers_mean_what_the_readme_says(objects: str, tmp_path: Path) -> None:
    """In the folder of the lines or one of the two above it, as `datasets` writes it now and wrote it before."""
    (tmp_path / "README.md").write_text(_CARD.format(objects=objects))
    (tmp_path / "data").mkdir()
    loaded = _read(tmp_path / "data" / "train", _line({"bbox": [_XYWH], "categories": [1]}))
    assert not loaded.findings.problems()
    assert _table(loaded) == {"p0.jpg": [("bolt", _BOX)]}


def test_numbers_mean_what_the_suite_says_or_nothing(tmp_path: Path) -> None:
    """`classes` counts before the README; a number without a class is an error; without any name they are told."""
    lines = [
        _line({"bbox": [_XYWH], "categories": [1]}),
        _line({"bbox": [_XYWH, _XYWH], "categories": [2.0, 9]}, "p1.jpg"),
    ]
    (tmp_path / "README.md").write_text(_CARD.format(objects=_OLD))
    loaded = _read(tmp_path, *lines, classes=("a", "b", "c"))
    assert _table(loaded) == {"p0.jpg": [("b", _BOX)], "p1.jpg": [("c", _BOX)]}
    problem = _problem(loaded, "unknown_class")
    assert (problem.places[0].line, problem.places[0].image, problem.places[0].annotation) == (2, "p1.jpg", 1)
    assert "9, of the 3 classes a, b, c" in str(problem)
    (tmp_path / "README.md").unlink()
    loaded = _read(tmp_path, *lines)
    assert {name for boxes in _table(loaded).values() for name, _ in boxes} == {"1", "2", "9"}
    assert "metadata.jsonl: 1, 2, 9: name them in the suite" in str(_problem(loaded, "unnamed_classes"))
    assert not _read(tmp_path, _line({"bbox": [_XYWH]}), classes=("bolt",)).findings.problems()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no head",
        "---\nnever: closed",
        "---\n{[\n---\n",
        "---\na: &x 1\nb: *x\n---\n",
        "---\ndataset_info: 3\n---\n",
        "---\n---",
        _CARD.format(objects="class_label: {names: {'0': a, '2': b}}"),
    ],
)
def test_readmes_that_say_nothing(text: str, tmp_path: Path) -> None:
    """No head, broken YAML, no classes, or numbers with gaps: the classes keep their numbers."""
    (tmp_path / "README.md").write_text(text)
    assert class_names_in(tmp_path, ["category"]) == ()


def test_lines_that_are_wrong(tmp_path: Path) -> None:
    """Each at its line, objects with their number; what is right beside them is read."""
    bad: list[object] = [
        '{"file_name": "p1.jpg", "objects":',
        {"image": "p1.jpg", "objects": {"bbox": [], "categories": []}},
        _line({"bbox": [_XYWH, _XYWH], "categories": ["bolt"]}, "p1.jpg"),
        _line({"categories": ["bolt"]}, "p1.jpg"),
        _line("none", "p1.jpg"),
        _line([3], "p1.jpg"),
    ]
    objects = {
        "bbox": [[1, 2, 3], [1, 2, "3", 4], _XYWH, _XYWH, _XYWH],
        "categories": ["bolt", "bolt", None, 1.5, "bolt"],
    }
    loaded = _read(tmp_path, *bad, _line(objects), {"file_name": "p2.jpg", "text": "a caption"})
    places = _problem(loaded, "unreadable_annotation").places
    assert [place.line for place in places] == [1, 2, 3, 4, 5, 6, 7, 7, 7, 7]
    assert [place.annotation for place in places[6:]] == [0, 1, 2, 3]
    assert "2 boxes and 1 categories: it is unknown which belong together" in str(places[2])
    assert _table(loaded) == {"p0.jpg": [("bolt", _BOX)]}
    (left_out,) = _problem(loaded, "left_out").places
    assert (left_out.line, left_out.image) == (8, "p2.jpg")


def test_splits_and_crowds(tmp_path: Path) -> None:
    """A file in each folder that is named after a split; `iscrowd` means what it means in COCO."""
    for split, name in (("train", "bolt"), ("validation", "nut")):
        _read(tmp_path / split, _line({"bbox": [_XYWH, [1, 2, 30, 40]], "category": [name, name], "iscrowd": [0, 1]}))
    loaded = load(FilesDataset(format="auto", path=tmp_path), depth="labels")
    assert not loaded.findings.problems()
    assert list(loaded.splits) == ["train", "val"]
    assert loaded.splits["val"].annotations.class_names == ("bolt", "nut")
    assert loaded.splits["val"].annotations.crowds.tolist() == [False, True]


def test_captions_are_no_boxes(tmp_path: Path) -> None:
    """An imagefolder of captions is not taken for one of boxes."""
    loaded = _read(tmp_path, {"file_name": "p0.jpg", "text": "a bolt"})
    assert not loaded.splits


def test_classes_of_whole_images_do_not_name_objects(tmp_path: Path) -> None:
    """A `class_label` beside `objects` is of the image; the one in it names the objects, in its order."""
    Image.new("RGB", (40, 30)).save(tmp_path / "a.jpg")
    line = {"file_name": "a.jpg", "scene": 1, "objects": {"bbox": [[1, 2, 9, 8]], "category": [1]}}
    (tmp_path / "metadata.jsonl").write_text(json.dumps(line) + "\n")
    scene = "  - name: scene\n    dtype:\n      class_label:\n        names: {'0': day, '1': night}\n"
    plain = "  - name: objects\n    sequence:\n    - name: bbox\n      sequence: int64\n    - name: category\n"
    named = "      dtype:\n        class_label:\n          names: {'0': zebra, '1': cat, '2': ant}\n"

    def classes(features: str) -> tuple[str, ...]:
        (tmp_path / "README.md").write_text(f"---\ndataset_info:\n  features:\n{features}---\n")
        loaded = load(FilesDataset(format="huggingface", path=tmp_path), depth="headers")
        return loaded.splits["all"].annotations.class_names

    assert classes(scene + plain + "      dtype: int64\n") == ("1",)
    assert classes(scene + plain + named) == ("zebra", "cat", "ant")


def test_folders_in_names_are_the_splits(tmp_path: Path) -> None:
    """One file at the top whose names begin with train/ and test/ is no single set of images to train on."""
    for row, name in enumerate(("train/1.jpg", "test/2.jpg")):
        (tmp_path / name).parent.mkdir()
        Image.new("RGB", (200, 100), (99, row, 0)).save(tmp_path / name)
    lines = [_line([{"bbox": _XYWH, "label": "bolt"}], name) for name in ("train/1.jpg", "test\\2.jpg")]
    loaded = _read(tmp_path, *lines)
    assert list(loaded.splits) == ["train", "test"]
    assert _table(loaded, "train") == {"train/1.jpg": [("bolt", _BOX)]}
    assert list(_table(loaded, "test").values()) == [[("bolt", _BOX)]]
    only = _read(tmp_path, _line([{"bbox": _XYWH, "label": "bolt"}], "test/2.jpg"))
    assert list(only.splits) == ["all"]
