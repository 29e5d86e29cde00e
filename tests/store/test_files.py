"""Durable writes: whole or not at all, the first writer wins, and the disk's faults are told by its name."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from harness.errors import MachineError
from harness.store import files
from tests.conftest import ROOT


def test_a_commit_is_never_rewritten(tmp_path: Path) -> None:
    """The second commit of a name returns False and changes nothing; no temporary is left."""
    path = tmp_path / "record.json"
    assert files.commit(path, b"first")
    assert not files.commit(path, b"second")
    assert path.read_bytes() == b"first"
    assert os.listdir(tmp_path) == ["record.json"]


def test_of_many_racers_one_wins(tmp_path: Path) -> None:
    """Eight threads commit the same name: one winner, and its text is what lies there."""
    path = tmp_path / "record.json"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: files.commit(path, b"%d" % number), range(64)))
    assert won.count(True) == 1
    assert path.read_bytes() == b"%d" % won.index(True)


def test_replace_shows_old_or_new(tmp_path: Path) -> None:
    """Replacing overwrites, readable by all, and leaves no temporary."""
    path = tmp_path / "report.md"
    files.replace(path, b"old")
    files.replace(path, b"new")
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode & 0o777 == 0o644
    assert os.listdir(tmp_path) == ["report.md"]


@pytest.mark.parametrize(("mask", "mode"), [(0o077, 0o600), (0o022, 0o644), (0o002, 0o664)])
@pytest.mark.parametrize("write", [files.commit, files.replace])
def test_the_umask_is_kept(write: Callable[[Path, bytes], object], mask: int, mode: int, tmp_path: Path) -> None:
    """Whoever hides new files from others finds these hidden too."""
    before = os.umask(mask)
    try:
        write(tmp_path / "record.json", b"{}")
    finally:
        os.umask(before)
    assert (tmp_path / "record.json").stat().st_mode & 0o777 == mode


def test_a_derived_folder_follows_no_link(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What the link names stays as it is; a folder takes its place, and that is told."""
    outside, plots = tmp_path / "outside", tmp_path / "results" / "plots"
    outside.mkdir()
    plots.parent.mkdir()
    plots.symlink_to(outside)
    files.make_derived_folder(plots)
    files.replace(plots / "picture.svg", b"<svg/>")
    assert not list(outside.iterdir())
    assert not plots.is_symlink()
    assert f"is a link to {outside}, which is not followed" in caplog.text


def test_a_sweep_follows_no_link(tmp_path: Path) -> None:
    """A temporary of another folder is somebody else's."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / f"{files.TEMPORARY}x").touch()
    folder = tmp_path / "results"
    folder.mkdir()
    (folder / "link").symlink_to(outside)
    (folder / f"{files.TEMPORARY}y").touch()
    files.sweep(folder)
    assert list(outside.iterdir())
    assert os.listdir(folder) == ["link"]


@pytest.mark.parametrize("write", [files.commit, files.replace])
def test_a_full_disk_keeps_the_old_state(write: object, tmp_path: Path) -> None:
    """A write past the size limit (a short write, then an error, as on a full disk) names the file; nothing changes."""
    path = tmp_path / "report.md"
    files.replace(path, b"old")
    target = path if write is files.replace else tmp_path / "record.json"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(MachineError, match=str(target)):
            write(target, b"x" * 100_000)  # type: ignore[operator]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["report.md"]


def test_kill_9_leaves_whole_files_only(tmp_path: Path) -> None:
    """Killed at twenty moments while it rewrites and commits, a writer leaves no torn file under a final name."""
    code = (
        "import itertools, pathlib, sys\nfrom harness.store import files\n"
        f"folder = pathlib.Path({str(tmp_path)!r})\n"
        "for n in itertools.count():\n"
        "    files.replace(folder / 'report', b'%d ' % n * 20000)\n"
        "    files.commit(folder / f'record-{sys.argv[1]}-{n}', b'%d ' % n * 20000)\n"
    )
    for attempt in range(20):
        child = subprocess.Popen((sys.executable, "-c", code, str(attempt)), cwd=ROOT)
        while not (tmp_path / f"record-{attempt}-0").exists():
            time.sleep(0.005)
        time.sleep(0.002 * attempt)
        child.kill()
        child.wait()
    for path in tmp_path.iterdir():
        if not path.name.startswith(files.TEMPORARY):
            words = path.read_bytes().split()
            assert len(words) == 20000
            assert len(set(words)) == 1
    files.sweep(tmp_path)
    assert not list(tmp_path.glob(f"{files.TEMPORARY}*"))
