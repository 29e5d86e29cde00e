"""`harness status` and `harness show`: what a folder holds, in a terminal, also while a run goes on elsewhere."""

from __future__ import annotations

import fcntl
import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from harness.store import files, lock, paths, record
from harness.store.job import JOB, Job
from harness.suite.trial import Trial
from tests.conftest import Command
from tests.store.make import make_attempt, make_folder, make_outcome, make_record, make_trial

FASTER = "fasterrcnn_mobilenet_v3_large_fpn"


def _begin(folder: paths.SuiteFolder, trial: Trial, *lines: dict[str, object]) -> None:
    """An attempt that has not ended."""
    attempt = folder.trial(trial.trial_id).next_attempt()
    job = Job(trial=trial, number=1, device="cpu", threads=2, import_folder="/")
    files.commit(attempt.job, record.encode(JOB, job))
    now = datetime.now(UTC).isoformat()
    attempt.events.write_text("".join(json.dumps({"time": now, **line}) + "\n" for line in lines) + '{"time": "20')


def test_status_tells_a_run_from_its_files(harness_command: Command, tmp_path: Path) -> None:
    """Done, failed, left; who runs it and where it stands; what failed with log and command; without a holder, so."""
    done, running, failed = make_record(make_trial()), make_trial(seed=1), make_trial(FASTER)
    outcome = replace(make_outcome(), traceback="Traceback\nKeyError: 1")
    folder = make_folder(tmp_path / "made", [done], failed=((failed, outcome),), left=(running,))
    step = {"event": "step", "stage": "train", "epoch": 2, "epochs": 3, "step": 4, "steps": 5, "loss": 0.5}
    _begin(folder, running, {"event": "stage", "stage": "model"}, {**step, "images_per_s": 7.0})
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT)
    os.write(handle, b'{"host": "box", "pid": 77, "since": "2026-01-01T17:59:00+00:00"}')
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        said = harness_command("status", tmp_path / "made", env={"TZ": "UTC"}).stdout
    finally:
        os.close(handle)
    for text in (
        "made: 1 of 3 trials measured, 1 failed, 1 left",
        "running on box (process 77) since 2026-01-01 17:59:00",
        f"{running.trial_id}: epoch 2/3 step 4/5 loss 0.500 7.0 img/s; last sign of life",
        "1 trial left: about ",
        "failed: killed by signal 9 (SIGKILL)",
        "    KeyError: 1",
        f"again: harness run suites/x.yaml --results {tmp_path} --select {failed.trial_id} --retry-failed",
    ):
        assert text in said, said
    folder.lock.write_text("")
    said = harness_command("status", tmp_path / "made").stdout
    assert f"no run is in progress; `harness run suites/x.yaml --results {tmp_path}` continues it" in said
    assert "sign of life" not in said
    wrong = harness_command("status", tmp_path)
    assert wrong.returncode == 2
    assert "it holds the suites made: give one of them" in wrong.stderr


def test_show_prints_one_trial(harness_command: Command, tmp_path: Path) -> None:
    """By the start of its id: hyperparameters, curve, numbers, attempts; an ambiguous or unknown one lists them."""
    trial, other = make_trial(), make_trial(FASTER)
    model: dict[str, Any] = {"anchor_sizes": ((8.0, 16.0), (32.0, 64.0)), "aspect_ratios": (1.0,)}
    trial = replace(trial, architecture=replace(trial.architecture, model=model))
    made = replace(make_record(trial), attempts=(make_attempt("hung", "no progress"), make_attempt("succeeded", None)))
    epoch = record.Epoch(
        epoch=1, lr=0.1, loss=2.0, loss_parts={}, wall_s=1.0, val_map=0.5, val_map_50=0.75, val_loss=1.25
    )
    took = replace(made.measurements, epochs=(epoch,), images_seen=123, stopped_epoch=1)
    made = replace(made, measurements=took)
    make_folder(tmp_path / "made", [made], failed=((other, make_outcome()),))
    done = harness_command("show", "shapes-retina", "--results", tmp_path, env={"TZ": "UTC"})
    assert done.returncode == 0, done.stderr
    for text in (
        trial.trial_id,
        "architecture   retinanet_resnet50_fpn, weights none, image size 64/64",
        "anchor_sizes               [[8.0, 16.0], [32.0, 64.0]]",
        "aspect_ratios              [1.0]",
        "batch_size       4",
        "   1.250 ",
        f"early stopping ended training after epoch 1 of {trial.hyperparameters.epochs}",
        ", 123 images seen",
        "map 0.500",
        "latency 20.0 ms",
        "2026-01-01 18:00:00       3 s  hung: no progress",
    ):
        assert text in done.stdout, done.stdout
    failed = harness_command("show", other.trial_id, "--results", tmp_path / "made").stdout
    assert "failed: killed by signal 9 (SIGKILL)" in failed
    for name, said in (("shapes", "several trial ids start with it"), ("nothing", "no such trial in")):
        wrong = harness_command("show", name, "--results", tmp_path)
        assert wrong.returncode == 2
        assert said in wrong.stderr
        assert trial.trial_id in wrong.stderr


def test_what_is_left_of_a_running_trial_is_not_the_whole_of_it(harness_command: Command, tmp_path: Path) -> None:
    """Of one that is half trained, as long as another seed took of all: from its events."""
    done = make_record(make_trial())
    took = replace(done.measurements, training_s=3600.0, evaluation_s=0.0)
    done = replace(done, measurements=took, attempts=(make_attempt("succeeded", None, wall_s=3600.0),))
    running = make_trial(seed=1)
    folder = make_folder(tmp_path / "made", [done], left=(running,))
    step = {"event": "step", "stage": "train", "epoch": 1, "epochs": 1, "loss": 0.5, "images_per_s": 7.0}
    _begin(folder, running, {**step, "step": 1, "steps": 2})
    handle = os.open(folder.lock, os.O_RDWR | os.O_CREAT)
    os.write(handle, b'{"host": "box", "pid": 77, "since": "2026-01-01T17:59:00+00:00"}')
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        assert "1 trial left: about 30 min, until " in harness_command("status", tmp_path / "made").stdout
    finally:
        os.close(handle)
    folder.lock.write_text("")
    assert "1 trial left: about 1 h 00 min, until " in harness_command("status", tmp_path / "made").stdout


@pytest.mark.parametrize("text", [None, '{"host": "box", "pid": 77, "since": "yesterday"}', '{"pid": []}', "\0" * 9])
def test_a_run_whose_lock_says_nothing_is_still_one(text: str | None, harness_command: Command, tmp_path: Path) -> None:
    """Its file removed, or damaged, while it runs; what its trial's events say wrongly is passed over."""
    running = make_trial(seed=1)
    folder = make_folder(tmp_path / "made", [], left=(running,))
    wrong = {"event": "step", "epoch": -1, "epochs": 0, "step": 1, "steps": 0, "loss": 1, "images_per_s": 1e999}
    _begin(folder, running, {"event": "stage", "stage": "model"}, wrong, {"event": "stage", "stage": "\ud800"})
    folder.path.joinpath("trials", running.trial_id, "attempts", "²").mkdir()
    with lock.locked(folder.lock):
        folder.lock.unlink()
        if text is not None:
            folder.lock.write_text(text)
        shown = harness_command("status", folder.path)
    assert shown.returncode == 0, shown.stderr
    assert "running in another process" in shown.stdout
    assert f"{running.trial_id}: " in shown.stdout
