"""The protocol of where a trial runs, and what an attempt comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.store.job import Attempt


Event = Mapping[str, Any]
OnEvent = Callable[[Event | None], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a child may go without progress, and how long it may take in all; seconds."""

    hang_s: float
    total_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptResult:
    """How an attempt ended, and whether its trial has a record now."""

    attempt: Attempt
    recorded: bool
