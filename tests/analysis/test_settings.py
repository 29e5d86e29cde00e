"""Trials of one architecture are told apart by what differs between them."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.settings import distinguishing_settings
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite

SUITE = """
suite: own
datasets:
  drawn: {format: synthetic, train: {images: 2}, val: {images: 2}}
architectures:
  - {name: rtdetr_v2_transformers, backbone: a/mine}
  - {name: rtdetr_v2_transformers, backbone: a/mine, weights: none}
  - rtdetr_v2_transformers
"""


def test_a_backbone_in_a_folder_is_told_by_its_name_and_content(tmp_path: Path) -> None:
    """Without the place where it is on one machine."""
    folder = tmp_path / "a" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (tmp_path / "suite.yaml").write_text(SUITE)
    trials = plan_trials(load_suite(tmp_path / "suite.yaml"), {"drawn": "0"}, max_images=None)
    digest = str(trials[0].architecture.weights_sha256)[:8]
    assert list(distinguishing_settings(trials).values()) == [
        f"model.backbone mine, weights backbone {digest}",
        f"model.backbone mine, weights none {digest}",
        "weights backbone",
    ]
