"""What every command shares: errors as one message and an exit code, and a bar where there is a wait."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from harness.errors import HarnessError, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FAILED = 1
_SIGNAL = 128  # a shell's exit code of a process that a signal ended, less the signal's number


@contextlib.contextmanager
def exit_codes() -> Iterator[None]:
    """One clear message instead of a traceback for whatever a user or a machine can cause."""
    try:
        yield
    except HarnessError as error:
        _die(str(error), error.exit_code)
    except Interrupted as asked:
        again = shlex.join(("harness", *sys.argv[1:]))
        _die(
            f"interrupted by {signal.Signals(asked.number).name}; finished trials are kept, and this command goes on "
            f"where they stopped:\n  {again}",
            _SIGNAL + asked.number,
        )
    except KeyboardInterrupt:
        _die("interrupted", _SIGNAL + signal.SIGINT)


@contextlib.contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the error stream while the block runs, if a person looks at it: call what comes with (done, all)."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from harness.observers.console import SafeConsole

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=SafeConsole(error=True), transient=True) as shown:
        task = shown.add_task(text, total=None)
        yield lambda done, all_: shown.update(task, completed=done, total=all_)


def _die(message: str, code: int) -> NoReturn:
    click.echo(f"Error: {message}", err=True)
    sys.exit(code)
