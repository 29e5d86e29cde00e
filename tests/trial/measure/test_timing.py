"""Timings hold what their definitions say: a fake clock and a fake device make every sample known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from harness.store.record import distribution
from harness.trial.measure import memory, timing
from harness.trial.measure.protocol import count_flops, summary
from tests.trial.measure.fakes import LAUNCH_NS, Device, images, make_protocol


@pytest.mark.parametrize("asynchronous", [True, False])
def test_latency_waits_for_the_device_at_both_edges_and_leaves_warm_up_out(*, asynchronous: bool) -> None:
    """Each sample is one image's own time on the device; the slow warm-up is in none of them."""
    device = Device([5.0] * 10 + [0.01] * 500, asynchronous=asynchronous)
    samples = timing.latency(device.run, images((8, 8)), make_protocol(), device.stopwatch())
    assert len(device.calls) == 10 + len(samples)
    assert len(samples) == 3 * 20
    assert {round(sample.seconds * 1e9) for sample in samples} == {10_000_000 + LAUNCH_NS}
    assert sorted({sample.round for sample in samples}) == [1, 2, 3]


@pytest.mark.parametrize("asynchronous", [True, False])
def test_a_known_distribution_comes_back(*, asynchronous: bool) -> None:
    """Log-normal times with a tail: median, p95, p99, IQR, mean and std are the schedule's, to the nanosecond."""
    rng = np.random.default_rng(0)
    seconds = rng.lognormal(np.log(0.02), 0.3, 3 * 400).round(9)
    device = Device([0.5] * 10 + seconds.tolist(), asynchronous=asynchronous)
    samples = timing.latency(device.run, images((8, 8)), make_protocol(latency_images=400), device.stopwatch())
    found, known = summary(samples), seconds + LAUNCH_NS * 1e-9
    low, median, high, p95, p99 = np.percentile(known, (25, 50, 75, 95, 99))
    assert found.n == 1200
    assert (found.median, found.p95, found.p99, found.iqr) == pytest.approx((median, p95, p99, high - low), abs=2e-9)
    assert (found.mean, found.std) == pytest.approx((known.mean(), known.std(ddof=1)), abs=2e-9)
    assert found.round_medians == pytest.approx([np.median(part) for part in np.split(known, 3)], abs=2e-9)


def test_every_shape_is_warmed_up_once() -> None:
    """Twelve shapes mean twelve warm-up runs, each before its first timing; one shape means the protocol's ten."""
    device = Device([0.01])
    sizes = [(8, 8 + index) for index in range(12)]
    timing.latency(device.run, images(*sizes, (8, 8)), make_protocol(), device.stopwatch())
    assert len(set(device.calls[:12])) == 12
    assert len(device.calls) == 12 + 3 * 20


def test_latency_goes_on_until_its_seconds_are_full() -> None:
    """At least the images, and at least the seconds, over all rounds together, cycling through the images."""
    device = Device([0.05])
    samples = timing.latency(device.run, images((8, 8), (8, 9)), make_protocol(latency_s=6.0), device.stopwatch())
    assert sum(sample.seconds for sample in samples) == pytest.approx(6.0, rel=0.03)
    assert [sample.index for sample in samples[:4]] == [0, 1, 0, 1]


def test_throughput_is_images_over_wall_time() -> None:
    """Batches of four at 0.2 s are 20 images/s whatever batch 1 takes; every image is used, in each of three rounds."""
    device = Device([0.2])
    samples = timing.throughput(device.run, images(*[(8, 8)] * 10), make_protocol(), 4, device.stopwatch())
    assert {len(call) for call in device.calls} == {4}
    for number in (1, 2, 3):
        assert [sample.index for sample in samples if sample.round == number] == [0, 4, 8]
    assert timing.images_per_s(samples) == pytest.approx(20.0, rel=1e-4)


def test_settings_take_turns() -> None:
    """A device that slows down over time slows every setting alike."""
    device = Device(lambda call: 0.01 * (1 + call / 100))
    found = timing.by_setting(
        (0.001, 0.3), lambda _: None, device.run, images(*[(8, 8)] * 20), name=str,
        stopwatch=device.stopwatch(),
    )  # fmt: skip
    low, high = (np.mean([sample.seconds for sample in samples]) for samples in found.values())
    assert high / low == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("fits", "maximum", "size"),
    [(lambda n: n <= 48, 1024, 32), (lambda n: n <= 64, 1024, 64), (lambda _: True, 256, 256), (lambda _: False, 9, 1)],
)
def test_the_largest_batch_is_found_by_doubling(fits: Callable[[int], bool], maximum: int, size: int) -> None:
    """The largest power of two that fits, and never a try beyond the first that does not."""
    tried: list[int] = []

    def try_(number: int) -> bool:
        tried.append(number)
        return fits(number)

    assert timing.largest_power_of_two(try_, maximum=maximum) == size
    assert tried == [2**power for power in range(1, len(tried) + 1)]
    assert all(fits(number) for number in tried[:-1])


def test_distribution_is_numpys() -> None:
    """Median, p95, IQR, std over all rounds together; each round's own median; n; p99 only from 1,000 samples."""
    found = distribution([[1.0, 2.0, 3.0], [4.0, 5.0, 100.0]])
    assert (found.median, found.n, found.round_medians, found.p99) == (3.5, 6, (2.0, 5.0), None)
    assert found.p95 == pytest.approx(76.25)
    assert found.iqr == pytest.approx(2.5)
    assert found.mean == pytest.approx(115 / 6)
    assert found.std == pytest.approx(39.625, abs=1e-3)
    assert distribution([[1.0] * 1000]).p99 == 1.0


def test_operations_are_counted_as_two_for_a_multiply_and_an_add() -> None:
    """One 3×3 convolution from 3 to 4 channels on 8 × 8 pixels."""
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    flops = count_flops(layer, lambda batch: layer(batch[0][None]), torch.zeros(3, 8, 8))
    assert flops == 2 * 8 * 8 * 4 * 3 * 9


class _Scaled(nn.Module):
    """Calls a module with one of its parameters, as YOLOS does with its positions."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.layer = nn.Parameter(torch.ones(1, 4)), nn.Linear(4, 4, bias=False)

    def forward(self, images: list[torch.Tensor]) -> torch.Tensor:
        scaled: torch.Tensor = self.layer(self.scale) * images[0].mean()
        return scaled


def test_operations_on_a_parameter_alone_are_counted() -> None:
    """In inference, where it has no gradients."""
    model = _Scaled()
    assert count_flops(model, torch.inference_mode()(model), torch.zeros(3, 8, 8)) == 2 * 4 * 4


def test_a_network_whose_operations_cannot_be_counted_is_measured_all_the_same() -> None:
    """None, and a warning in the log: by then it is trained."""

    def fails(_batch: object) -> None:
        raise RuntimeError("no tracing here")

    assert count_flops(_Scaled(), fails, torch.zeros(3, 8, 8)) is None


def test_memory_passes_are_apart() -> None:
    """The peak of a pass holds what it allocated, and the next pass starts without it."""
    device = torch.device("cpu")
    memory.reset_peak(device)  # else the block may lie in what an earlier test left resident
    before = memory.read_peak(device).peak_resident_bytes
    block = torch.ones(40_000_000)
    during = memory.read_peak(device).peak_resident_bytes
    del block
    memory.reset_peak(device)
    after = memory.read_peak(device).peak_resident_bytes
    assert before is not None
    assert during is not None
    assert after is not None
    assert during - before > 120_000_000
    assert during - after > 120_000_000
