"""A problem reaches the log, and whoever collects it, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.store.problems import collected, note

if TYPE_CHECKING:
    import pytest


def test_each_text_is_collected_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A block within a block adds to the outer one's list; without a block, every text is told."""
    with collected() as outer:
        note("a")
        with collected() as inner:
            note("b")
        note("a")
    assert outer == inner == ["a", "b"]
    assert [record.message for record in caplog.records] == ["a", "b"]
    note("a")
    assert outer == ["a", "b"]
    assert len(caplog.records) == 3
