"""Every kind of problem is found in every format that can hold it, at its place, and a clean set has none."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.check import CheckResult, check
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.data.problem_codes import CODES
from harness.data.problems import Problem
from harness.suite.schema import FilesDataset, ImageSize, SplitRule, SyntheticDataset, SyntheticImages
from tests.conftest import ROOT, Command
from tests.data.shots import CLASSES, SIZE, Shot, shots, write_images
from tests.data.write import FORMATS, dataset, image_folder, label_file, write_labels

Change = Callable[[list[Shot]], list[Shot]]

_TRAIN, _VAL = 12, 6
_VICTIM = 1  # the image whose first box or file gets the fault; it has boxes
_NAME = f"train{_VICTIM:03d}.jpg"


def _check(root: Path, name: str = "auto", *, fast: bool = False) -> CheckResult:
    return check(FilesDataset(format=name, path=root), fast=fast, workers=1)  # type: ignore[arg-type]


def _found(checked: CheckResult, code: str) -> Problem:
    found = {problem.code: problem for problem in checked.problems}
    assert code in found, "\n".join(map(str, checked.problems)) or "nothing found"
    return found[code]


@pytest.fixture
def root(tmp_path: Path, name: str) -> Path:
    return dataset(tmp_path / "set", name, train=_TRAIN, val=_VAL)


def _relabel(root: Path, name: str, change: Change, split: str = "train") -> None:
    write_labels(root, name, split, change(shots(split, _TRAIN if split == "train" else _VAL)))


def _with(shot: Shot) -> Change:
    return lambda before: [shot if old.name == shot.name else old for old in before]


def _expect_box(problem: Problem, root: Path, name: str) -> None:
    """The place of the victim's first box, as its format numbers it."""
    place = problem.places[0]
    assert Path(place.file) == label_file(root, name, "train", _NAME)
    # The first image of CSV has one row, without a box.
    lines = {"yolo": 1, "voc": 4, "csv": 2, "cvat": 8, "openimages": 2, "kitti": 1}
    if name in lines:
        line = lines[name]
        assert place.line == line
        assert str(place).startswith(f"{place.file}:{line}")
    elif name == "coco":
        assert (place.image, place.annotation) == (13, 500)
        assert _NAME in place.detail
    else:
        assert (place.image, place.annotation) == (_NAME, 0)
    assert problem.count == 1


def _victim() -> Shot:
    shot = shots("train", _TRAIN)[_VICTIM]
    assert shot.boxes
    return shot


BOXES: dict[str, Callable[[Shot], Shot]] = {
    "degenerate_box": lambda shot: shot.but(0, x2=shot.boxes[0][1]),
    "box_outside_image": lambda shot: shot.but(0, x1=SIZE + 20, x2=SIZE + 40),
    "box_crosses_border": lambda shot: shot.but(0, x2=SIZE + 5),
    "tiny_box": lambda shot: shot.but(0, x2=shot.boxes[0][1] + 1.5, y2=shot.boxes[0][2] + 9),
    "not_a_number": lambda shot: shot.but(0, x1=float("nan")),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("code", BOXES)
def test_faults_of_boxes(code: str, name: str, root: Path) -> None:
    """One box is wrong: one problem, at that box, and no other."""
    _relabel(root, name, _with(BOXES[code](_victim())))
    checked = _check(root)
    _expect_box(_found(checked, code), root, name)
    beside = {"not_normalized"} if (code, name) == ("box_outside_image", "yolo") else set()
    assert {problem.code for problem in checked.problems} == {code} | beside


_SWAPPED = ["coco", "voc", "yolo", "csv", "cvat", "via", "openimages", "kitti"]  # LabelMe: any corner


@pytest.mark.parametrize("name", ["voc"])
def test_corners_that_count_from_zero(name: str, root: Path) -> None:
    """A box at 0 crosses no border; it is told once, at the folder of the labels."""
    _relabel(root, name, _with(_victim().but(0, x1=-1)))
    checked = _check(root)
    (place,) = _found(checked, "corners_from_zero").places
    assert Path(place.file) == root / "Annotations"
    assert place.detail.startswith(f"1 of {checked.splits['train'][1]} boxes begin at 0; the first: ")
    assert f"{Path(_NAME).stem}.xml:4" in place.detail
    assert [found.code for found in checked.problems] == ["corners_from_zero"]


@pytest.mark.parametrize("name", _SWAPPED)
def test_swapped_corners(name: str, root: Path) -> None:
    """A box whose left is right of its right is degenerate."""
    shot = _victim()
    _, x1, _, x2, _ = shot.boxes[0]
    _relabel(root, name, _with(shot.but(0, x1=x2, x2=x1)))
    _expect_box(_found(_check(root), "degenerate_box"), root, name)


@pytest.mark.parametrize("name", FORMATS)
def test_a_box_drawn_twice(name: str, root: Path) -> None:
    """The same class at the same place, a pixel apart, is told at the second one; another class is not."""
    shot = _victim()
    label, x1, y1, x2, y2 = shot.boxes[0]
    other = CLASSES[CLASSES.index(label) - 1]
    twins = ((label, x1, y1, x2, y2), (other, x1, y1, x2, y2), (label, x1, y1, x2 + 0.3, y2))
    _relabel(root, name, _with(replace(shot, boxes=twins)))
    problem = _found(_check(root), "duplicate_box")
    assert problem.count == 1
    assert problem.places[0].annotation in {None, 2, 502}
    lines = {"yolo": 3, "csv": 4, "voc": 24, "cvat": 10, "openimages": 4, "kitti": 3, "huggingface": 2}
    assert problem.places[0].line in {None, lines.get(name)}


@pytest.mark.parametrize("name", ["coco", "yolo", "cvat", "huggingface"])
def test_a_class_that_is_not_listed(name: str, root: Path) -> None:
    """An id without a category, a number above the names."""
    shot = _victim()
    _relabel(root, name, _with(replace(shot, boxes=(("washer", *shot.boxes[0][1:]), *shot.boxes[1:]))))
    _expect_box(_found(_check(root), "unknown_class"), root, name)


@pytest.mark.parametrize("name", FORMATS)
def test_a_class_that_the_suite_does_not_list(name: str, root: Path) -> None:
    """`classes` in the suite makes any other name unknown, in every format."""
    missing = _victim().boxes[0][0]
    kept = tuple(label for label in CLASSES if label != missing)
    checked = check(FilesDataset(format="auto", path=root, classes=kept), fast=True, workers=1)
    problem = _found(checked, "unknown_class")
    assert checked.class_names == kept
    everything = [*shots("train", _TRAIN), *shots("val", _VAL)]
    assert problem.count == sum(box[0] == missing for shot in everything for box in shot.boxes)


@pytest.mark.parametrize("name", ["labelme"])
def test_a_label_that_is_no_object(name: str, root: Path) -> None:
    """LabelMe's `__ignore__` is told at its shape, and left out."""
    shot = _victim()
    _relabel(root, name, _with(replace(shot, boxes=(("__ignore__", *shot.boxes[0][1:]), *shot.boxes[1:]))))
    checked = _check(root)
    _expect_box(_found(checked, "ignored_label"), root, name)
    assert checked.class_names == CLASSES


@pytest.mark.parametrize("name", ["cvat", "via"])
def test_what_is_no_object_to_detect(name: str, root: Path) -> None:
    """A shape without an area is told at its place and left out; the other boxes are read."""
    before = _check(root).splits
    file = label_file(root, name, "train", _NAME)
    first, shape = {
        "cvat": ("    <box", '    <points label="disc" points="4,5;6,7"></points>\n'),
        "via": ('{"shape', '{"shape_attributes": {"name": "point", "cx": 4, "cy": 5}}, '),
    }[name]
    file.write_text(file.read_text().replace(first, shape + first, 1))
    checked = _check(root)
    _expect_box(_found(checked, "left_out"), root, name)
    assert [found.code for found in checked.problems] == ["left_out"]
    assert checked.splits == before


@pytest.mark.parametrize("name", ["cvat"])
def test_shapes_that_are_grouped(root: Path, name: str) -> None:
    """One object, told once a file with the number of such objects, and no error."""
    file = label_file(root, name, "train", _NAME)
    box = '<box label="disc" xtl="{}" ytl="5" xbr="{}" ybr="25" group_id="4" />'
    pair = box.format(1, 20) + box.format(30, 50)
    file.write_text(file.read_text().replace("</image>", f"{pair}</image>", 1))
    problem = _found(_check(root, fast=True), "grouped_shapes")
    assert (problem.severity, problem.count) == ("warning", 1)
    assert problem.places[0].detail == "1 object of several shapes of one label and one group_id"


@pytest.mark.parametrize("name", ["yolo"])
def test_a_folder_that_is_named_but_not_there(root: Path) -> None:
    """An error at the line of data.yaml that names it, which leaving out bad entries does not mend; of test a note."""
    yaml = root / "data.yaml"
    yaml.write_text(yaml.read_text() + "test: images/test\n")
    checked = _check(root)
    assert [found.code for found in checked.problems] == ["missing_test_folder"]
    assert str(_found(checked, "missing_test_folder").places[0]).startswith(f"{yaml}:5: test: the folder ")
    (root / "images" / "val").rename(root / "images" / "validation")
    checked = _check(root)
    assert list(checked.splits) == ["train"]
    problem = _found(checked, "missing_folder")
    assert str(problem.places[0]).startswith(f"{yaml}:2: val: the folder {root}/images/val does not exist; ")
    assert CODES["missing_folder"].always


@pytest.mark.parametrize("name", ["yolo"])
def test_a_list_called_test_that_is_read_as_val(root: Path) -> None:
    """Darknet's two lists, train.txt and test.txt: told at the list."""
    (root / "data.yaml").unlink()
    (root / "obj.names").write_text("\n".join(CLASSES))
    for split, file in (("train", "train.txt"), ("val", "test.txt")):
        images = sorted((root / "images" / split).iterdir())
        (root / file).write_text("".join(f"data/images/{split}/{image.name}\n" for image in images))
    checked = _check(root)
    assert {name: images for name, (images, _) in checked.splits.items()} == {"train": _TRAIN, "val": _VAL}
    problem = _found(checked, "test_read_as_val")
    assert (problem.count, problem.places[0].file) == (1, str(root / "test.txt"))
    assert [found.code for found in checked.problems] == ["test_read_as_val"]


@pytest.mark.parametrize("name", ["yolo"])
def test_an_image_without_a_label_file(root: Path) -> None:
    """It is read as an image without objects, and told; an empty label file says that there are none."""
    file = label_file(root, "yolo", "train", _NAME)
    file.write_text("")
    assert not _check(root).problems
    file.unlink()
    checked = _check(root)
    assert checked.splits["train"][0] == _TRAIN
    problem = _found(checked, "no_label_file")
    assert (problem.count, problem.places[0].file, problem.places[0].image) == (1, str(file), _NAME)
    assert [found.code for found in checked.problems] == ["no_label_file"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_image(name: str, root: Path) -> None:
    """A labelled image that is not there is told where it is named."""
    (image_folder(root, name, "train") / _NAME).unlink()
    checked = _check(root)
    problem = _found(checked, "missing_image")
    assert problem.count == 1
    assert Path(problem.places[0].file) == label_file(root, name, "train", _NAME)
    assert Path(_NAME).stem in str(problem.places[0])
    if name == "csv":
        assert problem.places[0].line == 2
    assert [found.code for found in checked.problems] == ["missing_image"]


@pytest.mark.parametrize("name", ["voc", "labelme"])
@pytest.mark.parametrize(("inside", "code"), [("train002.jpg", "name_conflict"), ("x.jpg", "name_inside_missing")])
def test_a_label_file_that_names_another_image(inside: str, code: str, name: str, root: Path) -> None:
    """Told at the file; `tests/data/test_label_names.py` has what becomes of its boxes."""
    file = label_file(root, name, "train", _NAME)
    file.write_text(file.read_text().replace(_NAME, inside))
    checked = _check(root, fast=True)
    place = _found(checked, code).places[0]
    assert (Path(place.file), place.image) == (file, _NAME)
    assert inside in place.detail
    assert [found.code for found in checked.problems] == [code]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("fast", [False, True])
def test_files_that_are_no_image(fast: bool, name: str, root: Path) -> None:  # noqa: FBT001 - a parameter
    """Text, an empty file, a bomb and a PNG that ends early are all unreadable, also without decoding."""
    folder = image_folder(root, name, "train")
    (folder / "train001.jpg").write_text("no image")
    (folder / "train002.jpg").write_bytes(b"")
    Image.new("1", (20000, 20000)).save(folder / "train003.jpg", format="PNG")
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)).save(stream, "PNG")
    (folder / "train004.jpg").write_bytes(stream.getvalue()[:3000])
    problem = _found(_check(root, fast=fast), "unreadable_image")
    assert [Path(place.file).name for place in problem.places] == [f"train00{number}.jpg" for number in (1, 2, 3, 4)]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("ending", [b"", b"\xff\xd9", b"\0" * 500])
def test_a_jpeg_that_ends_early(ending: bytes, name: str, root: Path) -> None:
    """Cut, cut and closed, cut and filled up: a warning at the file; reading goes as far as the picture does."""
    path = image_folder(root, name, "train") / _NAME
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, quality=90)
    path.write_bytes(path.read_bytes()[:-1500] + ending)
    checked = _check(root)
    problem = _found(checked, "corrupt_tail")
    assert [found.code for found in checked.problems] == ["corrupt_tail"]
    assert Path(problem.places[0].file) == path
    if ending != b"\xff\xd9":
        assert _found(_check(root, fast=True), "corrupt_tail").count == 1


@pytest.mark.parametrize("name", FORMATS)
def test_twelve_bits_in_words_of_sixteen(name: str, root: Path) -> None:
    """A 16-bit PNG of a camera with 12 bits is told, as it becomes nearly black; one with all 16 is not."""
    path = image_folder(root, name, "train") / _NAME
    grey = np.random.default_rng(0).integers(0, 4096, (SIZE, SIZE)).astype(np.uint16)
    Image.fromarray(grey).save(path, format="PNG")
    checked = _check(root)
    assert [found.code for found in checked.problems] == ["dark_image"]
    assert Path(checked.problems[0].places[0].file) == path
    Image.fromarray(grey << 4).save(path, format="PNG")
    assert not _check(root).problems


@pytest.mark.parametrize("name", FORMATS)
def test_a_turned_photo(name: str, root: Path) -> None:
    """Each image with an EXIF orientation is named."""
    path = image_folder(root, name, "train") / _NAME
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif, quality=95)
    checked = _check(root)
    assert [found.code for found in checked.problems] == ["exif_rotated"]
    assert Path(checked.problems[0].places[0].file) == path


@pytest.mark.parametrize("name", ["coco", "voc", "labelme", "csv", "cvat", "huggingface"])
def test_a_declared_size_that_is_wrong(name: str, root: Path) -> None:
    """Declared against real, at the image's entry."""
    if name == "csv":
        for split in ("train", "val"):
            file = label_file(root, name, split, "")
            rows = [f"{line},{SIZE},{SIZE}" for line in file.read_text().splitlines()]
            if split == "train":
                rows[1] = rows[1].rpartition(",")[0] + ",40"
            file.write_text("image,x1,y1,x2,y2,class,width,height\n" + "\n".join(rows))
    else:
        _relabel(root, name, _with(replace(_victim(), size=(SIZE, 40))))
    checked = _check(root)
    problem = _found(checked, "size_mismatch")
    assert "declared 96 × 40, is 96 × 96" in str(problem)
    assert Path(problem.places[0].file) == label_file(root, name, "train", _NAME)
    assert [found.code for found in checked.problems] == ["size_mismatch"]


@pytest.mark.parametrize("name", FORMATS)
def test_a_name_in_another_case(name: str, root: Path) -> None:
    """TRAIN001.JPG for train001.jpg is found, and told."""
    if name == "yolo":
        file = label_file(root, name, "train", _NAME)
        file.rename(file.with_name(file.name.upper().replace(".TXT", ".txt")))
    else:
        folder = image_folder(root, name, "train")
        (folder / _NAME).rename(folder / _NAME.upper())
    checked = _check(root)
    problem = _found(checked, "name_case_mismatch")
    assert "train001" in str(problem).lower()
    assert [found.code for found in checked.problems] == ["name_case_mismatch"]
    assert checked.splits["train"][1] == sum(len(shot.boxes) for shot in shots("train", _TRAIN))


@pytest.mark.parametrize("name", FORMATS)
def test_a_name_in_another_unicode_form(name: str, root: Path) -> None:
    """A Mac writes é as two characters: the image is found (of YOLO, the label file), with all its boxes, and told."""
    before = _check(root).splits
    composed, decomposed = "tr\u00e9in001.jpg", "tre\u0301in001.jpg"
    label_file(root, name, "train", _NAME).unlink()
    _relabel(root, name, lambda old: [replace(shot, name=shot.name.replace(_NAME, composed)) for shot in old])
    folder = image_folder(root, name, "train")
    (folder / _NAME).rename(folder / decomposed)
    checked = _check(root)
    problem = _found(checked, "name_unicode_mismatch")
    assert problem.count == 1
    assert [found.code for found in checked.problems] == ["name_unicode_mismatch"]
    assert checked.splits == before


@pytest.mark.parametrize("name", ["voc"])
@pytest.mark.parametrize(
    ("listed", "named", "code"),
    [
        ("tr\u00e9in001", "tre\u0301in001", "name_unicode_mismatch"),
        ("train001", "TRAIN001", "name_case_mismatch"),
    ],
)
def test_listed_labels_in_another_form(listed: str, named: str, code: str, root: Path) -> None:
    """A line of ImageSets finds its label file, and is told."""
    before = _check(root).splits
    file = label_file(root, "voc", "train", _NAME)
    file.rename(file.with_name(f"{named}.xml"))
    listing = root / "ImageSets" / "Main" / "train.txt"
    listing.write_text(listing.read_text().replace("train001", listed))
    checked = _check(root)
    problem = _found(checked, code)
    assert (problem.count, problem.places[0].line) == (1, 2)
    assert checked.splits == before


@pytest.mark.parametrize("name", ["coco", "voc", "csv", "labelme", "createml", "cvat", "via", "huggingface"])
def test_names_with_backslashes(name: str, root: Path) -> None:
    """Windows separates folders by backslashes: the image is found, and nothing is told."""
    before = _check(root).splits
    folder = image_folder(root, name, "train")
    (folder / "cam").mkdir()
    (folder / _NAME).rename(folder / "cam" / _NAME)
    file = label_file(root, name, "train", _NAME)
    shown = "cam\\\\" if name in {"coco", "labelme", "createml", "via", "huggingface"} else "cam\\"
    file.write_text(file.read_text().replace(_NAME, shown + _NAME))
    checked = _check(root)
    assert not checked.problems
    assert checked.splits == before
    loaded = load(FilesDataset(format="auto", path=root), depth="headers")
    assert f"cam/{_NAME}" in loaded.splits["train"].annotations.file_names


ESCAPES = (
    "../secret.jpg",
    "/etc/hostname.jpg",
    "link.jpg",
    "linked/secret.jpg",
    "x/../../../secret.jpg",
    "..\\secret.jpg",
    "x\\..\\..\\..\\secret.jpg",
    "C:\\data\\secret.jpg",
    "\\\\server\\data\\secret.jpg",
)


@pytest.mark.parametrize("name", ["coco", "voc", "csv", "labelme", "createml", "cvat", "via", "huggingface"])
@pytest.mark.parametrize("path", ESCAPES)
def test_paths_that_leave_the_folder(path: str, name: str, root: Path) -> None:
    """Dots, absolute paths (of Windows too) and links to the outside are refused, and nothing outside is opened."""
    outside = root.parent / "outside"
    outside.mkdir()
    Image.new("RGB", (SIZE, SIZE)).save(outside / "secret.jpg")
    folder = image_folder(root, name, "train")
    Image.new("RGB", (SIZE, SIZE)).save(folder.parent / "secret.jpg")
    (folder / "link.jpg").symlink_to(outside / "secret.jpg")
    (folder / "linked").symlink_to(outside)
    (folder / "x").mkdir()
    text = label_file(root, name, "train", _NAME).read_text()
    shown = path.replace("\\", "\\\\") if name in {"coco", "labelme", "createml", "via", "huggingface"} else path
    label_file(root, name, "train", _NAME).write_text(text.replace(_NAME, shown))
    problem = _found(_check(root), "path_escapes_root")
    assert problem.count == 1
    assert Path(problem.places[0].file) == label_file(root, name, "train", _NAME)
    if name == "csv":
        assert problem.places[0].line == 2


@pytest.mark.parametrize("name", ["yolo"])
def test_paths_of_a_list_that_leave_the_folder(root: Path) -> None:
    """A list of images may not name what lies outside, at its line; an absolute path inside is fine."""
    lines = [str(path) for path in sorted((root / "images" / "train").iterdir())]
    lines[1:1] = ["../../etc/secret.jpg", "/etc/secret.jpg", "..\\..\\secret.jpg", "C:\\x\\secret.jpg"]
    (root / "train.txt").write_text("\n".join(lines))
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("images/train", "train.txt"))
    checked = _check(root)
    (problem,) = checked.problems
    assert problem.code == "path_escapes_root"
    assert [place.line for place in problem.places] == [2, 3, 4, 5]
    assert checked.splits["train"][0] == _TRAIN


@pytest.mark.parametrize("name", ["yolo"])
def test_links_of_images_that_leave_the_folder(root: Path, tmp_path: Path) -> None:
    """YOLO's images are what lies in its folder; a link to elsewhere is refused."""
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "secret.jpg")
    (root / "images" / "train" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    assert "link.jpg" in str(_found(_check(root), "path_escapes_root"))


def _broken(name: str, text: str) -> str:
    if name in {"csv", "openimages"}:
        lines = text.splitlines()
        lines[1] = ",".join(lines[1].split(",")[:3])
        return "\n".join(lines)
    if name == "yolo":
        return "0 0.5 0.5 0.1\n" + text
    return text[: len(text) * 2 // 3]


@pytest.mark.parametrize("name", FORMATS)
def test_torn_annotation_files(name: str, root: Path) -> None:
    """Half a JSON or XML file, a line of too few values: an error at that file, with the line where there is one."""
    file = label_file(root, name, "train", _NAME)
    file.write_text(_broken(name, file.read_text()))
    problem = _found(_check(root), "unreadable_annotation")
    assert problem.count == 1
    assert Path(problem.places[0].file) == file
    assert problem.places[0].line is not None or name in {"coco", "createml", "labelme", "via", "labelstudio"}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("content", [b"\xff\xfe\x00caf\xe9", b"[" * 200_000, b"<a>" * 100_000, b"\0" * 10])
def test_hostile_annotation_files(content: bytes, name: str, root: Path) -> None:
    """Not UTF-8, nested absurdly deep, zero bytes: told as unreadable, without a traceback."""
    label_file(root, name, "train", _NAME).write_bytes(content)
    problem = _found(_check(root, name), "unreadable_annotation")
    assert Path(problem.places[0].file) == label_file(root, name, "train", _NAME)


@pytest.mark.parametrize("name", ["voc", "cvat"])
def test_xml_bombs_and_documents_from_elsewhere(name: str, root: Path) -> None:
    """Entities are refused before they expand or open a file."""
    file = label_file(root, name, "train", _NAME)
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(12))
    for text in (
        f"<!DOCTYPE annotation [{laughs}]><annotation>&l11;</annotation>",
        '<!DOCTYPE annotation [<!ENTITY x SYSTEM "file:///etc/hostname">]><annotation><filename>&x;</filename></annotation>',
    ):
        file.write_text(text)
        assert "declares a document type or entities" in str(_found(_check(root), "unreadable_annotation"))


@pytest.mark.parametrize("name", ["coco"])
def test_ids_that_repeat_or_lead_nowhere(root: Path) -> None:
    """COCO's own faults: an image id twice, an annotation id twice, an annotation of no image."""
    file = label_file(root, "coco", "train", "")
    clean = json.loads(file.read_text())

    def planted(change: Callable[[dict[str, list[dict[str, object]]]], None]) -> CheckResult:
        content = json.loads(json.dumps(clean))
        change(content)
        file.write_text(json.dumps(content))
        return _check(root, fast=True)

    problem = _found(planted(lambda c: c["images"][4].update(id=13)), "duplicate_image_id")
    assert (problem.places[0].image, problem.count) == (13, 1)
    problem = _found(planted(lambda c: c["annotations"][4].update(id=501)), "duplicate_annotation_id")
    assert (problem.places[0].annotation, problem.count) == (501, 1)
    problem = _found(planted(lambda c: c["annotations"][4].update(image_id=9999)), "unknown_image_id")
    assert (problem.places[0].annotation, problem.places[0].image, problem.count) == (504, 9999, 1)


@pytest.mark.parametrize("name", ["coco", "voc", "labelme", "createml", "yolo", "cvat", "labelstudio", "huggingface"])
def test_an_image_that_is_described_twice(name: str, root: Path) -> None:
    """Two entries for one image: nobody knows which is right. Rows of CSV belong together."""
    if name == "yolo":
        names = sorted(path.name for path in (root / "images" / "train").iterdir())
        (root / "train.txt").write_text("".join(f"images/train/{image}\n" for image in [*names, names[1]]))
        (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("images/train", "train.txt"))
    elif name in {"voc", "labelme"}:
        file = label_file(root, name, "train", _NAME)
        shutil.copy(file, file.with_name(f"copy{file.suffix}"))
        if name == "voc":
            with (root / "ImageSets" / "Main" / "train.txt").open("a") as stream:
                stream.write("copy\n")
    else:
        _relabel(root, name, lambda before: [*before, before[_VICTIM]])
    problem = _found(_check(root, fast=True), "duplicate_image_id")
    assert problem.count == 1
    assert "train001.jpg" in str(problem)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in {"labelme", "kitti"}])  # no files, no split
def test_an_empty_split(name: str, root: Path) -> None:
    """A split without an image is an error at its labels."""
    if name == "yolo":
        shutil.rmtree(root / "labels" / "val")
        shutil.rmtree(root / "images" / "val")
        (root / "images" / "val").mkdir()
    else:
        write_labels(root, name, "val", [])
    problem = _found(_check(root, name), "empty_split")
    assert problem.count == 1
    assert "val" in str(problem)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("split", "said"), [("train", "nothing to learn from"), ("val", "its mAP is undefined")])
def test_a_split_without_a_box(name: str, split: str, said: str, root: Path) -> None:
    """An error at its labels, in the same words for every format; leaving out bad entries does not mend it."""
    _relabel(root, name, lambda before: [replace(shot, boxes=()) for shot in before], split)
    loaded = load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]
    (problem,) = loaded.fatal("skip")
    assert (problem.code, problem.count) == ("empty_split", 1)
    assert f"{split}: not one box: {said}" in str(problem)


def test_crowd_regions_alone_are_no_boxes(tmp_path: Path) -> None:
    """Nothing is trained or judged on a crowd region, so a split of nothing else is without a box."""
    root = dataset(tmp_path, "coco", train=_TRAIN, val=_VAL)
    labels = root / "annotations" / "val.json"
    labels.write_text(labels.read_text().replace('"iscrowd": 0', '"iscrowd": 1'))
    assert "val: not one box" in str(_found(_check(root, fast=True), "empty_split"))


def test_a_part_of_a_divided_folder_without_a_box(tmp_path: Path) -> None:
    """A split that the harness makes is judged as one that the user names."""
    dataset(tmp_path, "coco", train=30, val=1)
    write_labels(tmp_path, "coco", "train", [replace(shot, boxes=()) for shot in shots("train", 30)[1:]])
    source = FilesDataset(format="coco", path=tmp_path / "annotations" / "train.json", split=SplitRule(val=0.3))
    (problem,) = check(source, fast=True, workers=1).problems[:1]
    assert "train: not one box" in str(problem)
    assert "val: not one box" in str(problem)


def test_drawn_splits_without_a_box() -> None:
    """A synthetic split in which no object was drawn is the same error."""
    one = SyntheticImages(images=1)
    drawn = SyntheticDataset(format="synthetic", train=SyntheticImages(images=20), val=one, seed=0)
    (problem,) = check(drawn, fast=True, workers=1).problems
    assert (problem.code, problem.count) == ("empty_split", 1)
    assert "val: not one box: its mAP is undefined" in str(problem)
    assert not check(replace(drawn, seed=2), fast=True, workers=1).problems


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_picture_in_two_splits(name: str, root: Path) -> None:
    """A copy is found by its bytes already, the same pixels in another file by decoding; both are errors."""
    train, val = image_folder(root, name, "train"), image_folder(root, name, "val")
    shutil.copy(train / _NAME, val / "val001.jpg")
    problem = _found(_check(root, fast=True), "leakage")
    assert problem.count == 1
    assert "train001.jpg" in str(problem)
    assert "val001.jpg" in str(problem)
    Image.open(train / _NAME).save(val / "val001.jpg", format="PNG")
    assert [found.code for found in _check(root).problems] == ["leakage"]


@pytest.mark.parametrize("name", FORMATS)
def test_look_alikes_in_two_splits(name: str, root: Path) -> None:
    """A picture at another size, quality and light is a warning; the drawn ones among each other are none."""
    train, val = image_folder(root, name, "train"), image_folder(root, name, "val")
    picture = Image.open(train / _NAME).resize((77, 77)).resize((SIZE, SIZE)).point(lambda value: min(255, value * 1.1))
    picture.save(val / "val001.jpg", quality=40)
    checked = _check(root)
    assert [found.code for found in checked.problems] == ["near_duplicate_images"]
    assert "train001.jpg" in str(checked.problems[0])
    assert "val001.jpg" in str(checked.problems[0])


def _without_triangles(before: list[Shot]) -> list[Shot]:
    return [replace(shot, boxes=tuple(box for box in shot.boxes if box[0] != "triangle")) for shot in before]


@pytest.mark.parametrize("name", ["coco", "yolo", "cvat"])
def test_a_class_without_boxes(name: str, root: Path) -> None:
    """Listed, and never drawn."""
    for split in ("train", "val"):
        _relabel(root, name, _without_triangles, split)
    checked = _check(root, fast=True)
    assert [found.code for found in checked.problems] == ["class_without_boxes"]
    assert "triangle" in str(checked.problems[0].places[0])


@pytest.mark.parametrize("name", FORMATS)
def test_a_class_that_one_split_lacks_and_a_rare_one(name: str, root: Path) -> None:
    """No triangle in val; one lonely star in train."""

    def lonely(before: list[Shot]) -> list[Shot]:
        plain = [replace(shot, boxes=shot.boxes * 3) for shot in _without_triangles(before)]
        return [replace(plain[0], boxes=(("triangle", 5.0, 5.0, 30.0, 30.0),)), *plain[1:]]

    _relabel(root, name, lonely)
    _relabel(root, name, _without_triangles, "val")
    checked = _check(root, fast=True)
    assert "triangle in val" in str(_found(checked, "class_missing_in_split"))
    assert "triangle: 1" in str(_found(checked, "rare_class"))


@pytest.mark.parametrize("name", ["openimages"])
def test_entries_that_are_no_labels(name: str, root: Path) -> None:
    """A box that its annotators deny (confidence 0) is left out, and told at its line."""
    file = label_file(root, name, "train", _NAME)
    lines = file.read_text().splitlines()
    lines[1] = lines[1].replace(",1,", ",0,", 1)
    file.write_text("\n".join(lines))
    problem = _found(_check(root), "left_out")
    assert [place.line for place in problem.places] == [2]


@pytest.mark.parametrize("name", ["openimages"])
def test_classes_with_an_id_and_no_name(root: Path) -> None:
    """Without the file of their names they are told once a file, and their ids are their names."""
    (root / "annotations" / "class-descriptions-boxable.csv").unlink()
    checked = _check(root, fast=True)
    assert _found(checked, "unnamed_classes").count == 2
    assert checked.class_names == ("/m/0di", "/m/0sq", "/m/0tr")


@pytest.mark.parametrize("name", ["yolo"])
def test_values_above_one(root: Path) -> None:
    """Pixels in a YOLO file are read as pixels and told; a value just above 1 is clipped and told."""
    file = label_file(root, "yolo", "train", _NAME)
    file.write_text("1 40 30 20 10\n1 0.9 0.5 1.04 0.5\n")
    checked = _check(root)
    problem = _found(checked, "not_normalized")
    assert [place.line for place in problem.places] == [1, 2]
    assert {found.code for found in checked.problems} == {"not_normalized", "box_crosses_border"}


def test_labels_of_a_format_that_is_not_read(tmp_path: Path) -> None:
    """They are named with what to do (each of them in formats/test_others.py)."""
    (tmp_path / "predictions.json").write_text('[{"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 1}]')
    problem = _found(_check(tmp_path), "other_format")
    assert problem.places[0].file == str(tmp_path / "predictions.json")
    assert "this is a COCO results file" in problem.places[0].detail


@pytest.mark.parametrize("name", ["coco"])
def test_two_folders_that_could_have_the_images(root: Path) -> None:
    """Other images of the same names where the images are looked for: told with both folders."""
    shutil.copytree(root / "images" / "train", root / "data")
    for path in (root / "data").iterdir():
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    problem = _found(_check(root), "ambiguous_image_folder")
    assert str(root / "data") in str(problem)
    assert str(root / "images" / "train") in str(problem)
    assert "--images DIR" in str(problem)


@pytest.mark.parametrize("second", ["yolo", "voc", "labelme"])
def test_labels_of_two_formats_in_one_folder(second: str, tmp_path: Path) -> None:
    """What is read is told, and what is not; a named format, or the same labels once, is no problem."""
    root = dataset(tmp_path / "set", "coco", train=_TRAIN, val=_VAL)
    assert not _check(root, fast=True).problems
    for split, count in (("train", _TRAIN), ("val", _VAL)):
        write_labels(root, second, split, shots(split, count))
    if second == "yolo":  # without a data.yaml, as LabelImg leaves them
        (root / "data.yaml").unlink()
        (root / "labels" / "classes.txt").write_text("\n".join(CLASSES))
    (root / "results.csv").write_text("epoch,a,b,c,d,e,f\n1,2,3,4,5,6,7\n")  # no labels
    checked = _check(root, fast=True)
    problem = _found(checked, "several_formats")
    assert [place.detail for place in problem.places] == [f"coco is read; {second} is there too"]
    assert len(checked.problems) == 1
    assert not _check(root, "coco", fast=True).problems


def test_label_files_of_two_formats_beside_each_other(tmp_path: Path) -> None:
    """Half of one folder's images have XML, half JSON: the other half is told, not passed over."""
    for stem in ("a", "b"):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{stem}.jpg")
    box = "<bndbox><xmin>3</xmin><ymin>4</ymin><xmax>20</xmax><ymax>10</ymax></bndbox>"
    (tmp_path / "a.xml").write_text(
        f"<annotation><filename>a.jpg</filename><object><name>disc</name>{box}</object></annotation>"
    )
    shape = {"label": "disc", "points": [[1, 2], [9, 8]], "shape_type": "rectangle"}
    (tmp_path / "b.json").write_text(json.dumps({"imagePath": "b.jpg", "shapes": [shape]}))
    problem = _found(_check(tmp_path, fast=True), "several_formats")
    assert [place.detail for place in problem.places] == ["labelme is read; voc is there too"]


_ONE_FILE_A_SPLIT = ["coco", "csv", "createml", "cvat", "via", "openimages", "labelstudio", "huggingface"]


@pytest.mark.parametrize("name", _ONE_FILE_A_SPLIT)
def test_labels_of_no_split_beside_those_of_splits(name: str, root: Path) -> None:
    """They are told with their file, and the splits are read as before."""
    file = label_file(root, name, "train", "")
    parts = file.relative_to(root).as_posix().replace("train", "more")
    unused = root / (parts if "more" in parts else f"more/{parts}")
    unused.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(file, unused)
    checked = _check(root, fast=True)
    (place,) = _found(checked, "unused_labels").places
    assert Path(place.file) == unused
    assert place.detail == "named after no split, beside the labels of train and val"
    assert {split: images for split, (images, _) in checked.splits.items()} == {"train": _TRAIN, "val": _VAL}


def test_every_code_has_a_test_here() -> None:
    """The list of codes and the tests do not drift apart; some are tested beside the module that finds them."""
    files = [ROOT / "tests" / "cli" / "test_data_check.py", *(ROOT / "tests" / "data").rglob("test_*.py")]
    text = "".join(file.read_text() for file in files)
    assert [code for code in CODES if f'"{code}"' not in text] == []


@pytest.mark.parametrize("name", ["coco"])
def test_the_command_says_it_to_people_and_programs(harness_command: Command, root: Path) -> None:
    """Grouped text with what to do; the JSON that the README promises; exit codes 0 and 1, and 1 for --strict."""
    done = harness_command("data", "check", root)
    assert (done.returncode, done.stderr) == (0, "")
    assert "No problems found." in done.stdout
    assert "train 12 images" in done.stdout
    (image_folder(root, "coco", "train") / _NAME).rename(image_folder(root, "coco", "train") / _NAME.upper())
    assert harness_command("data", "check", root, "--format", "coco").returncode == 0
    done = harness_command("data", "check", root, "--strict", "--fast", "--json")
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert set(content) == {"problems", "summary"}
    (problem,) = content["problems"]
    assert set(problem) == {"code", "severity", "count", "message", "hint", "places"}
    assert (problem["code"], problem["severity"], problem["count"]) == ("name_case_mismatch", "warning", 1)
    assert problem["places"][0]["file"].endswith("train.json")
    assert problem["places"][0]["image"] == 13
    assert content["summary"]["warnings"] == 1
    (image_folder(root, "coco", "train") / _NAME.upper()).unlink()
    done = harness_command("data", "check", root)
    assert done.returncode == 1
    assert "error missing_image (1)" in done.stdout
    assert "what to do: copy them into place" in done.stdout
    assert "1 error, 0 warnings" in done.stdout


def test_a_suite_and_a_drawn_dataset_can_be_checked(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Every dataset of a suite, each under its name; drawn images have nothing wrong."""
    dataset(tmp_path / "a", "yolo", train=4, val=3)
    dataset(tmp_path / "b", "csv", train=4, val=2)
    (tmp_path / "a" / "images" / "val" / "val001.jpg").write_text("")
    drawn = "  c: {format: synthetic, train: {images: 2}, val: {images: 2}}\n"
    suite = tiny_suite(datasets=f"  a: {{format: yolo, path: a}}\n  b: {{format: auto, path: b}}\n{drawn}")
    done = harness_command("data", "check", suite, "--json")
    content = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (1, "")
    assert [found["code"] for found in content["problems"] if found["severity"] == "error"] == ["unreadable_image"]
    assert content["problems"][0]["dataset"] == "a"
    assert list(content["summary"]["datasets"]) == ["a", "b", "c"]
    assert content["summary"]["datasets"]["b"]["format"] == "csv"


def test_many_images_are_looked_at_by_several_processes(tmp_path: Path) -> None:
    """Above a few hundred the work is shared, and what is found is the same."""
    write_images(tmp_path / "train", "train", 3)
    named = []
    for number in range(240):
        target = tmp_path / "train" / f"copy{number:03d}.jpg"
        os.link(tmp_path / "train" / "train001.jpg", target)
        named.append(Shot(target.name, shots("train", 3)[1].boxes))
    write_labels(tmp_path, "csv", "train", named)
    (tmp_path / "train" / "copy100.jpg").unlink()
    (tmp_path / "train" / "copy100.jpg").write_text("no image")
    source = FilesDataset(format="csv", path=tmp_path)
    seen: list[tuple[int, int]] = []
    several = check(source, fast=False, workers=2, progress=lambda done, of: seen.append((done, of)))
    assert several == check(source, fast=False, workers=1)
    assert [problem.code for problem in several.problems] == ["unreadable_image"]
    assert seen[-1] == (240, 240)


def test_a_camera_that_never_moves_has_no_look_alikes(tmp_path: Path) -> None:
    """The same background with other things on it is no copy; the same things a little darker are."""
    rng = np.random.default_rng(0)
    background = Image.fromarray(rng.integers(40, 200, (8, 8, 3), dtype=np.uint8)).resize((320, 240))
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        named = []
        for number in range(20):
            picture = background.copy()
            left, top = int(rng.integers(0, 260)), int(rng.integers(0, 180))
            picture.paste((200, 30, int(rng.integers(0, 255))), (left, top, left + 50, top + 50))
            picture.save(tmp_path / split / f"{number}.png")
            named.append(Shot(f"{number}.png", (("thing", left, top, left + 50, top + 50),)))
        write_labels(tmp_path, "csv", split, named)
    assert not _check(tmp_path).problems
    Image.open(tmp_path / "train" / "3.png").point(lambda value: value * 0.9).save(tmp_path / "val" / "7.png")
    problem = _found(_check(tmp_path), "near_duplicate_images")
    assert problem.count == 1
    assert "train/3.png" in problem.places[0].file
    assert "val/7.png" in problem.places[0].detail


def _whole(folder: Path, **rule: object) -> LoadedDataset:
    dataset(folder, "coco", train=30, val=1)
    split = SplitRule(val=0.3, test=0.2, **rule)  # type: ignore[arg-type]
    source = FilesDataset(format="coco", path=folder / "annotations" / "train.json", split=split, on_bad_data="skip")
    return load(source, depth="headers")


def test_names_that_an_expression_does_not_match_stop_the_run(tmp_path: Path) -> None:
    """They are counted and listed, whatever on_bad_data says; `ungrouped: allow` makes a warning of the error."""
    expression = r"^(train00\d)"
    loaded = _whole(tmp_path, group_by=expression)
    (problem,) = loaded.fatal("skip")
    assert (problem.code, problem.count) == ("ungrouped_image", 20)
    assert "train010.jpg: not matched by '^(train00" in str(problem)
    assert "… and 15 more" in str(problem)
    assert "ungrouped: allow" in str(problem)
    assert not loaded.skipped()

    allowed = _whole(tmp_path, group_by=expression, ungrouped="allow")
    assert not allowed.fatal("stop")
    assert [(p.code, p.count) for p in allowed.findings.problems("warning")] == [("ungrouped_image_allowed", 20)]
    assert sum(len(split.annotations) for split in allowed.splits.values()) == 30

    (problem,) = _whole(tmp_path, group_by="nothing like this", ungrouped="allow").fatal("skip")
    assert (problem.code, problem.count) == ("ungrouped_image", 30)
    assert "which matches no name at all" in str(problem)


@pytest.mark.parametrize(
    ("expression", "groups", "empty"), [("train", "1 group", 2), ("^(train)0[01]|^train(0)2", "2 groups", 1)]
)
def test_fewer_groups_than_splits_are_told(expression: str, groups: str, empty: int, tmp_path: Path) -> None:
    """A split that no group is left for is an error that says why it is empty."""
    (problem,) = _whole(tmp_path, group_by=expression).fatal("skip")
    assert (problem.code, problem.count) == ("empty_split", empty)
    assert f"; 30 images in {groups} by {expression!r} cannot fill 3 splits" in str(problem)


def test_what_the_resize_of_a_detector_leaves_nothing_of(tmp_path: Path) -> None:
    """An image whose shorter side rounds to 0 and a box thinner than 0.01 pixels then are errors, with their places."""
    root = dataset(tmp_path, "csv", train=4, val=2)
    for name, size in (("long.png", (2000, 6)), ("large.png", (6400, 1200))):
        Image.effect_noise(size, 60).convert("RGB").save(root / "train" / name)
    with (root / "train" / "labels.csv").open("a") as stream:
        stream.write("long.png,5,1,900,5,disc\nlarge.png,2,2,4000,800,disc\nlarge.png,2,2,2.5,800,disc\n")
    source = FilesDataset(format="csv", path=root)
    sizes = (ImageSize(min=32, max=64), ImageSize(min=800, max=1333))
    checked = check(source, fast=True, workers=1, image_sizes=sizes)
    image, box = _found(checked, "image_lost_in_resize"), _found(checked, "box_lost_in_resize")
    assert (image.count, box.count) == (1, 1)
    place = "image long.png: 2000 × 6 becomes 64 × 0 at image_size: {min: 32, max: 64}"
    assert place in str(image)
    assert "image large.png: [2, 2, 2.5, 800] at image_size: {min: 32, max: 64}" in str(box)
    assert "error" not in {problem.severity for problem in check(source, fast=True, workers=1).problems}


def test_validate_knows_the_resizes_of_its_suite(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """What the resize of one of the suite's detectors leaves nothing of stops `validate`, also where it may skip."""
    root = dataset(tmp_path / "set", "csv", train=4, val=2)
    Image.effect_noise((2000, 6), 60).convert("RGB").save(root / "train" / "long.png")
    with (root / "train" / "labels.csv").open("a") as stream:
        stream.write("long.png,5,1,900,5,disc\n")
    done = harness_command("validate", tiny_suite(datasets="  d: {format: csv, path: set, on_bad_data: skip}\n"))
    assert done.returncode == 2
    assert "image long.png: 2000 × 6 becomes 64 × 0" in done.stderr
