"""What the commands of `harness data` are about: labels under a path with their images, or a suite."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.cli.target import read_target
from harness.errors import UsageError
from tests.conftest import Command
from tests.data.write import FORMATS, dataset, image_folder


@pytest.mark.parametrize("command", ["check", "stats", "show", "export"])
def test_every_command_takes_the_folder_of_the_images(command: str, harness_command: Command, tmp_path: Path) -> None:
    """`--images DIR` where images lie apart from the labels, with a folder for each split."""
    root = dataset(tmp_path / "set", "yolo", train=4, val=2)
    shutil.move(root / "images", tmp_path / "elsewhere")
    options = {
        "check": (root, "--fast"),
        "stats": (root,),
        "show": (root, "--out", tmp_path / "sheet.png"),
        "export": (root, tmp_path / "out.json", "--to", "coco"),
    }
    done = harness_command("data", command, *options[command])
    assert done.returncode == 1, done.stdout + done.stderr
    done = harness_command("data", command, *options[command], "--images", tmp_path / "elsewhere")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "bad and left out" not in done.stderr


@pytest.mark.parametrize("name", FORMATS)
def test_the_folder_of_the_images_in_every_format(name: str, tmp_path: Path) -> None:
    """What the option says comes to the dataset as `images:` of a suite does."""
    from harness.data.load import load

    root = dataset(tmp_path / "set", name, train=4, val=2)
    folders = {split: image_folder(root, name, split) for split in ("train", "val")}
    for split, folder in folders.items():
        for file in folder.glob("*.jpg"):
            (tmp_path / "elsewhere" / split).mkdir(parents=True, exist_ok=True)
            if file.name.startswith(split):
                file.rename(tmp_path / "elsewhere" / split / file.name)
    (found,) = read_target(root, "auto", tmp_path / "elsewhere").datasets.values()
    loaded = load(found, depth="headers")  # type: ignore[arg-type]
    assert not loaded.findings.problems()
    assert {split: len(part.annotations) for split, part in loaded.splits.items()} == {"train": 4, "val": 2}


def test_a_suite_names_its_images_itself(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """`--images` beside a suite would be ignored, and is refused."""
    with pytest.raises(UsageError, match="is a suite, which names the folders itself"):
        read_target(tiny_suite(), "auto", tmp_path)
