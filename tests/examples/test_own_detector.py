"""The worked example of the docs: a network of one's own in a file beside the suite, from its name to its weights."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.catalog.own import OwnModel
from harness.suite.expand import plan_trials
from harness.suite.load import Suite, load_suite
from tests.conftest import FAST, ROOT, Command

EXAMPLE = ROOT / "suites" / "own_detector.py"
OWN = "  - {python: own_detector.py:build, name: centres, image_size: 64, model: {channels: 8}}\n"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, tiny_suite: Write) -> Write:
    """Write a suite with the example beside it, which architectures and a rest follow."""
    shutil.copy(EXAMPLE, tmp_path)
    rest = f"hyperparameters: {{epochs: 1, batch_size: 2}}\n{FAST}"
    return lambda architectures=OWN: tiny_suite(architectures=architectures, rest=rest)


def _trial_id(suite: Suite) -> str:
    (trial,) = plan_trials(suite, {"shapes": "f"}, max_images=None)
    return trial.trial_id


def test_a_network_of_ones_own_runs_to_a_report(write: Write, harness_command: Command, tmp_path: Path) -> None:
    """Trained, evaluated, measured and reported under its name; its weights load by its import path."""
    import harness

    results = tmp_path / "results"
    done = harness_command("run", write(), "--results", results)
    assert done.returncode == 0, done.stdout + done.stderr
    (weights,) = results.glob("*/trials/shapes-centres-*/checkpoints/weights.pt")
    assert "centres" in (results / "tiny" / "report.md").read_text()
    detector = harness.load_detector(weights, architecture=f"{EXAMPLE}:build")
    assert len(detector.class_names) == 2


def test_planning_imports_neither_torch_nor_the_network(write: Write) -> None:
    """The file is read, not run."""
    code = (
        "import sys; from pathlib import Path; from harness.suite.load import load_suite; load_suite(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        (sys.executable, "-c", f"{code}; print('torch' in sys.modules)", str(write())),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_the_code_is_part_of_the_trial_and_its_place_is_not(write: Write, tmp_path: Path) -> None:
    """An edit makes another trial; the same files in another folder make the same."""
    suite = load_suite(write())
    before = _trial_id(suite)
    assert isinstance(suite.settings[0].row, OwnModel)
    assert suite.settings[0].architecture.model == {"channels": 8}
    other = tmp_path / "other"
    other.mkdir()
    for name in ("tiny.yaml", "own_detector.py"):
        shutil.copy(tmp_path / name, other)
    assert _trial_id(load_suite(other / "tiny.yaml")) == before
    with (tmp_path / "own_detector.py").open("a") as file:
        file.write("# edited\n")
    assert _trial_id(load_suite(tmp_path / "tiny.yaml")) != before


def test_options_are_what_the_function_takes(write: Write, tmp_path: Path) -> None:
    """Flags, numbers, texts, and lists of numbers or texts, as they are written; without weights of its own, none."""
    (tmp_path / "open.py").write_text("def build(**options): ...\n")
    options = "{a: true, b: 0.5, c: word, d: [3, 4], e: [0.5, 1], f: [x, y]}"
    suite = load_suite(write(f"  - {{python: open.py:build, name: mine, model: {options}}}\n"))
    (setting,) = suite.settings
    expected = {"a": True, "b": 0.5, "c": "word", "d": (3, 4), "e": (0.5, 1.0), "f": ("x", "y")}
    assert setting.architecture.model == expected
    assert {type(value) for value in setting.architecture.model.values()} == {bool, float, str, tuple}
    assert setting.architecture.weights == "none"


@pytest.mark.parametrize(
    ("architecture", "problem"),
    [
        ("{python: own_detector.py:gone, name: mine}", "own_detector.py has no gone; it defines build, block"),
        ("{python: absent.py:build, name: mine}", "no such file: absent.py"),
        ("{python: no_such_package.models:build, name: mine}", "there is no module no_such_package.models"),
        ("{python: own_detector.py, name: mine}", "expected module:NAME or file.py:NAME, got 'own_detector.py'"),
        ("{python: own_detector.py:build, name: fcos_resnet50_fpn}", "as a built-in architecture is: give it a name"),
        ("{python: own_detector.py:build, name: a/b}", "expected letters, digits, '_', '.' and '-'"),
        ("{python: own_detector.py:build}", "architectures[0].name: missing"),
        ("{python: own_detector.py:build, name: mine, weights: default}", "mine takes none or a file of weights"),
        ("{python: own_detector.py:build, name: mine, model: {num_classes: 3}}", "mine has no such option"),
        (
            "{python: own_detector.py:build, name: mine, model: {channels: {b: 1}}}",
            "takes a flag, a number, a text, or a list",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_line(architecture: str, problem: str, write: Write) -> None:
    """Before anything is trained."""
    with pytest.raises(SuiteError) as raised:
        load_suite(write(f"  - {architecture}\n"))
    assert problem in str(raised.value)
    assert "tiny.yaml:5" in str(raised.value)
