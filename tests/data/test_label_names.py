"""A label file's boxes go to the image that it means, and never in silence to another one than its own name says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset

Images = dict[str, list[tuple[float, ...]]]

pytestmark = pytest.mark.parametrize("name", ["voc", "labelme"])  # the formats that name an image in its label file


def _label(file: Path, inside: str | None, x: int) -> None:
    """Write a label file of the format that its suffix says, with one box from `x` to `x` + 20."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == ".xml":
        named = "" if inside is None else f"<filename>{inside}</filename>"
        box = f"<bndbox><xmin>{x + 1}</xmin><ymin>11</ymin><xmax>{x + 20}</xmax><ymax>30</ymax></bndbox>"
        file.write_text(f"<annotation>{named}\n<object><name>bolt</name>{box}</object></annotation>", encoding="utf-8")
        return
    shape = {"label": "bolt", "points": [[x, 10], [x + 20, 30]], "shape_type": "rectangle"}
    content = {"imageWidth": 100, "imageHeight": 80, "shapes": [shape]}
    file.write_text(json.dumps(content if inside is None else content | {"imagePath": inside}))


def _image(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80)).save(file)


def _suffix(name: str) -> str:
    return {"voc": ".xml", "labelme": ".json"}[name]


def _folder(
    folder: Path, name: str, images: tuple[str, ...], labels: dict[str, str | None], rule: str | None = None
) -> LoadedDataset:
    """Load a folder of images and label files; the boxes of the label files begin at 5, 15, 25, …."""
    for image in images:
        _image(folder / image)
    for number, (label, inside) in enumerate(labels.items()):
        _label(folder / f"{label}{_suffix(name)}", inside, 5 + 10 * number)
    return _load(folder, rule)


def _load(folder: Path, rule: str | None = None, depth: Literal["labels", "headers"] = "headers") -> LoadedDataset:
    return load(FilesDataset(format="auto", path=folder, on_name_conflict=rule), depth=depth)  # type: ignore[arg-type]


def _lefts(loaded: LoadedDataset) -> dict[str, list[float]]:
    """The left edges of each image's boxes."""
    found = loaded.splits["all"].annotations
    return {image: found.boxes[found.rows(row), 0].tolist() for row, image in enumerate(found.file_names)}


def _told(loaded: LoadedDataset) -> dict[str, list[str]]:
    return {
        problem.code: [f"{Path(place.file).stem}: {place.detail}" for place in problem.places]
        for problem in loaded.findings.problems()
    }


def test_renamed_files_whose_both_images_are_there(name: str, tmp_path: Path) -> None:
    """An error naming both, and only the image that both agree on is kept; the suite may say which is right."""
    labels: dict[str, str | None] = {"a": "b.png", "b": "a.png", "c": "c.png"}
    loaded = _folder(tmp_path, name, ("a.png", "b.png", "c.png"), labels)
    assert _told(loaded) == {
        "name_conflict": [
            "a: b.png is named inside; there are a.png and b.png",
            "b: a.png is named inside; there are b.png and a.png",
        ]
    }
    assert _lefts(loaded) == {"c.png": [25]}
    assert "on_name_conflict: stem" in str(loaded.findings.problems()[0])
    for rule, lefts in (("stem", [5, 15]), ("inside", [15, 5])):
        decided = _load(tmp_path, rule)
        assert not decided.findings.problems()
        assert _lefts(decided) == {"a.png": [lefts[0]], "b.png": [lefts[1]], "c.png": [25]}
        assert _load(tmp_path, rule, "labels").splits["all"].annotations.file_names == ("a.png", "b.png", "c.png")
    skipped = load(FilesDataset(format="auto", path=tmp_path, on_bad_data="skip"), depth="headers")
    assert not skipped.fatal("skip")
    assert skipped.skipped() == {"name_conflict": 2}


def test_an_augmented_copy_that_names_its_original(name: str, tmp_path: Path) -> None:
    """The original is read; the copy is an error with both names, or an image of its own if the suite says so."""
    labels: dict[str, str | None] = {"a": "a.png", "a_flip": "a.png"}
    loaded = _folder(tmp_path, name, ("a.png", "a_flip.png"), labels)
    assert _told(loaded) == {"name_conflict": ["a_flip: a.png is named inside; there are a_flip.png and a.png"]}
    assert _lefts(loaded) == {"a.png": [5]}
    assert _lefts(_load(tmp_path, "stem")) == {"a.png": [5], "a_flip.png": [15]}
    assert list(_told(_load(tmp_path, "inside"))) == ["duplicate_image_id", "empty_split"]


def test_two_label_files_of_one_image(name: str, tmp_path: Path) -> None:
    """Where the copy has no image of its own, both describe the same one."""
    loaded = _folder(tmp_path, name, ("a.png", "b.png"), {"a": "a.png", "a_copy": "a.png", "b": "b.png"})
    assert list(_told(loaded)) == ["duplicate_image_id"]
    assert _lefts(loaded) == {"b.png": [25]}


def test_a_name_inside_that_is_not_there(name: str, tmp_path: Path) -> None:
    """Renamed together with its image, saved in another format, or not named at all: the file's own name is used."""
    labels = {"demo": "Hello.png", "b": "b.bmp", "c": None, "d": ""}
    loaded = _folder(tmp_path, name, ("demo.png", "b.png", "c.png", "d.png"), labels)
    assert _told(loaded) == {
        "name_inside_missing": [
            "b: b.bmp is named inside, which is not there",
            "c: no image is named inside",
            "d: no image is named inside",
            "demo: Hello.png is named inside, which is not there",
        ]
    }
    assert _lefts(loaded) == {"demo.png": [5], "b.png": [15], "c.png": [25], "d.png": [35]}
    assert not _told(_load(tmp_path, "stem"))
    inside = _load(tmp_path, "inside")
    assert list(_told(inside)) == ["missing_image", "name_inside_missing"]
    assert _lefts(inside) == {"c.png": [25], "d.png": [35]}


@pytest.mark.parametrize("inside", ["other.png", "sub/other", "OTHER.PNG"])
def test_names_that_only_the_file_inside_explains(name: str, inside: str, tmp_path: Path) -> None:
    """Without an image of the label file's own name, the one inside is used, as ever."""
    image = "sub/other.png" if "/" in inside else "other.png"
    loaded = _folder(tmp_path, name, (image,), {"0001": inside})
    assert _lefts(loaded) == {inside: [5]}
    assert set(_told(loaded)) <= {"name_case_mismatch"}
    gone = _folder(tmp_path, name, (), {"0002": "gone.png", "0003": None})
    assert len(_told(gone)["missing_image"]) == 2


@pytest.mark.parametrize(
    "inside",
    ["/home/u/a.png", "C:\\Users\\u\\a.png", "C:/Users/u/a.png", "\\\\server\\a.png", "old/a.png", "a", "A.png"],
)
def test_paths_of_other_machines(name: str, inside: str, tmp_path: Path) -> None:
    """Their last part is the image of the label file's own name, which nothing contradicts."""
    loaded = _folder(tmp_path, name, ("a.png", "b.png"), {"a": inside, "b": "b.png"})
    assert set(_told(loaded)) <= {"name_case_mismatch"}
    assert list(_lefts(loaded).values()) == [[5], [15]]


@pytest.mark.parametrize("inside", ["/home/u/b.png", "C:\\Users\\u\\b.png"])
def test_paths_of_other_machines_to_another_image(name: str, inside: str, tmp_path: Path) -> None:
    """The image that they mean is there too: an error, not a refusal that hides it."""
    loaded = _folder(tmp_path, name, ("a.png", "b.png"), {"a": inside})
    assert list(_told(loaded)) == ["name_conflict", "empty_split"]
    assert _lefts(_load(tmp_path, "stem")) == {"a.png": [5]}
    assert _lefts(_load(tmp_path, "inside")) == {"b.png": [5]}


def test_an_accent_in_two_forms_is_one_name(name: str, tmp_path: Path) -> None:
    """The label file in macOS's form, the image and the name inside in the usual one."""
    loaded = _folder(tmp_path, name, ("caf\u00e9.png",), {"cafe\u0301": "caf\u00e9.png"})
    assert not _told(loaded)
    assert _lefts(loaded) == {"caf\u00e9.png": [5]}


def test_one_stem_with_two_suffixes(name: str, tmp_path: Path) -> None:
    """The name inside says which; where it says neither, nobody knows."""
    loaded = _folder(
        tmp_path, name, ("a.bmp", "a.png", "b.bmp", "b.png", "c.bmp", "c.png"), {"a": "a.png", "b": "x.png"}
    )
    _label(tmp_path / f"c{_suffix(name)}", None, 25)
    loaded = _load(tmp_path)
    assert _lefts(loaded) == {"a.png": [5]}
    assert _told(loaded)["name_conflict"] == [
        "b: x.png is named inside; there are b.bmp and b.png",
        "c: no image is named inside; there are c.bmp and c.png",
    ]


def test_label_files_that_keep_the_suffix_of_their_image(name: str, tmp_path: Path) -> None:
    """`a.png.xml` belongs to a.png."""
    loaded = _folder(tmp_path, name, ("a.png", "b.png"), {"a.png": "old.png", "b.png": "b.png"})
    assert _told(loaded) == {"name_inside_missing": ["a.png: old.png is named inside, which is not there"]}
    assert _lefts(loaded) == {"a.png": [5], "b.png": [15]}


@pytest.mark.parametrize("named", [True, False])
def test_folders_of_labels_and_images_that_match(name: str, named: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """`labels/cam1/a` belongs to `images/cam1/a.png`, though another camera has an image of that name."""
    for image in ("cam1/a.png", "cam2/a.png", "cam2/b.png", "cam2/c.png"):
        _image(tmp_path / "images" / image)
    for label, inside, x in (("cam1/a", "a.png", 5), ("cam2/a", "a.png", 15), ("cam2/b", "c.png", 25)):
        path = inside if name == "voc" else f"../../images/{label[:4]}/{inside}"  # LabelMe's are relative to the file
        _label(tmp_path / "labels" / f"{label}{_suffix(name)}", path, x)
    images = tmp_path / "images" if named else None
    loaded = load(FilesDataset(format="auto", path=tmp_path / "labels", images=images), depth="headers")
    assert {image[-10:]: left for image, left in _lefts(loaded).items()} == {"cam1/a.png": [5], "cam2/a.png": [15]}
    ((code, (detail,)),) = _told(loaded).items()
    assert code == "name_conflict"
    assert "cam2/b.png and " in detail
    assert detail.endswith("cam2/c.png")


def test_two_images_of_one_name(name: str, tmp_path: Path) -> None:
    """One lies beside the label file, the other where the path inside leads: an error unless they are copies."""
    above = "../" if name == "labelme" else ""  # LabelMe's paths are relative to the label file
    folder = tmp_path if name == "labelme" else tmp_path / "lab"
    for image in ("a.png", "b.png"):
        _image(tmp_path / "lab" / image)
        _image(folder / "raw" / image)
    Image.new("RGB", (100, 80), "red").save(tmp_path / "lab" / "a.png")
    for number, stem in enumerate("ab"):
        _label(tmp_path / "lab" / f"{stem}{_suffix(name)}", f"{above}raw/{stem}.png", 5 + 10 * number)
    loaded = _load(folder)
    ((code, (detail,)),) = _told(loaded).items()
    assert code == "name_conflict"
    assert detail.startswith("a: ")
    assert list(_lefts(loaded).values()) == [[15]]
    assert [5] in _lefts(_load(folder, "stem")).values()
    assert _lefts(_load(folder, "inside")) == {"raw/a.png": [5], "raw/b.png": [15]}
