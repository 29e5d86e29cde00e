"""`harness check-architecture` prints a result for each check, also of code that hangs or ends its process."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import Command

NETWORKS = Path(__file__).parents[1] / "trial" / "models" / "own" / "networks.py"
OWN = f"{NETWORKS}:build"


def test_a_table_says_how_each_check_ended(harness_command: Command) -> None:
    """Exit code 0 where none failed: what is not supported is an answer."""
    done = harness_command("check-architecture", OWN, "--image-size", "64", env={"COLUMNS": "160"})
    assert done.returncode == 0, done.stdout
    assert done.stdout.isascii()
    assert "| resumes to the same bits" in done.stdout
    assert "not supported" in done.stdout
    assert done.stdout.rstrip().endswith("all checks passed")


@pytest.mark.parametrize(
    ("wrong", "detail"),
    [
        ("crash", "the process ended with signal SIGABRT in this check"),
        pytest.param(
            "hang", "no result within 8 seconds: it hangs, or needs a longer --timeout", marks=pytest.mark.slow
        ),
    ],
)
def test_code_that_does_not_come_back_is_a_failed_check(wrong: str, detail: str, harness_command: Command) -> None:
    """Those before it have their results, those after it are not run."""
    done = harness_command("check-architecture", OWN, "--model", f"wrong={wrong}", "--timeout", "8s", "--json")
    assert done.returncode == 1, done.stdout
    content = json.loads(done.stdout)
    outcomes = {check["name"]: check["outcome"] for check in content["checks"]}
    assert content["failed"] == 1
    assert outcomes["resumes to the same bits"] == "passed"
    assert outcomes["detections"] == "failed"
    assert outcomes["onnx"] == "not run"
    assert any(detail in check["detail"] for check in content["checks"])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("own.py",), 2, "name what own.py builds it with: own.py:NAME, a function or a row"),
        (("fasterrcnn_resnet50",), 2, "there is no architecture fasterrcnn_resnet50; did you mean"),
        ((OWN, "--image-size", "a"), 2, "expected a number of pixels, 640"),
        ((OWN, "--model", "wrong"), 2, "expected NAME=VALUE"),
        pytest.param(
            ("yolox_nano", "--model", "queries=3"), 1, "has no option queries; it has none", marks=pytest.mark.slow
        ),
        pytest.param((OWN, "--model", "num_classes=3"), 1, "build has no option num_classes", marks=pytest.mark.slow),
        pytest.param((f"{NETWORKS}:gone",), 1, "has no gone", marks=pytest.mark.slow),
        pytest.param(("no_such_module:build",), 1, "No module named", marks=pytest.mark.slow),
        pytest.param(("ssd300_vgg16", "--image-size", "64"), 1, "ssd300_vgg16 takes 300 alone", marks=pytest.mark.slow),
        pytest.param(
            ("dfine_n", "--weights", "backbone"),
            1,
            "dfine_n takes default, none or a file of weights, got backbone",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_wrong_argument_is_told(
    arguments: tuple[str, ...], code: int, message: str, harness_command: Command
) -> None:
    """In a sentence."""
    done = harness_command("check-architecture", *arguments, env={"COLUMNS": "400"})
    assert done.returncode == code
    assert message in done.stdout + done.stderr
