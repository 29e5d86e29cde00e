"""Without hard links the first writer wins just the same; symbolic links carry nothing out of the results folder."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

import pytest

from harness.errors import MachineError, UsageError
from harness.store import files, links
from tests.conftest import ROOT


@pytest.fixture(params=[errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV])
def asked_for_links(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A file system that refuses hard links, and how often it was asked for one."""
    asked: list[str] = []

    def refuse(_file: str, name: str) -> NoReturn:
        asked.append(name)
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(os, "link", refuse)
    return asked


def test_a_commit_without_links_is_never_rewritten(asked_for_links: list[str], tmp_path: Path) -> None:
    """The second commit changes nothing, no temporary is left, and the folder is asked for a link once only."""
    path = tmp_path / "record.json"
    assert files.commit(path, b"first")
    assert not files.commit(path, b"second")
    assert files.commit(tmp_path / "outcome.json", b"third")
    assert path.read_bytes() == b"first"
    assert sorted(os.listdir(tmp_path)) == ["outcome.json", "record.json"]
    assert len(asked_for_links) == 1


def test_of_many_racers_without_links_one_wins(asked_for_links: list[str], tmp_path: Path) -> None:
    """Eight threads commit the same name: one winner, and its text is what lies there."""
    path = tmp_path / "record.json"
    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(lambda number: files.commit(path, b"%d" % number), range(64)))
    assert won.count(True) == 1
    assert path.read_bytes() == b"%d" % won.index(True)
    assert os.listdir(tmp_path) == ["record.json"]


WRITER = """
import errno, itertools, os, pathlib, sys
from harness.store import files
def refuse(*names):
    raise PermissionError(errno.EPERM, "no links")
os.link = refuse
folder = pathlib.Path(sys.argv[1])
for n in itertools.count():
    won = files.commit(folder / f"record-{n}", (sys.argv[2] + " ").encode() * 20000)
    print(f"{n} {won}", flush=True)
"""


def test_kill_9_without_links_loses_nothing_and_blocks_nobody(tmp_path: Path) -> None:
    """Two processes commit the same names and one is killed at ten moments: whole files, one winner each, and on."""
    for attempt in range(10):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        writers = [
            subprocess.Popen(
                (sys.executable, "-c", WRITER, str(folder), name), cwd=ROOT, stdout=subprocess.PIPE, text=True
            )
            for name in ("first", "second")
        ]
        for writer in writers:
            assert writer.stdout is not None
            writer.stdout.readline()
        time.sleep(0.003 * attempt)
        writers[0].kill()
        before = len(os.listdir(folder))
        deadline = time.monotonic() + 20
        while len(os.listdir(folder)) < before + 5:  # the other one is not held up by what the killed one left
            assert time.monotonic() < deadline
            time.sleep(0.01)
        writers[1].kill()
        won = [{line for line in writer.communicate()[0].splitlines() if line.endswith("True")} for writer in writers]
        assert not won[0] & won[1]
        for path in folder.iterdir():
            if not path.name.startswith(files.TEMPORARY):
                words = path.read_bytes().split()
                assert len(words) == 20000
                assert len(set(words)) == 1
        files.sweep(folder)
        assert not list(folder.glob(f"{files.TEMPORARY}*"))


def test_any_other_failure_of_a_link_is_no_missing_link(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A disk that fails is told as one."""

    def fail(*_names: str) -> NoReturn:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "link", fail)
    with pytest.raises(MachineError, match="Input/output error"):
        files.commit(tmp_path / "record.json", b"first")
    assert not os.listdir(tmp_path)


def test_whether_there_are_hard_links(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is tried, and nothing stays of the trial."""
    assert links.has_hard_links(tmp_path)

    def refuse(*_names: str) -> NoReturn:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    assert not links.has_hard_links(tmp_path)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("place", ["trials", "trials/a", "trials/a/attempts", "trials/a/checkpoints", "trials/a/x/y"])
def test_links_out_of_the_folder_are_refused(place: str, tmp_path: Path) -> None:
    """Wherever one lies on the way to what will be written: named, with what to do."""
    root, outside = tmp_path / "results", tmp_path / "outside"
    (outside / "a" / "attempts").mkdir(parents=True)
    link = root / place
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(UsageError, match=f"leads out of {root}, to {outside}") as refused:
        links.refuse_links_out(root, (root / "trials" / "a",))
    assert "--results" in str(refused.value)


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    """Nothing leaves the folder by them, nor by a results folder that is a link itself."""
    (tmp_path / "big" / "trials" / "a").mkdir(parents=True)
    root = tmp_path / "results"
    root.symlink_to(tmp_path / "big")
    (root / "trials" / "b").symlink_to(root / "trials" / "a")
    links.refuse_links_out(root, (root / "trials" / "a", root / "trials" / "b", root / "races"))
