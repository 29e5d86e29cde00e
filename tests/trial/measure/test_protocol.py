"""The whole protocol on a fake device: what is repeated, what is flagged and why, and that every sample is kept."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from harness.data.annotations import Annotations
from harness.store.record import MeasurementWarning
from harness.trial.deploy.base import Deployment
from harness.trial.inputs.item import Item
from harness.trial.measure import interference, memory, protocol, stability
from harness.trial.measure.interference import SystemSample
from harness.trial.measure.protocol import MeasurementResult, loader_bound, measure
from harness.trial.measure.repeat import Bench, merge_warnings
from harness.trial.measure.timing import Sample
from tests.trial.measure.fakes import Device, make_protocol
from tests.trial.models.fakes import IncapableDetector

CPU = torch.device("cpu")


class _Items:
    """Images of 8 × 8, the last one with most boxes."""

    class_names: tuple[str, ...] = ("a",)
    annotations: Annotations | None = None

    def __init__(self, count: int = 20) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def path(self, index: int) -> str | None:
        return None

    def __getitem__(self, index: int) -> Item:
        none = torch.zeros(0)
        return Item(name=str(index), image=torch.zeros(3, 8, 8), boxes=none, labels=none, crowds=none, areas=none)


class _PhasedDetector(IncapableDetector):
    """A detector of three phases that take known times on the device."""

    def __init__(self, device: Device, parts: tuple[float, float, float]) -> None:
        super().__init__()
        self.device, self.parts = device, parts
        self.mark: Callable[[], None] = _no_mark

    def _take(self, part: int) -> None:
        self.device._seconds = lambda _call: self.parts[part]
        self.device.run([])

    def detect(self, images: Sequence[Tensor]) -> tuple[()]:
        for _ in images:
            self._take(0)
            self.mark()
            self._take(1)
            self.mark()
            self._take(2)
        return ()

    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        self.mark = mark
        yield
        self.mark = _no_mark


def _no_mark() -> None:
    pass


def _deployment(detect: Callable[..., Any], detector: _PhasedDetector | None = None) -> Deployment:
    return Deployment(how="", detect=detect, set_threshold=lambda *_: None, detector=detector)


def _measure(
    device: Device, deployment: Deployment, sample_system: Callable[[], SystemSample] | None = None
) -> MeasurementResult:
    bench = Bench(
        synchronize=device.synchronize, sample_system=sample_system or device.sample_system, clock=device.clock
    )
    return measure(deployment, _Items(), make_protocol(), bench=bench, device=CPU, thresholds=())


def test_a_quiet_device_raises_no_flag() -> None:
    """Each pass once; the numbers are the schedule's."""
    device = Device([0.01])
    found = _measure(device, _deployment(device.run))
    assert found.warnings == ()
    assert found.inference.repeats == {}
    assert found.inference.latency_s.median == pytest.approx(0.01, rel=1e-3)
    assert found.inference.throughput_images_per_s == pytest.approx(800, rel=1e-3)
    assert {sample.repeat for sample in found.samples} == {0}


def test_a_doubtful_pass_is_taken_three_times_at_most_and_kept() -> None:
    """Endless noise ends after two repetitions: there is a result, its flag says so, all three sets of samples stay."""
    rng = np.random.default_rng(0)
    device = Device(lambda _call: float(rng.uniform(0.005, 0.015)))
    found = _measure(device, _deployment(device.run))
    assert [warning.name for warning in found.warnings] == ["unstable"]
    assert "latency: timings of the same image have a std of" in found.warnings[0].reason
    assert "taken 3 times" in found.warnings[0].reason
    assert found.inference.repeats["latency"] == 2
    latency = [sample for sample in found.samples if sample.name == "latency"]
    assert [sum(sample.repeat == repeat for sample in latency) for repeat in range(3)] == [60, 60, 60]
    last = [sample.seconds for sample in latency if sample.repeat == 2]
    assert found.inference.latency_s.median == pytest.approx(float(np.median(last)))


def test_a_doubt_that_goes_away_is_no_flag() -> None:
    """The first taking is disturbed, the second is not: that one stands, unflagged, and says that it was the second."""
    device = Device(lambda call: 0.01 if call > 70 or call % 3 else 0.02)
    found = _measure(device, _deployment(device.run))
    assert found.warnings == ()
    assert found.inference.repeats == {"latency": 1}
    assert found.inference.latency_s.std < 1e-6


@pytest.mark.parametrize("asynchronous", [True, False])
def test_the_phases_sum_to_the_whole(*, asynchronous: bool) -> None:
    """2 ms, 10 ms and 3 ms, each with the device waited for at its borders; together the latency."""
    device = Device([0.0], asynchronous=asynchronous)
    detector = _PhasedDetector(device, (0.002, 0.010, 0.003))
    found = _measure(device, _deployment(detector.detect, detector))
    phases = found.inference.phases_s
    assert phases is not None
    medians = (phases.transform.median, phases.forward.median, phases.postprocess.median)
    assert medians == pytest.approx((0.002, 0.010, 0.003), rel=2e-3)
    assert sum(medians) == pytest.approx(found.inference.latency_s.median, rel=1e-3)
    assert found.warnings == ()
    assert detector.mark is _no_mark, "the pass leaves the detector as it was"


def test_images_of_different_cost_are_no_instability() -> None:
    """An image that takes three times as long every time says nothing against the timing."""
    samples = [
        Sample(name="latency", round=number, index=index, images=1, seconds=0.01 * (1 + 2 * (index % 2)))
        for number in (1, 2, 3)
        for index in range(20)
    ]
    assert stability.unstable_latency(samples) == ()


@pytest.mark.parametrize(
    ("rounds", "said"),
    [
        ([[1.0] * 9] * 3, None),
        ([[0.905, 1.095] * 30] * 3, None),
        ([[0.89, 1.11] * 30] * 3, "std of 11%"),
        ([[1.0, 1.0], [1.08, 1.08], [1.0, 1.0]], "rounds lie 8% apart"),
        ([[1.0, 1.0], [1.06, 1.06], [1.0, 1.0]], None),
    ],
)
def test_unstable_is_flagged_exactly_when_the_spread_is_large(rounds: list[list[float]], said: str | None) -> None:
    """From 10 % std among timings of one image, or more than 7 % between round medians; with the reason."""
    samples = [
        Sample(name="latency", round=number, index=0, images=1, seconds=seconds)
        for number, group in enumerate(rounds, start=1)
        for seconds in group
    ]
    warnings = stability.unstable_latency(samples)
    assert [warning.name for warning in warnings] == ([] if said is None else ["unstable"])
    assert said is None or said in warnings[0].reason


@pytest.mark.parametrize(("apart", "flagged"), [(1.06, False), (1.08, True)])
def test_throughput_is_unstable_when_its_rounds_are_apart(apart: float, *, flagged: bool) -> None:
    """More than 7 %."""
    samples = [
        Sample(name="throughput", round=number, index=0, images=8, seconds=seconds)
        for number, seconds in enumerate((1.0, apart, 1.0), start=1)
    ]
    assert bool(stability.unstable_throughput(samples)) is flagged


@pytest.mark.parametrize(("medians", "flagged"), [((0.2, 0.5, 0.21), False), ((0.2, 0.5, 0.1), True)])
def test_phases_that_do_not_sum_are_flagged(medians: tuple[float, ...], *, flagged: bool) -> None:
    """Beyond 10 % of the latency."""
    assert bool(stability.inconsistent_phases(medians, 1.0)) is flagged


_QUIET = (SystemSample(at_s=0.0), SystemSample(at_s=1.0), SystemSample(at_s=2.0))


def _looks(middle: dict[str, Any] | None = None, last: dict[str, Any] | None = None) -> list[SystemSample]:
    first: dict[str, Any] = dict.fromkeys(last or {}, 0.0)
    return [
        replace(_QUIET[0], **first, cores=2),
        replace(_QUIET[1], **(middle or {}), cores=2),
        replace(_QUIET[2], **(last or {}), cores=2),
    ]


@pytest.mark.parametrize(
    ("system_samples", "name", "said"),
    [
        (_looks(), None, ""),
        (_looks({"clock_fraction": 0.76}), None, ""),
        (_looks({"clock_fraction": 0.74}), "throttled", "fell to 74% of the default"),
        (_looks({"throttle_reasons": ("power cap",)}), "throttled", "power cap"),
        (_looks(last={"paused_s": 0.01}), None, ""),
        (_looks(last={"paused_s": 0.5}), "throttled", "paused it for 12%"),
        (_looks({"other_processes": (77,)}), "shared_device", "77"),
        (_looks(last={"others_s": 0.39}), None, ""),
        (_looks(last={"others_s": 0.44}), "shared_device", "other processes took 11% of the cores"),
    ],
)
def test_surroundings_raise_exactly_their_flag(system_samples: list[SystemSample], name: str | None, said: str) -> None:
    """Below 75 % of the clock, any reason for throttling, any foreign process, others above a tenth of the cores."""
    warnings = interference.interference_warnings(system_samples)
    assert [warning.name for warning in warnings] == ([name] if name else [])
    assert not name or said in warnings[0].reason


def test_an_idle_clock_before_a_pass_is_no_throttling() -> None:
    """A GPU that nothing runs on lowers its clock; one dip among many looks is no throttling either."""
    system_samples = [
        SystemSample(at_s=float(second), clock_fraction=0.2 if second in {0, 7} else 1.0) for second in range(20)
    ]
    assert interference.interference_warnings(system_samples) == ()
    assert [warning.name for warning in interference.interference_warnings(system_samples[6:9])] == ["throttled"]


def test_a_disturbed_pass_is_repeated_with_its_surroundings() -> None:
    """A foreign process during the first latency pass: taken again, without it, and clean."""
    device = Device([0.01])
    started = len(device.calls)

    def sample_system() -> SystemSample:
        return SystemSample(at_s=device.now * 1e-9, other_processes=(4711,) if len(device.calls) - started < 40 else ())

    found = _measure(device, _deployment(device.run), sample_system)
    assert found.warnings == ()
    assert found.inference.repeats == {"latency": 1}


def test_others_on_this_machine_are_seen() -> None:
    """What a process beside us takes counts as load of others, whatever else runs here; what we take does not."""
    before, own = interference.sample_system(CPU), time.process_time()
    children = os.times().children_user
    spinning = "import time; end = time.monotonic() + 1\nwhile time.monotonic() < end: pass"
    with subprocess.Popen((sys.executable, "-c", spinning)):
        while time.process_time() - own < 0.5:
            pass
    after = interference.sample_system(CPU)
    theirs = os.times().children_user - children
    assert before.others_s is not None
    assert after.others_s is not None
    seen, wall_s = after.others_s - before.others_s, after.at_s - before.at_s
    assert seen > theirs - 0.1
    assert seen + (time.process_time() - own) < wall_s * after.cores + 0.2


@pytest.mark.parametrize(("share", "flagged"), [(None, False), (0.10, False), (0.11, True)])
def test_loader_bound_is_more_than_a_tenth_of_training(share: float | None, *, flagged: bool) -> None:
    """With the share in the reason."""
    warnings = loader_bound(share)
    assert [warning.name for warning in warnings] == (["loader_bound"] if flagged else [])
    assert not flagged or "11%" in warnings[0].reason


def test_flags_of_one_name_are_one_flag() -> None:
    """Their reasons stand side by side, each once."""
    warnings = [
        MeasurementWarning(name="unstable", reason="a"),
        MeasurementWarning(name="throttled", reason="c"),
        MeasurementWarning(name="unstable", reason="b"),
    ]
    assert merge_warnings([*warnings, warnings[0]]) == (
        MeasurementWarning(name="unstable", reason="a; b"),
        MeasurementWarning(name="throttled", reason="c"),
    )


def test_the_search_for_a_batch_leaves_no_memory_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` finds the largest power of two that passes, then gives everything back before the next pass."""
    given_back: list[int] = []
    monkeypatch.setattr(memory, "reset_peak", lambda _device: given_back.append(1))
    monkeypatch.setattr(protocol, "_fits", lambda _deployment, _images, size, _device: size <= 16)
    device = Device([0.01])
    bench = Bench(synchronize=device.synchronize, sample_system=device.sample_system, clock=device.clock)
    found = protocol.measure(
        _deployment(device.run),
        _Items(),
        make_protocol(throughput_batch_size="auto"),
        bench=bench,
        device=CPU,
        thresholds=(),
    )
    assert found.inference.throughput_batch_size == 16
    assert given_back


def test_images_to_time_are_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A split of huge images is timed on as many as fit, and on at least one."""
    monkeypatch.setattr(protocol, "MAX_IMAGE_BYTES", 3 * 8 * 8 * 4 * 2)
    assert len(protocol.images_to_time(_Items(), 5)) == 2
    monkeypatch.setattr(protocol, "MAX_IMAGE_BYTES", 10)
    assert len(protocol.images_to_time(_Items(), 5)) == 1


def test_energy_is_the_mean_power_over_the_timed_seconds() -> None:
    """100 W over batches of 8 in 0.4 s are 5 J an image; a pass shorter than the counter's pace tells nothing."""
    for seconds, expected in ((0.4, 5.0), (0.01, None)):
        device = Device([seconds])

        def sample_system(device: Device = device) -> SystemSample:
            return SystemSample(at_s=device.now * 1e-9, joules=100 * device.now * 1e-9)

        found = _measure(device, _deployment(device.run), sample_system)
        assert found.inference.joules_per_image == (pytest.approx(expected, rel=1e-3) if expected else None)


def test_a_whole_pass_that_does_not_fit_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search saw less memory than the pass takes: half as many, instead of the end of the trial."""
    monkeypatch.setattr(protocol, "_batch_size", lambda *_: 32)
    device = Device([0.01])

    def run(batch: Sequence[Tensor]) -> tuple[()]:
        if len(batch) > 8:
            raise torch.cuda.OutOfMemoryError
        return device.run(batch)

    bench = Bench(synchronize=device.synchronize, sample_system=device.sample_system, clock=device.clock)
    auto = make_protocol(throughput_batch_size="auto")
    found = protocol.measure(_deployment(run), _Items(), auto, bench=bench, device=CPU, thresholds=())
    assert found.inference.throughput_batch_size == 8
    fixed = make_protocol(throughput_batch_size=32)
    with pytest.raises(torch.cuda.OutOfMemoryError):
        protocol.measure(_deployment(run), _Items(), fixed, bench=bench, device=CPU, thresholds=())


def test_a_container_has_only_what_it_may_take(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The smaller of what the machine has left and what the cgroup allows."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    of_machine = memory.available_bytes()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000\n")
    assert memory.cgroup_limit_bytes() is None
    assert memory.available_bytes() == pytest.approx(of_machine, rel=0.2)
    (tmp_path / "memory.max").write_text("5000\n")
    assert memory.available_bytes() == 4000
