"""In what environments differ, so that speeds from different ones are never ranked together without a word."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.store.record import Environment

# These fields do not affect speed by themselves: a harness that measures in another way has another version.
_NOT_SPEED = {"git_commit", "git_dirty", "torchmetrics", "hotcoco", "loader_workers"}


def differences(environments: Sequence[Environment]) -> tuple[str, ...]:
    """Return one text such as `torch 2.11 / 2.15` for each field in which the environments differ.

    A field that an older record lacks is no difference, except for `thread_waiting`: threads waited in another way
    before that field was recorded.
    """
    rows = [asdict(environment) for environment in environments]
    texts = []
    for name in rows[0] if rows else ():
        missing_counts = name == "thread_waiting"
        values = dict.fromkeys(row[name] for row in rows if missing_counts or row[name] is not None)
        if name not in _NOT_SPEED and len(values) > 1:
            listed = " / ".join("not recorded" if value is None else str(value) for value in values)
            texts.append(f"{name.replace('_', ' ')} {listed}")
    return tuple(texts)
