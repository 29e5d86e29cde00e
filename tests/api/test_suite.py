"""What a run does to its results folder, and what others do to it meanwhile: its lock, links, files left behind."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import harness
from harness import api
from harness.errors import LockedError, UsageError
from harness.store import files, lock
from harness.store.job import Job
from harness.store.paths import AttemptFolder, SuiteFolder
from tests.executors.scripted import FakeJob, MadeExecutor
from tests.store.make import make_folder, make_record, make_trial

SEEDS = "hyperparameters: {epochs: 1, batch_size: 2}\nprotocol: quick\nseeds: [0, 1, 2]\n"


class _Watched(MadeExecutor):
    """Calls the test before each attempt ends."""

    def __init__(self, before: Callable[[AttemptFolder], None]) -> None:
        super().__init__()
        self._before = before

    def submit(self, job: Job, folder: AttemptFolder) -> FakeJob:
        self._before(folder)
        return super().submit(job, folder)


def _folder(results: Path) -> SuiteFolder:
    return SuiteFolder(results / "tiny")


def test_a_run_puts_its_lock_back(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Removed in its first attempt: a second run is refused at once, and the first one ends with every record."""
    suite, results = tiny_suite(), tmp_path / "r"
    refused: list[str] = []

    def remove(_folder_of_attempt: AttemptFolder) -> None:
        _folder(results).lock.unlink()
        with pytest.raises(LockedError, match="another run writes here") as error:
            harness.run(suite, results=results, executor=MadeExecutor(), preflight=False)
        refused.append(str(error.value))

    summary = harness.run(suite, results=results, executor=_Watched(remove), preflight=False, race=False)
    assert (summary.succeeded, len(refused)) == (1, 1)
    assert lock.holder(_folder(results).lock) is None


@pytest.mark.parametrize("place", ["trials", "races", "trials/{}", "trials/{}/attempts", "trials/{}/checkpoints"])
def test_a_run_follows_no_link_out_of_its_folder(place: str, tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Whatever it is that the link stands for: a sentence before anything starts, and nothing is written there."""
    plan = harness.plan(tiny_suite(), results=tmp_path / "r")
    outside = tmp_path / "outside"
    outside.mkdir()
    link = plan.folder.path / place.format(plan.trials[0].trial_id)
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    executor = MadeExecutor()
    with pytest.raises(UsageError, match=f"{link}: leads out of {plan.folder.path}, to {outside}"):
        harness.run(plan, executor=executor, preflight=False)
    assert not list(outside.iterdir())
    assert not executor.jobs


def test_temporaries_are_swept_around_each_attempt(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """What a killed attempt left is gone when the next one begins, and after the last one."""
    results = tmp_path / "r"
    seen: list[int] = []

    def leave(folder: AttemptFolder) -> None:
        seen.append(len(list(results.rglob(f"{files.TEMPORARY}*"))))
        for place in (folder.path, folder.trial.path, folder.trial.checkpoints):
            place.mkdir(exist_ok=True)
            (place / f"{files.TEMPORARY}x").touch()

    harness.run(tiny_suite(rest=SEEDS), results=results, executor=_Watched(leave), race=False)
    assert seen == [0] * 4  # one preflight, three trials
    assert not list(results.rglob(f"{files.TEMPORARY}*"))


def test_a_whole_run_without_hard_links(
    tiny_suite: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its records are there, nothing else is left, and its results folder is described before."""

    def refuse(*_names: str) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    plan = harness.plan(tiny_suite(rest=SEEDS), results=tmp_path / "r")
    assert api.results_folder_remarks(plan) == ()
    monkeypatch.setattr(os, "link", refuse)
    (remark,) = api.results_folder_remarks(plan)
    assert f"{tmp_path}: has no hard links" in remark
    assert harness.run(plan, executor=MadeExecutor()).succeeded == 3
    assert not list((tmp_path / "r").rglob(f"{files.TEMPORARY}*"))


def test_a_results_folder_that_cannot_be_written_is_told(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """A plan may be made anywhere; the run would be refused."""
    (tmp_path / "file").touch()
    plan = harness.plan(tiny_suite(), results=tmp_path / "file")
    (remark,) = api.results_folder_remarks(plan)
    assert f"{tmp_path / 'file'}: results cannot be written there" in remark


@pytest.mark.parametrize("command", ["measure", "race"])
def test_neither_a_measurement_nor_a_race_follows_a_link_out(command: str, tmp_path: Path) -> None:
    """As a run does not; what a killed one left half written is removed first."""
    made = make_record(make_trial())
    folder = make_folder(tmp_path / "made", [made])
    trial = folder.trial(made.trial.trial_id)
    trial.checkpoints.mkdir()
    (trial.checkpoints / "weights.pt").write_bytes(b"made")
    outside = tmp_path / "outside"
    outside.mkdir()
    place = (trial.path / "measurements") if command == "measure" else (folder.path / "races")
    (place / "1").mkdir(parents=True)
    (place / "1" / f"{files.TEMPORARY}x").touch()
    (place / "2").symlink_to(outside)
    executor = MadeExecutor()
    calls: dict[str, Callable[[], object]] = {
        "measure": lambda: harness.measure(made.trial.trial_id, results=folder.path, executor=executor),
        "race": lambda: harness.race(folder.path, executor=executor),
    }
    with pytest.raises(UsageError, match=f"{place / '2'}: leads out of "):
        calls[command]()
    assert not executor.jobs
    assert not list(outside.iterdir())
    assert not list(place.rglob(f"{files.TEMPORARY}*"))
