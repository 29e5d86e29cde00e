"""What a user's own code does costs its own trial: the others are measured, and the reason is told in few words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FAST, Command

DATASET = """
import os, torch
class Parts(torch.utils.data.Dataset):
    def __init__(self, how=""):
        self.how = how
    def __len__(self):
        return 4
    def __getitem__(self, index):
        if self.how == "exit":
            os._exit(3)
        if self.how == "huge":
            raise ValueError("x" * 20_000_000)
        return torch.rand(3, 64, 64), {"boxes": torch.tensor([[4., 4., 30., 30.]]), "labels": torch.tensor([1])}
"""
REASONS = {"exit": "exited with code 3 and left no outcome", "huge": "train (parts:Parts)["}


@pytest.mark.parametrize(
    ("how", "preflight", "workers"),
    [
        ("exit", True, 0),
        pytest.param("exit", False, 0, marks=pytest.mark.slow),
        pytest.param("exit", False, 1, marks=pytest.mark.slow),
        ("huge", False, 1),
    ],
)
def test_it_costs_its_own_trial(
    how: str,
    *,
    preflight: bool,
    workers: int,
    harness_command: Command,
    tiny_suite: Callable[..., Path],
    tmp_path: Path,
) -> None:
    """Ending the process with exit code 3, or raising 20 MB: in the preflight, the trial, or a loader's process.

    Everything stored and shown stays small; only the log has all that it can hold.
    """
    (tmp_path / "parts.py").write_text(DATASET)
    split = f"{{dataset: 'parts:Parts', args: {{how: {how}}}}}"
    shapes = "{format: synthetic, train: {images: 4}, val: {images: 3}, size: 64}"
    suite = tiny_suite(
        datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n  shapes: {shapes}\n",
        rest=f"hyperparameters: {{epochs: 1, batch_size: 2, loader_workers: {workers}}}\n{FAST}",
    )
    results = tmp_path / "results"
    done = harness_command("run", suite, "--results", results, "--no-race", *(() if preflight else ("--no-preflight",)))
    output = done.stdout + done.stderr
    assert done.returncode == 1, output
    assert "1 of 2 trials measured, 1 failed" in output
    assert len(output) < 20_000
    (failed,) = results.glob("tiny/trials/parts-*")
    reason = "DataLoader worker" if (how, workers) == ("exit", 1) else REASONS[how]
    for file in (failed / "attempts" / "1" / "outcome.json", results / "tiny" / "report.md"):
        text = file.read_text()
        assert reason in text, file
        assert len(text) < 30_000, file
    assert all(file.stat().st_size < 100_000 for file in failed.rglob("*") if file.is_file() and file.name != "log.txt")
    assert (results / "tiny" / "report.html").stat().st_size < 2_000_000
    if how == "huge":
        assert "x" * 5_000_000 in (failed / "attempts" / "1" / "log.txt").read_text()
