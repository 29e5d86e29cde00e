"""Timings hold what their definitions say: a fake clock and a fake device make every sample known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.store.record import distribution
from harness.suite.spec import Protocol
from harness.trial import measure


class _Device:
    """A clock in nanoseconds, and a device that works asynchronously: only `synchronize` waits for it."""

    def __init__(self, seconds: Sequence[float]) -> None:
        self.now = 0
        self.busy_until = 0
        self.calls: list[tuple[tuple[int, ...], ...]] = []
        self.outside = 0
        self._seconds = list(seconds)

    def run(self, images: Sequence[Tensor]) -> object:
        seconds = self._seconds[len(self.calls) % len(self._seconds)]
        self.calls.append(tuple(tuple(image.shape) for image in images))
        self.now += 1000
        self.busy_until = max(self.now, self.busy_until) + int(seconds * 1e9)
        return None

    def synchronize(self) -> None:
        self.now = max(self.now, self.busy_until)

    def clock(self) -> int:
        return self.now


def _images(*sizes: tuple[int, int]) -> list[Tensor]:
    return [torch.zeros(3, *size) for size in sizes]


def _protocol(**changes: Any) -> Protocol:
    quick = {"rounds": 3, "warmup": 10, "latency_images": 20, "latency_s": 0.0, "throughput_s": 0.0}
    return Protocol(**{**quick, **changes})


def test_latency_waits_for_the_device_at_both_edges_and_leaves_warm_up_out() -> None:
    """Each sample is one image's own time on the device; the slow warm-up is in none of them."""
    device = _Device([5.0] * 10 + [0.01] * 500)
    samples = measure.time_latency(
        device.run, _images((8, 8)), _protocol(), synchronize=device.synchronize, clock=device.clock
    )
    assert len(device.calls) == 10 + len(samples)
    assert len(samples) == 3 * 20
    assert {round(sample.seconds, 5) for sample in samples} == {0.01}
    assert sorted({sample.round for sample in samples}) == [1, 2, 3]


def test_every_shape_is_warmed_up_once() -> None:
    """Twelve shapes mean twelve warm-up runs, each before its first timing; one shape means the protocol's ten."""
    images = _images(*((8, 8 + index) for index in range(12)), (8, 8))
    device = _Device([0.01])
    measure.time_latency(device.run, images, _protocol(), synchronize=device.synchronize, clock=device.clock)
    assert len(set(device.calls[:12])) == 12
    assert len(device.calls) == 12 + 3 * 20


def test_latency_goes_on_until_its_seconds_are_full() -> None:
    """At least the images, and at least the seconds, over all rounds together, cycling through the images."""
    device = _Device([0.05])
    samples = measure.time_latency(
        device.run,
        _images((8, 8), (8, 9)),
        _protocol(latency_s=6.0),
        synchronize=device.synchronize,
        clock=device.clock,
    )
    assert sum(sample.seconds for sample in samples) == pytest.approx(6.0, rel=0.03)
    assert [sample.index for sample in samples[:4]] == [0, 1, 0, 1]


def test_throughput_is_images_over_wall_time() -> None:
    """Batches of four at 0.2 s are 20 images/s whatever batch 1 takes; every image is used."""
    device = _Device([0.2])
    samples = measure.time_throughput(
        device.run,
        _images(*[(8, 8)] * 10),
        _protocol(throughput_batch_size=4),
        synchronize=device.synchronize,
        clock=device.clock,
    )
    assert {len(call) for call in device.calls} == {4}
    assert {sample.index for sample in samples} == {0, 4, 8}
    assert measure.throughput(samples) == pytest.approx(20.0, rel=1e-4)


def test_distribution_is_numpys() -> None:
    """Median, p95, IQR, sd over all rounds together; each round's own median; n."""
    found = distribution([[1.0, 2.0, 3.0], [4.0, 5.0, 100.0]])
    assert (found.median, found.n, found.round_medians) == (3.5, 6, (2.0, 5.0))
    assert found.p95 == pytest.approx(76.25)
    assert found.iqr == pytest.approx(2.5)
    assert found.mean == pytest.approx(115 / 6)
    assert found.sd == pytest.approx(39.625, abs=1e-3)


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([[1.0, 1.01, 0.99]] * 3, None),
        ([[1.0, 1.5, 0.5]] * 3, "sd is"),
        ([[1.0, 1.0], [1.08, 1.08], [1.0, 1.0]], "rounds lie 8% apart"),
        ([[1.0, 1.0], [1.06, 1.06], [1.0, 1.0]], None),
    ],
)
def test_unstable_is_flagged_exactly_when_the_spread_is_large(rounds: list[list[float]], said: str | None) -> None:
    """From 10 % sd, or more than 7 % between round medians; with the reason."""
    flags = measure.instability(distribution(rounds))
    assert [flag.name for flag in flags] == ([] if said is None else ["unstable"])
    assert said is None or said in flags[0].reason


def test_operations_are_counted_as_two_for_a_multiply_and_an_add() -> None:
    """One 3×3 convolution from 3 to 4 channels on 8 × 8 pixels."""
    layer = nn.Conv2d(3, 4, 3, padding=1, bias=False)
    flops = measure.count_flops(lambda images: layer(images[0][None]), torch.zeros(3, 8, 8))
    assert flops == 2 * 8 * 8 * 4 * 3 * 9


def test_memory_passes_are_apart() -> None:
    """The peak of a pass holds what it allocated, and the next pass starts without it."""
    device = torch.device("cpu")
    measure.free_unused(device)  # else the block may lie in what an earlier test left resident
    measure.reset_peak(device)
    before = measure.read_peak(device).peak_resident_bytes
    block = torch.ones(40_000_000)
    during = measure.read_peak(device).peak_resident_bytes
    del block
    measure.free_unused(device)
    measure.reset_peak(device)
    after = measure.read_peak(device).peak_resident_bytes
    assert before is not None
    assert during is not None
    assert after is not None
    assert during - before > 120_000_000
    assert during - after > 120_000_000


def test_images_to_time_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A split of huge images is timed on as many as fit, and on at least one."""
    from harness.trial.dataset import Item

    class _Items:
        class_names: tuple[str, ...] = ("a",)
        annotations = None

        def __len__(self) -> int:
            return 9

        def __getitem__(self, index: int) -> Item:
            none = torch.zeros(0)
            return Item(name="", image=torch.zeros(3, 10, 10), boxes=none, labels=none, crowds=none, areas=none)

    monkeypatch.setattr(measure, "MOST_IMAGE_BYTES", 2500)
    assert len(measure.images_to_time(_Items(), 5)) == 2
    monkeypatch.setattr(measure, "MOST_IMAGE_BYTES", 10)
    assert len(measure.images_to_time(_Items(), 5)) == 1
