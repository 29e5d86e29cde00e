"""Check whether this machine is fit to measure on: `python -m harness.trial.doctor DEVICE THREADS`.

Checks what disturbs timings (clocks, other processes on the device, memory) and measures one model five times. The
spread of those five is the smallest difference between two detectors that can be seen on this machine. The exit code is
0 if the machine is fit, otherwise 1.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from harness import printing
from harness.errors import HarnessError
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize, Protocol, at_level
from harness.trial import environment
from harness.trial.deploy import base, eager
from harness.trial.inputs import shared_memory
from harness.trial.measure import interference, memory, timing
from harness.trial.measure.protocol import summary
from harness.trial.measure.repeat import Bench
from harness.trial.models.registry import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.store.record import MeasurementWarning

_REPEATS = 5
_REPEAT_S = 2.0
_MAX_SPREAD = 0.05  # of two measurements of the same weights
_IDLE_S = 2.0
_MIN_FREE = 2 * 2**30
_GIBIBYTE = 2**30
_MIN_SHARED = 2**29  # the batches of four loader processes, 16 images of 1333 by 800 pixels each
_MODEL = "fasterrcnn_mobilenet_v3_large_fpn"
_SIDE = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of the output; `good` is None if the machine gives no information to decide by."""

    good: bool | None
    text: str


def check_machine(device: torch.device) -> Iterator[Finding]:
    """Yield each finding as soon as it is made; the last ones take seconds."""
    yield from _machine(device)
    yield from _memory(device)
    before = interference.sample_system(device)
    time.sleep(_IDLE_S)
    idle = interference.interference_warnings((before, interference.sample_system(device)))
    yield Finding(
        good=not idle,
        text="; ".join(warning.reason for warning in idle) + ": end them, or wait"
        if idle
        else f"no other process uses the {'GPU' if device.type == 'cuda' else 'cores'}",
    )
    yield from _same_against_same(device)


def main(name: str, threads: int) -> int:
    """Print the findings and return the exit code."""
    try:
        device = environment.choose_device(name)
    except HarnessError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    environment.prepare(device, Protocol(), threads=threads, seed=0)
    failed = 0
    try:
        for finding in check_machine(device):
            failed += finding.good is False
            _print(finding)
    except RuntimeError as error:  # the device is full, or another process uses it exclusively
        failed += 1
        _print(Finding(good=False, text=f"the device does not work: {base.first_line(error)}"))
    print(f"not fit to measure on: {failed} of these must change" if failed else "fit to measure on")
    return 1 if failed else 0


def _print(finding: Finding) -> None:
    print(f"{ {True: 'ok ', False: 'BAD', None: ' – '}[finding.good] }  {finding.text}", flush=True)


def _machine(device: torch.device) -> Iterator[Finding]:
    e = environment.describe(device, cores=torch.get_num_threads(), loader_workers=0)
    yield Finding(
        good=None,
        text=f"{e.device} ({e.device_name}); CPU {e.cpu}, {e.threads} of {e.logical_cpus} logical CPUs; "
        f"torch {e.torch}, torchvision {e.torchvision}",
    )
    if device.type == "cuda":
        driver_answers = e.driver is not None
        clocks = f", {e.sm_clock_mhz} MHz, power limit {e.power_limit_w:.0f} W" if e.power_limit_w else ""
        yield Finding(
            good=driver_answers,
            text=f"driver {e.driver}, CUDA {e.cuda}, cuDNN {e.cudnn}{clocks}"
            if driver_answers
            else "the NVIDIA driver does not answer: clocks, energy and other processes are unknown",
        )
    elif e.governor is None:
        yield Finding(good=None, text="CPU governor: the kernel does not report it (a virtual machine?)")
    else:
        advice = (
            "" if e.governor == "performance" else ": set it to performance (cpupower frequency-set -g performance)"
        )
        yield Finding(good=e.governor == "performance", text=f"CPU governor {e.governor}{advice}")


def _memory(device: torch.device) -> Iterator[Finding]:
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        yield Finding(
            good=free > _MIN_FREE, text=f"{free / _GIBIBYTE:.1f} of {total / _GIBIBYTE:.1f} GiB of GPU memory free"
        )
    available = memory.available_bytes()
    if available is not None:
        yield Finding(good=available > _MIN_FREE, text=f"{available / _GIBIBYTE:.1f} GiB of memory free")
    shared = shared_memory.room()
    if shared is not None:
        enough = shared[0] >= _MIN_SHARED
        advice = f", too little for loader processes; {shared_memory.ADVICE}"
        yield Finding(good=enough, text=f"{shared_memory.describe_room()}{'' if enough else advice}")


def _same_against_same(device: torch.device) -> Iterator[Finding]:
    """Measure one small detector with random weights five times."""
    row = BUILT_IN[_MODEL]
    detector, _ = family_of(row).build(
        row,
        weights="none",
        classes=3,
        image_size=ImageSize(min=_SIDE, max=_SIDE),
        options={"rpn_post_nms_top_n_test": 100},
    )
    detector.module.to(device)
    deployment = eager.eager(detector, device=device, precision="fp32")
    protocol = replace(at_level("quick", Protocol()), rounds=1, latency_s=_REPEAT_S)
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    images = [torch.rand(3, _SIDE, _SIDE) for _ in range(protocol.latency_images)]
    bench = Bench.on(device, lambda: None)
    timing.latency(deployment.detect, images, protocol, bench.stopwatch())  # the first seconds of a process are slower
    medians: list[float] = []
    interference_warnings: list[MeasurementWarning] = []
    for _ in range(_REPEATS):
        monitor = interference.SystemMonitor(bench.sample_system, bench.clock)
        samples = timing.latency(deployment.detect, images, protocol, bench.stopwatch(monitor.sample_if_due))
        monitor.close()
        medians.append(summary(samples).median)
        interference_warnings += interference.interference_warnings(monitor.system_samples)
    yield Finding(
        good=not interference_warnings,
        text="; ".join(warning.reason for warning in interference_warnings)
        or "no throttling and no load from other processes",
    )
    spread = max(medians) / min(medians) - 1
    medians_ms = ", ".join(f"{median * 1e3:.1f}" for median in medians)
    yield Finding(
        good=spread <= _MAX_SPREAD,
        text=f"A/A: {_REPEATS} measurements of one model, {medians_ms} ms, differ by {spread:.1%} (std "
        f"{statistics.stdev(medians) / statistics.mean(medians):.1%}); at most {_MAX_SPREAD:.0%} is fit",
    )


if __name__ == "__main__":
    printing.protect()
    memory.freeze_modules()
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
