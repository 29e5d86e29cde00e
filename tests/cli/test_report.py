"""`harness report` as a person runs it: where exports go, and where they cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import Command
from tests.store.make import make_folder, make_record, make_trial


def _folder(root: Path) -> Path:
    """Two rows."""
    make_folder(root, [make_record(make_trial()), make_record(make_trial("fasterrcnn_resnet50_fpn"))])
    return root


def test_report_writes_what_is_asked_for(harness_command: Command, tmp_path: Path) -> None:
    """Beside the report, where FILE says, or to the standard output alone."""
    root, other = _folder(tmp_path / "made"), tmp_path / "numbers.parquet"
    done = harness_command("report", root, "--csv", "--latex", "--parquet", other, "--json", "-")
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)) == 2
    assert (root / "report.csv").read_bytes().startswith(b"dataset,label,")
    assert b"toprule" in (root / "report.tex").read_bytes()
    assert len(pd.read_parquet(other)) == 2
    assert not (root / "report.json").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--csv", "made"), "'made' is a folder, not a FILE; RESULTS_DIR comes before the options"),
        (("made", "--csv", "-", "--json", "-"), "--csv and --json: all to -"),
        (("made", "--csv", "made/plan.json"), "belongs to the results themselves"),
        (("made", "--csv", "nowhere/x.csv"), "cannot be written"),
    ],
)
def test_what_cannot_be_exported_is_told(
    harness_command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    """A folder swallowed as FILE, two formats to one place, a place that is none: exit 2, no traceback."""
    _folder(tmp_path / "made")
    done = harness_command("report", *arguments, cwd=tmp_path)
    assert (done.returncode, said in done.stderr) == (2, True), done.stderr
    assert "Traceback" not in done.stderr
