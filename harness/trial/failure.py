"""Classify an exception of a trial: its outcome, its reason in words, and whether another attempt may succeed."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness import foreign
from harness.errors import HarnessError, MachineError

if TYPE_CHECKING:
    from harness.store.job import Cause, OutcomeName

_LAST_LINES = 40
_TRACEBACK_CHARACTERS = 8000
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# Error messages outside torch's allocator that mean the same as OutOfMemoryError.
_MEMORY_PHRASES = ("cuda error: out of memory", "cublas_status_alloc_failed", "nvml_success ==")
# Messages of the driver that mean that the device failed, not the program on it.
_DEVICE_PHRASES = (
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
    """The end of an attempt by an exception; `code` is the exit code of its process."""

    outcome: OutcomeName
    cause: Cause
    reason: str
    retryable: bool
    code: int
    traceback: str


def classify(error: Exception | SystemExit) -> Failure:
    """Classify an exception that a trial raised; its texts are shortened, for they are stored and shown many times."""
    text = foreign.whole_message(error)
    outcome, cause, reason, retryable, code = _kind(error, text)
    lines = foreign.whole_traceback(error).splitlines()
    return Failure(
        outcome=outcome,
        cause=cause,
        reason=foreign.shortened(reason),
        retryable=retryable,
        code=code,
        traceback=foreign.shortened("\n".join(lines[-_LAST_LINES:]), _TRACEBACK_CHARACTERS),
    )


def _kind(error: BaseException, text: str) -> tuple[OutcomeName, Cause, str, bool, int]:
    if isinstance(error, MachineError):
        return "interrupted", "machine", text, True, error.exit_code
    if isinstance(error, HarnessError):
        return "failed", "error", text, False, error.exit_code
    message = _message_line(text) or type(error).__name__
    host_memory = "can't allocate memory" in message or isinstance(error, MemoryError)
    device_memory = isinstance(error, RuntimeError) and any(phrase in text.lower() for phrase in _MEMORY_PHRASES)
    if isinstance(error, torch.cuda.OutOfMemoryError) or device_memory or host_memory:
        reason = (
            f"out of {'host' if host_memory else 'device'} memory: {message}; lower batch_size (or raise "
            "accumulate, which keeps the step; on_oom: accumulate does that automatically), lower image_size, or use "
            "precision: bf16"
        )
        return "out_of_memory", "memory", reason, False, 1
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        reason = f"{text}; free some disk space, then run the same command again: finished trials are kept"
        return "interrupted", "machine", reason, True, MachineError.exit_code
    if isinstance(error, RuntimeError) and any(phrase in message.lower() for phrase in _DEVICE_PHRASES):
        reason = f"the device failed: {message}; see that it works (nvidia-smi), then run the same command again"
        return "interrupted", "machine", reason, True, MachineError.exit_code
    return "failed", "exception", f"{type(error).__name__}: {message}", True, 1


def _message_line(text: str) -> str:
    """Return the line of an exception's text that says what is wrong; empty where it has none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return lines[-1] if lines[0].startswith("Caught ") else lines[0]  # a DataLoader's worker puts its traceback first
