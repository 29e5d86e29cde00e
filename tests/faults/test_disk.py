"""A disk that fails or is full: the old state stays readable, the message names the disk, the run stops with exit 3."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import re
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import MachineError
from harness.store import files, record
from harness.trial.train.resume import States
from tests.conftest import TINY_RCNN
from tests.faults.runs import has_event, start, wait_for
from tests.store.make import make_record, make_trial

# All that a durable write asks of the system, as harness.store.files does it.
CALLS = ("open", "write", "fsync", "close", "link", "rename", "replace", "unlink")


def _refused_link(*_names: str) -> None:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


class _Failing:
    """Counts the system calls of a write, and fails one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, at: int, number: int, *, links: bool) -> None:
        self.seen: list[str] = []
        self._at, self._number = at, number
        if not links:
            patch.setattr(os, "link", _refused_link)
        for name in CALLS:
            patch.setattr(os, name, self._wrapped(name, getattr(os, name)))

    def _wrapped(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.seen.append(name)
            if len(self.seen) - 1 == self._at:
                if name == "close":
                    real(*arguments, **options)  # a close that fails has closed
                raise OSError(self._number, os.strerror(self._number))
            return real(*arguments, **options)

        return call


def _fail_each(
    write: Callable[[Path], None],
    folder: Path,
    number: int,
    *,
    before: Callable[[Path], None] = Path.mkdir,
    links: bool = True,
) -> Iterator[tuple[str, Path, str]]:
    """Let every system call of `write` fail in turn, each in a new folder: (the call, the folder, what was said)."""
    for at in itertools.count():
        into = folder / str(at)
        before(into)
        with pytest.MonkeyPatch.context() as patch:
            failing = _Failing(patch, at, number, links=links)
            try:
                write(into)
            except MachineError as error:
                said = str(error)
            else:
                assert at >= len(failing.seen), f"{failing.seen[at]} failed in silence"
                return
        yield failing.seen[at], into, said


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_record_is_whole_or_not_there(number: int, *, links: bool, tmp_path: Path) -> None:
    """Whichever system call of the commit fails: an error that names file and disk, and no torn record.

    So too where the file system has no hard links.
    """
    data = record.encode(record.RECORD, make_record(make_trial()))

    def commit(into: Path) -> None:
        files.commit(into / "record.json", data)

    failed = set()
    for call, folder, said in _fail_each(commit, tmp_path, number, links=links):
        failed.add(call)
        path = folder / "record.json"
        assert str(path) in said
        assert "the disk at /" in said
        assert not path.exists() or path.read_bytes() == data
    assert failed == {"open", "write", "fsync", "close", "link", "unlink"} | (set() if links else {"rename"})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_the_checkpoint_before_stays_readable(number: int, tmp_path: Path) -> None:
    """Whichever system call of a checkpoint fails: the one before it, or the new one, is loaded whole."""

    def state(step: int) -> dict[str, Any]:
        return {"step": step, "weights": torch.full((50,), float(step))}

    def save(into: Path) -> None:
        States(folder=into, trial_id="a").save(state(4), steps=4)

    def before(into: Path) -> None:
        for step in (1, 2, 3):
            States(folder=into, trial_id="a").save(state(step), steps=step)

    failed = set()
    for call, folder, said in _fail_each(save, tmp_path, number, before=before):
        failed.add(call)
        assert str(folder) in said
        assert "the disk at /" in said
        newest = States(folder=folder, trial_id="a").newest()
        assert newest is not None
        assert newest["step"] in {3, 4}
        assert torch.equal(newest["weights"], state(newest["step"])["weights"])
    assert failed == {"open", "write", "fsync", "close", "replace", "unlink"}


def _small_files() -> None:
    """In the child before it starts: as on a full disk, large writes end short and then fail."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000))


def test_a_checkpoint_that_does_not_fit_stops_the_run(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """It cannot be written: exit 3 naming it, the disk and how to go on; no record, no torn file, no failed trial."""
    results = tmp_path / "results"
    run = start(tiny_suite(architectures=TINY_RCNN), results, prepare=_small_files)
    output = run.output(timeout=240)
    assert run.returncode == 3, output
    assert re.search(r"training-\d+\.state: cannot be written: File too large; the disk at /.* free", output)
    assert "run the same command again" in output
    assert "Traceback" not in output
    assert not list(results.rglob("record.json"))
    assert not list(results.rglob("*.state"))
    assert not list(results.rglob(f"{files.TEMPORARY}*"))
    page = (results / "tiny" / "report.md").read_text()
    assert "0 of 1 trials measured, 1 left" in page
    assert "cannot be written: File too large" in page


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 900 MiB, where this test may mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ("mount", "-t", "tmpfs", "-o", "size=900m", "none", str(folder)), capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("may not mount; the file size limit above stands in")
    try:
        yield folder
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)


def test_a_disk_that_fills_up_in_the_night(tiny_suite: Callable[..., Path], small_disk: Path) -> None:
    """Full in the middle of training: exit 3, the last checkpoint whole; with room again the same command resumes."""
    often = "limits: {checkpoint_minutes: 0.01}\n"
    suite = tiny_suite(rest=f"hyperparameters: {{epochs: 100000, batch_size: 2, lr: 1e-4}}\nprotocol: quick\n{often}")
    results = small_disk / "results"
    run = start(suite, results)
    wait_for(lambda: bool(list(results.glob("tiny/trials/*/checkpoints/training-*.state"))), "a checkpoint")
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream, contextlib.suppress(OSError):
        while True:
            stream.write(bytes(2**20))
    output = run.output(timeout=60)
    assert run.returncode == 3, output
    assert f"the disk at {small_disk} has" in output
    assert "run the same command again" in output
    assert "Traceback" not in output

    ballast.unlink()
    run = start(suite, results)
    wait_for(lambda: has_event(results, '"resumed"'), "a resumption")
    run.send_signal(signal.SIGTERM)
    output = run.output(timeout=60)
    assert run.returncode == 143, output


def test_a_disk_that_is_too_small_is_told_before_the_start(tiny_suite: Callable[..., Path], small_disk: Path) -> None:
    """Checkpoints and weights of every trial are counted: nothing starts, exit 3 with what is needed and is free."""
    seeds = "hyperparameters: {epochs: 1, batch_size: 2}\nprotocol: quick\nseeds: [0, 1, 2, 3, 4, 5, 6, 7]\n"
    run = start(tiny_suite(architectures=TINY_RCNN, rest=seeds), small_disk / "results")
    output = run.output(timeout=60)
    assert run.returncode == 3, output
    assert re.search(
        r"8 trials will write up to 1\.\d GiB .*the disk at \S+ has \d+\.\d MiB of 900\.0 MiB free", output
    )
    assert not list(small_disk.rglob("attempts"))
