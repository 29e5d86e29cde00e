"""Which environments differ, and in what: speeds of different ones are never ranked together in silence."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.store.record import Environment

# Says nothing of speed by itself: a harness that measures otherwise has another version.
_NOT_SPEED = {"git_commit", "git_dirty", "torchmetrics", "loader_workers"}


def differences(environments: Sequence[Environment]) -> tuple[str, ...]:
    """`torch 2.11 / 2.15`, for each field in which they differ; what an older record does not tell is no difference.

    But for how threads wait: before that was recorded they waited otherwise.
    """
    rows = [asdict(environment) for environment in environments]
    found = []
    for name in rows[0] if rows else ():
        told = name == "thread_waiting"
        values = dict.fromkeys(row[name] for row in rows if told or row[name] is not None)
        if name not in _NOT_SPEED and len(values) > 1:
            said = " / ".join("not told" if value is None else str(value) for value in values)
            found.append(f"{name.replace('_', ' ')} {said}")
    return tuple(found)
