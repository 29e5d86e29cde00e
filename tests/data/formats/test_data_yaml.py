"""Each entry of a data.yaml leads to the folder that is meant, or is told with its line and what is like it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.data.load import load
from harness.data.loaded import LoadedDataset
from harness.suite.schema import FilesDataset
from tests.conftest import ROOT, Command
from tests.data.shots import CLASSES
from tests.data.write import dataset

_SHIPS = ROOT.parent / "shared" / "data" / "ships"


def _split_folders(root: Path, splits: Sequence[str] = ("train", "valid")) -> dict[str, tuple[int, int]]:
    """Write `train/images`, `train/labels` and so on; return how many images and boxes the splits have."""
    written = dataset(root.parent / f"{root.name}-written", "yolo", train=4, val=3)
    for split, folder in zip(("train", "val"), splits, strict=True):
        for kind in ("images", "labels"):
            shutil.copytree(written / kind / split, root / folder / kind)
    loaded = load(FilesDataset(format="yolo", path=written), depth="headers")
    return _counts(loaded)


def _counts(loaded: LoadedDataset) -> dict[str, tuple[int, int]]:
    return {name: (len(part.paths), len(part.annotations.boxes)) for name, part in loaded.splits.items()}


def _load(root: Path, yaml: str) -> LoadedDataset:
    (root / "data.yaml").write_text(f"{yaml}names: {list(CLASSES)}\n", encoding="utf-8")
    return load(FilesDataset(format="auto", path=root), depth="headers")


def _told(loaded: LoadedDataset) -> dict[str, list[str]]:
    """The places of each kind of problem."""
    return {problem.code: [str(place) for place in problem.places] for problem in loaded.findings.problems()}


@pytest.mark.parametrize("test", ["test/images", "../test/images", "/content/ds/test/images", "[../test/images]"])
def test_a_test_split_that_is_not_there_is_a_note(test: str, tmp_path: Path) -> None:
    """Train and val are read, whatever way the missing folder is written; an empty `test:` is not worth a word."""
    expected = _split_folders(tmp_path)
    loaded = _load(tmp_path, f"train: ../train/images\nval: ../valid/images\ntest: {test}\n")
    assert _counts(loaded) == expected
    assert not loaded.fatal("stop")
    (place,) = _told(loaded)["missing_test_folder"]
    assert place.startswith(f"{tmp_path / 'data.yaml'}:3: test: the folder ")
    assert "does not exist" in place
    assert "folders with images in" in place
    assert not _told(_load(tmp_path, "train: train/images\nval: valid/images\ntest:\n"))


FOREIGN = {
    "Colab": "/content/ds-1/{}/images",
    "a drive letter": "C:/Users/me/ds/{}/images",
    "a drive letter and backslashes": "C:\\Users\\me\\ds\\{}\\images",
    "a share": "\\\\server\\ds\\{}\\images",
    "a home": "~/ds/{}/images",
    "backslashes": "{}\\images",
    "a dot and backslashes": ".\\{}\\images\\",
    "backslashes of Roboflow": "..\\{}\\images",
    "far above": "../../datasets/x/{}/images",
    "from the folder above": "ds/{}/images",
    "from a folder beside": "../ds/{}/images",
    "a list of one": "[/content/{}/images]",
    "no folder of its own": "/content/{}",
}


@pytest.mark.parametrize("path", ["", "path: /content/ds\n", "path: D:\\ds\n", "path: ../datasets/ds\n"])
def test_folders_of_another_machine_are_looked_for_beside_the_file(path: str, tmp_path: Path) -> None:
    """Absolute, with drive letters, backslashes or another working directory: the same images and boxes."""
    expected = _split_folders(tmp_path / "ds")
    for way, entry in FOREIGN.items():
        loaded = _load(tmp_path / "ds", f"{path}train: {entry.format('train')}\nval: {entry.format('valid')}\n")
        assert not _told(loaded), way
        assert _counts(loaded) == expected, way


@pytest.mark.parametrize("path", ["/content/ds", "C:\\data\\ds", ".\\ds", "ds", "../elsewhere/ds"])
def test_a_path_of_another_machine_may_end_in_a_folder_beside_the_file(path: str, tmp_path: Path) -> None:
    """`path: /content/ds` beside a folder `ds` that holds what the entries name."""
    expected = _split_folders(tmp_path / "ds")
    loaded = _load(tmp_path, f"path: {path}\ntrain: train/images\nval: valid/images\n")
    assert not _told(loaded)
    assert _counts(loaded) == expected


def test_a_path_that_exists_but_holds_none_of_the_entries(tmp_path: Path) -> None:
    """The entries count, not a folder that has that name by chance."""
    expected = _split_folders(tmp_path)
    (tmp_path / "ds").mkdir()
    loaded = _load(tmp_path, "path: /content/ds\ntrain: train/images\nval: valid/images\n")
    assert not _told(loaded)
    assert _counts(loaded) == expected


@pytest.mark.parametrize("folder", ["val", "validate", "validation"])
@pytest.mark.parametrize("entry", ["../valid/images", "valid/images", "/content/ds/valid/images", "..\\valid\\images"])
def test_a_folder_that_is_like_the_missing_one_is_named_and_not_guessed(
    entry: str, folder: str, tmp_path: Path
) -> None:
    """An error with its line and both names; train is read and checked all the same, and no skipping mends it."""
    expected = _split_folders(tmp_path, ("train", folder))
    loaded = _load(tmp_path, f"train: ../train/images\nval: {entry}\ntest: test/images\n")
    assert _counts(loaded) == {"train": expected["train"]}
    told = _told(loaded)
    assert set(told) == {"missing_folder", "missing_test_folder"}
    (place,) = told["missing_folder"]
    assert place.startswith(f"{tmp_path / 'data.yaml'}:2: val: the folder ")
    assert "valid/images does not exist" in place
    assert f"{folder}/images is like it" in place
    assert [problem.code for problem in loaded.fatal("skip")] == ["missing_folder"]


def test_every_entry_that_is_not_there_is_told(tmp_path: Path) -> None:
    """All at once, each with its key, its line and what is like it, though nothing can be read."""
    _split_folders(tmp_path, ("training", "valid"))
    yaml = "train:\n  - imgs/train\n  - /data/more\nval: valid/image\ntest: gone\n"
    loaded = _load(tmp_path, yaml)
    assert not loaded.splits
    file = tmp_path / "data.yaml"
    first, second, third = _told(loaded)["missing_folder"]
    assert first.startswith(f"{file}:2: train: the folder {tmp_path}/imgs/train does not exist; training")
    assert second.startswith(f"{file}:3: train: the folder /data/more does not exist, nor an end of it in {tmp_path};")
    assert third == (
        f"{file}:4: val: the folder {tmp_path}/valid/image does not exist; "
        "valid/images is like it: name that folder, or rename it"
    )
    assert _told(loaded)["missing_test_folder"] == [
        f"{file}:5: test: the folder {tmp_path}/gone does not exist; "
        f"folders with images in {tmp_path}: training/images, valid/images"
    ]


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_an_absent_entry_of_a_list_is_an_error(split: str, tmp_path: Path) -> None:
    """Of test too; the entries that are there are read."""
    expected = _split_folders(tmp_path, ("one", "two"))
    loaded = _load(tmp_path, f"{split}: [one/images, extra, two/images]\n")
    (count,) = _counts(loaded).values()
    assert count == tuple(map(sum, zip(*expected.values(), strict=True)))
    told = _told(loaded)
    assert list(told) == ["missing_folder"]
    assert told["missing_folder"] == [
        f"{tmp_path / 'data.yaml'}:1: {split}: the folder {tmp_path}/extra does not exist; "
        f"folders with images in {tmp_path}: one/images, two/images"
    ]


def test_an_entry_of_a_list_without_an_image_is_an_error(tmp_path: Path) -> None:
    """An empty folder among others would pass unnoticed."""
    _split_folders(tmp_path)
    (tmp_path / "extra").mkdir()
    loaded = _load(tmp_path, "train: [train/images, extra]\nval: valid/images\n")
    assert _told(loaded) == {"missing_folder": [f"{tmp_path / 'data.yaml'}: {tmp_path}/extra holds no image"]}


def test_no_end_of_a_path_is_taken_for_another_split(tmp_path: Path) -> None:
    """`…/val/images` does not mean the folder `images`, which holds all of them."""
    _split_folders(tmp_path)
    shutil.copytree(tmp_path / "train" / "images", tmp_path / "images")
    loaded = _load(tmp_path, "train: train/images\nval: /content/ds/val/images\n")
    assert list(loaded.splits) == ["train"]
    assert "valid/images is like it" in _told(loaded)["missing_folder"][0]


def test_a_folder_of_another_letter_case_is_read_and_told(tmp_path: Path) -> None:
    """As Windows does not care."""
    expected = _split_folders(tmp_path)
    loaded = _load(tmp_path, "train: Train\\Images\nval: valid/images\n")
    assert _counts(loaded) == expected
    assert _told(loaded) == {"name_case_mismatch": [f"{tmp_path / 'data.yaml'}:1: train: the file is train/images"]}


def test_a_single_image_may_be_named(tmp_path: Path) -> None:
    """One image beside a folder, as Ultralytics would take a list."""
    _split_folders(tmp_path)
    loaded = _load(tmp_path, "train: [train/images/train001.jpg, train/images/train002.jpg]\nval: valid/images\n")
    assert not loaded.findings.problems("error")
    assert loaded.splits["train"].annotations.file_names == (
        "train/images/train001.jpg",
        "train/images/train002.jpg",
    )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("", ":1: train: names no folder or list of images"),
        ("null", ":1: train: names no folder or list of images"),
        ("[]", ":1: train: names no folder or list of images"),
        ("true", ":1: train: expected a folder, a list of images, or several of them, got true"),
        ("{a: b}", ':1: train: expected a folder, a list of images, or several of them, got {"a": "b"}'),
        ("[null]", ":1: train: expected a folder, a list of images, or several of them, got null"),
        (
            "[[train/images]]",
            ':1: train: expected a folder, a list of images, or several of them, got ["train/images"]',
        ),
        ("5", ":1: train: the folder ROOT/5 does not exist; train/images is like it"),
        ("train/images/*.jpg", ":1: train: the folder ROOT/train/images/*.jpg does not exist; train/images is like it"),
        ("all.txt", ":1: train: the list ROOT/all.txt does not exist; trainval.txt is like it: name that list"),
        ("C:\\x\\all.txt", ":1: train: the list C:/x/all.txt does not exist, nor an end of it in ROOT; lists in ROOT"),
    ],
)
def test_what_is_no_folder_is_told(entry: str, said: str, tmp_path: Path) -> None:
    """Nothing, other values than text, patterns and lists that are not there."""
    _split_folders(tmp_path)
    (tmp_path / "trainval.txt").write_text("train/images/train001.jpg\n")
    loaded = _load(tmp_path, f"train: {entry}\nval: valid/images\n")
    assert said.replace("ROOT", str(tmp_path)) in str(loaded.findings.problems("error")[0])


def test_two_keys_for_one_split_are_told(tmp_path: Path) -> None:
    """One of them would be passed over in silence; the same entry twice is fine."""
    expected = _split_folders(tmp_path)
    assert _counts(_load(tmp_path, "train: train/images\nval: valid/images\nvalid: valid/images\n")) == expected
    (place,) = _told(_load(tmp_path, "train: train/images\nval: valid/images\nvalid: other\n"))["unreadable_annotation"]
    assert "data.yaml:3: val and valid name different images for one split" in place


def test_entries_that_leave_the_folder_are_told_together(tmp_path: Path) -> None:
    """What exists outside is refused, and nothing is read."""
    _split_folders(tmp_path / "ds")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    loaded = _load(tmp_path / "ds", f"train: ../one\nval: {tmp_path}/two\n")
    assert not loaded.splits
    (place,) = _told(loaded)["path_escapes_root"]
    assert f"data.yaml:1: train: ../one, val: {tmp_path}/two leaves {tmp_path}/ds; set path: to the folder" in place


@pytest.mark.parametrize("content", [b"train: a\nnc: 2\n", "names: [Größe]\ntrain: a\n".encode("cp1252")])
def test_a_data_yaml_with_an_error_is_recognised(content: bytes, tmp_path: Path) -> None:
    """Without `names`, or in another encoding: told as what it is, and not as no format at all."""
    (tmp_path / "data.yaml").write_bytes(content)
    (place,) = _told(load(FilesDataset(format="auto", path=tmp_path), depth="headers"))["unreadable_annotation"]
    assert "names: expected the classes" in place or "not UTF-8 text" in place


def test_the_command_prints_only_the_problem_of_what_is_not_recognised(
    harness_command: Command, tmp_path: Path
) -> None:
    """No empty lines of formats and classes."""
    done = harness_command("data", "check", tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{tmp_path.name}: nothing could be read\n\nerror unreadable_annotation (1)")
    assert "class" not in done.stdout


@pytest.mark.skipif(not _SHIPS.is_dir(), reason="the real images are not there")
def test_a_real_export_is_read_with_its_dirt_told(tmp_path: Path) -> None:
    """Satellite ships: `valid` for `validate`, one class for many, label files without images and the other way."""
    loaded = load(FilesDataset(format="auto", path=_SHIPS), depth="headers")
    assert "validate/images is like it" in _told(loaded)["missing_folder"][0]
    assert _counts(loaded)["train"] == (405, 472)
    assert "unknown_class" in _told(loaded)
    yaml = (_SHIPS / "data.yaml").read_text().replace("valid/", "validate/").replace("nc: 1", f"path: {_SHIPS}")
    names = [f"class {number}" for number in range(25)]
    (tmp_path / "data.yaml").write_text(yaml.replace("['Ships']", str(names)))
    loaded = load(FilesDataset(format="auto", path=tmp_path), depth="headers")
    assert _counts(loaded) == {"train": (405, 472), "val": (99, 116), "test": (63, 82)}
    counts = {problem.code: problem.count for problem in loaded.findings.problems()}
    assert (counts["missing_image"], counts["no_label_file"]) == (34, 88)
    assert "missing_folder" not in counts


@pytest.mark.parametrize("entry", ["../test/images", "[../test/images]"])
def test_a_test_folder_above_the_dataset_is_not_its_own(entry: str, tmp_path: Path) -> None:
    """Roboflow's data.yaml without its test split, below a folder that has a `test` of something else."""
    root = tmp_path / "ds"
    expected = _split_folders(root)
    (tmp_path / "test" / "images").mkdir(parents=True)
    loaded = _load(root, f"train: ../train/images\nval: ../valid/images\ntest: {entry}\n")
    assert _counts(loaded) == expected
    assert not loaded.fatal("stop")
    assert _told(loaded) == {
        "missing_test_folder": [
            f"{root / 'data.yaml'}:3: test: ../test/images lies outside of {root}, and what is there is not read; "
            "if it is meant, copy it into that"
        ]
    }
