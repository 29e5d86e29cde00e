"""A search's trials follow from each other: what is planned, what runs, what a death costs, what the seeds run with."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness import api
from harness.executors.supervise import Supervisor
from harness.observers.plain import PlainView
from harness.scheduling.observer import Observers
from harness.scheduling.plan import Plan, refresh
from harness.scheduling.scheduler import Executed, Scheduler
from harness.store import files, record
from harness.store.job import OUTCOME, PREFLIGHT, Job, OutcomeName, Preflight
from harness.store.paths import AttemptFolder
from harness.suite.trial import Trial
from tests.conftest import TINY_MODEL
from tests.executors.scripted import FakeJob, MadeExecutor
from tests.store.make import make_attempt, make_record

ARCHITECTURES = (
    f"  - name: fasterrcnn_mobilenet_v3_large_fpn\n{TINY_MODEL}  - name: retinanet_resnet50_fpn\n    weights: none\n"
)
REST = (
    "hyperparameters: {epochs: 8, batch_size: 2}\nprotocol: quick\nseeds: [0, 1]\n"
    "search: {trials: 3, over: {lr: [1e-4, 1e-1, log], schedule: [cosine, constant]}, epochs: 2}\n"
)
BEST_LR = 0.003


class Tried(MadeExecutor):
    """Ends each attempt at once; a trial of a search is the better, the nearer its rate is to 0.003.

    Args:
        fails: says which trials fail, and how.
        dies: raises KeyboardInterrupt in the place of the trial of this number.
    """

    def __init__(self, fails: Callable[[Job], OutcomeName | None] = lambda _job: None, dies: int | None = None) -> None:
        super().__init__()
        self._fails, self._dies = fails, dies

    @property
    def trials(self) -> list[Trial]:
        """The trials that ran, without preflights and races."""
        return [job.trial for job in self.jobs if not job.preflight and job.race is None]

    def submit(self, job: Job, folder: AttemptFolder) -> FakeJob:
        if job.race is not None:
            return super().submit(job, folder)
        self.jobs.append(job)
        if self._dies is not None and not job.preflight and len(self.trials) == self._dies:
            raise KeyboardInterrupt
        failed = self._fails(job)
        if failed is not None:
            ended = make_attempt(failed, "as told", number=folder.number, cause="error", retryable=False)
            files.commit(folder.outcome, record.encode(OUTCOME, ended))
            return FakeJob(exit_code=1)
        if not job.preflight:
            lr = job.trial.hyperparameters.lr or 1.0
            made = make_record(job.trial, map=max(0.0, 0.8 - abs(math.log10(lr / BEST_LR)) / 4))
            files.commit(folder.trial.record, record.encode(record.RECORD, made))
        else:
            files.replace(folder.trial.preflight, record.encode(PREFLIGHT, _measured(job.preflight)))
        ended = make_attempt("preflight_passed" if job.preflight else "succeeded", None, number=folder.number)
        files.commit(folder.outcome, record.encode(OUTCOME, ended))
        return FakeJob(exit_code=0)


def _measured(where: str) -> Preflight:
    return Preflight(
        where=where, startup_s=1.0, step_s=1.0, evaluation_s=0.1, steps=4, evaluations=3, images=3, state_bytes=9,
        weights_bytes=9, accumulate=1,
    )  # fmt: skip


@pytest.fixture
def suite(tiny_suite: Callable[..., Path]) -> Path:
    return tiny_suite(architectures=ARCHITECTURES, rest=REST)


def _run(
    suite: Path,
    executor: MadeExecutor,
    tmp_path: Path,
    *,
    select: str | None = None,
    until: datetime | None = None,
    retry_failed: bool = False,
    fail_fast: bool = False,
) -> tuple[Plan, Executed, str]:
    """Do what `harness run` does, but write no report; return the plan afterwards, and what was printed."""
    plan = _plan(suite, tmp_path, select=select)
    files.make_folder(plan.folder.path)
    stream = io.StringIO()
    scheduler = Scheduler(
        plan=replace(plan, failed={}) if retry_failed else plan,
        supervisor=Supervisor(executor=executor),
        observer=Observers([PlainView(Console(file=stream, width=300))]),
        fail_fast=fail_fast,
        report=lambda _plan: None,
    )
    scheduler.observer.begin(plan)
    ready, _ = scheduler.preflight()
    executed = replace(scheduler, plan=ready).execute(until)
    return refresh(plan), executed, stream.getvalue()


def _plan(suite: Path, tmp_path: Path, **options: Any) -> Plan:
    return api.plan(suite, results=tmp_path / "r", device="cpu", **options)


def _values(trials: list[Trial]) -> list[tuple[str, int, Any]]:
    return [(t.architecture.name, t.search.number, t.search.values) for t in trials if t.search is not None]


def test_what_is_planned_before_anything_is_known(suite: Path, tmp_path: Path) -> None:
    """The first trial of each search can run; each other trial is counted, by what stands in its place."""
    plan = _plan(suite, tmp_path)
    assert len(plan.trials) == len({trial.trial_id for trial in plan.trials}) == 2 * (3 + 2)
    assert [trial.search.number for trial in plan.pending if trial.search] == [1, 1]
    assert len(plan.awaiting) == 8
    assert not any(plan.differences()[trial.trial_id] for trial in plan.awaiting)
    first = plan.pending[0]
    assert "lr 0.0" in plan.differences()[first.trial_id]
    assert first.search is not None
    assert first.search.metric == "map"
    assert (first.hyperparameters.epochs, first.protocol.rounds, first.protocol.level) == (2, 1, "quick")
    assert first.trial_id.startswith("shapes-fasterrcnn_mobilenet_v3_large_fpn-search1-s0-")


def test_each_architecture_is_tuned_equally_before_its_seeds_run(suite: Path, tmp_path: Path) -> None:
    """Search by search in turn, then every seed with the values of the best trial; all of it in records."""
    executor = Tried()
    plan, _, printed = _run(suite, executor, tmp_path)
    assert (len(plan.records), len(plan.failed)) == (10, 0)
    trials = executor.trials
    assert [trial.search.number for trial in trials if trial.search] == [1, 1, 2, 2, 3, 3]
    assert [trial.seed for trial in trials[6:]] == [0, 0, 1, 1]
    assert len([job for job in executor.jobs if job.preflight]) == 2
    assert "[10/10]" in printed
    for tuned in trials[6:]:
        steps = [t for t in trials[:6] if t.architecture == tuned.architecture]
        best = min(steps, key=lambda t: abs(math.log10((t.hyperparameters.lr or 1) / BEST_LR)))
        assert tuned.tuned is not None
        assert best.search is not None
        assert (tuned.tuned.trial_id, tuned.tuned.values) == (best.trial_id, best.search.values)
        assert (tuned.tuned.n_succeeded, tuned.tuned.n_failed, tuned.tuned.epochs) == (3, 0, 2)
        assert tuned.hyperparameters.lr == best.search.values["lr"]
        assert tuned.hyperparameters.schedule == best.search.values["schedule"]
        assert (tuned.hyperparameters.epochs, tuned.protocol.level) == (8, "quick")
    after = _plan(suite, tmp_path)
    assert all("lr " in text for text in after.differences().values())
    assert not after.pending
    assert not after.awaiting
    again = Tried()
    _run(suite, again, tmp_path)
    assert not again.jobs


def test_equal_spaces_begin_with_equal_values(suite: Path, tmp_path: Path) -> None:
    """All architectures whose own values lie outside the space try the same first: luck favours none."""
    suite.write_text(
        suite.read_text().replace("lr: [1e-4, 1e-1, log], schedule: [cosine, constant]", "momentum: [0, 0.5]")
    )
    executor = Tried()
    _run(suite, executor, tmp_path)
    values = _values(executor.trials)
    assert [v for name, number, v in values if number == 1 and name.startswith("faster")] == [
        v for name, number, v in values if number == 1 and name.startswith("retina")
    ]


def test_the_values_without_a_search_are_tried_first(suite: Path, tmp_path: Path) -> None:
    """Where they lie in the space: so a search cannot do worse than none, at its own length."""
    suite.write_text(suite.read_text().replace("[cosine, constant]", "[cosine, multistep]"))
    for trial in _plan(suite, tmp_path).pending:
        assert trial.search is not None
        assert trial.search.values["schedule"] == "multistep"
        assert trial.search.values["lr"] == trial.hyperparameters.lr


def test_a_search_that_died_goes_on_as_if_it_had_not(suite: Path, tmp_path: Path) -> None:
    """The same suggestions, and no record is lost or made twice."""
    whole = Tried()
    _run(suite, whole, tmp_path / "whole")
    first, second = Tried(dies=4), Tried()
    with pytest.raises(KeyboardInterrupt):
        _run(suite, first, tmp_path)
    _run(suite, second, tmp_path)
    ended = [trial.trial_id for trial in first.trials[:-1]]
    assert ended + [trial.trial_id for trial in second.trials] == [trial.trial_id for trial in whole.trials]


def test_what_was_tried_counts_whatever_would_be_suggested_now(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an update of Optuna: the records of the folder are taken for the search's trials, each at its place."""
    first = Tried(dies=5)
    with pytest.raises(KeyboardInterrupt):
        _run(suite, first, tmp_path)
    monkeypatch.setattr(
        "harness.scheduling.search.suggest", lambda *_args, **_named: {"lr": 0.05, "schedule": "constant"}
    )
    second = Tried()
    _run(suite, second, tmp_path)
    values = _values([*first.trials[:4], *second.trials])
    assert len(values) == 6
    assert [v for _, number, v in values if number == 3][1] == {"lr": 0.05, "schedule": "constant"}


def test_a_longer_search_goes_on_from_the_shorter_one(suite: Path, tmp_path: Path) -> None:
    """Only the trials that are more run, and the seeds only if they found something better."""
    _run(suite, Tried(), tmp_path)
    suite.write_text(suite.read_text().replace("trials: 3", "trials: 4"))
    more = Tried()
    _run(suite, more, tmp_path)
    assert [number for _, number, _ in _values(more.trials)] == [4, 4]


def test_a_failed_trial_is_no_end_of_the_search(suite: Path, tmp_path: Path) -> None:
    """It counts as failed; tried again, it keeps its values, and later trials keep theirs."""
    failing = Tried(
        fails=lambda job: "failed" if job.trial.search and job.trial.search.number == 2 and not job.preflight else None
    )
    plan, _, _ = _run(suite, failing, tmp_path)
    assert (len(plan.records), len(plan.failed)) == (8, 2)
    assert {(t.tuned.n_succeeded, t.tuned.n_failed) for t in failing.trials if t.tuned} == {(2, 1)}
    retried = Tried()
    plan, _, _ = _run(suite, retried, tmp_path, retry_failed=True)
    assert (len(plan.records), len(plan.failed)) == (10, 0)
    assert [number for _, number, _ in _values(retried.trials)] == [2, 2]
    assert _values(retried.trials) == [value for value in _values(failing.trials) if value[1] == 2]


def test_seeds_run_untuned_where_no_trial_of_the_search_succeeded(suite: Path, tmp_path: Path) -> None:
    """Their values are those without a search, and their records say that nothing tuned them."""
    executor = Tried(fails=lambda job: "failed" if job.trial.search and not job.preflight else None)
    plan, _, _ = _run(suite, executor, tmp_path)
    assert (len(plan.records), len(plan.failed)) == (4, 6)
    assert all(trial.tuned is None for trial in executor.trials)
    assert {trial.hyperparameters.epochs for trial in executor.trials[6:]} == {8}


def test_a_failed_preflight_ends_a_search_and_fails_its_seeds(suite: Path, tmp_path: Path) -> None:
    """What cannot work is not tried eight times; mended, `--retry-failed` begins where it stood."""

    def fails(job: Job) -> OutcomeName | None:
        return "failed" if job.preflight and job.trial.architecture.name.startswith("retina") else None

    broken = Tried(fails=fails)
    plan, _, _ = _run(suite, broken, tmp_path)
    assert (len(plan.records), len(plan.failed)) == (5, 3)
    assert len(broken.trials) == 5
    again = Tried()
    _run(suite, again, tmp_path)
    assert not again.jobs
    mended = Tried()
    plan, _, _ = _run(suite, mended, tmp_path, retry_failed=True)
    assert (len(plan.records), len(plan.failed)) == (10, 0)
    assert len(mended.trials) == 5


def test_what_is_selected_has_its_search(suite: Path, tmp_path: Path) -> None:
    """A seed needs the values: its search runs with it; a trial of a search runs alone."""
    executor = Tried()
    plan, _, _ = _run(suite, executor, tmp_path, select="*retinanet*-s1-*")
    assert len(plan.records) == len(plan.selected) == 4
    assert {t.architecture.name for t in executor.trials} == {"retinanet_resnet50_fpn"}
    assert [(t.seed, t.search is None) for t in executor.trials] == [(0, False)] * 3 + [(1, True)]
    plan = _plan(suite, tmp_path, select="*fasterrcnn*-search1-*")
    assert len(plan.selected) == 1


def test_how_long_it_takes_is_told_for_what_is_not_known_yet(suite: Path, tmp_path: Path) -> None:
    """One preflight of a search serves all that follows from it, each trial by its epochs; too late is too late."""
    plan = _plan(suite, tmp_path)
    for trial in plan.pending:
        folder = plan.folder.trial(trial.trial_id)
        files.make_folder(folder.path)
        files.replace(folder.preflight, record.encode(PREFLIGHT, _measured(plan.where)))
    plan = refresh(plan)
    stages = plan.expected_stages()
    assert set(stages) == {trial.trial_id for trial in plan.selected}
    assert {stages[trial.trial_id].training_s for trial in plan.awaiting} == {4.0, 16.0}
    executor = Tried()
    _, executed, _ = _run(suite, executor, tmp_path, until=datetime.now(UTC) + timedelta(seconds=1))
    assert not executor.jobs
    assert len(executed.skipped_for_time) == 10


def test_the_first_failure_stops_a_search_where_wished(suite: Path, tmp_path: Path) -> None:
    """`--fail-fast`: what awaits the search counts among the trials that were not tried."""
    executor = Tried(fails=lambda job: None if job.preflight else "failed")
    plan, executed, _ = _run(suite, executor, tmp_path, fail_fast=True)
    assert (len(plan.failed), len(executed.not_tried)) == (1, 9)


def test_trials_on_few_images_are_a_search_of_their_own(suite: Path, tmp_path: Path) -> None:
    """`--max-images`: nothing of it counts for the whole data."""
    whole, few = _plan(suite, tmp_path), _plan(suite, tmp_path, max_images=2)
    assert {trial.max_images for trial in few.trials} == {2}
    assert {chain.digest for chain in few.chains}.isdisjoint(chain.digest for chain in whole.chains)
    assert len(few.awaiting) == 8


def test_a_trial_of_a_search_is_read_back_as_it_was(suite: Path, tmp_path: Path) -> None:
    """Its record names the search, its number and its values; the id is that of the same trial planned again."""
    _run(suite, Tried(), tmp_path)
    plan = _plan(suite, tmp_path)
    for trial in plan.trials:
        recorded = plan.records[trial.trial_id].trial
        assert replace(recorded, dataset=trial.dataset) == trial
