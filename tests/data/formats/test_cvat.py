"""Exports of CVAT for images 1.1 as people have them: turned shapes, subsets of a project, images in folders, video."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages, SplitRule

_LABELS = "<labels>{}</labels>"


def _label(name: str, kind: str = "any", parent: str = "") -> str:
    below = f"<parent>{parent}</parent>" if parent else ""
    attribute = "<attribute><name>colour</name><input_type>select</input_type><values>red\nblue</values></attribute>"
    return f"<label><name>{name}</name><type>{kind}</type><attributes>{attribute}</attributes>{below}</label>"


def _write(root: Path, images: str, *, meta: str = "", pictures: tuple[str, ...] = ("images/a.jpg",)) -> Path:
    for name in pictures:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80), (len(name) * 9 % 256, sum(name.encode()) % 256, 7)).save(root / name)
    file = root / "annotations.xml"
    file.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n<meta>{meta}</meta>\n'
        f"{images}\n</annotations>\n"
    )
    return file


def _image(shapes: str, name: str = "a.jpg", attributes: str = "") -> str:
    return f'<image id="0" name="{name}" {attributes} width="100" height="80">\n{shapes}\n</image>'


def _load(path: Path) -> LoadedDataset:
    return load(FilesDataset(format="auto", path=path), depth="headers")


def _boxes(loaded: LoadedDataset, split: str = "all") -> list[tuple[str, str, list[float]]]:
    columns = loaded.splits[split].annotations
    return [
        (columns.file_names[row], columns.class_names[columns.labels[box]], columns.boxes[box].round(2).tolist())
        for row in range(len(columns))
        for box in range(*columns.rows(row).indices(len(columns.boxes)))
    ]


def _found(loaded: LoadedDataset) -> list[tuple[str, str]]:
    return [(problem.code, str(place)) for problem in loaded.findings.problems() for place in problem.places]


@pytest.mark.parametrize(
    ("shape", "box"),
    [
        ('<box label="bolt" xtl="10.0" ytl="12.5" xbr="40.0" ybr="50.0"/>', [10, 12.5, 40, 50]),
        ('<box label="bolt" xtl="30" ytl="30" xbr="70" ybr="50" rotation="90.0"/>', [40, 20, 60, 60]),
        ('<box label="bolt" xtl="40" ytl="30" xbr="60" ybr="50" rotation="315"/>', [35.86, 25.86, 64.14, 54.14]),
        ('<polygon label="bolt" points="10,20;30.5,20;15,44"></polygon>', [10, 20, 30.5, 44]),
        ('<ellipse label="bolt" cx="50" cy="40" rx="20" ry="10"/>', [30, 30, 70, 50]),
        ('<ellipse label="bolt" cx="50" cy="40" rx="20" ry="10" rotation="90"/>', [40, 20, 60, 60]),
        ('<mask label="bolt" rle="3, 5, 7" left="7" top="8" width="13" height="15"/>', [7, 8, 20, 23]),
        (
            '<cuboid label="bolt" xtl1="10" ytl1="12" xbl1="10" ybl1="40" xtr1="30" ytr1="12" xbr1="30" ybr1="42" '
            'xtl2="34" ytl2="9" xbl2="34" ybl2="38" xtr2="20" ytr2="9" xbr2="20" ybr2="38"/>',
            [10, 9, 34, 42],
        ),
    ],
)
def test_shapes_are_read_as_their_bounds(shape: str, box: list[float], tmp_path: Path) -> None:
    """A box, turned or not, a polygon, an ellipse, a mask and a cuboid; attributes of a shape are ignored."""
    with_attribute = shape.replace(
        "/>", f'><attribute name="x">Unspecified</attribute></{shape[1:].partition(" ")[0]}>'
    )
    loaded = _load(_write(tmp_path, _image(with_attribute)))
    ((name, label, corners),) = _boxes(loaded)
    assert (name, label) == ("a.jpg", "bolt")
    assert corners == pytest.approx(box, abs=0.01)
    assert not _found(loaded)


def test_shapes_without_an_area_are_told_and_left_out(tmp_path: Path) -> None:
    """Lines, points, skeletons (once, not once a point) and tags; whatever is wrong with a shape has its line."""
    shapes = [
        '<polyline label="lane" points="1,2;3,4"/>',
        '<points label="eye" points="5,6"/>',
        '<skeleton label="man"><points label="1" points="1,2" outside="0"/><points label="2" points="3,4"/></skeleton>',
        '<tag label="good" source="manual"></tag>',
        '<box label="bolt" xtl="10" ytl="12" xbr="40"/>',
        '<box xtl="10" ytl="12" xbr="40" ybr="50"/>',
        '<polygon label="bolt" points="1;2"/>',
        '<polygon label="bolt" points=""/>',
        '<star label="bolt" points="1,2"/>',
        '<box label="bolt" xtl="10" ytl="12" xbr="nan" ybr="50"/>',
        '<box label="bolt" xtl="1" ytl="2" xbr="33" ybr="44"/>',
    ]
    file = _write(tmp_path, _image("\n".join(shapes)))
    loaded = _load(tmp_path)
    assert _boxes(loaded) == [("a.jpg", "bolt", [1, 2, 33, 44])]
    start = f"{file}:"
    assert _found(loaded) == [
        ("unreadable_annotation", f"{start}10: image a.jpg: <box> without ybr"),
        ("unreadable_annotation", f"{start}11: image a.jpg: <box> without label"),
        ("unreadable_annotation", f"{start}12: image a.jpg: points of a <polygon> are x,y;x,y;…, got 1;2"),
        ("unreadable_annotation", f"{start}13: image a.jpg: points of a <polygon> are x,y;x,y;…, got "),
        (
            "unreadable_annotation",
            f"{start}14: image a.jpg: <star> is no shape that is read (box, polygon, ellipse, mask, cuboid)",
        ),
        ("not_a_number", f"{start}15: image a.jpg: [10, 12, nan, 50]"),
        ("left_out", f"{start}6: image a.jpg: <polyline> has no area: lane"),
        ("left_out", f"{start}7: image a.jpg: <points> has no area: eye"),
        ("left_out", f"{start}8: image a.jpg: <skeleton> has no area: man"),
        ("left_out", f"{start}9: image a.jpg: <tag> has no area: good"),
    ]


def test_shapes_of_one_label_in_one_group_are_one_object(tmp_path: Path) -> None:
    """As CVAT exports them to COCO; group 0 is none, another label or image is another object."""
    box = '<box label="{}" xtl="{}" ytl="12" xbr="{}" ybr="50" group_id="{}"/>'
    shapes = [
        '<polygon label="bolt" points="10,20;30,20;15,44" group_id="3"/>',
        box.format("bolt", 40, 60, 3),
        box.format("nut", 41, 61, 3),
        box.format("bolt", 1, 9, 0),
        box.format("bolt", 2, 8, 0),
    ]
    images = _image("\n".join(shapes)) + _image(box.format("bolt", 70, 90, 3), "b.jpg")
    file = _write(tmp_path, images, pictures=("images/a.jpg", "images/b.jpg"))
    loaded = _load(tmp_path)
    assert _boxes(loaded) == [
        ("a.jpg", "bolt", [10, 12, 60, 50]),
        ("a.jpg", "nut", [41, 12, 61, 50]),
        ("a.jpg", "bolt", [1, 12, 9, 50]),
        ("a.jpg", "bolt", [2, 12, 8, 50]),
        ("b.jpg", "bolt", [70, 12, 90, 50]),
    ]
    told = f"{file}: 1 object of several shapes of one label and one group_id"
    assert _found(loaded) == [("grouped_shapes", told)]


@pytest.mark.parametrize("where", ["<task>{}</task>", "<job>{}</job>", "<project>{}<tasks></tasks></project>"])
def test_the_labels_of_the_task_are_the_classes_in_their_order(where: str, tmp_path: Path) -> None:
    """Not those of tags and skeletons, nor the points of a skeleton; another label on a box is unknown."""
    labels = [_label("screw"), _label("good", "tag"), _label("man", "skeleton"), _label("1", "points", "man")]
    meta = where.format(_LABELS.format("".join([*labels, _label("bolt", "rectangle")])))
    box = '<box label="{}" xtl="10" ytl="12" xbr="40" ybr="50"/>'
    _write(tmp_path, _image("\n".join(map(box.format, ("bolt", "nut")))), meta=meta)
    loaded = _load(tmp_path)
    assert loaded.splits["all"].annotations.class_names == ("screw", "bolt")
    assert _boxes(loaded) == [("a.jpg", "bolt", [10, 12, 40, 50])]
    ((code, place),) = _found(loaded)
    assert (code, place.rpartition(": ")[2]) == ("unknown_class", "screw, bolt")
    assert "annotations.xml:12: image a.jpg: nut is no label of the task" in place


_BOX = '<box label="bolt" xtl="{0}" ytl="12" xbr="60" ybr="50"/>'


def _project(*subsets: str) -> str:
    return "\n".join(
        _image(_BOX.format(number), attributes=f'subset="{subset}" task_id="{number}"')
        for number, subset in enumerate(subsets, start=1)
    )


@pytest.mark.parametrize("folder", ["images/{}/a.jpg", "{}/a.jpg"])
def test_the_subsets_of_a_project_are_its_splits(folder: str, tmp_path: Path) -> None:
    """Names may repeat between them; the images of each lie in a folder named after it."""
    pictures = tuple(map(folder.format, ("Train", "Validation", "test")))
    file = _write(tmp_path, _project("Train", "Validation", "test"), pictures=pictures)
    for path in (tmp_path, file):
        loaded = _load(path)
        assert not _found(loaded)
        assert list(loaded.splits) == ["train", "val", "test"]
        for number, split in enumerate(loaded.splits, start=1):
            assert _boxes(loaded, split) == [("a.jpg", "bolt", [number, 12, 60, 50])]
            assert loaded.splits[split].paths == (str(tmp_path / pictures[number - 1]),)


def test_subsets_that_are_no_splits_belong_together(tmp_path: Path) -> None:
    """`default` alone, and several names that repeat an image's name; only some named after splits is an error."""
    one = tmp_path / "one"
    _write(one, _project("default"), pictures=("images/default/a.jpg",))
    assert _boxes(_load(one)) == [("a.jpg", "bolt", [1, 12, 60, 50])]
    two = tmp_path / "two"
    _write(two, _project("north", "south"), pictures=("images/north/a.jpg", "images/south/a.jpg"))
    loaded = _load(two)
    assert not _found(loaded)
    assert [name for name, *_ in _boxes(loaded)] == ["north/a.jpg", "south/a.jpg"]
    file = _write(two, _project("Train", "north"))
    ((code, place),) = _found(_load(two))
    assert (code, place.partition(": ")[0]) == ("unreadable_annotation", str(file))
    assert "images of the subset north belong to no split" in place
    escape = tmp_path / "escape"
    _write(escape, _project(".."), pictures=("a.jpg",))
    assert [code for code, _ in _found(_load(escape / "annotations.xml"))] == []


@pytest.mark.parametrize(
    ("name", "picture"),
    [
        ("cam1/a.jpg", "images/cam1/a.jpg"),
        ("cam1\\a.jpg", "images/cam1/a.jpg"),
        ("cam1/a.jpg", "cam1/a.jpg"),
        ("frame_000000", "images/frame_000000.PNG"),
        ("a &amp; b.jpg", "images/a & b.jpg"),
    ],
)
def test_where_the_images_lie(name: str, picture: str, tmp_path: Path) -> None:
    """Names with folders, in `images` or beside the file; frames of a video have no suffix."""
    _write(tmp_path, _image(_BOX.format(1), name), pictures=(picture,))
    loaded = _load(tmp_path)
    assert not _found(loaded)
    assert loaded.splits["all"].paths == (str(tmp_path / picture),)


def test_images_elsewhere_and_a_split_by_the_harness(tmp_path: Path) -> None:
    """The suite names the folder of the images; a folder of a subset below it is entered."""
    file = _write(tmp_path / "labels", _project("default"))
    for name in ("default/a.jpg", "a.jpg"):
        (tmp_path / "jpg" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (100, 80)).save(tmp_path / "jpg" / name)
    whole = LabelledImages(annotations=file, images=tmp_path / "jpg")
    dataset = FilesDataset(format="cvat", all=whole, split=SplitRule(val=0.5))
    (split,) = (split for split in load(dataset, depth="headers").splits.values() if split.paths)
    assert split.paths == (str(tmp_path / "jpg" / "default" / "a.jpg"),)


@pytest.mark.parametrize("wanted", ["auto", "cvat"])
def test_cvat_for_video_is_named(wanted: str, tmp_path: Path) -> None:
    """With what to export instead; the frames of a video exported for images are read."""
    meta = "<task><mode>interpolation</mode></task>"
    track = '<track id="0" label="bolt"><box frame="0" outside="0" xtl="1" ytl="2" xbr="9" ybr="9"/></track>'
    file = _write(tmp_path, track, meta=meta)
    loaded = load(FilesDataset(format=wanted, path=tmp_path), depth="headers")  # type: ignore[arg-type]
    (problem,) = loaded.findings.problems()
    assert (problem.code, problem.places[0].file) == ("other_format", str(file))
    assert "this is CVAT for video" in str(problem)
    assert "export it as CVAT for images" in str(problem)
    _write(tmp_path, _image(_BOX.format(1)), meta=meta)
    assert _boxes(_load(tmp_path)) == [("a.jpg", "bolt", [1, 12, 60, 50])]


def test_other_encodings_and_broken_files(tmp_path: Path) -> None:
    """UTF-16 with subsets is read; a file that ends early is told with its line."""
    file = _write(tmp_path, _project("Train", "Val"), pictures=("images/Train/a.jpg", "images/Val/a.jpg"))
    text = file.read_text()
    file.write_text(text.replace("utf-8", "utf-16"), encoding="utf-16")
    assert list(_load(tmp_path).splits) == ["train", "val"]
    file.write_text(text[:-60])
    ((code, place), *_) = _found(_load(tmp_path))
    assert (code, "annotations.xml:9: not XML" in place) == ("unreadable_annotation", True), place


def test_a_file_of_voc_is_none_of_cvat(tmp_path: Path) -> None:
    """`<annotation>` is VOC's, `<annotations>` is CVAT's; each named as the other is told."""
    _write(tmp_path, _image(_BOX.format(1)))
    assert _load(tmp_path).format == "cvat"
    file = tmp_path / "annotations.xml"
    loaded = load(FilesDataset(format="voc", path=file), depth="headers")
    assert "annotations.xml: this is cvat, and not voc" in _found(loaded)[0][1]
    file.write_text("<annotation><filename>a.jpg</filename></annotation>")
    assert _load(tmp_path).format == "voc"
    loaded = load(FilesDataset(format="cvat", path=file), depth="headers")
    assert "annotations.xml: this is voc, and not cvat" in _found(loaded)[0][1]
