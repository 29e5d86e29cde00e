"""Records for tests: complete, valid, with the numbers a test cares about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.store import files, paths, record, results
from harness.store.job import JOB, OUTCOME, Attempt, Job, Outcome, OutcomeName
from harness.store.migrate import SCHEMA_VERSION
from harness.suite.schema import Hyperparameters, ImageSize, Protocol, SyntheticDataset, SyntheticImages
from harness.suite.trial import Trial, TrialArchitecture, TrialDataset


def make_trial(architecture: str = "retinanet_resnet50_fpn", *, seed: int = 0, **changes: Any) -> Trial:
    """A trial on drawn images."""
    images = SyntheticImages(images=2)
    dataset = changes.pop("dataset", "shapes")
    h = Hyperparameters(**{"epochs": 1, "lr": 0.01, "weight_decay": 0.0, "milestones": (), **changes.pop("h", {})})
    fields: dict[str, Any] = {
        "suite": "made",
        "dataset": TrialDataset(
            name=dataset,
            fingerprint="f" * 64,
            source=SyntheticDataset(format="synthetic", train=images, val=images),
        ),
        "architecture": TrialArchitecture(
            name=architecture, weights="none", weights_sha256=None, image_size=ImageSize(min=64, max=64), model={}
        ),
        "hyperparameters": h,
        "seed": seed,
        "protocol": Protocol(level="quick"),
        "max_images": None,
        **changes,
    }
    return Trial(trial_id=f"{dataset}-{architecture}-lr{h.lr:g}-max{fields['max_images']}-s{seed}", **fields)


def make_record(
    trial: Trial,
    *,
    map: float | None = 0.5,
    latency_s: float = 0.02,
    warnings: tuple[record.MeasurementWarning, ...] = (),
    **env: Any,
) -> record.Record:
    """A record of that trial."""
    memory = record.Memory(peak_allocated_bytes=None, peak_reserved_bytes=None, peak_resident_bytes=2**30)
    environment: dict[str, Any] = {
        "device": "cpu", "device_name": "a CPU", "device_memory_bytes": None, "driver": None, "cuda": None,
        "cudnn": None, "tf32": False, "cudnn_benchmark": False, "deterministic": False, "cpu": "a CPU", "cores": 2,
        "threads": 2, "loader_workers": 0, "memory_bytes": 2**34, "platform": "Linux", "python": "3.11",
        "torch": "2.15",
        "torchvision": "0.29", "torchmetrics": "1.9", "harness": "0.1.0", "git_commit": "c" * 40, "git_dirty": False,
        **env,
    }  # fmt: skip
    half = None if map is None else map / 2
    numbers = dict.fromkeys(
        ("map_50", "map_75", "map_small", "map_medium", "map_large", "mar_1", "mar_10", "mar_100", "mar_small",
         "mar_medium", "mar_large"), half,
    )  # fmt: skip
    return record.Record(
        schema_version=SCHEMA_VERSION,
        trial=trial,
        outcome="succeeded",
        metrics=record.Metrics(
            split="val", images=2, map=map, per_class={"disc": record.ClassMetrics(map=map, mar_100=half)}, **numbers
        ),
        measurements=record.Measurements(
            latency_s=record.distribution([[latency_s] * 20]),
            throughput_images_per_s=100.0,
            throughput_batch_size=8,
            train_images_per_s=None,
            data_wait_fraction=None,
            memory=record.MemoryPasses(training=memory, inference=memory),
            training_s=1.0,
            evaluation_s=1.0,
            epochs=(),
        ),
        model=record.Model(
            parameters=1000, trainable_parameters=900, flops=2_000_000_000, head="new", epoch=1, state_sha256="0",
            checkpoint="checkpoints/weights.pt",
        ),
        environment=record.Environment(**environment),
        warnings=warnings,
        attempts=(
            Attempt(number=1, outcome="succeeded", reason=None, retryable=False, started_at="", wall_s=90.0),
        ),
    )  # fmt: skip


def make_outcome(outcome: OutcomeName = "failed", reason: str = "killed by signal 9 (SIGKILL)") -> Outcome:
    """How an attempt ended."""
    return Outcome(outcome=outcome, reason=reason, retryable=True, started_at="2026-01-01T18:00:00+00:00", wall_s=3.0)


def make_attempt(outcome: OutcomeName, reason: str | None, **fields: Any) -> Attempt:
    """An attempt that ended so."""
    defaults = {"number": 1, "retryable": True, "started_at": "2026-01-01T18:00:00+00:00", "wall_s": 3.0}
    return Attempt(outcome=outcome, reason=reason, **{**defaults, **fields})


def make_folder(
    root: Path,
    records: list[record.Record],
    *,
    failed: tuple[tuple[Trial, Outcome], ...] = (),
    left: tuple[Trial, ...] = (),
) -> paths.SuiteFolder:
    """A results folder as a run leaves it."""
    folder = paths.SuiteFolder(root)
    trials = (*(made.trial for made in records), *(trial for trial, _ in failed), *left)
    files.make_folder(root)
    files.replace(folder.plan, results.encode_plan(results.SuitePlan(suite_file="suites/x.yaml", trials=trials)))
    for made in records:
        trial_folder = folder.trial(made.trial.trial_id)
        trial_folder.next_attempt()
        files.commit(trial_folder.record, record.encode(record.RECORD, made))
    for trial, outcome in failed:
        attempt = folder.trial(trial.trial_id).next_attempt()
        job = Job(trial=trial, number=1, device="cpu", threads=2, import_folder="/")
        files.commit(attempt.job, record.encode(JOB, job))
        files.commit(attempt.outcome, record.encode(OUTCOME, outcome))
        attempt.log.write_text("Traceback …\n")
    return folder
