"""The commands that take a suite file, as a user meets them: quick, clear, with the exit codes of the documentation."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command


def test_a_wrong_suite_exits_2_without_traceback(harness_command: Command, tmp_path: Path) -> None:
    """For every command that takes a suite: all problems on standard error, no traceback."""
    path = tmp_path / "s.yaml"
    path.write_text("suite: x\ndatasets: {a: {format: vos}}\narchitectures: [nope]\n")
    for command in ("run", "plan", "validate", "fetch"):
        done = harness_command(command, path)
        assert done.returncode == 2
        assert f"{path}:2: datasets.a.format" in done.stderr
        assert f"{path}:3: architectures[0].name: unknown architecture" in done.stderr
        assert "Traceback" not in done.stderr


def test_data_problems_exit_2_before_anything_runs(
    harness_command: Command, tiny_suite: Callable[..., Path], coco_folder: Path, tmp_path: Path
) -> None:
    """A class id out of range and a missing image are told together, with file and ids; nothing is written."""
    content = json.loads((coco_folder / "train.json").read_text())
    content["annotations"][0]["category_id"] = 77
    (coco_folder / "train" / "001.jpg").unlink()
    (coco_folder / "train.json").write_text(json.dumps(content))
    split = "{{images: data/{0}, annotations: data/{0}.json}}"
    suite = tiny_suite(
        datasets=f"  parts: {{format: coco, train: {split.format('train')}, val: {split.format('val')}}}\n"
    )
    for command in (("validate",), ("run", "--results", tmp_path / "results")):
        done = harness_command(command[0], suite, *command[1:])
        assert done.returncode == 2
        assert f"{suite}: datasets.parts: error missing_image (1)" in done.stderr
        assert f"{coco_folder / 'train.json'}: image 107: 001.jpg: no such image" in done.stderr
        assert f"{coco_folder / 'train.json'}: image 100, annotation 0: 000.jpg: category_id 77" in done.stderr
    assert not (tmp_path / "results").exists()


def test_validate_tells_of_a_file_system_without_links(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a line; where there are links nothing is said, and nothing stays of the trial."""
    suite, results = tiny_suite(), tmp_path / "results"
    assert "hard links" not in harness_command("validate", suite, "--results", results).stdout

    def refuse(*_names: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    done = harness_command("validate", suite, "--results", results)
    assert done.returncode == 0
    assert f"{tmp_path}: has no hard links; records are committed there by an exclusive rename" in done.stdout
    assert os.listdir(tmp_path) == [suite.name]


def test_plan_and_dry_run_say_what_is_left(harness_command: Command, tmp_path: Path) -> None:
    """Both list every trial and run nothing."""
    for arguments in (("plan",), ("run", "--dry-run")):
        done = harness_command(*arguments, "suites/smoke.yaml", "--results", tmp_path / "r", cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("left   ") == 2
        assert "2 trials: 0 done, 2 left" in done.stdout
    assert not (tmp_path / "r").exists()


def test_plan_names_weights_that_are_not_cached(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """The evening's plan says which files the night would have to download, and the command that gets them."""
    suite = tiny_suite(architectures="  - retinanet_resnet50_fpn\n")
    done = harness_command("plan", suite, env={"TORCH_HOME": str(tmp_path)})
    assert "retinanet_resnet50_fpn_coco-eeacb38b.pth" in done.stdout
    assert "harness fetch" in done.stdout


def test_an_unwritable_results_folder_exits_2(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """A results path under a file cannot be made: one message that names it."""
    (tmp_path / "file").write_text("")
    done = harness_command("run", tiny_suite(), "--results", tmp_path / "file" / "results")
    assert done.returncode == 2
    assert str(tmp_path / "file" / "results") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_device_that_is_not_there_exits_3(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """The first trial finds no such device: the run stops, says so, and the report lists it."""
    done = harness_command("run", tiny_suite(), "--results", tmp_path / "r", "--device", "cuda:63")
    assert done.returncode == 3
    assert "--device cuda:63: torch" in done.stderr
    assert "cuda:63" in (tmp_path / "r" / "tiny" / "report.md").read_text()


@pytest.mark.parametrize("option", ["--max-images", "--limit"])
def test_the_old_name_of_max_images_still_works(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path, option: str
) -> None:
    """Both plan subset trials; help shows the new name alone."""
    planned = harness_command("plan", tiny_suite(), "--results", tmp_path / "r", option, "2")
    assert planned.returncode == 0
    assert "-limit2-" in planned.stdout
    assert "--limit" not in harness_command("plan", "--help").stdout


def test_old_and_new_name_of_max_images_together_are_refused(
    harness_command: Command, tiny_suite: Callable[..., Path]
) -> None:
    """Neither wins in silence."""
    done = harness_command("plan", tiny_suite(), "--limit", "2", "--max-images", "3")
    assert done.returncode == 2
    assert "--limit is the old name of --max-images: give one of them" in done.stderr


def test_the_old_name_of_no_preflight_still_works(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """It is taken without complaint; help shows the new name alone."""
    suite = tiny_suite()
    for option in ("--no-preflight", "--no-rehearsal"):
        done = harness_command("run", suite, "--results", tmp_path / "r", "--dry-run", option)
        assert done.returncode == 0, done.stderr
    help_text = harness_command("run", "--help").stdout
    assert "--no-preflight" in help_text
    assert "--no-rehearsal" not in help_text


def test_an_unknown_executor_exits_2(harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """One message that names it, before anything runs."""
    done = harness_command("run", tiny_suite(), "--results", tmp_path / "r", "--executor", "moon")
    assert done.returncode == 2
    assert "moon" in done.stderr
    assert not (tmp_path / "r").exists()
