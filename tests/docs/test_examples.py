"""The examples of the page on the Python API run as they stand, and leave the tables that the results page explains."""

from __future__ import annotations

import contextlib
import re
import shutil
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest

from tests.conftest import ROOT
from tests.executors.fork_server import ForkServerExecutor

if TYPE_CHECKING:
    from pathlib import Path

PAGE = ROOT / "docs" / "python-api.md"
SUITE = """\
suite: tiny
datasets:
  shapes: {format: synthetic, train: {images: 4}, val: {images: 4}, size: 64, classes: 2}
architectures:
  - name: fasterrcnn_mobilenet_v3_large_fpn
    weights: none
    image_size: {min: 64, max: 64}
    model: {rpn_post_nms_top_n_train: 50, rpn_post_nms_top_n_test: 20, box_batch_size_per_image: 8}
hyperparameters: {epochs: 1, batch_size: 2, lr: 0.001}
protocol: {level: quick, rounds: 1, throughput_batch_size: 2}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where every example of the page ran: in its order, in one namespace, beside a suite file and finished results."""
    folder: Path = tmp_path_factory.mktemp("examples")
    shutil.copytree(ROOT / "results" / "examples" / "quickstart", folder / "results" / "quickstart")
    (folder / "suite.yaml").write_text(SUITE)
    text = PAGE.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "example"}
    with contextlib.chdir(folder), pytest.MonkeyPatch.context() as patch:
        patch.setattr("harness.executors.local.LocalExecutor", ForkServerExecutor)  # no seconds of imports
        for block in re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            lines_above = text[: block.start(1)].count("\n")  # so that an error names its line of the page
            exec(compile("\n" * lines_above + block[1], PAGE, "exec"), namespace)
    return folder


def test_the_examples_run(folder: Path) -> None:
    """What the examples say they write is there: a trial, a report of it, an export, a measurement."""
    (trial,) = folder.glob("results/tiny/trials/*")
    left = [trial / "record.json", *trial.glob("measurements/*/record.json"), folder / "quickstart.csv"]
    left += [folder / "results" / "tiny" / "report.md"]
    assert len(left) == 4
    assert [path for path in left if not path.stat().st_size] == []


@pytest.mark.parametrize("name", ["detections.parquet", "ground_truth.parquet", "samples.parquet"])
def test_every_column_of_a_stored_table_is_explained(folder: Path, name: str) -> None:
    """On the page of the results folder, in the order of the file."""
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    table = text.partition(f"### {name}")[2].partition("#")[0]
    explained = [column for cells in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for column in cells.split(", ")]
    (file,) = folder.glob(f"results/tiny/trials/*/{name}")
    assert [column.strip("`") for column in explained] == pq.read_schema(file).names
