"""An attempt in this process ends as one in a process of its own: the same record, outcome and resumption."""

from __future__ import annotations

import json
import logging
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.data.open import fingerprint
from harness.errors import Interrupted
from harness.executors.base import Executor
from harness.executors.inline import InlineExecutor
from harness.executors.supervise import Supervisor
from harness.processes.watch import Timeouts
from harness.store import paths
from harness.store.events import Event, StepEvent
from harness.store.job import Job
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.suite.schema import PythonDataset
from harness.suite.trial import Trial
from tests.conftest import FAST
from tests.store.make import make_trial

NO_LIMIT = Timeouts(hang_s=600, total_s=None)

DATASET = """
import os, pathlib, torch
ASK, READ = pathlib.Path(__file__).with_name("ask"), []
class Parts(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        READ.append(index)
        {}
        torch.manual_seed(index)
        return torch.rand(3, 64, 64), {{"boxes": torch.tensor([[4., 4., 30., 30.]]), "labels": torch.tensor([1])}}
"""


def _record(results: Path) -> dict[str, Any]:
    (path,) = results.glob("*/trials/*/record.json")
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def test_every_executor_gives_the_same_record(
    tiny_suite: Callable[..., Path], tmp_path: Path, fast_executor: Executor
) -> None:
    """In a process of its own, forked, and in this one: the same weights to the bit, the same metrics and losses."""
    suite = tiny_suite()
    records = []
    executors: tuple[Executor | str, ...] = ("local", fast_executor, "inline")
    for number, executor in enumerate(executors):
        results = tmp_path / str(number)
        plan = api.plan(suite, results=results, device="cpu")
        assert api.run(plan, device="cpu", executor=executor, preflight=False).succeeded == 1
        records.append(_record(results))
        log = next(results.glob("*/trials/*/attempts/1/log.txt")).read_text()
        assert "stage=train" in log
    local, forked, inline = records
    for other in (forked, inline):
        assert other["model"] == local["model"]
        assert other["metrics"] == local["metrics"]
        assert [e["loss"] for e in other["measurements"]["epochs"]] == [
            e["loss"] for e in local["measurements"]["epochs"]
        ]
        assert [a["outcome"] for a in other["attempts"]] == ["succeeded"]
        assert other.keys() == local.keys()


def _users_trial(tiny_suite: Callable[..., Path], folder: Path, line: str) -> Trial:
    """A trial on a user's Dataset that does `line` at each item."""
    (folder / "inline_parts.py").write_text(DATASET.format(line))
    split = "{dataset: 'inline_parts:Parts'}"
    suite = tiny_suite(
        datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n",
        rest=f"hyperparameters: {{epochs: 1, batch_size: 1, lr: 1e-4, loader_workers: 0}}\n{FAST}",
    )
    loaded = load_suite(suite)
    ((name, parts),) = loaded.datasets
    assert isinstance(parts, PythonDataset)
    (trial,) = plan_trials(loaded, {name: fingerprint(parts, folder)}, max_images=None)
    return trial


@pytest.fixture
def run_inline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Run one attempt of a trial inline."""
    monkeypatch.syspath_prepend(tmp_path)
    trial_folder = paths.TrialFolder(tmp_path / "trial")

    def run(trial: Trial, **options: Any) -> Any:
        folder = trial_folder.next_attempt()
        job = Job(trial=trial, number=folder.number, device="cpu", threads=1, import_folder=str(tmp_path))
        return Supervisor(executor=InlineExecutor()).run(job, folder, NO_LIMIT, **options)

    yield run
    sys.modules.pop("inline_parts", None)


def test_a_bad_item_fails_its_trial_alone(
    tiny_suite: Callable[..., Path], tmp_path: Path, run_inline: Callable[..., Any]
) -> None:
    """As in a process of its own: the cause is its own, the reason names the item, the log has the traceback."""
    result = run_inline(_users_trial(tiny_suite, tmp_path, "raise KeyError('left_out')"))
    assert (result.attempt.outcome, result.attempt.cause, result.recorded) == ("failed", "error", False)
    assert "inline_parts:Parts" in result.attempt.reason
    log = (tmp_path / "trial" / "attempts" / "1" / "log.txt").read_text()
    assert "inline_parts.py" in log
    assert "KeyError: 'left_out'" in log


@pytest.mark.parametrize(
    ("error", "outcome", "cause"),
    [
        (MemoryError("no room"), "out_of_memory", "memory"),
        (RuntimeError("a fault of ours"), "failed", "exception"),
    ],
)
def test_an_exception_is_classified_as_in_a_process_of_its_own(
    error: Exception, outcome: str, cause: str, run_inline: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run goes on after it, with the outcome that its process would have left."""
    from harness.trial import worker

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(worker, "build_context", fail)
    attempt = run_inline(make_trial()).attempt
    assert (attempt.outcome, attempt.cause) == (outcome, cause)
    assert str(error) in attempt.reason


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_and_the_next_attempt_goes_on(
    number: signal.Signals, tiny_suite: Callable[..., Path], tmp_path: Path, run_inline: Callable[..., Any]
) -> None:
    """At a step of the training: interrupted by it, its handler is the runner's again, and the same trial resumes."""
    trial = _users_trial(
        tiny_suite, tmp_path, f"ASK.exists() and len(READ) == 2 and os.kill(os.getpid(), {int(number)})"
    )
    (tmp_path / "ask").touch()
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    level = logging.getLogger("harness").level
    with pytest.raises(Interrupted) as raised:
        run_inline(trial)
    assert (raised.value.number, raised.value.again) == (number, False)
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert logging.getLogger("harness").level == level
    (first,) = paths.TrialFolder(tmp_path / "trial").attempts()
    assert json.loads(first.outcome.read_text())["reason"] == f"by {number.name}"
    assert list((tmp_path / "trial" / "checkpoints").glob("training-*.state"))

    (tmp_path / "ask").unlink()
    events: list[Event] = []
    result = run_inline(trial, on_event=events.append)
    assert result.recorded
    steps = [event.step for event in events if isinstance(event, StepEvent)]
    assert steps[-1] == 4
    assert "resumed" in first.trial.record.read_text()
