"""What tables and cards say of a row."""

from __future__ import annotations

from harness.suite.catalog.describe import backbone_name
from harness.suite.catalog.registry import BUILT_IN


def test_the_backbone_is_the_one_that_the_suite_chose() -> None:
    """Of a folder its name without its place; where a suite cannot choose, the row's."""
    row = BUILT_IN["rtdetr_v2_transformers"]
    assert backbone_name(row, {"queries": 20}) == "microsoft/resnet-18"
    assert backbone_name(row, {"backbone": "a/b"}) == "a/b"
    assert backbone_name(row, {}, "/home/me/last.pt") == "that of its weights"
    assert backbone_name(BUILT_IN["fcos_timm"], {}, "/home/me/last.pt") == BUILT_IN["fcos_timm"].backbone
    assert backbone_name(row, {"backbone": "/home/me/mine"}) == "mine"
    assert backbone_name(BUILT_IN["dfine_n"], {"backbone": "a/b"}) == BUILT_IN["dfine_n"].backbone
