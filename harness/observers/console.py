"""A console to print to for hours: its reader may go away and its disk may fill up, and neither ends a run."""

from __future__ import annotations

import sys
from typing import Any, TextIO, cast

from rich.console import Console


class TolerantConsole(Console):
    """Prints to the standard output, and to nowhere once that cannot be written."""

    def __init__(self) -> None:
        super().__init__(file=cast("TextIO", _TolerantStream(sys.stdout)))


class _TolerantStream:
    """A text stream that drops what it is given once it could not be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._broken = False

    def write(self, text: str) -> int:
        if not self._broken:
            try:
                self._stream.write(text)
            except OSError:
                self._broken = True
        return len(text)

    def flush(self) -> None:
        if not self._broken:
            try:
                self._stream.flush()
            except OSError:
                self._broken = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
