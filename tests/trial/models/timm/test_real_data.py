"""Real weights help on real images: the one honest test of transfer that a machine without internet can make.

The images are not part of the project. Name their folder in `HARNESS_REAL_DATA`, or put it beside the project as
`shared/data`; without them this is skipped. docs/architectures.md has the numbers of a whole run.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from statistics import mean

import pytest

from tests.conftest import ROOT, Command

_FOLDER = Path(os.environ.get("HARNESS_REAL_DATA", ROOT.parent / "shared" / "data"))
SUITE = """
suite: transfer
datasets:
  bccd: {{format: voc, path: {data}}}
on_bad_data: skip
architectures:
  - name: fcos_timm
    weights: backbone
    image_size: {{min: 112, max: 150}}
    model: {{fpn_channels: 64}}
  - name: fcos_timm
    weights: none
    image_size: {{min: 112, max: 150}}
    model: {{fpn_channels: 64}}
hyperparameters:
  epochs: 4
  batch_size: 4
  optimizer: adamw
  lr: 0.001
  weight_decay: 0.05
  schedule: cosine
  warmup_steps: 25
  clip_grad_norm: 1.0
seeds: [0, 1, 2]
protocol: {{level: quick, rounds: 1, latency_images: 20, throughput_batch_size: 1}}
"""


@pytest.mark.slow
def test_pretrained_weights_beat_random_ones_for_every_seed(harness_command: Command, tmp_path: Path) -> None:
    """On blood cells after four epochs at 112 pixels: the same budget, the same seeds, only the start differs."""
    data = _FOLDER / "bccd" / "BCCD"
    if not data.is_dir():
        pytest.skip("no real data bccd")
    (tmp_path / "transfer.yaml").write_text(SUITE.format(data=data))
    arguments = ("--results", tmp_path, "--device", "cpu", "--no-race", "--no-preflight", "--executor", "local")
    done = harness_command("run", tmp_path / "transfer.yaml", *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.glob("transfer/trials/*/record.json")]
    found: dict[str, dict[int, float]] = {"backbone": {}, "none": {}}
    for record in records:
        trial = record["trial"]
        found[trial["architecture"]["weights"]][trial["seed"]] = record["metrics"]["map"]
    assert len(records) == 6
    for seed, of_random in found["none"].items():
        assert found["backbone"][seed] > of_random
    assert mean(found["backbone"].values()) > mean(found["none"].values()) + 0.05
