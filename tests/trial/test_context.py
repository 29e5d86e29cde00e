"""What a trial is set up with before its first step: the loader processes that shared memory has room for."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import api
from harness.store.job import Job, RaceTurn
from harness.trial.context import TrialContext, build_context
from harness.trial.events import EventWriter
from harness.trial.inputs import shared_memory
from tests.conftest import TINY_RCNN

OWN = """
import torch

class Own(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        assert torch.utils.data.get_worker_info(), "read in the trial's own process"
        return torch.rand(3, 64, 64), {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
"""
OWN_DATASET = "  own: {format: python, classes: [a], train: {dataset: own.py:Own}, val: {dataset: own.py:Own}}\n"
THREE_WORKERS = "hyperparameters: {epochs: 1, batch_size: 2, lr: 1e-4, loader_workers: 3}\n"


def build(suite: Path, *, race: RaceTurn | None = None, weights: str | None = None) -> TrialContext:
    """The context of the suite's first trial."""
    trial = api.plan(suite).trials[0]
    job = Job(
        trial=trial, number=1, device="cpu", threads=1, import_folder=str(suite.parent), race=race, weights=weights
    )
    return build_context(job, EventWriter(io.StringIO()))


@pytest.mark.parametrize(
    ("batches", "workers", "reason"),
    [
        (7, 3, None),
        (6, 2, "2 loader processes in place of 3: the batches of 3 take 168 KiB"),
        (2, 0, "0 loader processes in place of 3"),
    ],
)
def test_fewer_loader_processes_where_shared_memory_has_no_room(
    monkeypatch: pytest.MonkeyPatch, tiny_suite: Callable[..., Path], batches: int, workers: int, reason: str | None
) -> None:
    """Down to none, with a warning that goes into the record; two images of 64 × 64 × 3 bytes are a batch."""
    monkeypatch.setattr(shared_memory, "room", lambda: (batches * 2 * 64 * 64 * 3, 2**26))
    context = build(tiny_suite(rest=THREE_WORKERS))
    assert context.workers == workers
    assert [warning.name for warning in context.warnings] == ([] if reason is None else ["fewer_workers"])
    assert all(
        "docker run --shm-size" in warning.reason and (reason or "").partition(":")[0] in warning.reason
        for warning in context.warnings
    )


def test_the_images_of_a_users_dataset_are_measured_in_a_process_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """They take four bytes a value; a file that was opened in the trial's own process could not be read in workers."""
    (tmp_path / "own.py").write_text(OWN)
    monkeypatch.setattr(shared_memory, "room", lambda: (6 * 2 * 64 * 64 * 3 * 4, 2**26))
    context = build(tiny_suite(datasets=OWN_DATASET, rest=THREE_WORKERS))
    assert (context.workers, len(context.warnings)) == (2, 1)


def test_a_race_starts_no_loader_process_and_needs_no_room(
    monkeypatch: pytest.MonkeyPatch, tiny_suite: Callable[..., Path]
) -> None:
    """It reads its few images itself."""
    monkeypatch.setattr(shared_memory, "room", lambda: (0, 0))
    context = build(tiny_suite(rest=THREE_WORKERS), race=RaceTurn(first_image=0, images=1, seconds=0))
    assert context.warnings == ()


def test_what_trains_is_what_the_suite_asks_for(tiny_suite: Callable[..., Path]) -> None:
    """Stages that keep random weights for good are told; the others' parameters train, the head's always."""
    rest = "hyperparameters: {epochs: 1, trainable_layers: 2, batch_norm: frozen}\n"
    suite = tiny_suite(architectures=TINY_RCNN, rest=rest)
    context = build(suite)
    assert [warning.name for warning in context.warnings] == ["random_stages"]
    stages = context.detector.backbone_stages()
    trains = [any(parameter.requires_grad for parameter in stage.parameters()) for stage in stages]
    assert trains == [False] * (len(stages) - 2) + [True] * 2
    trained = {name for name, parameter in context.model.named_parameters() if parameter.requires_grad}
    assert "roi_heads.box_predictor.cls_score.weight" in trained
    assert not any(name.startswith("backbone.body.0.1.") for name in trained)
