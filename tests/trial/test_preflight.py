"""What would end a trial in the night ends its preflight in the evening."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.trial.events import EventWriter
from harness.trial.inputs import loader
from harness.trial.preflight import run_preflight
from tests.trial.test_context import OWN, OWN_DATASET, build

ONE_WORKER = "hyperparameters: {epochs: 1, batch_size: 2, lr: 1e-4, loader_workers: 1}\n"
# Reads in this process, and is silent in a worker, as one whose shared memory is full.
SILENT = OWN.replace(
    "assert torch.utils.data.get_worker_info(), ", "import time; worker() and time.sleep(60); "
).replace("import torch\n", "import torch\n\ndef worker():\n    return torch.utils.data.get_worker_info()\n")


def test_loader_processes_that_fall_silent_end_the_preflight(
    monkeypatch: pytest.MonkeyPatch, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """One batch is drawn as training will, with a limit on the time, and the error says what to do."""
    (tmp_path / "own.py").write_text(SILENT)
    monkeypatch.setattr(loader, "batch_bytes", lambda *_: 1)
    monkeypatch.setattr(loader, "TIMEOUT_S", 1.0)
    monkeypatch.setattr("harness.trial.context.batch_bytes", lambda *_: 1)
    context = build(tiny_suite(datasets=OWN_DATASET, rest=ONE_WORKER))
    with pytest.raises(RuntimeError, match=r"gave no batch for 1 s: .*/dev/shm has .* free.*docker run --shm-size"):
        run_preflight(context, EventWriter(io.StringIO()), where="here", startup_s=0.0)
