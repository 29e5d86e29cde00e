"""Networks of the catalogue have the published parameters, and their parts are where the family looks for them."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from harness.suite.catalog.transformers import ARCHITECTURES
from harness.suite.catalog.transformers_row import TransformersArchitecture
from harness.trial.models.transformers import network
from tests.trial.models.transformers.tiny import NAMES, tiny

# Millions, as their authors publish them; RF-DETR's and LW-DETR's count all groups of queries that training takes.
PUBLISHED = {
    "rtdetr_v2_r18vd": 20,
    "rtdetr_v2_r34vd": 31,
    "rtdetr_v2_r50vd": 42,
    "rtdetr_v2_r101vd": 76,
    "dfine_n": 4,
    "dfine_s": 10,
    "dfine_m": 19,
    "dfine_l": 31,
    "dfine_x": 62,
    "deimv2_atto": 0.5,
    "deimv2_femto": 1.0,
    "deimv2_pico": 1.5,
    "deimv2_n": 3.6,
    "rfdetr_nano": 30.5,
    "rfdetr_small": 32.1,
    "rfdetr_medium": 33.7,
    "lw_detr_tiny": 12.1,
    "lw_detr_small": 14.6,
    "lw_detr_medium": 28.2,
    "lw_detr_large": 46.8,
    "lw_detr_xlarge": 118.0,
    "detr_resnet_50": 41.3,
    "yolos_tiny": 6.5,
}


_LARGE = 35e6  # parameters; a larger one is built slowly even where its tensors hold nothing


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=row.name, marks=[pytest.mark.slow] if row.parameters > _LARGE else [])
        for row in ARCHITECTURES
        if "backbone" not in row.published_files  # nobody published anything on a backbone of the suite's choice
    ],
)
def test_a_row_has_the_parameters_of_its_network(row: TransformersArchitecture) -> None:
    """As the library builds it for the published classes; and about as many as its authors publish."""
    config = network.configuration(row.model_type, row.config, classes=row.published_classes)
    with torch.device("meta"):
        module = network.build(config, live_norms=False)
    count = sum(parameter.numel() for parameter in module.parameters())
    assert count == row.parameters
    assert count / 1e6 == pytest.approx(PUBLISHED[row.name], rel=0.04, abs=0.6)
    places = network.places(config, row.image_size[0])
    assert places is None or places >= (row.queries or 0)


@pytest.mark.parametrize(
    "name",
    [
        "deimv2_atto",
        "rfdetr_nano",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("deimv2_n", "dfine_n", "dfine_s", "rtdetr_v2_r18vd")),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("lw_detr_tiny", "lw_detr_medium", "rfdetr_medium")),
    ],
)
def test_operations_are_multiplications_with_their_additions_in_every_series(name: str) -> None:
    """As of torchvision's rows: some tables count twice as many, and columns must be comparable across families."""
    row = next(row for row in ARCHITECTURES if row.name == name)
    config = network.configuration(row.model_type, row.config, classes=row.published_classes)
    module = network.build(config, live_norms=False).eval().requires_grad_(requires_grad=False)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(torch.zeros(1, 3, *row.image_size))
    assert row.gflops == pytest.approx(counter.get_total_flops() / 2e9, rel=0.12)
    assert len(network.stages(module)) >= 4
    named = dict(module.named_parameters())
    assert all(any(name.startswith(prefix) for name in named) for prefix in row.frozen_prefixes)
    assert any(network.is_head(name) for name in named)


@pytest.mark.parametrize("name", NAMES)
def test_a_backbone_is_all_of_its_stages(name: str) -> None:
    """`trainable_layers` and the backbone's own rate reach all of it, but for a norm behind the last layer."""
    row = tiny(name)
    module = network.build(network.configuration(row.model_type, row.config, classes=2), live_norms=True)
    in_stages = {id(p) for stage in network.stages(module) for p in stage.parameters()}
    left = [n for n, p in network.backbone(module).named_parameters() if id(p) not in in_stages]
    assert all(n.startswith("layernorm.") for n in left)
