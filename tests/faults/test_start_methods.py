"""A whole run works however the system starts worker processes, from a script without a main guard too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FAST

DATASET = """
import torch
from beside import SIDE
class Parts(torch.utils.data.Dataset):
    def __len__(self):
        return 4
    def __getitem__(self, index):
        return torch.rand(3, SIDE, SIDE), {"boxes": torch.tensor([[4., 4., 30., 30.]]), "labels": torch.tensor([1])}
"""
START = """
import multiprocessing, os
multiprocessing.set_start_method(os.environ["START_METHOD"], force=True)
"""
SCRIPT = """
import harness
print("BEGIN")
print(harness.run("tiny.yaml", executor="inline", preflight=False, race=False).succeeded)
"""


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@pytest.mark.parametrize("name", ["parts.py:Parts", "parts:Parts"])
@pytest.mark.parametrize("by", ["command", "script"])
def test_a_users_dataset_is_trained_on(
    by: str, name: str, method: str, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """From a file or a module; its loaders' processes import it, and nothing else of the user's runs in them."""
    (tmp_path / "parts.py").write_text(DATASET)
    (tmp_path / "beside.py").write_text("SIDE = 64\n")
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(START)  # in each process, as if the system did it
    split = f"{{dataset: '{name}'}}"
    tiny_suite(
        datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n",
        rest=f"hyperparameters: {{epochs: 1, batch_size: 2, loader_workers: 1}}\n{FAST}",
    )
    path = os.pathsep.join((str(tmp_path / "site"), os.environ.get("PYTHONPATH", "")))
    words = ("script.py",) if by == "script" else ("-m", "harness", "run", "tiny.yaml", "--no-race")
    done = subprocess.run(
        (sys.executable, *words),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "START_METHOD": method, "CI": "true"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("BEGIN\n1\n") if by == "script" else "1 of 1 trials measured" in done.stdout
    assert len(list((tmp_path / "results").glob("tiny/trials/*/record.json"))) == 1
