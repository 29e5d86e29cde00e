"""An exception's outcome, cause and reason: what is the trial's own, what is the machine's, what may be chance."""

from __future__ import annotations

import errno

import pytest
import torch

from harness.errors import DivergedError, MachineError
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


def test_a_loaders_exception_is_told_in_its_own_words() -> None:
    """A DataLoader wraps what its process raised: the reason is the original, and so is the end of the traceback."""
    text = "Caught ValueError in DataLoader worker process 0.\nOriginal Traceback\n  File x\nValueError: bad size\n"
    found = classify(ValueError(text))
    assert found.reason == "ValueError: ValueError: bad size"
    assert found.traceback.endswith("ValueError: bad size")
