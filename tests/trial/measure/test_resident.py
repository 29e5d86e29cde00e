"""A forked process can have the pages of files in memory that the process has which it was forked from."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import torch

from harness.trial.measure import resident


def _file_kb() -> int:
    found = re.search(r"RssFile:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


def test_a_fork_has_the_pages_of_files_again() -> None:
    """It begins with fewer, and then has as many, within a twentieth; torch's libraries are most of them."""
    torch.zeros(1)
    pages = resident.resident_file_pages()
    before = _file_kb()
    reader, writer = os.pipe()
    if (pid := os.fork()) == 0:
        first = _file_kb()
        resident.make_resident(pages)
        os.write(writer, f"{first} {_file_kb()}".encode())
        os._exit(0)
    os.waitpid(pid, 0)
    first, then = map(int, os.read(reader, 100).split())
    os.close(reader)
    os.close(writer)
    assert first < 0.7 * before
    assert then == pytest.approx(before, rel=0.05)


def test_where_the_system_does_not_tell_nothing_is_touched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A container may hide it: that costs a warning."""
    monkeypatch.setattr(resident, "_PROC", tmp_path)
    assert resident.resident_file_pages() == ()
    assert "leave out pages of files" in caplog.text
    resident.make_resident(())
