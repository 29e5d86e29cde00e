"""python -m harness.trial.doctor DEVICE THREADS: is this machine fit to measure on? Exits with 0 if so, else with 1.

Looks at what disturbs timings (clocks, others on the device, memory) and measures one model five times: what differs
between these, where nothing does, is what a difference between two detectors must exceed.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from harness.errors import HarnessError
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize, Protocol, at_level
from harness.trial import environment
from harness.trial.deploy import base, eager
from harness.trial.measure import interference, memory, timing
from harness.trial.measure.protocol import summary
from harness.trial.measure.repeat import Bench
from harness.trial.models.registry import family_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.store.record import MeasurementWarning

_TIMES = 5
_EACH_S = 2.0
_SPREAD = 0.05  # the bound for two measurements of one checkpoint
_IDLE_S = 2.0
_MIN_FREE = 2 * 2**30
_GIBIBYTE = 2**30
_MODEL = "fasterrcnn_mobilenet_v3_large_fpn"
_SIDE = 224


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: `good` is None where there is nothing to judge by."""

    good: bool | None
    text: str


def examine(device: torch.device) -> Iterator[Finding]:
    """Every finding, as it is made; the last ones take seconds."""
    yield from _machine(device)
    yield from _memory(device)
    before = interference.sample_system(device)
    time.sleep(_IDLE_S)
    idle = interference.interference_warnings((before, interference.sample_system(device)))
    yield Finding(
        good=not idle,
        text="; ".join(warning.reason for warning in idle) + ": end them, or wait"
        if idle
        else f"nobody else uses the {'GPU' if device.type == 'cuda' else 'cores'}",
    )
    yield from _same_against_same(device)


def main(name: str, threads: int) -> int:
    """Print what is found; returns the exit code."""
    try:
        device = environment.choose_device(name)
    except HarnessError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    environment.prepare(device, Protocol(), threads=threads, seed=0)
    bad = 0
    try:
        for finding in examine(device):
            bad += finding.good is False
            _print(finding)
    except RuntimeError as error:  # a device that is full, or another's alone
        bad += 1
        _print(Finding(good=False, text=f"the device does not work: {base.first_line(error)}"))
    print(f"not fit to measure on: {bad} of these must change" if bad else "fit to measure on")
    return 1 if bad else 0


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
        told = e.driver is not None
        clocks = f", {e.sm_clock_mhz} MHz, power limit {e.power_limit_w:.0f} W" if e.power_limit_w else ""
        yield Finding(
            good=told,
            text=f"driver {e.driver}, CUDA {e.cuda}, cuDNN {e.cudnn}{clocks}"
            if told
            else "the NVIDIA driver does not answer: clocks, energy and other processes stay unknown",
        )
    elif e.governor is None:
        yield Finding(good=None, text="CPU governor: the kernel does not tell (a virtual machine?)")
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


def _same_against_same(device: torch.device) -> Iterator[Finding]:
    """One small detector with random weights, five times over."""
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
    protocol = replace(at_level("quick", Protocol()), rounds=1, latency_s=_EACH_S)
    deployment.set_threshold(protocol.deployment_score_threshold, protocol.detections)
    images = [torch.rand(3, _SIDE, _SIDE) for _ in range(protocol.latency_images)]
    bench = Bench.on(device, lambda: None)
    timing.latency(deployment.detect, images, protocol, bench.stopwatch())  # a process' first seconds are slower
    medians: list[float] = []
    interference_warnings: list[MeasurementWarning] = []
    for _ in range(_TIMES):
        watch = interference.SystemMonitor(bench.sample_system, bench.clock)
        samples = timing.latency(deployment.detect, images, protocol, bench.stopwatch(watch.sample_if_due))
        watch.close()
        medians.append(summary(samples).median)
        interference_warnings += interference.interference_warnings(watch.system_samples)
    yield Finding(
        good=not interference_warnings,
        text="; ".join(warning.reason for warning in interference_warnings)
        or "no throttling and nobody else under load",
    )
    spread = max(medians) / min(medians) - 1
    shown = ", ".join(f"{median * 1e3:.1f}" for median in medians)
    yield Finding(
        good=spread <= _SPREAD,
        text=f"A/A: one model measured {_TIMES} times, {shown} ms, is {spread:.1%} apart (std "
        f"{statistics.stdev(medians) / statistics.mean(medians):.1%}); at most {_SPREAD:.0%} is fit",
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
