"""Open Images' CSV: the order of its edges, ids without a suffix, class names elsewhere, and the layouts in use."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.data.problems import Problem
from harness.suite.schema import FilesDataset

_HEADER = (
    "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
)
_ROW = "p0,xclick,/m/0b,1,0.1,0.35,0.2,0.6,0,0,0,0,0"
_BOX = ("bolt", (20.0, 20.0, 70.0, 60.0))  # of `_ROW` in an image of 200 by 100 pixels


def _images(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        Image.new("RGB", (200, 100), (number, 0, len(str(folder)) % 256)).save(folder / name)


def _boxes(path: Path, *rows: str, header: str = _HEADER) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")


def _classes(path: Path, text: str = "/m/0b,bolt\n/m/0n,nut\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _load(path: Path, name: str = "auto", **options: object) -> LoadedDataset:
    return load(FilesDataset(format=name, path=path, **options), depth="headers")  # type: ignore[arg-type]


def _table(loaded: LoadedDataset, split: str = "all") -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    columns = loaded.splits[split].annotations
    return {
        name: [
            (columns.class_names[label], tuple(round(edge, 3) for edge in box))
            for label, box in zip(
                columns.labels[columns.rows(row)].tolist(), columns.boxes[columns.rows(row)].tolist(), strict=True
            )
        ]
        for row, name in enumerate(columns.file_names)
    }


def _problem(loaded: LoadedDataset, code: str) -> Problem:
    return next(problem for problem in loaded.findings.problems() if problem.code == code)


def test_edges_are_fractions_and_the_two_of_x_come_first(tmp_path: Path) -> None:
    """XMin, XMax, YMin, YMax; the id has no suffix; the class has its name from the descriptions beside the boxes."""
    _images(tmp_path, "p0.jpg")
    _classes(tmp_path / "class-descriptions-boxable.csv")
    _boxes(tmp_path / "labels.csv", _ROW)
    loaded = _load(tmp_path)
    assert loaded.format == "openimages"
    assert not loaded.findings.problems("error")
    assert _table(loaded) == {"p0.jpg": [_BOX]}
    assert _table(_load(tmp_path / "labels.csv")) == _table(loaded)


LAYOUTS = {
    "beside each other": ("train-annotations-bbox.csv", "train", "class-descriptions.csv"),
    "version 6": ("oidv6-train-annotations-bbox.csv", "train", "oidv6-class-descriptions.csv"),
    "as CVAT exports it": (
        "annotations/train-annotations-bbox.csv",
        "images/train",
        "annotations/class-descriptions.csv",
    ),
    "as FiftyOne downloads it": ("train/labels/detections.csv", "train/data", "train/metadata/classes.csv"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_that_people_have(layout: str, tmp_path: Path) -> None:
    """The boxes' file or its folder is named after the split; the images lie where each tool puts them."""
    boxes, images, classes = LAYOUTS[layout]
    for split, row in (("train", _ROW), ("validation", _ROW.replace("p0", "v0"))):
        _images(tmp_path / images.replace("train", split), f"{row[:2]}.jpg")
        _boxes(tmp_path / boxes.replace("train", split), row)
        _classes(tmp_path / classes.replace("train", split))
    loaded = _load(tmp_path)
    assert not loaded.findings.problems("error"), loaded.findings.problems()
    assert _table(loaded, "train") == {"p0.jpg": [_BOX]}
    assert _table(loaded, "val") == {"v0.jpg": [_BOX]}


def test_images_in_a_folder_of_each_class(tmp_path: Path) -> None:
    """The id alone finds the image below the folder, unless two files have it."""
    _images(tmp_path / "images" / "Bolt", "p0.jpg")
    _images(tmp_path / "images" / "Nut", "p1.jpg")
    _boxes(tmp_path / "labels.csv", _ROW, _ROW.replace("p0", "p1"))
    loaded = _load(tmp_path, images=tmp_path / "images")
    assert list(_table(loaded)) == ["Bolt/p0.jpg", "Nut/p1.jpg"]
    shutil.copy(tmp_path / "images" / "Bolt" / "p0.jpg", tmp_path / "images" / "Nut")
    problem = _problem(_load(tmp_path, images=tmp_path / "images"), "missing_image")
    assert problem.count == 1
    assert problem.places[0].line == 2


def test_groups_are_crowds_and_unknown_is_no_group(tmp_path: Path) -> None:
    """IsGroupOf is 1, 0, or -1 where nobody looked; the column may be absent."""
    _images(tmp_path, "p0.jpg", "p1.jpg")
    group, unknown = _ROW.replace("0,0,0,0,0", "0,0,1,0,0"), _ROW.replace("0,0,0,0,0", "-1,-1,-1,-1,-1")
    _boxes(tmp_path / "labels.csv", group, unknown.replace("0.1,", "0.5,").replace("0.35", "0.8"))
    assert _load(tmp_path).splits["all"].annotations.crowds.tolist() == [True, False]
    _boxes(tmp_path / "labels.csv", "p0,/m/0b,0.1,0.35,0.2,0.6", header="ImageID,LabelName,XMin,XMax,YMin,YMax")
    assert _load(tmp_path).splits["all"].annotations.crowds.tolist() == [False]


def test_names_of_classes(tmp_path: Path) -> None:
    """With a header as in version 7, in a folder beside; an id that is not listed is told; a name is none."""
    _images(tmp_path / "a", "p0.jpg")
    rows = [_ROW, _ROW.replace("/m/0b", "/m/0x").replace("0.1,", "0.5,").replace("0.35", "0.8")]
    _boxes(tmp_path / "a" / "labels.csv", *rows)
    _classes(
        tmp_path / "metadata" / "oidv7-class-descriptions-boxable.csv", 'LabelName,DisplayName\n/m/0b,"bolt, hex"\n'
    )
    loaded = _load(tmp_path / "a")
    assert loaded.splits["all"].annotations.class_names == ("/m/0x", "bolt, hex")
    problem = _problem(loaded, "unnamed_classes")
    assert problem.count == 1
    assert "labels.csv: /m/0x: not in class-descriptions" in str(problem)
    _boxes(tmp_path / "a" / "labels.csv", _ROW.replace("/m/0b", "washer"))
    assert not _load(tmp_path / "a").findings.problems()


def test_images_without_a_box(tmp_path: Path) -> None:
    """A row with an id alone, and what the list of the split's images names further, are images without boxes."""
    _images(tmp_path / "images", "p0.jpg", "p1.jpg", "p2.jpg")
    _boxes(tmp_path / "train-annotations-bbox.csv", _ROW, "p1,,,,,,,,,,,,")
    (tmp_path / "train-images-boxable-with-rotation.csv").write_text(
        'ImageID,Subset,Title,Rotation\np0,train,"a, b",0\np2,train,c,\np3,train,d,\n'
    )
    loaded = _load(tmp_path)
    assert {name: len(boxes) for name, boxes in _table(loaded, "train").items()} == {
        "p0.jpg": 1,
        "p1.jpg": 0,
        "p2.jpg": 0,
    }
    (place,) = _problem(loaded, "missing_image").places
    assert Path(place.file).name == "train-images-boxable-with-rotation.csv"
    assert (place.line, place.image) == (4, "p3")


def test_rows_that_cannot_be_read(tmp_path: Path) -> None:
    """Each is told at its line, also after rows that were left out; a quotation mark costs no more than its row."""
    _images(tmp_path, "p0.jpg", "p1.jpg")
    bad = [
        'p0,"xclick,/m/0b',
        "",
        ",xclick,/m/0b,1,0.1,0.2,0.1,0.2,0,0,0,0,0",
        "p0,xclick,,1,0.1,0.2,0.1,0.2,0,0,0,0,0",
    ]
    words = [
        _ROW.replace("0.35", "wide"),
        _ROW.replace("0.35", ""),
        _ROW.replace("p0", '"p1"').replace("0.35", '"0.35"'),
    ]
    _boxes(tmp_path / "labels.csv", *bad, *words, _ROW)
    loaded = _load(tmp_path)
    assert sorted(place.line or 0 for place in _problem(loaded, "unreadable_annotation").places) == [2, 4, 5]
    assert [place.line for place in _problem(loaded, "not_a_number").places] == [6, 7]
    assert {name: len(boxes) for name, boxes in _table(loaded).items()} == {"p0.jpg": 1, "p1.jpg": 1}


def test_rows_that_are_no_text(tmp_path: Path) -> None:
    """Bytes of another encoding are an error at their line, also in a row that has too few cells; UTF-8 is read."""
    _images(tmp_path, "é.jpg")
    _boxes(tmp_path / "labels.csv", _ROW.replace("p0", "é"))
    assert list(_table(_load(tmp_path))) == ["é.jpg"]
    (tmp_path / "labels.csv").write_bytes(f"{_HEADER}\n{_ROW}\n".encode() + b"p\xe9\n")
    assert "labels.csv:3: not UTF-8 text" in str(_problem(_load(tmp_path), "unreadable_annotation"))


def test_pixels_and_files_of_another_kind_are_told(tmp_path: Path) -> None:
    """Boxes in pixels under Open Images' header, and its files without boxes, are one error each."""
    _images(tmp_path, "p0.jpg")
    _boxes(tmp_path / "labels.csv", _ROW.replace("0.1,0.35,0.2,0.6", "20,70,20,60"))
    (problem,) = [problem for problem in _load(tmp_path).findings.problems("error") if problem.code != "empty_split"]
    assert "its boxes reach to 70: pixels" in str(problem)
    assert "columns: {image: ImageID, class: LabelName}" in str(problem)
    _boxes(tmp_path / "labels.csv", "p0,verification,/m/0b,1", header="ImageID,Source,LabelName,Confidence")
    problem = _problem(_load(tmp_path / "labels.csv", "openimages"), "unreadable_annotation")
    assert "labels.csv:1: no column XMin, YMin, XMax, YMax; the header has ImageID, Source" in str(problem)


def test_ids_that_lead_out_of_the_folder(tmp_path: Path) -> None:
    """An id is a name below the folder of the images, also through a link."""
    _images(tmp_path / "outside", "secret.jpg")
    _images(tmp_path / "set", "p0.jpg")
    (tmp_path / "set" / "link.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    _boxes(tmp_path / "set" / "labels.csv", _ROW, *(_ROW.replace("p0", name) for name in ("../outside/secret", "link")))
    loaded = _load(tmp_path / "set")
    assert [place.line for place in _problem(loaded, "path_escapes_root").places] == [3, 4]
    assert list(_table(loaded)) == ["p0.jpg"]


def test_a_task_as_cvat_exports_it(tmp_path: Path) -> None:
    """Boxes, a list of images and a folder of images, all named after the subset `default`; one image has no box."""
    for folder in ("annotations", "images/default"):
        (tmp_path / folder).mkdir(parents=True)
    for stem in ("a", "background"):
        Image.new("RGB", (40, 30)).save(tmp_path / "images" / "default" / f"{stem}.jpg")
    columns = (
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax,IsOccluded,IsTruncated,IsGroupOf,IsDepiction,IsInside"
    )
    boxes = f"{columns}\na,,/m/bolt,1,0.1,0.5,0.2,0.6,0,0,0,0,0\n"
    (tmp_path / "annotations" / "default-annotations-bbox.csv").write_text(boxes)
    (tmp_path / "annotations" / "default-images-with-rotation.csv").write_text(
        "ImageID,Subset,OriginalURL,Rotation\na,default,a.jpg,\nbackground,default,background.jpg,\n"
    )
    (tmp_path / "annotations" / "class-descriptions.csv").write_text("/m/bolt,bolt\n")
    loaded = load(FilesDataset(format="auto", path=tmp_path), depth="headers")
    assert not loaded.findings.problems()
    columns_read = loaded.splits["all"].annotations
    assert columns_read.file_names == ("a.jpg", "background.jpg")
    assert columns_read.boxes.tolist() == [[4, 6, 20, 18]]
