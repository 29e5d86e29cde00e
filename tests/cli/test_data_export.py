"""`harness data export` writes what the harness reads, for other tools, and overwrites nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.data.load import load
from harness.suite.schema import FilesDataset
from tests.conftest import Command
from tests.data.export.conftest import write_rich
from tests.data.shots import shots
from tests.data.write import FORMATS, dataset, image_folder, write_labels


@pytest.mark.parametrize("name", FORMATS)
def test_the_export_is_the_same_data(name: str, harness_command: Command, tmp_path: Path) -> None:
    """COCO JSON of one split, beside the same images, reads as the same tables; of all splits, each named."""
    root = dataset(tmp_path / "set", name, train=6, val=3)
    out = tmp_path / "out" / "val.json"
    out.parent.mkdir()
    done = harness_command("data", "export", root, "--to", "coco", out, "--split", "val")
    assert done.returncode == 0, done.stderr
    shutil.copytree(image_folder(root, name, "val"), tmp_path / "out" / "images")
    before = load(FilesDataset(format="auto", path=root), depth="headers").splits["val"].annotations
    again = load(FilesDataset(format="coco", path=out), depth="headers")
    assert not again.findings.problems("error")
    after = again.splits["val"].annotations
    assert after.file_names == before.file_names
    assert after.labels.tolist() == before.labels.tolist()
    assert np.abs(after.boxes - before.boxes).max() < 1e-4
    done = harness_command("data", "export", root, "--to", "coco", tmp_path / "all.json")
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "all.json").read_text())
    assert [image["split"] for image in content["images"]] == ["train"] * 6 + ["val"] * 3
    folder = Path(done.stdout.rpartition("relative to ")[2].strip())
    assert all((folder / image["file_name"]).is_file() for image in content["images"])
    assert min(annotation["id"] for annotation in content["annotations"]) == 1


def test_the_export_refuses_bad_data_and_unknown_splits(harness_command: Command, tmp_path: Path) -> None:
    """What is wrong is told as the check tells it; nothing is written."""
    root = dataset(tmp_path, "coco", train=4, val=2)
    done = harness_command("data", "export", root, "--to", "coco", tmp_path / "x.json", "--split", "dev")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "Error: --split dev: no such split; there are train, val",
    )
    shot = shots("train", 4)[1]
    write_labels(root, "coco", "train", [shot.but(0, x2=shot.boxes[0][1])])
    done = harness_command("data", "export", root, "--to", "coco", tmp_path / "x.json")
    assert done.returncode == 1
    assert "error degenerate_box (1)" in done.stderr
    assert not (tmp_path / "x.json").exists()


def test_a_folder_of_yolo_is_checked_and_exported_again(harness_command: Command, tmp_path: Path) -> None:
    """With its images the check has nothing to say; what YOLO cannot hold is told; without them, where they belong."""
    root, out = write_rich(tmp_path / "set"), tmp_path / "yolo"
    done = harness_command("data", "export", root, "--to", "yolo", out, "--copy-images")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{out}: 8 images\n"
    assert "12 crowd regions left out: YOLO has none" in done.stderr
    assert "a.png is a_png2.png" in done.stderr
    loaded = load(FilesDataset(format="auto", path=out), depth="headers")
    assert not loaded.findings.problems("error")
    done = harness_command("data", "convert", out, "--to", "voc", tmp_path / "voc")
    assert done.returncode == 0, done.stderr
    assert f"the images belong into {tmp_path / 'voc' / 'JPEGImages'}: copy them, or export with" in done.stderr
    assert len(list((tmp_path / "voc" / "Annotations").rglob("*.xml"))) == 8
    assert not (tmp_path / "voc" / "JPEGImages").exists()


@pytest.mark.parametrize("to", ["coco", "yolo", "voc"])
def test_nothing_is_overwritten(to: str, harness_command: Command, tmp_path: Path) -> None:
    """A file or a folder with something in it stays as it is."""
    root = dataset(tmp_path / "set", "coco", train=4, val=2)
    out = tmp_path / "out"
    out.write_text("mine")
    done = harness_command("data", "export", root, "--to", to, out)
    assert (done.returncode, out.read_text()) == (2, "mine")
    assert f"{out}: is there already, and is not overwritten" in done.stderr
    before = sorted(root.rglob("*"))
    assert harness_command("data", "export", root, "--to", to, root).returncode == 2
    assert sorted(root.rglob("*")) == before
    assert harness_command("data", "export", root, "--to", to, tmp_path / "no" / "folder").returncode == 2


def test_images_that_are_not_there_are_not_copied(harness_command: Command, tmp_path: Path) -> None:
    """Labels alone are exported, where they tell the sizes; the COCO file leads to the images as they lie."""
    root = dataset(tmp_path / "set", "coco", train=4, val=2)
    assert harness_command("data", "export", root, "--to", "coco", tmp_path / "x", "--copy-images").returncode == 2
    shutil.rmtree(root / "images")
    done = harness_command("data", "export", root, "--to", "yolo", tmp_path / "out", "--copy-images")
    assert done.returncode == 1
    assert "the images are not there: nothing to copy" in done.stderr
    assert harness_command("data", "export", root, "--to", "yolo", tmp_path / "out").returncode == 0
    assert (tmp_path / "out" / "labels" / "train" / "train001.txt").read_text()
