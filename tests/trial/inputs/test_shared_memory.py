"""Loader processes under a small /dev/shm: as many as have room, and words that help where room was lost later."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from harness.trial.inputs import shared_memory

MIB = 2**20

# In a mount namespace of its own, with 6 MiB of shared memory: one epoch of batches of 1 MB, eight processes wanted.
SMALL = """
mount -t tmpfs -o size=6m tmpfs /dev/shm && exec "$0" -c '
import sys
from pathlib import Path
from harness.suite.schema import Augmentation, SyntheticDataset, SyntheticImages
from harness.suite.trial import TrialDataset
from harness.trial.inputs import shared_memory
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.loader import EpochBatches, TrainingSet, batch_bytes, training_loader
images = SyntheticImages(images=48)
source = SyntheticDataset(format="synthetic", train=images, val=images, size=300)
dataset = TrialDataset(name="d", fingerprint="f", source=source)
items = open_dataset(dataset, max_images=None, import_folder=Path()).splits["train"]
batches = EpochBatches(len(items), 4, 0)
batches.begin(1)
workers = shared_memory.workers_that_fit(8, batch_bytes(items, 4))
loader = training_loader(TrainingSet(items, Augmentation(), 0), batches, workers)
seen = [str(image.dtype) for batch in loader for image, _ in batch]
print(workers, len(seen), set(seen))
'
"""


def _room(monkeypatch: pytest.MonkeyPatch, free: int, size: int = 64 * MIB) -> None:
    found = SimpleNamespace(f_bavail=free // 4096, f_blocks=size // 4096, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda _path: found)


@pytest.mark.parametrize(("free_mib", "workers"), [(1000, 4), (90, 4), (89, 3), (70, 3), (30, 1), (29, 0), (0, 0)])
def test_as_many_processes_as_their_batches_have_room(
    monkeypatch: pytest.MonkeyPatch, free_mib: int, workers: int
) -> None:
    """Each holds two batches of 10 MiB ready, and one more is in use."""
    _room(monkeypatch, free_mib * MIB)
    assert shared_memory.workers_that_fit(4, 10 * MIB) == workers
    assert shared_memory.workers_that_fit(4, 0) == 4


def test_a_system_without_shared_memory_files_starts_what_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other systems pass batches in another way."""
    monkeypatch.setattr(shared_memory, "_FOLDER", Path("/nowhere"))
    assert shared_memory.room() is None
    assert shared_memory.workers_that_fit(4, 10 * MIB) == 4
    assert "there is no /nowhere" in shared_memory.describe_room()


def test_the_shortage_is_told_with_its_numbers_and_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed, what is there, and the option of a container."""
    _room(monkeypatch, 60 * MIB)
    text = shared_memory.shortage(4, 2, 10 * MIB)
    assert text.startswith("2 loader processes in place of 4: the batches of 4 take 90 MiB of shared memory, and ")
    assert "/dev/shm has 60 MiB of 64 MiB free" in text
    assert "docker run --shm-size" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DataLoader timed out after 300.0 seconds", "gave no batch for 300 s"),
        (
            "DataLoader worker (pid 9) is killed by signal: Bus error. It is possible that dataloader's workers are "
            "out of shared memory. Please try to raise your shared memory limit: insufficient shared memory (shm).",
            "found no room in shared memory",
        ),
        (
            "Caught RuntimeError in DataLoader worker process 0.\nunable to write to file </torch_9_1_0>: No space "
            "left on device (28)",
            "found no room in shared memory",
        ),
    ],
)
def test_what_torch_says_of_full_shared_memory_becomes_a_sentence(text: str, expected: str) -> None:
    """It names the folder and the option of a container."""
    explained = str(shared_memory.explain(RuntimeError(text), timeout_s=300.0))
    assert expected in explained
    assert "/dev/shm" in explained
    assert "docker run --shm-size" in explained


def test_another_error_stays_what_it_is() -> None:
    """Also one whose text speaks of a full disk."""
    error = RuntimeError("Caught RuntimeError in DataLoader worker process 0.\nRuntimeError: bad size")
    assert shared_memory.explain(error, timeout_s=1.0) is error
    full = RuntimeError("RuntimeError: cache: No space left on device")
    assert shared_memory.explain(full, timeout_s=1.0) is full


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or subprocess.run(
        ("unshare", "-m", "sh", "-c", "mount -t tmpfs -o size=32m tmpfs /dev/shm"), capture_output=True, check=False
    ).returncode
    != 0,
    reason="no mount namespace of its own here",
)
@pytest.mark.slow
def test_real_loaders_under_a_small_dev_shm_deliver_every_image() -> None:
    """With the eight processes that were wanted, it would stand still after some batches."""
    completed = subprocess.run(
        ("unshare", "-m", "sh", "-c", SMALL, sys.executable), capture_output=True, text=True, timeout=120, check=False
    )
    assert completed.stdout == "2 48 {'torch.uint8'}\n", completed.stderr
