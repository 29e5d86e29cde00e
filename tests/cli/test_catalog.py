"""What a suite file can name, for people and for editors."""

from __future__ import annotations

import json

from tests.conftest import Command


def test_list_and_schema_print(harness_command: Command) -> None:
    """The catalogue names its rows; the schema is JSON."""
    listed = harness_command("list", "architectures", env={"COLUMNS": "200"})
    assert "retinanet_resnet50_fpn" in listed.stdout
    assert json.loads(harness_command("schema").stdout)["title"] == "harness suite"
