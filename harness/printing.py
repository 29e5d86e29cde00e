"""Where a process of this program prints: text reaches a terminal as text, and nothing that is printed ends anything.

Names of files and classes, keys, and the texts of exceptions come from elsewhere. Once `protect` was called, nothing
in them is a command to the terminal, a character that the stream's encoding lacks is written in ASCII, and a reader
who has gone is written to no more. Colours and moving lines are `harness.observers.console`'s business.
"""

from __future__ import annotations

import codecs
import logging
import os
import sys
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

from harness.formatting import visible

_IN_ASCII = "harness.in_ascii"
# What the program's own texts have beyond ASCII: tests/test_printing.py finds any that is missing here.
_ASCII = str.maketrans({
    "…": "...", "–": "-", "—": "-", "−": "-", "×": "x", "÷": "/", "·": "-", "±": "+/-", "≤": "<=", "≥": ">=",
    "²": "^2", "√": "sqrt", "→": "->", "✓": "+", "✗": "x", "↻": "~", "★": "*", "☆": "*", "‡": "#", "◐": "o",
    "─": "-", "━": "=", "│": "|", "├": "|", "└": "`", "＋": "+", "－": "-", "＝": "=", "＠": "@",
})  # fmt: skip


class Output:
    r"""A text stream that is written to as long as that is possible; what it is given after that is lost.

    Args:
        stream: an open text stream.
        trusted: pass on control characters as well; else they are written as escapes such as `\x1b`.
    """

    def __init__(self, stream: TextIO, *, trusted: bool = False) -> None:
        self._stream, self._trusted = stream, trusted
        self._broken = False
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors=_IN_ASCII)

    def write(self, text: str) -> int:
        """Write it; returns its length."""
        shown = text if self._trusted else visible(text)
        if not self._broken:
            try:
                self._stream.write(shown)
            except OSError:
                self._broken = True
        return len(text)

    def flush(self) -> None:
        """Write what is held back."""
        if not self._broken:
            try:
                self._stream.flush()
            except OSError:
                self._broken = True

    def as_trusted(self) -> Output:
        """The same stream for a caller that writes control characters of its own and no text from elsewhere."""
        return Output(self._stream, trusted=True)

    def __getattr__(self, name: str) -> Any:
        if name in {"buffer", "detach", "reconfigure"}:  # or click would write past this stream
            raise AttributeError(name)
        return getattr(self._stream, name)


def protect() -> None:
    """Print through `Output` from now on, whatever writes to `sys.stdout` or `sys.stderr`: a last traceback too."""
    sys.stdout, sys.stderr = (cast("TextIO", _protected(stream)) for stream in (sys.stdout, sys.stderr))


def terminal(*, error: bool = False) -> TextIO:
    """The standard output, or error, for callers that write control characters of their own."""
    stream = sys.stderr if error else sys.stdout
    return cast("TextIO", _protected(stream).as_trusted())


def binary_output() -> BinaryIO:
    """The standard output for bytes, which pass unchanged."""
    stream = sys.stdout
    return cast("BinaryIO", (stream._stream if isinstance(stream, Output) else stream).buffer)  # noqa: SLF001


def show_warnings(name: str) -> None:
    """Let warnings of the logger `name` be printed as text where the program that imports us handles no logs."""
    logger = logging.getLogger(name)
    if not any(isinstance(handler, _LastResort) for handler in logger.handlers):
        logger.addHandler(_LastResort(logger))


class _LastResort(logging.Handler):
    """Prints what python would print for want of a handler, through `visible`."""

    def __init__(self, logger: logging.Logger) -> None:
        super().__init__(logging.WARNING)
        self._logger = logger
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        """Print it, unless others handle it; a command, which reads the same files many times, says it once."""
        if len(self._logger.handlers) > 1 or logging.getLogger().handlers:
            return
        text = visible(f"{self.format(record)}\n")
        if text not in self._said or not isinstance(sys.stderr, Output):
            sys.stderr.write(text)
        self._said.add(text)


def _protected(stream: TextIO | None) -> Output:
    if isinstance(stream, Output):
        return stream
    return Output(stream or Path(os.devnull).open("w", encoding="utf-8"))  # none: it was closed before python began


def _in_ascii(error: UnicodeError) -> tuple[str, int]:
    """How a codec writes what it cannot encode: in ASCII where that reads well, else as python's escapes."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "backslashreplace").decode(), error.end


codecs.register_error(_IN_ASCII, _in_ascii)
