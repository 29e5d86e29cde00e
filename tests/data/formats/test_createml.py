"""CreateML files in each of the shapes that Apple's pages and its exporters write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset
from tests.data.write import dataset, label_file


def _load(root: Path) -> LoadedDataset:
    return load(FilesDataset(format="auto", path=root), depth="headers")


def _rewrite(root: Path, change: Any) -> None:
    for split in ("train", "val"):
        file = label_file(root, "createml", split, "")
        file.write_text(json.dumps([change(entry) for entry in json.loads(file.read_text())]))


def _as_in_the_api(entry: dict[str, Any]) -> dict[str, Any]:
    return {"imagefilename": entry["image"], "annotation": entry["annotations"]}


def _text(entry: dict[str, Any]) -> dict[str, Any]:
    for annotation in entry["annotations"]:
        annotation["coordinates"] = {key: str(value) for key, value in annotation["coordinates"].items()}
    return entry


def _null(entry: dict[str, Any]) -> dict[str, Any]:
    return {**entry, "annotations": entry["annotations"] or None}


@pytest.mark.parametrize("change", [_as_in_the_api, _text, _null])
def test_shapes_in_use_are_the_same_data(change: Any, tmp_path: Path) -> None:
    """`imagefilename` with `annotation`, numbers as text, and null for no object."""
    root = dataset(tmp_path, "createml", train=6, val=3)
    clean = _load(root)
    _rewrite(root, change)
    loaded = _load(root)
    assert (loaded.format, loaded.findings.problems()) == ("createml", ())
    assert loaded.fingerprint() == clean.fingerprint()


def test_numbers_as_labels_are_names(tmp_path: Path) -> None:
    """A class that is called 7."""
    root = dataset(tmp_path, "createml", train=6, val=3)

    def seven(entry: dict[str, Any]) -> dict[str, Any]:
        return {**entry, "annotations": [{**annotation, "label": 7} for annotation in entry["annotations"]]}

    _rewrite(root, seven)
    loaded = _load(root)
    assert not loaded.findings.problems()
    assert loaded.splits["train"].annotations.class_names == ("7",)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"annotations": []}, "[0]: no image named (image, or imagefilename)"),
        ({"image": 3, "annotations": []}, "[0]: Expected `str`, got `int` - at `image`"),
        ({"image": "train000.jpg", "annotations": [{"label": "disc"}]}, "missing required field `coordinates`"),
        (
            {"image": "train000.jpg", "annotations": [{"label": "disc", "coordinates": {"x": "a", "y": 1}}]},
            "image train000.jpg, annotation 0: Expected `float | null`, got `str`",
        ),
    ],
)
def test_what_cannot_be_read_is_told(entry: dict[str, Any], said: str, tmp_path: Path) -> None:
    """At its place in the list, or at its image."""
    root = dataset(tmp_path, "createml", train=6, val=3)
    file = label_file(root, "createml", "train", "")
    file.write_text(json.dumps([entry, *json.loads(file.read_text())[1:]]))
    (problem,) = _load(root).findings.problems("error")
    assert (problem.code, problem.count) == ("unreadable_annotation", 1)
    assert said in str(problem)
