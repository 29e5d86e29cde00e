"""What an attempt commits can be read again, or it is not committed."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import MachineError
from harness.store import files, record
from harness.store.events import StageEvent
from harness.store.job import JOB, OUTCOME, Job
from harness.store.paths import TrialFolder
from harness.trial import worker
from harness.trial.interrupt import InterruptHandler
from tests.store.make import make_attempt, make_record, make_trial

if TYPE_CHECKING:
    import pytest

    from harness.store.paths import AttemptFolder
    from harness.trial.events import EventWriter


def test_a_record_that_cannot_be_is_not_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The trial fails with the number's name, and is not trained once more: that would give the same number."""
    made = make_record(make_trial())
    wrong = replace(made, metrics=replace(made.metrics, map=1.5))
    monkeypatch.setattr(worker, "build_context", lambda *_: None)
    for finished, code in ((wrong, 1), (made, 0)):
        monkeypatch.setattr(worker, "run_trial", lambda *_, finished=finished: finished)
        folder = TrialFolder(tmp_path / str(code)).next_attempt()
        job = Job(trial=made.trial, number=1, device="cpu", threads=1, import_folder="/")
        files.commit(folder.job, record.encode(JOB, job))
        assert worker.run_attempt(folder, InterruptHandler(), began=time.perf_counter()) == code
        outcome = record.decode(OUTCOME, folder.outcome.read_bytes(), "x")
        assert folder.trial.record.is_file() == (code == 0)
        if code:
            assert (outcome.outcome, outcome.retryable) == ("failed", False)
            assert "record.json: cannot be read: metrics.map" in (outcome.reason or "")


def test_a_record_that_the_disk_refuses_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exit code alone would be no evidence: any program can exit with 3. Where a small file fits, it says why."""
    made = make_record(make_trial())
    monkeypatch.setattr(worker, "build_context", lambda *_: None)
    monkeypatch.setattr(worker, "run_trial", lambda *_: made)
    folder = TrialFolder(tmp_path / "trial").next_attempt()
    job = Job(trial=made.trial, number=1, device="cpu", threads=1, import_folder="/")
    files.commit(folder.job, record.encode(JOB, job))
    commit = files.commit

    def refuse_records(path: Path, data: bytes) -> None:
        if path == folder.committed:
            raise MachineError(f"{path}: disk full")
        commit(path, data)

    monkeypatch.setattr(files, "commit", refuse_records)
    assert worker.run_attempt(folder, InterruptHandler(), began=time.perf_counter()) == 3
    outcome = record.decode(OUTCOME, folder.outcome.read_bytes(), "x")
    assert (outcome.outcome, outcome.cause, outcome.retryable) == ("interrupted", "machine", True)
    assert outcome.reason == f"{folder.committed}: disk full"


def test_one_that_the_runner_has_given_up_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stood still while its trial began again elsewhere: it stops at its next event, and commits no record."""
    made = make_record(make_trial())
    monkeypatch.setattr(worker, "build_context", lambda *_: None)
    job = Job(trial=made.trial, number=1, device="cpu", threads=1, import_folder="/")

    def lost(folder: AttemptFolder) -> None:
        ended = make_attempt("failed", "its node is gone", number=1, cause="lost", retryable=True)
        files.commit(folder.outcome, record.encode(OUTCOME, ended))

    def at_its_end(_job: Job, _context: object, folder: AttemptFolder, *_: object) -> record.Record:
        lost(folder)
        return made

    def in_training(
        _job: Job, _context: object, folder: AttemptFolder, events: EventWriter, *_: object
    ) -> record.Record:
        lost(folder)
        events.emit(StageEvent(stage="evaluate"))
        raise AssertionError

    for name, run, code in (("end", at_its_end, 0), ("training", in_training, 128 + 15)):
        monkeypatch.setattr(worker, "run_trial", run)
        folder = TrialFolder(tmp_path / name).next_attempt()
        files.commit(folder.job, record.encode(JOB, job))
        assert worker.run_attempt(folder, InterruptHandler(), began=time.perf_counter()) == code
        assert not folder.committed.is_file()
        assert record.decode(OUTCOME, folder.outcome.read_bytes(), "x").cause == "lost"
