"""What a suite file can name, for people and for editors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.suite.catalog import architecture, registry
from tests.conftest import ROOT, Command


def test_list_and_schema_print(harness_command: Command) -> None:
    """The catalogue names its rows; the schema is JSON."""
    listed = harness_command("list", "architectures", env={"COLUMNS": "200"})
    assert "retinanet_resnet50_fpn" in listed.stdout
    assert json.loads(harness_command("schema").stdout)["title"] == "harness suite"


@pytest.mark.parametrize("columns", ["80", "120", "40"])
def test_the_table_is_whole_however_narrow_the_terminal_is(harness_command: Command, columns: str) -> None:
    """Every name, size and number of parameters is there in full; from 80 columns on no line is wider than that."""
    listed = harness_command("list", "architectures", env={"COLUMNS": columns}).stdout
    lines = {line.split()[0]: line for line in listed.splitlines() if line}
    for name, row in registry.BUILT_IN.items():
        assert f" {row.parameters / 1e6:.1f} " in lines[name]
        assert f" {row.image_size[0]}" in lines[name]
    assert "…" not in listed
    if int(columns) >= 80:
        assert max(map(len, listed.splitlines())) <= int(columns)


def test_a_wide_table_has_more_columns(harness_command: Command) -> None:
    """Backbones, both licences and the sources of the accuracy, by family with the extra that it needs."""
    listed = harness_command("list", "architectures", env={"COLUMNS": "400"}).stdout
    for row in registry.BUILT_IN.values():
        line = next(line for line in listed.splitlines() if line.startswith(f"{row.name} "))
        assert row.backbone in line
        assert row.weights_license in line
        assert row.published_source in line
    assert "timm (extra [timm], installed; code Apache-2.0 AND BSD-3-Clause; weights Apache-2.0)" in listed


def test_an_extra_that_is_not_installed_is_named_with_its_command(
    harness_command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its architectures are listed all the same."""
    monkeypatch.setattr(architecture, "_is_installed", lambda name: name != "timm")
    listed = harness_command("list", "architectures", env={"COLUMNS": "120"}).stdout
    assert "timm (not installed: pip install 'detection-harness[timm]'; code" in listed
    assert "fcos_timm" in listed


def test_everything_is_printed_as_data(harness_command: Command, tmp_path: Path) -> None:
    """One object for each row, with its weights, licences, sources and recipe."""
    found = json.loads(harness_command("list", "architectures", "--json", env={"TORCH_HOME": str(tmp_path)}).stdout)
    rows = {row["name"]: row for row in found}
    assert set(registry.BUILT_IN) <= set(rows)
    retina = rows["retinanet_resnet50_fpn"]
    assert retina["weights"][0] == {
        "weights": "default",
        "file": "retinanet_resnet50_fpn_coco-eeacb38b.pth",
        "path": str(tmp_path / "hub" / "checkpoints" / "retinanet_resnet50_fpn_coco-eeacb38b.pth"),
        "cached": False,
    }
    assert (retina["coco_map"], retina["gflops"], retina["stages"]) == (0.364, 151.54, 1)
    assert rows["fcos_timm"]["weights"][0]["cached"]
    assert rows["detr_resnet_50"]["queries"] == 100
    assert all(row["installed"] and row["code_license"] and row["recipe"]["lr"] for row in found)


_DEMANDS = {
    "ssdlite320_mobilenet_v3_large": "at least 2 images in a training step (batch_size / accumulate)",
    "maskrcnn_resnet50_fpn": "data with masks",
    "yolox_nano": "image sizes that are multiples of 32",
    "dfine_n": "image sizes that are multiples of 32, precision bf16 or fp32, for it overflows in fp16",
}


def test_one_architecture_is_told_in_full(harness_command: Command) -> None:
    """With its options and its recipe, one of the user's own too; a name that is near is proposed for a wrong one."""
    told = harness_command("list", "architectures", "fasterrcnn_mobilenet_v3_large_fpn", env={"COLUMNS": "80"}).stdout
    options = registry.BUILT_IN["fasterrcnn_mobilenet_v3_large_fpn"].options
    assert {option.name for option in options} <= set(re.split(r"[\s,]+", told))
    assert "backbone: mobilenet_v3_large" in told
    assert "recipe: lr 0.02, batch_size 16" in told
    assert "demands" not in told
    for name, demand in _DEMANDS.items():
        told = harness_command("list", "architectures", name, env={"COLUMNS": "200"}).stdout
        assert f"    demands: {demand}\n" in told
    own = harness_command("list", "architectures", f"{ROOT}/tests/examples/toy_architecture.py:TOY")
    assert own.stdout.startswith("toy\n")
    wrong = harness_command("list", "architectures", "fcos_tim")
    assert wrong.returncode == 2
    assert "fcos_tim: no such architecture; did you mean fcos_timm?" in wrong.stderr
    assert harness_command("list", "architectures", "nowhere.py:ROW").returncode == 2


def test_the_list_is_the_same_in_a_pipe(harness_process: Command) -> None:
    """Where nothing says how wide a line may be, and the encoding has ASCII alone."""
    listed = harness_process("list", "architectures", env={"COLUMNS": "", "PYTHONIOENCODING": "ascii"}).stdout
    assert "\nfasterrcnn_mobilenet_v3_large_fpn       2      800/1333  19.4    4.5 0.328 " in listed
