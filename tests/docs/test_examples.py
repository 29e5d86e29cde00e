"""The examples of the page on the Python API run as they stand."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

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


def test_the_examples_run_in_their_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one namespace, beside a suite file and the committed results; an error names its line of the page."""
    shutil.copytree(ROOT / "results" / "examples" / "quickstart", tmp_path / "results" / "quickstart")
    (tmp_path / "suite.yaml").write_text(SUITE)
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "example"}
    blocks = list(re.finditer(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
    assert blocks
    for block in blocks:
        lines_above = text[: block.start(1)].count("\n")
        exec(compile("\n" * lines_above + block[1], PAGE, "exec"), namespace)
