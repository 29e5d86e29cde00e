"""Label Studio: turned shapes, several annotations of a task, JSON-MIN, and how exports name images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from harness.data.formats.labelstudio_regions import spellings
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.data.problems import Problem
from harness.suite.schema import FilesDataset

_RECTANGLE = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0, "rectanglelabels": ["bolt"]}
_BOX = ("bolt", (20.0, 20.0, 80.0, 60.0))  # of `_RECTANGLE` in an image of 200 by 100 pixels


def _image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (200, 100), (len(path.name), len(str(path)) % 256, 0)).save(path)


def _result(value: dict[str, object], **fields: object) -> dict[str, object]:
    shape = {"original_width": 200, "original_height": 100, "image_rotation": 0, "value": value}
    return {**shape, "from_name": "label", "to_name": "image", "type": "rectanglelabels", **fields}


def _task(
    *results: dict[str, object], image: str = "/data/upload/1/p0.jpg", annotations: object = None, **fields: object
) -> dict[str, object]:
    given = annotations if annotations is not None else [{"id": 1, "result": list(results)}]
    return {"id": 1, "annotations": given, "data": {"image": image}, **fields}


def _read(folder: Path, content: object, **options: object) -> LoadedDataset:
    if not (folder / "p0.jpg").exists():
        _image(folder / "p0.jpg")
    (folder / "project-1.json").write_text(json.dumps(content))
    return load(FilesDataset(format="auto", path=folder, **options), depth="headers")  # type: ignore[arg-type]


def _table(loaded: LoadedDataset) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    assert loaded.format == "labelstudio"
    columns = loaded.splits["all"].annotations
    return {
        name: [
            (columns.class_names[label], tuple(round(edge, 2) for edge in box))
            for label, box in zip(
                columns.labels[columns.rows(row)].tolist(), columns.boxes[columns.rows(row)].tolist(), strict=True
            )
        ]
        for row, name in enumerate(columns.file_names)
    }


def _problem(loaded: LoadedDataset, code: str) -> Problem:
    return next(problem for problem in loaded.findings.problems() if problem.code == code)


SHAPES: dict[str, tuple[dict[str, object], tuple[str, tuple[float, ...]]]] = {
    "a rectangle": (_RECTANGLE, _BOX),
    "turned about its upper left corner": (
        {**_RECTANGLE, "x": 50, "y": 10, "rotation": 90},
        ("bolt", (60.0, 10.0, 100.0, 70.0)),
    ),
    "turned by 30 degrees": (
        {**_RECTANGLE, "x": 50, "y": 10, "rotation": 30},
        ("bolt", (80.0, 10.0, 151.96, 74.64)),
    ),
    "a polygon": (
        {"points": [[10, 20], [40, 30], [20, 60]], "polygonlabels": ["nut"]},
        ("nut", (20.0, 20.0, 80.0, 60.0)),
    ),
    "an ellipse": (
        {"x": 50, "y": 50, "radiusX": 10, "radiusY": 40, "rotation": 0, "ellipselabels": ["nut"]},
        ("nut", (80.0, 10.0, 120.0, 90.0)),
    ),
    "an ellipse turned about its centre": (
        {"x": 50, "y": 50, "radiusX": 10, "radiusY": 40, "rotation": 90, "ellipselabels": ["nut"]},
        ("nut", (60.0, 30.0, 140.0, 70.0)),
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", ["JSON", "JSON-MIN"])
def test_shapes_and_their_bounds(kind: str, shape: str, tmp_path: Path) -> None:
    """Percentages of width and height, turned in pixels; both exports give the same boxes."""
    value, expected = SHAPES[shape]
    if kind == "JSON":
        content = _task(_result(value, id="a"))
    else:
        sized = {**value, "original_width": 200, "original_height": 100}
        content = {"image": "/data/upload/1/p0.jpg", "id": 1, "label": [sized], "annotator": 1, "annotation_id": 7}
    loaded = _read(tmp_path, [content])
    assert not loaded.findings.problems()
    assert _table(loaded) == {"p0.jpg": [expected]}


def test_one_tag_draws_and_another_labels(tmp_path: Path) -> None:
    """Results of one id are one region; JSON-MIN has no ids, but the same coordinates twice. Choices are no regions."""
    shape = {key: value for key, value in _RECTANGLE.items() if key != "rectanglelabels"}
    labelled = {**shape, "labels": ["bolt"]}
    extra: list[dict[str, object]] = [
        {"value": {"choices": ["sharp"]}, "id": "c", "type": "choices"},
        {"from_id": "a", "type": "relation"},
    ]
    loaded = _read(tmp_path, [_task(_result(shape, id="a"), _result(labelled, id="a"), *extra)])
    assert not loaded.findings.problems()
    assert _table(loaded) == {"p0.jpg": [_BOX]}
    entry = {"image": "p0.jpg", "id": 1, "box": [shape], "tag": [labelled], "quality": "sharp", "annotation_id": 7}
    assert _table(_read(tmp_path, [entry])) == {"p0.jpg": [_BOX]}


def test_regions_that_share_an_id_but_differ_are_all_read(tmp_path: Path) -> None:
    moved, renamed = {**_RECTANGLE, "x": 50}, {**_RECTANGLE, "rectanglelabels": ["nut"]}
    results = [_result(value, id="r1") for value in (_RECTANGLE, moved, renamed, _RECTANGLE)]
    assert _table(_read(tmp_path, [_task(*results)])) == {
        "p0.jpg": [_BOX, ("bolt", (100.0, 20.0, 160.0, 60.0)), ("nut", _BOX[1])]
    }


def test_regions_that_are_told(tmp_path: Path) -> None:
    """Each with its number in the annotation: errors for objects that cannot be read, a note for a key point."""
    bad: list[dict[str, object]] = [
        {"format": "rle", "rle": [0, 1], "brushlabels": ["bolt"]},
        {**_RECTANGLE, "rectanglelabels": ["bolt", "nut"]},
        {**_RECTANGLE, "rectanglelabels": []},
        {**_RECTANGLE, "width": "wide"},
        {"x": 1, "y": 2, "height": 3, "rectanglelabels": ["bolt"]},
    ]
    turned = _result(_RECTANGLE, image_rotation=90)
    unsized: dict[str, object] = {"value": {**_RECTANGLE, "rotation": 20}}
    point = _result({"x": 10, "y": 20, "width": 0.5, "keypointlabels": ["bolt"]})
    loaded = _read(tmp_path, [_task(*map(_result, bad), turned, unsized, point, _result(_RECTANGLE))])
    assert _table(loaded) == {"p0.jpg": [_BOX]}
    problem = _problem(loaded, "unreadable_annotation")
    assert [place.annotation for place in problem.places] == list(range(7))
    for place, said in zip(
        problem.places,
        [
            *("mask of the brush", "several labels (bolt, nut)", "without a label", "got wide", "without width"),
            *("turned by 90 degrees", "without original_width"),
        ],
        strict=True,
    ):
        assert said in place.detail
        assert place.image == "p0.jpg"
    assert [place.annotation for place in _problem(loaded, "left_out").places] == [7]


def test_regions_without_a_label_are_of_the_only_class(tmp_path: Path) -> None:
    """A project with rectangles and no labels has one class, which the suite names."""
    shape = {key: value for key, value in _RECTANGLE.items() if key != "rectanglelabels"}
    assert _table(_read(tmp_path, [_task(_result(shape))], classes=("bolt",))) == {"p0.jpg": [_BOX]}


def test_which_annotation_counts(tmp_path: Path) -> None:
    """The ground truth, else the latest that was not skipped; the others, predictions and unlabelled tasks are told."""
    other = {**_RECTANGLE, "rectanglelabels": ["nut"]}
    early = {"id": 1, "result": [_result(other)], "updated_at": "2024-01-01T10:00:00Z"}
    late = {"id": 2, "result": [_result(_RECTANGLE)], "updated_at": "2024-01-02T10:00:00Z"}
    skipped = {"id": 3, "result": [], "updated_at": "2024-01-03T10:00:00Z", "was_cancelled": True}
    loaded = _read(tmp_path, [_task(annotations=[late, skipped, early])])
    assert _table(loaded) == {"p0.jpg": [_BOX]}
    assert "image p0.jpg: 1 other annotations of it; the latest counts" in str(_problem(loaded, "left_out"))
    truth = _read(tmp_path, [_task(annotations=[{**early, "ground_truth": True}, late])])
    assert _table(truth)["p0.jpg"][0][0] == "nut"

    _image(tmp_path / "p1.jpg")
    _image(tmp_path / "p2.jpg")
    loaded = _read(
        tmp_path,
        [
            _task(image="p0.jpg"),  # an annotation without regions
            _task(image="p1.jpg", annotations=[], predictions=[{"result": []}]),
            _task(image="p2.jpg", annotations=[skipped]),
        ],
    )
    assert _table(loaded) == {"p0.jpg": []}
    places = _problem(loaded, "left_out").places
    assert [place.image for place in places] == ["p1.jpg", "p2.jpg"]
    assert [place.detail for place in places] == ["not annotated, predicted only", "skipped by its annotator"]

    entries = [
        {"image": "p0.jpg", "id": 1, "label": [value], "annotation_id": number, "updated_at": f"2024-01-0{number}"}
        for number, value in ((2, _RECTANGLE), (1, other))
    ]
    loaded = _read(tmp_path, entries)
    assert _table(loaded) == {"p0.jpg": [_BOX]}
    assert _problem(loaded, "left_out").count == 1


REFERENCES = {
    "/data/upload/1/0fe17a2b-a.jpg": "a.jpg",
    "/data/local-files/?d=set/cam1/a.jpg": "cam1/a.jpg",
    "/data/local-files/?d=set%5Ccam1%5Ca.jpg": "cam1/a.jpg",
    "/data/local-files/?d=set\\cam1\\a.jpg": "cam1/a.jpg",
    "http://localhost:8080/data/local-files/?d=a.jpg": "a.jpg",
    "s3://bucket/set/cam1/a.jpg": "cam1/a.jpg",
    "gs://a.jpg/a.jpg": "a.jpg",
    "https://host/set/M%C3%BCller%201.jpg?token=a/b": "Müller 1.jpg",
    "/data/upload/1/0fe17a2b-M%C3%BCller_1.jpg": "Müller 1.jpg",
    "/data/upload/3/00c0ffee-my_photo_2.jpg": "my photo (2).jpg",
    "C:\\pictures\\cam1\\a.jpg": "cam1/a.jpg",
    "/home/me/set/a.jpg": "a.jpg",
    "cam1/a.jpg": "cam1/a.jpg",
    "/data/upload/1/0fe17a2b-b.jpg": "0fe17a2b-b.jpg",
}


@pytest.mark.parametrize("reference", REFERENCES)
@pytest.mark.parametrize("folder", [".", "images"])
def test_how_exports_name_images(folder: str, reference: str, tmp_path: Path) -> None:
    """The longest end of the address that is there; without the upload's digits only where no file has them."""
    for name in ("a.jpg", "cam1/a.jpg", "b.jpg", "0fe17a2b-b.jpg", "Müller 1.jpg", "my photo (2).jpg"):
        _image(tmp_path / folder / name)
    (tmp_path / "project-1.json").write_text(json.dumps([_task(_result(_RECTANGLE), image=reference)]))
    loaded = load(FilesDataset(format="auto", path=tmp_path), depth="headers")
    assert not loaded.findings.problems()
    ((name, boxes),) = _table(loaded).items()
    assert (name.removeprefix("images/"), boxes) == (REFERENCES[reference], [_BOX])


def test_images_that_are_not_there_or_not_one(tmp_path: Path) -> None:
    """A missing one by the name to look for; one image named twice; nothing outside the folder is opened."""
    _image(tmp_path.parent / "secret.jpg")
    tasks = [
        _task(_result(_RECTANGLE), image=image)
        for image in ("/data/upload/1/0fe17a2b-p9.jpg", "../secret.jpg", "p0.jpg")
    ]
    loaded = _read(tmp_path, tasks)
    assert "no such image" in _problem(loaded, "missing_image").places[0].detail
    assert _problem(loaded, "missing_image").places[0].image == "p9.jpg"
    assert _problem(loaded, "path_escapes_root").places[0].image == "../secret.jpg"
    assert _table(loaded) == {"p0.jpg": [_BOX]}
    twice = [_task(_result(_RECTANGLE), image=f"/data/upload/1/{digits}-p0.jpg") for digits in ("0fe17a2b", "0fe17a2c")]
    assert _problem(_read(tmp_path, twice), "duplicate_image_id").count == 1


def test_the_folder_of_the_images_may_stand_in_their_addresses(tmp_path: Path) -> None:
    """A box of `other/2.jpg` does not come to lie on `train/2.jpg`, which is the only 2.jpg there is."""
    for stem in ("1", "2"):
        _image(tmp_path / "train" / f"{stem}.jpg")
    images = ("s3://bkt/train/1.jpg", "s3://bkt/other/2.jpg")
    tasks = [_task(_result(_RECTANGLE), image=image) for image in images]
    (tmp_path / "train.json").write_text(json.dumps(tasks))
    loaded = load(FilesDataset(format="auto", path=tmp_path), depth="headers")
    assert loaded.splits["train"].annotations.file_names == ("1.jpg",)
    assert [place.image for place in _problem(loaded, "missing_image").places] == ["other/2.jpg"]


def test_an_absent_folder_is_not_left_out_to_find_another_image(tmp_path: Path) -> None:
    """Neither a folder of an address, nor a date that looks like the digits of an upload."""
    _image(tmp_path / "cam1" / "a.jpg")
    _image(tmp_path / "a.jpg")
    _image(tmp_path / "cam.jpg")
    images = ("s3://bkt/cam1/a.jpg", "s3://bkt/cam2/a.jpg")
    loaded = _read(tmp_path, [_task(_result(_RECTANGLE), image=image) for image in images])
    assert _table(loaded) == {"cam1/a.jpg": [_BOX]}
    assert [place.image for place in _problem(loaded, "missing_image").places] == ["cam2/a.jpg"]
    dated = _read(tmp_path, [_task(_result(_RECTANGLE), image="s3://b/20240101-cam.jpg")])
    assert [place.image for place in _problem(dated, "missing_image").places] == ["20240101-cam.jpg"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"left": "a.jpg", "right": "b.jpg"}, "several images (left, right)"),
        ({"text": "a review"}, "no image among its fields (text)"),
        ({"image": "data:image/png;base64,AAAA"}, "the image itself stands in the file"),
    ],
)
def test_tasks_without_an_image_to_find(data: dict[str, str], said: str, tmp_path: Path) -> None:
    """Told with the task's index in the file."""
    loaded = _read(tmp_path, [_task(_result(_RECTANGLE)), {"id": 2, "annotations": [{"result": []}], "data": data}])
    assert f"[1]: {said}" in str(_problem(loaded, "unreadable_annotation"))
    assert _table(loaded) == {"p0.jpg": [_BOX]}


def test_the_image_is_found_among_other_fields(tmp_path: Path) -> None:
    """By its name, or because it alone ends as an image; fields that other formats have do not mislead."""
    task = _task(_result(_RECTANGLE))
    fields = {"image_id": 7, "file_name": "x", "coordinates": "y", "thumbnail": "t.jpg", "image": "p0.jpg"}
    assert _table(_read(tmp_path, [{**task, "data": fields}])) == {"p0.jpg": [_BOX]}
    assert _table(_read(tmp_path, [{**task, "data": {"page": "p0.jpg", "text": "a"}}])) == {"p0.jpg": [_BOX]}
    old = {"id": 1, "completions": [{"id": 1, "result": [_result(_RECTANGLE)]}], "data": {"image": "p0.jpg"}}
    assert _table(_read(tmp_path, [old])) == {"p0.jpg": [_BOX]}


@pytest.mark.parametrize("reference", ["", "/", "://", "?d=", "..", "\\", "0fe17a2b-", "%2e%2e/a.jpg", "//x//"])
def test_odd_references_have_a_spelling(reference: str) -> None:
    """Whatever stands there, something is looked for."""
    assert spellings(reference)
