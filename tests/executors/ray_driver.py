"""python -m tests.executors.ray_driver ADDRESS SUITE RESULTS SECONDS: run a suite on a Ray cluster, by short scripts.

A process of its own, for a test to kill. Each script works for so many seconds, event by event, and commits a record.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from harness import api
from harness.executors.ray import RayExecutor
from harness.observers.plain import PlainView
from tests.conftest import ROOT

SCRIPT = f"""
import pathlib, sys, time
sys.path.insert(0, {str(ROOT)!r})
from harness.store.events import StageEvent, encode_event
from harness.workers import _end_with
from tests.executors.scripted import commit_made_record
_end_with(0)  # as a trial's process ends with its runner
seconds, folder = float(sys.argv[1]), pathlib.Path(sys.argv[2])
until = time.monotonic() + seconds
while time.monotonic() < until:
    with (folder / "events.jsonl").open("a") as events:
        events.write(encode_event(StageEvent(stage="train")))
    time.sleep(0.2)
if not (folder / "outcome.json").exists():  # else it was given up, as a trial sees too
    commit_made_record(folder)
"""


def main() -> None:
    """Run it."""
    address, suite, results, seconds = sys.argv[1:]
    executor = RayExecutor(address=address, program=("-c", SCRIPT, seconds))
    plan = api.plan(Path(suite), results=Path(results), executor=executor)
    observers = (PlainView(Console(width=200)),)
    summary = api.run(plan, executor=executor, preflight=False, race=False, observers=observers)
    sys.exit(0 if summary.succeeded == len(plan.selected) else 1)


if __name__ == "__main__":
    main()
