"""Processes that work for this one and end with it, however it ends: nothing of them holds its output or its memory.

Owns how they are started, and the thread by which each notices that its parent is gone. Trials and their variants are
started and watched by `harness.processes`; a trial's loaders are torch's, but started as here.
`python -m harness.workers MODULE …` is `python -m MODULE …` that ends with whoever started it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import runpy
import signal
import stat
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")
R = TypeVar("R")

_STARTING = threading.Lock()


def map_in_processes(
    function: Callable[[T], R], items: Sequence[T], *, processes: int, at_once: int = 1
) -> Iterator[R]:
    """Yield `function(item)` for each item, in order; the processes end when the last one is taken.

    They are spawned, not forked: a progress bar's thread may hold a lock that a forked copy would wait for forever.

    Args:
        at_once: how many items a process takes at a time.

    Raises:
        BrokenProcessPool: one of them was killed.
    """
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_begin) as pool:
        with without_main():
            results = pool.map(function, items, chunksize=at_once)
        yield from results


@contextlib.contextmanager
def without_main() -> Iterator[None]:
    """Let processes that start in this block not run the main module of this one again.

    A process that is not forked does that first, and a user's script without `if __name__ == "__main__"` would begin
    the same work once more in each of them. What is sent to them must not be defined in the main module.
    """
    main = sys.modules["__main__"]
    with _STARTING:
        spec, file = main.__spec__, getattr(main, "__file__", None)
        main.__spec__ = main.__file__ = None
        try:
            yield
        finally:
            main.__spec__, main.__file__ = spec, file


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end with it: a pipe whose other end it alone holds tells."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None
    _end_with(parent.sentinel)


def _end_with(sentinel: int) -> None:
    def end() -> None:
        wait([sentinel])
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


if __name__ == "__main__":
    if stat.S_ISFIFO(os.fstat(0).st_mode) and os.getpgrp() == os.getpid():  # else it was started by hand
        _end_with(0)  # a pipe whose other end its parent holds, and never writes to
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
