"""A line of a list of images means one image, however the tool wrote it; what leads nowhere is told at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset
from tests.data.shots import shots
from tests.data.write import dataset, image_folder, label_file

TRAIN = [shot.name for shot in shots("train", 4)]

# Each is the line of one image of YOLO; the list lies in the folder of data.yaml.
LINES = {
    "relative": "images/train/{}",
    "with a dot": "./images/train/{}",
    "backslashes": "images\\train\\{}",
    "a dot and backslashes": ".\\images\\train\\{}",
    "a drive letter": "D:\\work\\set\\images\\train\\{}",
    "a share": "\\\\server\\work\\images\\train\\{}",
    "absolute, of another machine": "/content/datasets/set/images/train/{}",
    "absolute": "ROOT/images/train/{}",
    "quotation marks": '"images/train/{}"',
    "single quotation marks": "'images/train/{}'",
    "a comment behind it": "images/train/{}  # blurred",
    "quotation marks and a comment": '"images/train/{}" # blurred',
    "a comment without a space": "images/train/{}#blurred",
    "Darknet": "data/images/train/{}",
    "Darknet's folder for building": "build/darknet/x64/data/images/train/{}",
    "the folder's own name": "set/images/train/{}",
    "from a folder beside": "../set/images/train/{}",
    "far above": "../../elsewhere/images/train/{}",
    "spaces around": "   images/train/{} \t",
    "another letter case": "Images/Train/{}",
}


def _load(root: Path, name: str = "auto") -> LoadedDataset:
    return load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]


def _boxes(loaded: LoadedDataset) -> dict[str, list[list[float]]]:
    columns = loaded.splits["train"].annotations
    return {Path(name).name: columns.boxes[columns.rows(row)].tolist() for row, name in enumerate(columns.file_names)}


def _yolo(root: Path) -> dict[str, list[list[float]]]:
    """A set of YOLO whose train split is train.txt; return its boxes by image."""
    dataset(root, "yolo", train=4, val=2)
    boxes = _boxes(_load(root))
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("images/train", "train.txt"))
    return boxes


def test_a_line_of_any_tool_means_its_image(tmp_path: Path) -> None:
    """The same images with the same boxes, whatever the line looks like; Windows' line ends and mark are fine too."""
    root = tmp_path / "set"
    boxes = _yolo(root)
    for way, line in LINES.items():
        lines = [line.replace("ROOT", str(root)).format(name) for name in TRAIN]
        for text in ("\n".join(lines), "\ufeff# of Monday\r\n\r\n" + "\r\n".join(lines) + "\r\n"):
            (root / "train.txt").write_bytes(text.encode())
            loaded = _load(root)
            told = {problem.code for problem in loaded.findings.problems()}
            assert told <= ({"name_case_mismatch"} if "case" in way else set()), way
            assert _boxes(loaded) == boxes, way


def test_a_list_in_a_folder_of_its_own(tmp_path: Path) -> None:
    """Lines may be relative to the root or to the list, and the list to another machine."""
    boxes = _yolo(tmp_path)
    (tmp_path / "lists").mkdir()
    yaml = (tmp_path / "data.yaml").read_text()
    for entry in (
        "lists/train.txt",
        "/content/set/lists/train.txt",
        "C:\\set\\lists\\train.txt",
        ".\\lists\\train.txt",
    ):
        (tmp_path / "data.yaml").write_text(yaml.replace("train.txt", entry))
        for start in ("images/train/", "../images/train/", "./../images/train/", "..\\images\\train\\"):
            (tmp_path / "lists" / "train.txt").write_text("".join(f"{start}{name}\n" for name in TRAIN))
            loaded = _load(tmp_path)
            assert not loaded.findings.problems(), (entry, start)
            assert _boxes(loaded) == boxes, (entry, start)


@pytest.mark.parametrize("new", ["a#1.jpg", "a #1.jpg", "#1.jpg", "a.b.jpg"])
@pytest.mark.parametrize("suffix", [True, False])
def test_a_name_may_have_a_number_sign_or_no_suffix(new: str, suffix: bool, tmp_path: Path) -> None:  # noqa: FBT001 - a parameter
    """A file of that very name is meant, and its own label file; only else does a comment begin there."""
    boxes = _yolo(tmp_path)
    for folder in ("images", "labels"):
        file = next((tmp_path / folder / "train").glob("train001.*"))
        file.rename(file.with_name(Path(new).stem + file.suffix))
    names = [Path("images/train", new if name == TRAIN[1] else name) for name in TRAIN]
    lines = [str(name if suffix else name.with_suffix("")) for name in names]
    (tmp_path / "train.txt").write_text("# all\n#images/train/train000.jpg\n" + "\n".join(lines))
    loaded = _load(tmp_path)
    assert not loaded.findings.problems()
    assert sorted(_boxes(loaded).values()) == sorted(boxes.values())


def test_an_image_of_a_list_that_is_not_there_is_told_at_its_line(tmp_path: Path) -> None:
    """As a missing image, where it would lie; not as one that leaves the folder, though the list is of Windows."""
    _yolo(tmp_path)
    lines = [f"C:\\set\\images\\train\\{name}" for name in ["gone.jpg", *TRAIN, "lost # here.jpg"]]
    (tmp_path / "train.txt").write_text("\n".join(lines))
    (problem,) = _load(tmp_path).findings.problems("error")
    assert problem.code == "missing_image"
    assert [(place.line, place.image) for place in problem.places] == [
        (1, "images/train/gone.jpg"),
        (6, "images/train/lost"),
    ]
    assert str(problem.places[0]).endswith(f"no such image: {tmp_path}/images/train/gone.jpg")


def test_no_line_means_an_image_of_another_split(tmp_path: Path) -> None:
    """`…/train/a.jpg` is not `a.jpg` of some other folder, and no image is taken for one of a folder that is there."""
    _yolo(tmp_path)
    (tmp_path / "images" / "train" / "train001.jpg").rename(tmp_path / "train001.jpg")
    for line in ("/content/set/images/train/train001.jpg", "images/train/train001.jpg"):
        (tmp_path / "train.txt").write_text(f"images/train/train002.jpg\n{line}\n")
        loaded = _load(tmp_path)
        assert len(loaded.splits["train"].paths) == 1
        assert {problem.code for problem in loaded.findings.problems("error")} <= {"missing_image", "path_escapes_root"}
        assert "train001.jpg" in str(loaded.findings.problems("error")[0])


def test_a_list_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    """At the list, with the line."""
    _yolo(tmp_path)
    (tmp_path / "train.txt").write_bytes("images/train/ä.jpg\n".encode("cp1252"))
    (problem, *_) = _load(tmp_path).findings.problems("error")
    assert f"{tmp_path / 'train.txt'}:1: not UTF-8 text" in str(problem)


def test_a_list_of_powershell_is_read(tmp_path: Path) -> None:
    """`dir -name > train.txt` writes UTF-16 with its mark there."""
    boxes = _yolo(tmp_path)
    text = "".join(f"images\\train\\{name}\r\n" for name in TRAIN)
    for encoding, mark in (("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")):
        (tmp_path / "train.txt").write_bytes(mark + text.encode(encoding))
        loaded = _load(tmp_path)
        assert not loaded.findings.problems()
        assert _boxes(loaded) == boxes


STEMS = {
    "the stem": "{}",
    "a class's list": "{}  1",
    "an image": "{}.jpg",
    "a label file": "{}.xml",
    "a path of the image": "JPEGImages/{}.jpg",
    "Paddle's pair": "JPEGImages/{0}.jpg Annotations/{0}.xml",
    "backslashes": "JPEGImages\\{}.jpg",
    "a drive letter": "C:\\VOC\\JPEGImages\\{}.jpg",
    "absolute": "/home/me/VOCdevkit/VOC2007/JPEGImages/{}.jpg",
    "quotation marks": '"{}"',
    "a comment": "{} # blurred",
    "a comment without a space": "{}#blurred",
    "a class's list with a comment": "{} -1 # blurred",
}


def test_a_line_of_an_image_set_means_its_label_file(tmp_path: Path) -> None:
    """Pascal VOC's lists, with the same freedom."""
    dataset(tmp_path, "voc", train=4, val=2)
    boxes = _boxes(_load(tmp_path))
    listing = tmp_path / "ImageSets" / "Main" / "train.txt"
    for way, line in STEMS.items():
        text = "\ufeff# of Monday\r\n" + "\r\n".join(line.format(Path(name).stem) for name in TRAIN)
        listing.write_bytes(text.encode())
        loaded = _load(tmp_path)
        assert not loaded.findings.problems(), way
        assert _boxes(loaded) == boxes, way


def test_a_stem_with_a_number_sign(tmp_path: Path) -> None:
    """And a line that leads nowhere, at its number."""
    dataset(tmp_path, "voc", train=4, val=2)
    for file in (label_file(tmp_path, "voc", "train", TRAIN[1]), image_folder(tmp_path, "voc", "train") / TRAIN[1]):
        file.write_bytes(file.read_bytes().replace(b"train001.jpg", b"a#1.jpg"))
        file.rename(file.with_name(f"a#1{file.suffix}"))
    listing = tmp_path / "ImageSets" / "Main" / "train.txt"
    listing.write_text("train000\n#train002\na#1\ngone#1\n../../secret\n/etc/secret\n./\n")
    loaded = _load(tmp_path)
    assert set(_boxes(loaded)) == {"train000.jpg", "a#1.jpg"}
    told = {problem.code: [place.line for place in problem.places] for problem in loaded.findings.problems("error")}
    assert told == {"unreadable_annotation": [4, 7], "path_escapes_root": [5, 6]}
