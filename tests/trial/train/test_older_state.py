"""A trial that version 0.2 left in the middle of its training goes on where it stood.

The folder is a real one: its job, events, outcome and preflight were written by version 0.2 when it was interrupted.
The state of training is written here, in version 0.2's exact format with a real model's tensors, for it takes 152 MB.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.store import files, paths, record, results
from harness.store.events import StepEvent, read_events
from harness.store.job import JOB, Job
from harness.trial.context import build_context
from harness.trial.events import EventWriter
from harness.trial.train.step import TrainStep
from tests.conftest import ROOT
from tests.executors.attempt import attempt
from tests.executors.fork_server import fork_from

INTERRUPTED = ROOT / "tests" / "fixtures" / "results-0.2" / "tiny"
STEPS = 6  # of an epoch: 12 images in batches of 2


def _one_epoch(folder: paths.TrialFolder) -> None:
    """Let the trial end after the epoch that it was interrupted in; it was planned for thirty."""
    for path in folder.path.glob("attempts/*/trial.json"):
        job = json.loads(path.read_bytes())
        job["trial"]["hyperparameters"].update(epochs=1, milestones=[])
        path.write_text(json.dumps(job))


def _write_state(folder: paths.TrialFolder, job: Job) -> None:
    """The state after three of six steps, as version 0.2 wrote it."""
    context = build_context(job, EventWriter(io.StringIO()))
    step = TrainStep(context.detector, context.hyperparameters, device=context.device, epoch_steps=[STEPS] * 4).state()
    state: dict[str, Any] = {
        "model": step["model"],
        "optimizer": step["optimizer"],
        "schedule": step["schedule"],
        "scaler": step["scaler"],
        "random": step["random"],
        "position": {
            "epoch": 1, "step": 3, "lr": 1e-7, "sums": {"loss_classifier": 300.0}, "epoch_s": 1000.0,
            "trained_s": 1000.0, "curve": [],
        },
        "clock": {"left_out": 3, "total_s": 0.0, "wait_s": 0.0, "images": 0},
        "validated": [],
        "best": None,
        "peak": {
            "peak_allocated_bytes": None, "peak_reserved_bytes": None, "peak_resident_bytes": 2**50,
            "peak_driver_bytes": None,
        },
        "resumed": [],
        "joules": None,
        "where": f"cpu with 2 threads and torch {torch.__version__}",
    }  # fmt: skip
    assert set(step) == {"model", "optimizer", "schedule", "scaler", "random", "overflows"}
    stream = io.BytesIO()
    torch.save({"harness_training_state": 1, "trial_id": job.trial.trial_id, "state": state}, stream)
    folder.checkpoints.mkdir()
    data = stream.getvalue()
    (folder.checkpoints / "training-000000003.state").write_bytes(data + hashlib.sha256(data).digest())


@pytest.mark.slow
def test_training_interrupted_under_0_2_is_resumed(tmp_path: Path) -> None:
    """From the step that its state names, with its sums, seconds and peak; the record lists the old attempts too."""
    source = next(INTERRUPTED.glob("trials/*"))
    folder = paths.TrialFolder(tmp_path / source.name)
    shutil.copytree(source, folder.path)
    _one_epoch(folder)
    job = results.last_job(folder)
    assert job is not None
    job = Job(trial=job.trial, number=3, device="cpu", threads=2, import_folder=str(tmp_path))
    _write_state(folder, job)
    next_attempt = folder.next_attempt()
    files.commit(next_attempt.job, record.encode(JOB, job))
    process = fork_from(attempt, str(next_attempt.path))
    process.join()
    assert process.exitcode == 0, next_attempt.log.read_text()

    finished = results.read_record(folder)
    assert finished is not None
    assert [one.outcome for one in finished.attempts] == ["preflight_passed", "interrupted", "succeeded"]
    reasons = [warning.reason for warning in finished.warnings if warning.name == "resumed"]
    assert reasons == ["training was interrupted and resumed at epoch 1, step 4"]
    (epoch,) = finished.measurements.epochs
    assert epoch.wall_s > 1000.0
    assert epoch.loss_parts["loss_classifier"] > 300.0 / STEPS
    assert finished.measurements.memory.training is not None
    assert finished.measurements.memory.training.peak_resident_bytes == 2**50
    steps = [event for event in read_events(next_attempt.events) if isinstance(event, StepEvent)]
    assert steps[-1].step == STEPS
    assert not list(folder.checkpoints.glob("*.state"))
