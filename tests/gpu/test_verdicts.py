"""What a GPU is held to, with values as a good one, a bad one and one that hides something would give them."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.gpu import verdicts


@pytest.mark.parametrize(
    ("value", "passed"), [(0.01, True), (0.02, True), (0.021, False), (None, False), (math.nan, False)]
)
def test_a_number_has_a_limit(value: float | None, passed: bool) -> None:  # noqa: FBT001
    """A missing one has not kept it."""
    assert verdicts.at_most("wait", value, 0.02).passed is passed


@pytest.mark.parametrize(
    ("value", "passed"), [(1.0, True), (1.029, True), (0.971, True), (1.04, False), (None, False), (math.inf, False)]
)
def test_a_number_lies_within_a_fraction_of_the_truth(value: float | None, passed: bool) -> None:  # noqa: FBT001
    """On either side."""
    assert verdicts.within("clock", value, 1.0, 0.03).passed is passed


@pytest.mark.parametrize(
    ("output", "passed"),
    [
        (
            "ok   /dev/shm has 24,000 MiB of 24,000 MiB free\nok   A/A: 5 times, differ by 4.9% (std",
            [True, True],
        ),
        (
            "ok   /dev/shm has 60 MiB of 64 MiB free\nBAD  A/A: 5 times, differ by 5.1% (std",
            [False, True],
        ),
        ("Error: --device cuda:0", [False, False]),
    ],
)
def test_doctor_has_a_spread_and_a_size(output: str, passed: list[bool]) -> None:
    """Both from what it prints."""
    assert [check.passed for check in verdicts.doctor(output)] == passed


@pytest.mark.parametrize(
    ("code", "output", "passed"),
    [(0, "7 passed, 900 deselected", True), (0, "7 skipped", False), (1, "1 failed, 6 passed", False), (5, "", False)],
)
def test_marked_tests_must_have_run(code: int, output: str, passed: bool) -> None:  # noqa: FBT001
    """Skipped ones prove nothing."""
    assert verdicts.marked_tests(code, output).passed is passed


@pytest.mark.parametrize(
    ("name", "losses", "passed"),
    [
        ("a fp32", [1.0] * 4, True),
        ("a fp32", [1.0] * 3, False),
        ("a bf16", [math.nan, 1.0, 1.0, 1.0], False),
        ("a fp16", [math.nan, 1.0, 1.0, 1.0], True),
        ("a fp16", [1.0, 1.0, 1.0, math.nan], False),
    ],
)
def test_every_step_is_finite(name: str, losses: list[float], passed: bool) -> None:  # noqa: FBT001
    """In fp16 the scaler may skip steps while it finds its factor."""
    assert verdicts.steps(name, losses, 4).passed is passed


def test_first_losses_are_equal() -> None:
    """To the rounding of sums."""
    assert verdicts.first_losses("x", [2.0, 1.0], [2.00001]).passed
    assert not verdicts.first_losses("x", [2.0], [2.1]).passed
    assert not verdicts.first_losses("x", [], [2.0]).passed


def _row(*, driver: int | None = 300, reserved: int | None = 200, **more: Any) -> dict[str, Any]:
    memory = {"inference": {"peak_driver_bytes": driver, "peak_reserved_bytes": reserved}}
    return {"measurements": {"memory": memory}, "warnings": [], **more}


def _verdicts(*variants: dict[str, Any], trained: dict[str, Any] | None = None) -> dict[str, bool | None]:
    record = {**(trained or _row()), "variants": list(variants)}
    return {check.name: check.passed for check in verdicts.variants(record, device="cuda:0")}


def test_a_good_trial_with_variants_passes() -> None:
    """Nothing shared; driver memory above what torch reserves, or unknown; onnxruntime on CUDA, or its reason."""
    onnx = _row(name="onnxruntime", how="onnxruntime 1.22, CUDA, fp32", driver=None, reserved=None)
    assert set(_verdicts(_row(name="compile"), onnx).values()) == {True}
    missing = {"name": "onnxruntime", "problem": "this onnxruntime has no CUDA", "warnings": []}
    assert _verdicts(missing)["variant onnxruntime"] is None


@pytest.mark.parametrize(
    ("variant", "name"),
    [
        (_row(name="compile", warnings=[{"name": "shared_device"}]), "variants: rows called shared_device"),
        (_row(name="compile", driver=100), "variant compile: driver bytes"),
        (_row(name="compile", driver=0), "variant compile: driver bytes"),
        ({"name": "compile", "problem": "its process was killed", "warnings": []}, "variant compile"),
        (_row(name="onnxruntime", how="onnxruntime 1.22, CPU, fp32"), "variant onnxruntime"),
    ],
)
def test_each_fault_of_a_variant_fails(variant: dict[str, Any], name: str) -> None:
    """A row called shared, memory below what torch holds or of 0 bytes, a row missing, a runtime on the CPU."""
    found = _verdicts(variant)
    assert found.pop(name) is False
    assert False not in found.values()


def test_runs_end_as_they_must() -> None:
    """Resumed, refused in a sentence, flagged."""
    record = {"warnings": [{"name": "resumed"}, {"name": "shared_device"}]}
    assert verdicts.resumed(0, record).passed
    assert not verdicts.resumed(1, record).passed
    assert not verdicts.resumed(0, None).passed
    assert not verdicts.resumed(0, {"warnings": []}).passed
    assert verdicts.beside(record).passed
    assert not verdicts.beside({"warnings": []}).passed
    assert verdicts.missing_device(3, "Error: --device cuda:0: torch 2 sees 0 CUDA devices; give").passed
    assert not verdicts.missing_device(0, "").passed
    assert not verdicts.missing_device(3, "Traceback (most recent call last)\nsees 0 CUDA devices").passed
