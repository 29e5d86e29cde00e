"""What data of real people does, found by review and by hand: each was wrong once, in silence."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.check import check
from harness.data.images import scan_image
from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset, LabelledImages
from tests.conftest import Command
from tests.data.shots import CLASSES, SIZE, shots
from tests.data.write import dataset, image_folder, label_file


def _load(path: Path, name: str = "auto") -> LoadedDataset:
    return load(FilesDataset(format=name, path=path), depth="headers")  # type: ignore[arg-type]


def _errors(loaded: LoadedDataset) -> dict[str, str]:
    return {problem.code: str(problem) for problem in loaded.findings.problems("error")}


def test_a_quotation_mark_that_is_not_closed_does_not_swallow_rows(tmp_path: Path) -> None:
    """CSV would read on to the end of the file as one cell."""
    root = dataset(tmp_path, "csv", train=6, val=2)
    file = label_file(root, "csv", "train", "")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([lines[0], f'"{lines[1]}', *lines[2:]]))
    assert "unreadable_annotation" in _errors(_load(root))


def test_columns_under_an_unknown_header_are_not_read_as_corners(tmp_path: Path) -> None:
    """Six columns of another meaning are refused by their header."""
    root = dataset(tmp_path, "csv", train=6, val=2)
    file = label_file(root, "csv", "train", "")
    file.write_text("image_name,x1,y1,right_of,below,class\n" + file.read_text())
    assert "labels.csv:1: expected rows of" in _errors(_load(root))["unreadable_annotation"]


def test_labels_that_were_not_found_stop_the_night(tmp_path: Path) -> None:
    """Images of YOLO without a label file have no boxes; if none has one, the folder is elsewhere."""
    root = dataset(tmp_path, "yolo", train=6, val=2)
    (root / "labels").rename(root / "Label")
    assert "train: not one box" in _errors(_load(root))["empty_split"]


def test_names_that_mean_one_file_are_one_image(tmp_path: Path) -> None:
    """`./a.jpg` joins `a.jpg`; `A.JPG` beside `a.jpg` is told, since each has a part of the boxes."""
    root = dataset(tmp_path, "csv", train=6, val=2)
    file = label_file(root, "csv", "train", "")
    first = shots("train", 6)[1].name
    file.write_text(file.read_text().replace(first, f"./{first}"))
    assert not _load(root).findings.problems("error")
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines, lines[1].replace(f"./{first}", first.upper())]))
    assert "duplicate_image_id" in _errors(_load(root))


def test_two_categories_of_one_name_are_one_class(tmp_path: Path) -> None:
    """As exports with a supercategory of the same name have it."""
    root = dataset(tmp_path, "coco", train=6, val=2)
    for split in ("train", "val"):
        file = label_file(root, "coco", split, "")
        content = json.loads(file.read_text())
        content["categories"].insert(0, {"id": 0, "name": CLASSES[0], "supercategory": "none"})
        file.write_text(json.dumps(content))
    loaded = _load(root)
    assert not loaded.findings.problems("error")
    assert loaded.splits["train"].annotations.class_names == CLASSES


def test_annotations_with_and_without_ids_do_not_collide(tmp_path: Path) -> None:
    """An id of 1 is not the same as the second place in the list."""
    root = dataset(tmp_path, "coco", train=6, val=2)
    file = label_file(root, "coco", "train", "")
    content = json.loads(file.read_text())
    for row, annotation in enumerate(content["annotations"]):
        del annotation["id"]
        if row == 0:
            annotation["id"] = 1
    content["images"][0]["width"] = 96.0
    file.write_text(json.dumps(content))
    assert not _load(root).findings.problems()


def test_official_files_without_labels_are_no_test_split(tmp_path: Path) -> None:
    """COCO's image_info_test2017.json lies beside instances_*.json and has no boxes to judge by."""
    root = dataset(tmp_path, "coco", train=6, val=2)
    folder = root / "annotations"
    for split in ("train", "val"):
        (folder / f"{split}.json").rename(folder / f"instances_{split}2017.json")
    info = {
        "images": [{"id": 1, "file_name": "x.jpg", "width": 9, "height": 9}],
        "categories": [{"id": 1, "name": "a"}],
    }
    for name in ("test2017", "test-dev2017"):
        (folder / f"image_info_{name}.json").write_text(json.dumps(info))
    assert list(_load(root).splits) == ["train", "val"]


@pytest.mark.parametrize(("name", "stray"), [("labelme", "meta.json"), ("voc", "pom.xml")])
def test_a_stray_file_does_not_merge_splits(name: str, stray: str, tmp_path: Path) -> None:
    """What is no label and lies above train and val does not count."""
    root = dataset(tmp_path, "labelme", train=6, val=2)
    if name == "voc":
        for split, count in (("train", 6), ("val", 2)):
            for shot in shots(split, count):
                (root / split / f"{Path(shot.name).stem}.json").unlink()
                (root / split / f"{Path(shot.name).stem}.xml").write_text(
                    f"<annotation><filename>{shot.name}</filename></annotation>"
                )
    (root / stray).write_text("<project/>" if name == "voc" else "{}")
    assert list(_load(root).splits) == ["train", "val"]


@pytest.mark.parametrize("entry", ["../secret", "ABSOLUTE/secret"])
def test_data_yaml_does_not_lead_out_of_its_folder(entry: str, tmp_path: Path) -> None:
    """A downloaded dataset may not name what lies beside it; `path:` is the user's word."""
    root = dataset(tmp_path / "set", "yolo", train=6, val=2)
    (root / "images" / "train").rename(tmp_path / "secret")
    yaml = root / "data.yaml"
    yaml.write_text(yaml.read_text().replace("images/train", entry.replace("ABSOLUTE", str(tmp_path))))
    loaded = _load(root)
    assert "secret leaves" in _errors(loaded)["path_escapes_root"]
    assert not loaded.splits


def test_folders_above_the_dataset_may_be_called_images(tmp_path: Path) -> None:
    """`…/images/set/train/a.jpg` with its label beside it: only folders of the set itself become labels."""
    root = dataset(tmp_path / "images" / "set", "yolo", train=6, val=2)
    for split in ("train", "val"):
        (root / "images" / split).rename(root / split)
        for file in (root / "labels" / split).iterdir():
            file.rename(root / split / file.name)
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("images/", ""))
    assert not _load(root).findings.problems("error")


def test_key_points_are_not_corners(tmp_path: Path) -> None:
    """With `kpt_shape` a line goes on after its box, and is no polygon."""
    root = dataset(tmp_path, "yolo", train=6, val=2)
    before = _load(root).splits["train"].annotations.boxes
    for split in ("train", "val"):
        for file in (root / "labels" / split).iterdir():
            file.write_text("".join(f"{line} 0.1 0.9 0.2 0.8\n" for line in file.read_text().splitlines()))
    (root / "data.yaml").write_text((root / "data.yaml").read_text() + "kpt_shape: [2, 2]\n")
    assert np.array_equal(_load(root).splits["train"].annotations.boxes, before)


def test_absolute_lists_work_from_a_relative_path(harness_command: Command, tmp_path: Path) -> None:
    """`harness data check set` where set/train.txt has absolute lines."""
    root = dataset(tmp_path / "set", "yolo", train=6, val=2)
    (root / "train.txt").write_text("".join(f"{path}\n" for path in sorted((root / "images" / "train").iterdir())))
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("images/train", "train.txt"))
    done = harness_command("data", "check", "set", "--fast", cwd=tmp_path, env={"PYTHONPATH": os.getcwd()})
    assert done.returncode == 0, done.stdout + done.stderr


def test_shares_of_an_image_that_is_missing_are_not_exported(harness_command: Command, tmp_path: Path) -> None:
    """YOLO's numbers mean nothing without the image's size: the export says what is missing."""
    root = dataset(tmp_path / "set", "yolo", train=6, val=2)
    (root / "images" / "train" / "train001.jpg").unlink()
    done = harness_command("data", "export", root, "--to", "coco", tmp_path / "out.json")
    assert done.returncode == 1
    assert "error missing_image (1)" in done.stderr
    assert not (tmp_path / "out.json").exists()


def test_class_names_do_nothing_to_a_terminal(harness_command: Command, tmp_path: Path) -> None:
    """Escape sequences and rich's markup in names are shown, not obeyed."""
    root = dataset(tmp_path, "coco", train=6, val=2)
    for split in ("train", "val"):
        file = label_file(root, "coco", split, "")
        file.write_text(file.read_text().replace('"disc"', '"\\u001b[31m[red]disc"'))
    for command in ("check", "stats"):
        done = harness_command("data", command, root)
        assert "\x1b" not in done.stdout
        assert "\\x1b[31m[red]disc" in done.stdout


def test_jpegs_that_end_in_zeros_or_hide_behind_a_thumbnail(tmp_path: Path) -> None:
    """A download that was interrupted after its space was laid out, and a thumbnail's end marker, deceive nobody."""
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
    plain, small = io.BytesIO(), io.BytesIO()
    Image.fromarray(pixels).save(plain, "JPEG")
    Image.fromarray(pixels[:16, :16]).save(small, "JPEG")
    whole = plain.getvalue()
    block = b"\xff\xe1" + (len(small.getvalue()) + 8).to_bytes(2, "big") + b"Exif\0\0" + small.getvalue()
    thumbed = whole[:2] + block + whole[2:]
    path = tmp_path / "a.jpg"
    for data in (whole, thumbed):
        path.write_bytes(data)
        assert [scan_image(str(path), decode=decode).truncated for decode in (True, False)] == [False, False]
        for share in (0.3, 0.6, 0.9):
            cut = data[: len(data) - int(len(whole) * (1 - share))]
            for broken in (cut, cut + bytes(len(data) - len(cut))):
                path.write_bytes(broken)
                found = [scan_image(str(path), decode=decode) for decode in (True, False)]
                assert [(picture.truncated, picture.problem) for picture in found] == [(True, None)] * 2


def test_postscript_is_no_image(tmp_path: Path) -> None:
    """Pillow would start another program for it."""
    path = tmp_path / "a.jpg"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    assert "PostScript: convert it" in (scan_image(str(path), decode=False).problem or "")


def test_one_broken_dataset_of_a_suite_does_not_hide_the_others(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """`--json` stays JSON, and says of each what is wrong."""
    dataset(tmp_path / "good", "voc", train=6, val=2)
    (tmp_path / "empty").mkdir()
    suite = tiny_suite(datasets="  a: {format: auto, path: empty}\n  b: {format: voc, path: good}\n")
    done = harness_command("data", "check", suite, "--json", "--fast")
    assert done.returncode == 1
    content = json.loads(done.stdout)
    assert [problem["code"] for problem in content["problems"] if problem["dataset"] == "a"] == [
        "unreadable_annotation"
    ]
    assert content["summary"]["datasets"]["b"]["images"] == 8


def test_crowded_images_are_checked_quickly(tmp_path: Path) -> None:
    """Forty thousand boxes in one picture are compared in seconds, copies of one box too."""
    rng = np.random.default_rng(0)
    Image.new("RGB", (1000, 1000)).save(tmp_path / "a.png")
    corners = rng.uniform(0, 980, (40_000, 2)).round(2).tolist()
    rows = [f"a.png,{x},{y},{x + 15},{y + 15},thing" for x, y in corners]
    rows += ["a.png,5,5,25,25,thing"] * 3000
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    checked = check(FilesDataset(format="csv", path=tmp_path), fast=True, workers=1)
    found = {problem.code: problem.count for problem in checked.problems}
    assert found["duplicate_box"] >= 2999


def test_what_is_no_file_is_neither_waited_for_nor_passed_over(tmp_path: Path) -> None:
    """A pipe for an image or for labels, a link to nothing, a folder called a.txt: each is told, none is read."""
    root = dataset(tmp_path, "yolo", train=8, val=2)
    images, labels = root / "images" / "train", root / "labels" / "train"
    (images / "train001.jpg").unlink()
    os.mkfifo(images / "train001.jpg")
    for number in (2, 3, 4):
        (labels / f"train00{number}.txt").unlink()
    os.mkfifo(labels / "train002.txt")
    (labels / "train003.txt").symlink_to("nowhere")
    (labels / "train004.txt").mkdir()
    errors = _errors(_load(root))
    assert "unreadable_image (1)" in errors["unreadable_image"]
    assert "unreadable_annotation (3)" in errors["unreadable_annotation"]


@pytest.mark.parametrize("name", ["annotations.json", "data.yaml", "labels.csv", "a.xml", "a.json", "labels.tsv"])
def test_a_pipe_is_no_sign_of_a_format(name: str, tmp_path: Path) -> None:
    """Finding out which format a folder has waits for nobody either."""
    Image.new("RGB", (SIZE, SIZE)).save(tmp_path / "a.png")
    os.mkfifo(tmp_path / name)
    assert _errors(_load(tmp_path))


def test_links_to_folders_outside_leave_the_root(tmp_path: Path) -> None:
    """A folder of images that is a link out of PATH is told; named by the suite it is the user's word."""
    root = dataset(tmp_path / "set", "coco", train=6, val=2)
    (root / "images" / "train").rename(tmp_path / "elsewhere")
    (root / "images" / "train").symlink_to(tmp_path / "elsewhere")
    assert "path_escapes_root (6)" in _errors(_load(root))["path_escapes_root"]
    train, val = (
        LabelledImages(annotations=root / "annotations" / f"{split}.json", images=root / "images" / split)
        for split in ("train", "val")
    )
    assert not load(FilesDataset(format="coco", train=train, val=val), depth="headers").findings.problems("error")


def test_one_wild_line_of_shares_is_not_taken_for_pixels(tmp_path: Path) -> None:
    """Pixels have sides of at least one; a centre far outside with a side of a third is a slip."""
    root = dataset(tmp_path, "yolo", train=6, val=2)
    label_file(root, "yolo", "train", "train001.jpg").write_text("0 5.3 2.5 .31 .15\n0 .5 .5 1.0000001 .5\n")
    loaded = _load(root)
    assert "box_outside_image (1)" in _errors(loaded)["box_outside_image"]
    (problem,) = loaded.findings.problems("warning")
    assert (problem.code, problem.count) == ("not_normalized", 1)


def test_two_images_with_one_label_file_are_told(tmp_path: Path) -> None:
    """a.jpg and a.png both have a.txt; only one of them was labelled."""
    root = dataset(tmp_path, "yolo", train=6, val=2)
    Image.new("RGB", (SIZE, SIZE)).save(root / "images" / "train" / "train001.png")
    assert "train001.png: train001.jpg has the same labels" in _errors(_load(root))["duplicate_image_id"]


def test_names_longer_than_any_disk_allows(tmp_path: Path) -> None:
    """In data.yaml, a list, VOC's sets and every format's image names: told, without a traceback."""
    long, deep = "x" * 5000, "a/" * 3000 + "b.jpg"
    root = dataset(tmp_path / "yolo", "yolo", train=4, val=2)
    yaml = (root / "data.yaml").read_text()
    (root / "train.txt").write_text(f"{long}.jpg\n{deep}\nimages/train/train001.jpg\n")
    for entry in (f"train: {long}", 'train: "a\\0b"', "train: train.txt", f"path: {long}\ntrain: images/train"):
        (root / "data.yaml").write_text(yaml.replace("train: images/train", entry))
        _load(root)
    (root / "data.yaml").write_text(yaml.replace("disc", "\\ud800"))
    assert "cannot be shown" in _errors(_load(root))["unreadable_annotation"]
    root = dataset(tmp_path / "voc", "voc", train=4, val=2)
    (root / "ImageSets" / "Main" / "train.txt").write_text(f"{long}\n{deep}\ntrain001\n")
    assert "unreadable_annotation (2)" in _errors(_load(root))["unreadable_annotation"]
    for name in ("coco", "csv", "labelme", "createml"):
        root = dataset(tmp_path / name, name, train=4, val=2)
        file = label_file(root, name, "train", "train001.jpg")
        file.write_text(file.read_text().replace("train001.jpg", deep))
        told = {problem.code: problem.count for problem in _load(root).findings.problems()}
        assert told == {"name_inside_missing" if name == "labelme" else "missing_image": 1}


def test_exports_of_common_tools_are_recognised(tmp_path: Path) -> None:
    """CVAT's lists with data/, Label Studio's notes.json, LabelImg's classes.txt, a data.yaml in flow style."""
    root = dataset(tmp_path / "a", "yolo", train=4, val=2)
    expected = {name: len(part.annotations.boxes) for name, part in _load(root).splits.items()}
    images = sorted(path.name for path in (root / "images" / "train").iterdir())
    (root / "train.txt").write_text("".join(f"data/images/train/{name}\n" for name in images))
    names = json.dumps(CLASSES)
    (root / "data.yaml").write_text(
        f"\ufeff{{names: {names}, nc: '3', path: ., train: train.txt, val: images/val}}\n", encoding="utf-8"
    )
    (root / "notes.json").write_text(json.dumps({"categories": [{"id": 0, "name": "disc"}], "info": {}}))
    loaded = _load(root)
    assert not loaded.findings.problems("error"), _errors(loaded)
    assert {name: len(part.annotations.boxes) for name, part in loaded.splits.items()} == expected
    flat = tmp_path / "flat"
    flat.mkdir()
    for file in [*(root / "images" / "train").iterdir(), *(root / "labels" / "train").iterdir()]:
        file.rename(flat / file.name)
    (flat / "classes.txt").write_text("\n".join(CLASSES))
    assert len(_load(flat).splits["all"].annotations.boxes) == expected["train"]


def test_stems_of_voc_may_have_spaces(tmp_path: Path) -> None:
    """A line of ImageSets is a whole stem, unless a 1 or −1 stands behind it."""
    root = dataset(tmp_path, "voc", train=4, val=2)
    (root / "Annotations" / "train001.xml").rename(root / "Annotations" / "train 001.xml")
    (root / "ImageSets" / "Main" / "train.txt").write_text("train000  1\ntrain 001\ntrain002 -1\ntrain003\n")
    loaded = _load(root)
    assert not loaded.findings.problems("error")
    assert len(loaded.splits["train"].annotations) == 4


def test_the_export_has_the_real_sizes(harness_command: Command, tmp_path: Path) -> None:
    """The canonical form is what training sees: a wrong declared size is put right, EXIF is applied."""
    root = dataset(tmp_path / "set", "coco", train=4, val=2)
    file = label_file(root, "coco", "train", "")
    file.write_text(file.read_text().replace('"width": 96', '"width": 500'))
    done = harness_command("data", "export", root, "--to", "coco", tmp_path / "out.json")
    assert done.returncode == 0, done.stderr
    assert {image["width"] for image in json.loads((tmp_path / "out.json").read_text())["images"]} == {96}


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".mpo", ".avif", ".pgm", ".pbm", ".pnm", ".apng"])
def test_background_images_of_every_suffix_are_counted(suffix: str, tmp_path: Path) -> None:
    """Of YOLO, whose images are what lies in its folder; a row of CSV with the name alone is such an image too."""
    kind = {".jfif": "JPEG", ".jpe": "JPEG", ".mpo": "MPO", ".avif": "AVIF", ".apng": "PNG"}
    yolo, csv = dataset(tmp_path / "yolo", "yolo", train=4, val=2), dataset(tmp_path / "csv", "csv", train=4, val=2)
    for folder in (yolo / "images" / "train", csv / "train"):
        Image.new("1" if suffix == ".pbm" else "L", (SIZE, SIZE)).save(folder / f"z{suffix}", kind.get(suffix, "PPM"))
    file = label_file(csv, "csv", "train", "")
    file.write_text(f"z{suffix}\n" + file.read_text())
    for root in (yolo, csv):
        loaded = _load(root)
        assert {problem.code for problem in loaded.findings.problems()} <= {"no_label_file"}, _errors(loaded)
        assert loaded.splits["train"].annotations.file_names[-1].endswith(f"z{suffix}")


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".jp2", ".jxl", ".NEF"])
def test_images_that_cannot_be_read_are_not_passed_over(suffix: str, tmp_path: Path) -> None:
    """Without labels (YOLO), labelled without a suffix (VOC): told as what they are, unless a copy can be."""
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"
    yolo, voc = dataset(tmp_path / "yolo", "yolo", train=4, val=2), dataset(tmp_path / "voc", "voc", train=4, val=2)
    (yolo / "images" / "train" / f"z{suffix}").write_bytes(heic)
    (yolo / "images" / "train" / f"train001{suffix}").write_bytes(heic)  # beside train001.jpg
    (voc / "JPEGImages" / "train001.jpg").rename(voc / "JPEGImages" / f"train001{suffix}")
    (voc / "JPEGImages" / f"train001{suffix}").write_bytes(heic)
    file = label_file(voc, "voc", "train", "train001.jpg")
    file.write_text(file.read_text().replace("train001.jpg", "train001"))
    for root, name in ((yolo, f"z{suffix}"), (voc, f"train001{suffix}")):
        errors = _errors(_load(root))
        assert list(errors) == ["unreadable_image"]
        assert "unreadable_image (1)" in errors["unreadable_image"]
        assert name in errors["unreadable_image"]
        assert "HEIC: convert it to JPEG or PNG" in errors["unreadable_image"]


@pytest.mark.parametrize("name", ["coco", "voc", "yolo", "csv", "labelme", "createml"])
def test_labels_that_are_git_lfs_pointers(name: str, tmp_path: Path) -> None:
    """Each is told with what to do, whether its format is named or to be recognised."""
    root = dataset(tmp_path, name, train=4, val=2)
    for file in {label_file(root, name, split, shot.name) for split in ("train", "val") for shot in shots(split, 2)}:
        file.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    for wanted in ("auto", name):
        assert "run git lfs pull" in "".join(_errors(_load(root, wanted)).values())


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize("name", ["coco", "labelme", "createml", "via", "labelstudio"])
def test_json_in_the_encodings_of_powershell_is_read(name: str, encoding: str, tmp_path: Path) -> None:
    """Text that begins with a byte-order mark is what the mark says."""
    root = dataset(tmp_path, name, train=4, val=3)
    usual = _load(root).fingerprint()
    for file in root.rglob("*.json"):
        file.write_text(file.read_text(encoding="utf-8"), encoding=encoding)
    loaded = _load(root)
    assert not _errors(loaded)
    assert loaded.fingerprint() == usual


@pytest.mark.parametrize("label", ["", "  "])
@pytest.mark.parametrize("name", ["coco", "voc", "labelme", "createml", "csv", "via"])
def test_a_box_without_a_class_is_an_error(name: str, label: str, tmp_path: Path) -> None:
    """An empty label, or one of spaces, never becomes a class."""
    root = dataset(tmp_path, name, train=4, val=3)
    for split, count in (("train", 4), ("val", 3)):
        for shot in shots(split, count):
            file = label_file(root, name, split, shot.name)
            file.write_text(re.sub(rf"\b({'|'.join(CLASSES)})\b", label, file.read_text()))
    loaded = _load(root)
    assert _errors(loaded)
    assert not any(not text.strip() for part in loaded.splits.values() for text in part.annotations.class_names)


@pytest.mark.parametrize("name", ["coco", "createml", "labelme", "labelstudio", "huggingface", "via", "csv", "voc"])
def test_class_names_that_look_the_same_are_one_class(name: str, tmp_path: Path) -> None:
    """Neither a space at the end nor another Unicode form of an accent makes another class, in any format."""
    root = dataset(tmp_path / "set", name, train=4, val=2)
    clean = load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]
    for file in {label_file(root, name, "train", shot.name) for shot in shots("train", 4)[:2]}:
        file.write_text(file.read_text().replace("disc", "disc ").replace("square", " square"))
    loaded = load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]
    assert not loaded.findings.problems()
    assert loaded.fingerprint() == clean.fingerprint()


def test_accents_in_another_form_are_no_other_class(tmp_path: Path) -> None:
    """Of two JSON files, one of which a Mac wrote."""
    for stem, label in (("a", "caf\u00e9"), ("b", "cafe\u0301")):
        Image.new("RGB", (40, 30)).save(tmp_path / f"{stem}.jpg")
        shape = {"label": label, "points": [[1, 2], [9, 8]], "shape_type": "rectangle"}
        (tmp_path / f"{stem}.json").write_text(json.dumps({"imagePath": f"{stem}.jpg", "shapes": [shape]}))
    loaded = load(FilesDataset(format="labelme", path=tmp_path), depth="headers")
    assert loaded.splits["all"].annotations.class_names == ("caf\u00e9",)


@pytest.mark.parametrize("name", ["coco", "csv", "voc", "labelme", "cvat", "openimages"])
def test_a_name_without_suffix_that_means_two_images(name: str, tmp_path: Path) -> None:
    """Neither is taken; both are named."""
    root = dataset(tmp_path, name, train=3, val=2)
    image = image_folder(root, name, "train") / "train001.jpg"
    Image.open(image).save(image.with_suffix(".png"))
    file = label_file(root, name, "train", "train001.jpg")
    file.write_text(file.read_text().replace("train001.jpg", "train001"))
    loaded = load(FilesDataset(format=name, path=root), depth="headers")  # type: ignore[arg-type]
    (problem,) = loaded.findings.problems("error")
    assert (problem.code, problem.count) == ("name_conflict" if name in {"voc", "labelme"} else "missing_image", 1)
    assert re.search(r"train001\.jpg (and|or) .*train001\.png", str(problem))
