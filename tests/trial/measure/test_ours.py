"""Whose process is it? On bare metal, in a container whose ids are the host's, beside another, and under MIG."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from harness.trial.measure import interference, memory, nvml, ours
from harness.trial.measure.ours import Ours

CUDA = torch.device("cuda:0")
HERE = os.getpid()
HOST, PARENT, STRANGER = 1 << 22, (1 << 22) + 1, (1 << 22) + 2  # no ids of this machine


class Card:
    """A GPU whose driver lists these processes with their memory, and knows nothing else, as a MIG instance does."""

    def __init__(self, before: dict[int, int | None]) -> None:
        self.listed = before

    def processes(self) -> dict[int, int | None]:
        return self.listed

    def clock_fraction(self) -> None:
        return None

    def throttle_reasons(self) -> tuple[str, ...]:
        return ()

    def joules(self) -> None:
        return None


@pytest.fixture(autouse=True)
def _nothing_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ours, "_found", [])


def _start(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[int, int | None],
    after: dict[int, int | None],
    *,
    others: tuple[int, ...] = (),
    everywhere: bool = True,
) -> Card:
    """Begin on a device that lists `before`, and `after` once this process has made its first CUDA call."""
    card = Card(before)
    monkeypatch.setattr(nvml, "gpu", lambda _device: card)
    monkeypatch.setattr(nvml, "processes_everywhere", lambda: set(card.listed) if everywhere else None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _device: 1)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _device: 2)

    def start() -> None:
        card.listed = after

    ours.begin(CUDA, start, others=others)
    return card


@pytest.mark.parametrize(
    ("before", "after", "others", "own_bytes", "strangers"),
    [
        pytest.param({}, {HERE: 300}, (), 300, (), id="bare metal"),
        pytest.param({}, {HOST: 300}, (), 300, (), id="container"),
        pytest.param({STRANGER: 9}, {STRANGER: 9, HOST: 300}, (), 300, (STRANGER,), id="container, another beside"),
        pytest.param({STRANGER: 9}, {STRANGER: 9, HERE: 300}, (), 300, (STRANGER,), id="bare metal, another beside"),
        pytest.param({PARENT: 70}, {PARENT: 70, HOST: 300}, (PARENT,), 300, (), id="a variant in a container"),
        pytest.param({PARENT: 70}, {PARENT: 70, HERE: 300}, (PARENT,), 300, (), id="a variant on bare metal"),
        pytest.param(
            {PARENT: 70, STRANGER: 9},
            {PARENT: 70, STRANGER: 9, HOST: 300},
            (PARENT,),
            300,
            (STRANGER,),
            id="a variant in a container, another beside",
        ),
        pytest.param({}, {HOST: None}, (), None, (), id="MIG, or a driver that hides memory"),
        pytest.param({}, {}, (), None, (), id="a driver that hides processes"),
        pytest.param({}, {HOST: 300, STRANGER: 9}, (), None, (STRANGER,), id="two appeared at once"),
    ],
)
def test_each_process_is_told_apart(
    monkeypatch: pytest.MonkeyPatch,
    before: dict[int, int | None],
    after: dict[int, int | None],
    others: tuple[int, ...],
    own_bytes: int | None,
    strangers: tuple[int, ...],
) -> None:
    """Its driver memory is its own alone, not its parent's; only a stranger makes the device shared."""
    _start(monkeypatch, before, after, others=others)
    assert memory.read_peak(CUDA).peak_driver_bytes == own_bytes
    sample = interference.sample_system(CUDA)
    assert sample.other_processes == strangers
    warnings = interference.interference_warnings((sample, sample))
    assert [warning.name for warning in warnings] == (["shared_device"] if strangers else [])


def test_a_stranger_that_comes_later_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """What appeared with the first CUDA call stays this process, however often a trial begins in it."""
    card = _start(monkeypatch, {}, {HOST: 300})
    card.listed = {STRANGER: 9, HOST: 310}
    ours.begin(CUDA, lambda: None)
    assert ours.ours().strangers(card.listed) == (STRANGER,)
    assert ours.ours().memory_bytes(card.listed) == 310


def test_a_variant_is_told_whom_it_is_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its trial's process, and whatever that was told itself."""
    _start(monkeypatch, {PARENT: 1}, {PARENT: 1, HOST: 300}, others=(PARENT,))
    assert set(ours.ours().all) == {PARENT, HOST}


@pytest.mark.parametrize(
    ("listed", "strangers", "own_bytes"),
    [
        ({}, (), None),
        ({HOST: 5}, (), 5),  # the only one must be this one
        ({HOST: 5, STRANGER: 7}, (STRANGER,), None),
        ({HERE: 300, STRANGER: 5}, (STRANGER,), 300),
    ],
)
def test_a_driver_that_did_not_answer_before(
    monkeypatch: pytest.MonkeyPatch, listed: dict[int, int | None], strangers: tuple[int, ...], own_bytes: int | None
) -> None:
    """Then one process that is not known is taken for this one, and its memory is known only if there is no other."""
    _start(monkeypatch, {}, listed, everywhere=False)
    assert ours.ours().strangers(listed) == strangers
    assert ours.ours().memory_bytes(listed) == own_bytes


def test_a_cpu_is_started_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """No driver is asked."""
    started: list[bool] = []
    ours.begin(torch.device("cpu"), lambda: started.append(True))
    assert started == [True]
    assert ours.ours() == Ours()


def test_our_children_are_ours_and_another_session_is_not() -> None:
    """A loader or a variant counts, a trial beside us does not."""
    script = (sys.executable, "-c", "input()")
    with (
        subprocess.Popen(script, stdin=subprocess.PIPE) as child,
        subprocess.Popen(script, stdin=subprocess.PIPE, start_new_session=True) as beside,
    ):
        assert ours.in_this_session(child.pid)
        assert not ours.in_this_session(beside.pid)
        child.communicate(b"\n")
        beside.communicate(b"\n")
