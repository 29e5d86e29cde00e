"""An exception's outcome, cause and reason: what is the trial's own, what is the machine's, what may be chance."""

from __future__ import annotations

import errno

import pytest
import torch

from harness.errors import DataError, DivergedError, MachineError
from harness.store import record
from harness.store.job import OUTCOME, Outcome
from harness.trial.failure import classify


@pytest.mark.parametrize(
    ("error", "outcome", "cause", "retryable", "code"),
    [
        (DivergedError("the loss is not finite"), "failed", "error", False, 1),
        (MachineError("weights.pt: cannot be written"), "interrupted", "machine", True, 3),
        (OSError(errno.ENOSPC, "No space left on device"), "interrupted", "machine", True, 3),
        (RuntimeError("CUDA error: no CUDA-capable device is detected"), "interrupted", "machine", True, 3),
        (RuntimeError("Unable to determine the device handle: GPU is lost"), "interrupted", "machine", True, 3),
        (torch.cuda.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"), "out_of_memory", "memory", False, 1),
        (RuntimeError("CUDA error: out of memory"), "out_of_memory", "memory", False, 1),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
            "out_of_memory",
            "memory",
            False,
            1,
        ),
        (MemoryError(), "out_of_memory", "memory", False, 1),
        (RuntimeError("CUDA error: device-side assert triggered"), "failed", "exception", True, 1),
        (KeyError("left_out"), "failed", "exception", True, 1),
        (FileNotFoundError(errno.ENOENT, "No such file"), "failed", "exception", True, 1),
    ],
)
def test_each_exception_ends_in_its_row(
    error: Exception,
    outcome: str,
    cause: str,
    retryable: bool,  # noqa: FBT001
    code: int,
) -> None:
    """Outcome, cause, whether another attempt can end otherwise, and the exit code."""
    found = classify(error)
    assert (found.outcome, found.cause, found.retryable, found.code) == (outcome, cause, retryable, code)
    assert found.reason


class _BrokenError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("x" * 20_000_000), "ValueError: xxx"),
        (RuntimeError(f"{'x' * 10_000_000}\n" * 2), "RuntimeError: xxx"),
        (DataError(f"train[3]: {'x' * 20_000_000}; draw fewer"), "train[3]: xxx"),
        (MachineError("x" * 20_000_000), "xxx"),
        (OSError(errno.ENOSPC, "x" * 20_000_000), "[Errno 28] xxx"),
        (MemoryError("x" * 20_000_000), "out of host memory: xxx"),
        (ValueError("half \ud800 of a pair"), "ValueError: half \\ud800 of a pair"),
        (DataError("half\udcff"), "half\\udcff"),
        (_BrokenError(), "_BrokenError: (_BrokenError.__str__ raised RuntimeError: its text cannot be shown)"),
        (SystemExit(3), "SystemExit: 3"),
    ],
)
def test_no_text_costs_the_reason(error: Exception | SystemExit, reason: str) -> None:
    """However long, unprintable or missing it is: the outcome is small, can be stored, and is read back the same."""
    found = classify(error)
    assert found.reason.startswith(reason)
    outcome = Outcome(
        outcome=found.outcome, reason=found.reason, retryable=False, started_at="", wall_s=0.0,
        traceback=found.traceback,
    )  # fmt: skip
    stored = record.encode(OUTCOME, outcome)
    assert len(stored) < 15_000
    assert record.decode(OUTCOME, stored, "x") == outcome
    assert type(error).__name__ in found.traceback


def test_a_loaders_exception_is_told_in_its_own_words() -> None:
    """A DataLoader wraps what its process raised: the reason is the original, and so is the end of the traceback."""
    text = "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback\n  File x\nValueError: bad size\n"
    found = classify(ValueError(text))
    assert found.reason == "ValueError: ValueError: bad size"
    assert found.traceback.endswith("ValueError: bad size")
