"""The commands as a user meets them: quick, clear, with the exit codes of the README."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Command


def _modules_after(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom harness.cli import main\n"
        f"try:\n    main({list(arguments)!r}, prog_name='harness')\nexcept SystemExit:\n    pass\n"
        "print('\\n', ' '.join(sys.modules))"
    )
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("plan", "suites/smoke.yaml"), ("validate", "suites/smoke.yaml"), ("schema",)]
)
def test_planning_imports_no_heavy_library(arguments: tuple[str, ...]) -> None:
    """After help, plan, validate and schema none of torch, torchvision, pandas, matplotlib is loaded."""
    assert not _modules_after(*arguments) & {"torch", "torchvision", "torchmetrics", "pandas", "matplotlib", "pyarrow"}


def test_help_answers_at_once() -> None:
    """`harness --help` costs little more than python itself: the best of five, within 0.2 s."""
    times = []
    for _ in range(5):
        started = time.perf_counter()
        done = subprocess.run((sys.executable, "-m", "harness", "--help"), capture_output=True, text=True, check=True)
        times.append(time.perf_counter() - started)
    for command in ("run", "plan", "validate", "report", "list", "fetch", "schema"):
        assert f"  {command}" in done.stdout
    assert min(times) <= 0.2


def test_the_parent_of_a_run_never_imports_torch(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A whole run, to the report, in a process whose modules are then listed."""
    modules = _modules_after("run", str(tiny_suite()), "--results", str(tmp_path / "results"))
    assert "pandas" in modules
    assert not modules & {"torch", "torchvision", "torchmetrics"}


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "suites/smoke.yaml", "--select", "nothing*"), "matches none of the suite's trials"),
        (("run", "suites/smoke.yaml", "--device", "gpu"), "none of auto, cpu, cuda, cuda:N"),
        (("run", "suites/smoke.yaml", "--limit", "0"), "0 is not in the range"),
        (("run", "suites/gone.yaml"), "cannot be read"),
        (("report", "suites"), "no results of a suite"),
        (("list", "networks"), "architectures"),
        (("fly",), "No such command"),
    ],
)
def test_wrong_usage_exits_2(arguments: tuple[str, ...], said: str, harness_command: Command, tmp_path: Path) -> None:
    """One clear message each."""
    extra = ("--results", tmp_path) if arguments[0] == "run" else ()
    done = harness_command(*arguments, *extra, cwd=ROOT)
    assert done.returncode == 2
    assert said in done.stderr
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


def test_plan_and_dry_run_say_what_is_left(harness_command: Command, tmp_path: Path) -> None:
    """Both list every trial and run nothing."""
    for arguments in (("plan",), ("run", "--dry-run")):
        done = harness_command(*arguments, "suites/smoke.yaml", "--results", tmp_path / "r", cwd=ROOT)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("left   ") == 2
        assert "2 trials: 0 done, 2 left" in done.stdout
    assert not (tmp_path / "r").exists()


def test_list_and_schema_print(harness_command: Command) -> None:
    """The catalogue names its rows; the schema is JSON."""
    listed = harness_command("list", "architectures", env={"COLUMNS": "200"})
    assert "retinanet_resnet50_fpn" in listed.stdout
    assert json.loads(harness_command("schema").stdout)["title"] == "harness suite"


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
