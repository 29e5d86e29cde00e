"""What a process that measures is given."""

from __future__ import annotations

import os

from harness.executors.environment import available_cores


def test_cores_are_those_this_process_may_use() -> None:
    """At least one, and never more than its affinity."""
    assert 1 <= available_cores() <= len(os.sched_getaffinity(0))
