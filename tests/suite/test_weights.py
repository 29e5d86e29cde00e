"""A suite starts from a file of weights or from a folder as transformers writes it, and knows when either changes."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.catalog.published import published_files
from harness.suite.expand import plan_trials
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


def test_a_folder_is_a_backbone_by_its_content(tmp_path: Path) -> None:
    """Wherever it is, it makes the same trial; another content, or random weights, make another. It needs no file."""
    ids = []
    for place, content, word in (
        ("a", b"1", "backbone"),
        ("b", b"1", "backbone"),
        ("c", b"2", "backbone"),
        ("a", b"1", "none"),
    ):
        folder = tmp_path / place
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_bytes(content)
        architecture = f"{word}, backbone: ./{place}"
        text = SUITE.format(weights=architecture).replace("dfine_n", "rtdetr_v2_transformers")
        (tmp_path / "suite.yaml").write_text(text)
        suite = load_suite(tmp_path / "suite.yaml")
        assert suite.settings[0].architecture.model == {"backbone": str(folder)}
        assert not published_files((setting.row, setting.architecture) for setting in suite.settings)
        ids += [trial.trial_id for trial in plan_trials(suite, {"drawn": "0"}, max_images=None)]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_backbone_may_be_a_repository_of_the_hub(tmp_path: Path) -> None:
    """Whose files are named, with random weights its configuration; what can be neither is refused at its line."""
    suite = tmp_path / "suite.yaml"
    wanted = {
        "backbone": "microsoft/resnet-18/model.safetensors",
        "backbone, backbone: a/b": "a/b/model.safetensors",
        "none, backbone: a/b": "a/b/config.json",
        "none, backbone: microsoft/resnet-18": None,
        "none": None,
    }
    for weights, name in wanted.items():
        suite.write_text(SUITE.format(weights=weights).replace("dfine_n", "rtdetr_v2_transformers"))
        loaded = load_suite(suite)
        files = published_files((setting.row, setting.architecture) for setting in loaded.settings)
        assert [file.name for file in files] == ([name] if name else [])
    for wrong in ("./absent", "/absent", "a/b/c"):
        suite.write_text(SUITE.format(weights=f"none, backbone: {wrong}").replace("dfine_n", "rtdetr_v2_transformers"))
        with pytest.raises(
            SuiteError, match=r"suite\.yaml:\d+: .*backbone: rtdetr_v2_transformers takes a repository of"
        ):
            load_suite(suite)
