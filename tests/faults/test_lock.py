"""One writer: a second run of the same results is refused with the name of the first; a dead one holds nothing."""

from __future__ import annotations

import os
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.store import lock
from tests.faults.runs import leader_of, start, trials_of, wait_for

LONG = "hyperparameters: {epochs: 100000, batch_size: 2, lr: 1e-4}\nprotocol: quick\n"


def test_two_runs_of_one_suite(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """The second: exit 4, with host, process and since when, and nothing touched. After kill −9 the lock is free."""
    suite, results = tiny_suite(rest=LONG), tmp_path / "results"
    first = start(suite, results)
    leader_of(results)
    holder = lock.holder(results / "tiny" / "lock.json")
    assert holder is not None
    assert (holder.host, holder.pid) == (socket.gethostname(), first.pid)
    plan = (results / "tiny" / "plan.json").stat()
    second = start(suite, results)
    output = second.output(timeout=60)
    assert second.returncode == 4, output
    assert re.search(rf"another run writes here: process {first.pid} on {socket.gethostname()}, since 20\d\d-", output)
    assert (results / "tiny" / "plan.json").stat() == plan
    assert first.poll() is None

    first.kill()
    first.output()
    wait_for(lambda: not trials_of(results), "the end of the trial's processes", seconds=10)
    assert lock.holder(results / "tiny" / "lock.json") is None
    third = start(suite, results)
    wait_for(lambda: bool(trials_of(results)), "the next run's trial")
    third.send_signal(signal.SIGTERM)
    output = third.output(timeout=60)
    assert third.returncode == 143, output


def test_a_text_of_somebody_dead_is_no_lock(tmp_path: Path) -> None:
    """What a machine that lost its power left in the file keeps nobody out."""
    path = tmp_path / "lock.json"
    path.write_text('{"host": "elsewhere", "pid": 4, "since": "2020-01-01T00:00:00+00:00"}\n')
    with lock.locked(path):
        held = lock.holder(path)
        assert held is not None
        assert held.pid == os.getpid()
    assert lock.holder(path) is None


@pytest.mark.parametrize(
    "content", [b"", b"[" * 4096, b'{"host": 1, "pid": "x", "since": 5}', b'{"host": "h", "pid": 1, "since": "now"}']
)
def test_a_damaged_lock_names_no_holder(tmp_path: Path, content: bytes) -> None:
    """Nobody holds it, so `harness status` must neither end nor name somebody."""
    path = tmp_path / "lock.json"
    path.write_bytes(content)
    assert lock.holder(path) is None
    assert lock.holder(tmp_path) is None
