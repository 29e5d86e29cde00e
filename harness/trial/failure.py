"""What an exception in a trial means: its outcome, its reason in words, and whether another attempt can end better."""

from __future__ import annotations

import errno
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.errors import HarnessError, MachineError

if TYPE_CHECKING:
    from harness.store.job import Cause, OutcomeName

_LAST_LINES = 40
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# What comes in the place of OutOfMemoryError from outside of torch's allocator.
_MEMORY = ("cuda error: out of memory", "cublas_status_alloc_failed", "nvml_success ==")
# What the driver says when it is the device that failed, not the program that runs on it.
_DEVICE = (
    "no cuda-capable device",
    "all cuda-capable devices are busy",
    "busy or unavailable",
    "gpu is lost",
    "fallen off the bus",
    "uncorrectable ecc error",
    "hardware stack error",
    "driver version is insufficient",
    "driver shutting down",
    "system not yet initialized",
    "system has unsupported display driver",
    "cuda driver initialization failed",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How an exception ends an attempt; `code` is the process' exit code."""

    outcome: OutcomeName
    cause: Cause
    reason: str
    retryable: bool
    code: int
    traceback: str


def classify(error: Exception) -> Failure:
    """Of whatever a trial raised."""
    outcome, cause, reason, retryable, code = _kind(error)
    lines = "".join(traceback.format_exception(error)).rstrip().splitlines()
    return Failure(
        outcome=outcome,
        cause=cause,
        reason=reason,
        retryable=retryable,
        code=code,
        traceback="\n".join(lines[-_LAST_LINES:]),
    )


def _kind(error: Exception) -> tuple[OutcomeName, Cause, str, bool, int]:
    if isinstance(error, MachineError):
        return "interrupted", "machine", str(error), True, error.exit_code
    if isinstance(error, HarnessError):
        return "failed", "error", str(error), False, error.exit_code
    said = _said(error)
    host = "can't allocate memory" in said or isinstance(error, MemoryError)
    device = isinstance(error, RuntimeError) and any(phrase in str(error).lower() for phrase in _MEMORY)
    if isinstance(error, torch.cuda.OutOfMemoryError) or device or host:
        reason = (
            f"out of {'host' if host else 'device'} memory: {said}; lower batch_size (or raise accumulate, which keeps "
            "the step; on_oom: accumulate does it by itself), lower image_size, or use precision: bf16"
        )
        return "out_of_memory", "memory", reason, False, 1
    if isinstance(error, OSError) and error.errno in _DISK:
        reason = f"{error}; make room, then run the same command again: finished trials are kept"
        return "interrupted", "machine", reason, True, MachineError.exit_code
    if isinstance(error, RuntimeError) and any(phrase in said.lower() for phrase in _DEVICE):
        reason = f"the device failed: {said}; see that it works (nvidia-smi), then run the same command again"
        return "interrupted", "machine", reason, True, MachineError.exit_code
    return "failed", "exception", f"{type(error).__name__}: {said}", True, 1


def _said(error: Exception) -> str:
    """The line of an exception's text that says what is wrong."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()] or [type(error).__name__]
    return lines[-1] if lines[0].startswith("Caught ") else lines[0]  # the former: wrapped by a DataLoader's worker
