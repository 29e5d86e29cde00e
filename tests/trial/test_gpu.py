"""The CUDA path, where there is a GPU: clock, memory, precision, driver, batch search."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest
import torch

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize, Protocol
from harness.trial import environment
from harness.trial.deploy import base, eager
from harness.trial.measure import interference, memory, nvml, timing
from harness.trial.measure.protocol import _batch_size
from harness.trial.measure.repeat import Bench
from harness.trial.models.torchvision import family
from tests.trial.measure.fakes import make_protocol

pytestmark = pytest.mark.gpu

CUDA = torch.device("cuda:0")
MOBILE = "fasterrcnn_mobilenet_v3_large_fpn"


def _deployed(precision: str = "fp32") -> base.Deployment:
    environment.prepare(CUDA, Protocol(), threads=4, seed=0)
    detector, _ = family.build(
        BUILT_IN[MOBILE], weights="none", classes=3, image_size=ImageSize(min=320, max=320), options={}
    )
    detector.module.to(CUDA)
    return eager.eager(detector, device=CUDA, precision=precision)


def test_the_wall_clock_agrees_with_device_events() -> None:
    """Time between two events around work that keeps the device busy is the time between two synchronised looks."""
    block = torch.rand(4096, 4096, device=CUDA)
    spans: list[float] = []

    def work(_images: object) -> None:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begin.record()
        for _ in range(50):
            block @ block
        end.record()
        end.synchronize()
        spans.append(begin.elapsed_time(end) * 1e-3)

    stopwatch = Bench.on(CUDA, lambda: None).stopwatch()
    samples = timing.latency(work, [torch.zeros(3, 8, 8)], make_protocol(), stopwatch)
    timed = [sample.seconds for sample in samples]
    assert statistics.median(timed) == pytest.approx(statistics.median(spans[-len(timed) :]), rel=0.05)


def test_unsynchronised_work_is_waited_for() -> None:
    """A call that only launches is timed with what it launched."""
    block = torch.rand(8192, 8192, device=CUDA)
    stopwatch = Bench.on(CUDA, lambda: None).stopwatch()
    seconds = [stopwatch.seconds(lambda _: [block @ block for _ in range(20)], []) for _ in range(5)]
    flops = 20 * 2 * 8192**3
    assert flops / min(seconds) < 4e15, "faster than any device: the clock did not wait"


def test_memory_peaks_are_the_allocators_and_the_drivers() -> None:
    """A block of 512 MiB shows in allocated and reserved; the driver sees at least what is reserved."""
    memory.reset_peak(CUDA)
    before = memory.read_peak(CUDA).peak_allocated_bytes
    block = torch.ones(2**27, device=CUDA)
    peak = memory.read_peak(CUDA)
    del block
    assert before is not None
    assert peak.peak_allocated_bytes is not None
    assert peak.peak_reserved_bytes is not None
    assert peak.peak_allocated_bytes - before == pytest.approx(2**29, rel=0.01)
    assert peak.peak_reserved_bytes >= peak.peak_allocated_bytes
    if peak.peak_driver_bytes is not None:
        assert peak.peak_driver_bytes >= peak.peak_reserved_bytes


def test_bf16_runs_and_is_measured() -> None:
    """Autocast inference gives finite boxes, and a whole measurement comes out of it."""
    deployed = _deployed("bf16")
    deployed.set_threshold(0.0, 100)
    (found,) = deployed.detect([torch.rand(3, 320, 320)])
    assert torch.isfinite(found.boxes).all()


def test_the_driver_tells_of_this_card() -> None:
    """Its name, clocks and energy; looks around while it works are not throttled into nothing."""
    card = nvml.gpu(CUDA)
    assert card is not None
    first = card.joules()
    for _ in range(200):
        torch.rand(2048, 2048, device=CUDA) @ torch.rand(2048, 2048, device=CUDA)
    torch.cuda.synchronize()
    last = card.joules()
    assert first is None or last is None or last >= first
    described = environment.describe(CUDA, cores=1, loader_workers=0)
    assert described.driver
    assert described.pci_id
    assert interference.sample_system(CUDA).clock_fraction is not None


def test_the_batch_search_ends_and_leaves_nothing() -> None:
    """Doubling stops at the limit or at the first batch that does not fit; what it took is given back."""
    deployed = _deployed()
    deployed.set_threshold(0.05, 100)
    images = [torch.rand(3, 320, 320)]
    memory.free_unused(CUDA)
    before = torch.cuda.memory_reserved(CUDA)
    size = _batch_size(deployed, images, Protocol(throughput_batch_size="auto"), CUDA)
    assert size & (size - 1) == 0
    assert size >= 8
    assert torch.cuda.memory_reserved(CUDA) <= before + 2**28


def test_a_batch_that_does_not_fit_is_none(tmp_path: Path) -> None:
    """Out of memory ends the search, not the trial."""
    total = torch.cuda.get_device_properties(CUDA).total_memory
    hog = base.Deployment(
        how="",
        detect=lambda images: (torch.empty(len(images) * total // 10, dtype=torch.uint8, device=CUDA), ())[1],
        set_threshold=lambda *_: None,
    )
    size = _batch_size(hog, [torch.zeros(3, 8, 8)], Protocol(throughput_batch_size="auto"), CUDA)
    assert size in {4, 8}
