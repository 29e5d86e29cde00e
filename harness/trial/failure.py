"""Classify an exception of a trial: its outcome, its reason in words, and whether another attempt may succeed."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from harness import foreign
from harness.errors import HarnessError, MachineError

if TYPE_CHECKING:
    from harness.store.job import Cause, OutcomeName

_LAST_LINES = 40
_SEARCHED = 10_000  # characters at either end of an error's text that are searched for words of libraries
_TRACEBACK_CHARACTERS = 8000
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
# How allocators and libraries say that the device, or the host, has no memory left: torch, CUDA, HIP, cuBLAS, cuDNN,
# NCCL, onnxruntime. cuDNN has many words for a workspace that could not be allocated.
_DEVICE_MEMORY = re.compile(
    r"(cuda|hip|nccl|cublas|cudnn|gpu|device|onnxruntime)\b.*\bout of memory|out of memory.*\b(cuda|hip|gpu)\b"
    r"|(cuda|hip)errormemoryallocation|(cuda|hip)erroroutofmemory|cuda_error_out_of_memory"
    r"|(cublas|cudnn|cusolver|cusparse|cufft|hipblas|rocblas|miopen)_?(status_?)+(internal_error_device_allocation|alloc)_failed"
    r"|unable to find an engine to execute this computation|no valid convolution algorithms available"
    r"|cudnn_status_not_supported.*(memory|alloc|workspace)|nvml_success =="
    r"|failed to allocate memory for requested buffer|bfcarena.*allocat",
    re.DOTALL,
)
_HOST_MEMORY = re.compile(
    r"defaultcpuallocator|can't allocate memory|cannot allocate memory|bad_alloc|bad allocation"
    r"|internal_error_host_allocation_failed|not enough memory: you tried to allocate"
)
# Messages of the driver that mean that the device failed, not the program on it. An assertion on the device is the
# program's, as is an access to memory that is not its own.
_DEVICE_PHRASES = (
    "unspecified launch failure",
    "cuda error: unknown error",
    "cuda failure 999",
    "hip error: unknown error",
    "cudaerrorunknown",
    "hardware error",
    "uncorrectable nvlink",
    "device unavailable",
    "cuda unknown error",
    "found no nvidia driver",
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
    memory = out_of_memory(error)
    if memory is not None:
        reason = (
            f"out of {memory} memory: {message}; lower batch_size (or raise "
            "accumulate, which keeps the step; on_oom: accumulate does that automatically), lower image_size, or use "
            "precision: bf16"
        )
        return "out_of_memory", "memory", reason, False, 1
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        reason = f"{text}; free some disk space, then run the same command again: finished trials are kept"
        return "interrupted", "machine", reason, True, MachineError.exit_code
    if is_device_fault(error):
        reason = f"the device failed: {message}; see that it works (nvidia-smi), then run the same command again"
        return "interrupted", "machine", reason, True, MachineError.exit_code
    return "failed", "exception", f"{type(error).__name__}: {message}", True, 1


def out_of_memory(error: BaseException) -> Literal["device", "host"] | None:
    """Return whose memory an exception says is used up, in the words of any library; None if it is about another thing.

    The only place that knows these words: for a trial's end, for the search for a batch size, and for variants.
    """
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return "device"
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return "host"
    if isinstance(error, HarnessError | OSError):
        return None
    whole = foreign.whole_message(error).lower()
    text = whole if len(whole) <= 2 * _SEARCHED else f"{whole[:_SEARCHED]} {whole[-_SEARCHED:]}"
    if _HOST_MEMORY.search(text):
        return "host"
    return "device" if _DEVICE_MEMORY.search(text) else None


def is_device_fault(error: BaseException) -> bool:
    """Return whether an exception says that the device or its driver failed, so that no trial can go on."""
    message = _message_line(foreign.whole_message(error)).lower()
    return isinstance(error, RuntimeError) and any(phrase in message for phrase in _DEVICE_PHRASES)


def _message_line(text: str) -> str:
    """Return the line of an exception's text that says what is wrong; empty where it has none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    return lines[-1] if lines[0].startswith("Caught ") else lines[0]  # a DataLoader's worker puts its traceback first
