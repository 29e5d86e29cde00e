"""An exception's outcome, cause and reason: what is the trial's own, what is the machine's, what may be chance."""

from __future__ import annotations

import errno

import pytest
import torch

from harness.errors import DataError, DivergedError, MachineError
from harness.store import record
from harness.store.job import OUTCOME, Outcome
from harness.trial.failure import classify, out_of_memory


@pytest.mark.parametrize(
    ("text", "whose"),
    [
        ("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB", "device"),
        ("HIP out of memory. Tried to allocate 2.00 GiB", "device"),
        ("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported", "device"),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "device"),
        ("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "device"),
        ("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", "device"),
        ("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. cudnnBackendFinalize: insufficient workspace memory", "device"),
        ("GET was unable to find an engine to execute this computation", "device"),
        ("cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`", "device"),
        ("cudaErrorMemoryAllocation", "device"),
        ("NCCL error: unhandled cuda error, Cuda failure 2 'out of memory'", "device"),
        ("NVML_SUCCESS == r INTERNAL ASSERT FAILED at CUDACachingAllocator.cpp:838", "device"),
        ("[ONNXRuntimeError] : 6 : Failed to allocate memory for requested buffer of size 9999", "device"),
        ("onnxruntime::BFCArena::AllocateRawInternal(size_t): Available memory of 0 is smaller", "device"),
        ("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory: you tried 9 bytes", "host"),
        ("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes", "host"),
        ("std::bad_alloc", "host"),
        (
            "cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This may appear if you passed in a non-contiguous input.",
            None,
        ),
        ("CUDA error: device-side assert triggered", None),
        ("shape mismatch", None),
    ],
)
def test_out_of_memory_in_the_words_of_every_library(text: str, whose: str | None) -> None:
    """One function knows them; onnxruntime's errors are no RuntimeError, and a compiler wraps what it caught."""
    for error in (RuntimeError(text), Exception(f"backend='inductor' raised:\nRuntimeError: {text}")):
        assert out_of_memory(error) == whose
        assert (classify(error).outcome == "out_of_memory") is (whose is not None)
        if whose:
            assert f"out of {whose} memory" in classify(error).reason


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("CUDA error: unspecified launch failure", True),
        ("CUDA error: unknown error", True),
        ("CUDA unknown error - this may be due to an incorrectly set up environment", True),
        ("CUDA error: hardware error", True),
        ("CUDA error: uncorrectable ECC error encountered", True),
        ("CUDA error: uncorrectable NVLink error detected during the execution", True),
        ("CUDA error: GPU is lost", True),
        ("No CUDA GPUs are available: no CUDA-capable device is detected", True),
        ("Found no NVIDIA driver on your system", True),
        ("CUDA error: driver shutting down", True),
        (
            "Caught RuntimeError in DataLoader worker 0.\n  File x\nRuntimeError: CUDA error: unknown error",
            True,
        ),
        ("CUDA error: device-side assert triggered", False),
        ("CUDA error: an illegal memory access was encountered", False),
        ("unknown error in my own code", False),
    ],
)
def test_a_device_that_failed_is_the_machines(text: str, fault: bool) -> None:  # noqa: FBT001
    """No trial can go on with it; what a program did on it is the trial's."""
    found = classify(RuntimeError(text))
    assert (found.outcome, found.cause) == (("interrupted", "machine") if fault else ("failed", "exception"))


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
        (DataError("half\udcff"), "half\\xff"),
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
