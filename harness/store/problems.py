"""What could not be read of a results folder: told in the log, and to whoever collects it for a page.

Readers go on without the file. Owns the way that a problem takes to the page, so that none is dropped in silence.
"""

from __future__ import annotations

import contextlib
import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

_collected: ContextVar[list[str] | None] = ContextVar("collected", default=None)


def note(problem: str) -> None:
    """Tell that a stored file cannot be read, and what is done without it; each text once in a collection."""
    told = _collected.get()
    if told is None or problem not in told:
        log.warning("%s", problem)
    if told is not None and problem not in told:
        told.append(problem)


@contextlib.contextmanager
def collected() -> Iterator[list[str]]:
    """Collect what is noted while the block runs, each text once; within another such block, its list goes on."""
    outer = _collected.get()
    if outer is not None:
        yield outer
        return
    problems: list[str] = []
    token = _collected.set(problems)
    try:
        yield problems
    finally:
        _collected.reset(token)
