"""The one console: what is drawn on it stays text, whatever the terminal's encoding."""

from __future__ import annotations

import io
import os
import pty

import pytest
from rich.table import Table
from rich.text import Text

from harness.observers import live, plain
from harness.observers.console import SafeConsole
from tests.clock import SteppedClock
from tests.observers.test_live import _play

HOSTILE = "x\x1b]52;c;cm0=\x07\x1b[2J\x9b\u202e\u200b\rК×"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
def test_texts_tables_and_lines_stay_text(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also markup and codes of pictures in names; and a table's lines stay below each other."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding=encoding))
    console = SafeConsole()
    table = Table("name", "value")
    table.add_row(HOSTILE, Text(HOSTILE, "red"))
    for thing in (table, HOSTILE, Text(HOSTILE), "[red]a[/red] :dog:"):
        console.print(thing)
    console.say(HOSTILE)
    said = raw.getvalue().decode(encoding)
    assert all(letter.isprintable() or letter == "\n" for letter in said)
    assert "[red]a[/red] :dog:" in said
    if encoding == "utf-8":
        assert len({len(line) for line in said.splitlines()[:5]}) == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_the_views_live_on_any_terminal(encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The live view with its bar and its marks, and the plain one, with a reason that a terminal would obey."""
    ours, theirs = pty.openpty()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(theirs, "w", encoding=encoding) as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        console = SafeConsole()
        assert console.is_terminal
        for view in (live.LiveView(console), plain.PlainView(console)):
            _play(view, SteppedClock(), reason=f"{HOSTILE}\n2026-01-01 forged line")
        monkeypatch.undo()
        os.set_blocking(ours, False)
        said = os.read(ours, 1 << 20).decode(encoding)
    os.close(ours)
    assert "\x1b]" not in said
    assert "\x1b[2J" not in said
    assert not [line for line in said.splitlines() if line.lstrip("\r\x1b[2K").startswith("2026-01-01 forged")]
    assert "hung:" in said


def test_a_console_without_a_reader_prints_nowhere() -> None:
    """Not even rich's own end of the program at a broken pipe."""
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", stream)
        console = SafeConsole()
        console.say("lost")
        console.say("lost")
        patch.undo()
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # so that it can be closed
