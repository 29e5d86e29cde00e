"""A suite starts from a file of weights or from a folder as transformers writes it, and knows when either changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.load import load_suite
from harness.suite.weights import digest

SUITE = """
suite: own
datasets:
  drawn: {{format: synthetic, train: {{images: 2}}, val: {{images: 2}}}}
architectures:
  - {{name: dfine_n, weights: {weights}}}
"""


def test_a_folder_is_one_set_of_weights(tmp_path: Path) -> None:
    """What is beside its configuration and weights, such as a README, changes nothing."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"1")
    before = digest(folder)
    (folder / "README.md").write_text("mine")
    assert digest(folder) == before
    (tmp_path / "suite.yaml").write_text(SUITE.format(weights="./mine"))
    choice = load_suite(tmp_path / "suite.yaml").settings[0].architecture
    assert (choice.weights, choice.weights_sha256) == (str(folder), before)
    (folder / "model.safetensors").write_bytes(b"2")
    assert digest(folder) != before
    assert digest(folder / "model.safetensors") == hashlib.sha256(b"2").hexdigest()


def test_a_folder_without_a_configuration_is_none(tmp_path: Path) -> None:
    """The message says what is allowed."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "suite.yaml").write_text(SUITE.format(weights="./empty"))
    with pytest.raises(SuiteError, match=r"or a folder with config\.json and model\.safetensors"):
        load_suite(tmp_path / "suite.yaml")


def test_a_folder_is_refused_by_what_starts_from_files_alone(tmp_path: Path) -> None:
    """At its line, before any trial."""
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE.format(weights="./mine").replace("dfine_n", "retinanet_resnet50_fpn"))
    with pytest.raises(SuiteError, match=r"suite\.yaml:\d+: .*retinanet_resnet50_fpn starts from a file of weights"):
        load_suite(suite)
