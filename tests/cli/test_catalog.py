"""What a suite file can name, for people and for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.suite.catalog import registry
from tests.conftest import Command


def test_list_and_schema_print(harness_command: Command) -> None:
    """The catalogue names its rows; the schema is JSON."""
    listed = harness_command("list", "architectures", env={"COLUMNS": "200"})
    assert "retinanet_resnet50_fpn" in listed.stdout
    assert json.loads(harness_command("schema").stdout)["title"] == "harness suite"


@pytest.mark.parametrize("columns", ["80", "120", "40"])
def test_the_list_is_whole_however_narrow_the_terminal_is(harness_command: Command, columns: str) -> None:
    """Every name and every option is there in full; at 80 columns and more no line is wider than that."""
    listed = harness_command("list", "architectures", env={"COLUMNS": columns}).stdout
    words = set(re.split(r"[\s,]+", listed))
    for name in registry.names():
        row, _ = registry.find(name, Path.cwd())
        assert {name, row.backbone, *(option.name for option in row.options)} <= words
    assert "…" not in listed
    if int(columns) >= 80:
        assert max(map(len, listed.splitlines())) <= int(columns)


def test_the_list_is_the_same_in_a_pipe(harness_process: Command) -> None:
    """Where nothing says how wide a line may be."""
    listed = harness_process("list", "architectures", env={"COLUMNS": ""}).stdout
    assert "fasterrcnn_mobilenet_v3_large_fpn\n    2 stages, backbone mobilenet_v3_large, COCO mAP 0.328\n" in listed
    assert "trainable_backbone_layers" in listed
