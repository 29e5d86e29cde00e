"""Each check finds the fault that it is there for, and the battery finds nothing wrong with what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from harness.store.checks import CheckResult
from harness.suite.catalog.own import own_model
from harness.suite.catalog.registry import load_row
from harness.suite.schema import ImageSize
from harness.trial.battery import checks
from harness.trial.battery.subject import Subject

TESTS = Path(__file__).parents[2]
NETWORKS = TESTS / "trial" / "models" / "own" / "networks.py"
SIZE = ImageSize(min=64, max=64)


def _results(folder: Path, wrong: str = "", *, exports: bool = False) -> dict[str, CheckResult]:
    subject = Subject(
        row=own_model("mine", f"{NETWORKS}:build"),
        classes=3,
        image_size=SIZE,
        weights="none",
        options={"wrong": wrong} if wrong else {},
        device=torch.device("cpu"),
        precision="fp32",
        folder=folder,
    )
    return {result.name: result for result in checks.run(subject, exports=exports)}


def test_a_detector_that_is_right_passes(tmp_path: Path) -> None:
    """The example of a family of one's own, with its variants."""
    subject = Subject(
        row=load_row("toy_architecture.py:TOY", TESTS / "examples"),
        classes=2,
        image_size=SIZE,
        weights="none",
        options={"channels": 8},
        device=torch.device("cpu"),
        precision="fp32",
        folder=tmp_path,
    )
    results = {result.name: result for result in checks.run(subject)}
    assert tuple(results) == checks.names()
    others = {name: result for name, result in results.items() if result.outcome != "passed"}
    assert set(others) == {"class head"}  # its build takes no file of another number of classes
    assert others["class head"].outcome == "not supported"
    assert "weights: FILE with 4 classes: " in others["class head"].detail


def test_a_network_that_is_right_passes(tmp_path: Path) -> None:
    """All but the class head, which is all that it has."""
    results = _results(tmp_path, exports=True)
    assert {name for name, result in results.items() if result.outcome != "passed"} == {"class head"}
    assert results["class head"].outcome == "not supported"


@pytest.mark.parametrize(
    ("wrong", "check", "detail"),
    [
        ("raises", "builds", "raised RuntimeError: the third layer is missing"),
        ("list", "losses are finite", "must return a dict of losses by name, got a list"),
        ("per image", "losses are finite", "must be a tensor with one number"),
        ("detached", "gradients reach", "the loss does not depend on any trained parameter"),
        ("unused", "gradients reach", "no gradient reaches 2 parameters of 4: unused.weight, unused.bias"),
        ("NaN without boxes", "images without boxes", "the loss loss is nan"),
        ("random", "the same seed, the same bits", "the same seed gives another loss or other weights in one step"),
        ("hidden state", "resumes to the same bits", "a resumed training has another loss or other weights"),
        ("count", "detections", "a dict for each image: 0 for 3 images"),
        ("label 0", "detections", "labels from 0 to 2, expected 1 to 3; 0 is the background"),
        (
            "fractions",
            "detections",
            "they seem to be fractions of the image, expected pixels of the image as it was given",
        ),
        ("outside", "detections", "in an image of 64 by 64 pixels: clip them to the image as it was given"),
        ("xywh", "detections", "a box has a right edge left of its left one"),
        ("above 1", "detections", "expected 0 to 1"),
    ],
)
def test_a_fault_is_found(wrong: str, check: str, detail: str, tmp_path: Path) -> None:
    """By the check of its name, and the others still have results."""
    results = _results(tmp_path, wrong)
    assert results[check].outcome == "failed", results[check]
    assert detail in results[check].detail
    assert all(result.outcome != "running" for result in results.values())


def test_what_was_not_built_is_not_checked(tmp_path: Path) -> None:
    """One failure, and no others that follow from it."""
    results = _results(tmp_path, "no module")
    assert results.pop("builds").outcome == "failed"
    assert {result.outcome for result in results.values()} == {"not run"}
