"""The rows of torchvision's detectors say what torchvision itself says of them."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.models import get_model_builder
from torchvision.models.detection import FCOS, FasterRCNN, MaskRCNN, RetinaNet
from torchvision.models.detection.ssd import SSD

from harness.suite.catalog.torchvision import ARCHITECTURES, TorchvisionArchitecture
from harness.trial.models.torchvision import build, weights

COCO_CLASSES = 91
HEAD_LAYERS = {"faster_rcnn": FasterRCNN, "mask_rcnn": MaskRCNN, "retinanet": RetinaNet, "ssd": SSD, "ssdlite": SSD}
CASES = [pytest.param(row, id=row.name) for row in ARCHITECTURES]


def _on_meta(row: TorchvisionArchitecture, classes: int) -> nn.Module:
    """Its network for so many classes, without the memory and the time of its tensors."""
    builder = build.head_of(row).build if row.own_builder else get_model_builder(row.name)
    with torch.device("meta"):
        model: nn.Module = builder(weights=None, weights_backbone=None, num_classes=classes)
    return model


@pytest.mark.parametrize("row", CASES)
def test_published_files_and_numbers_are_torchvisions(row: TorchvisionArchitecture) -> None:
    """File names, mAP, parameters and GFLOPs of published weights are those of torchvision's own enumeration."""
    if row.backbone_weights is not None:
        assert Path(weights.member(row.backbone_weights).url).name == row.published_files["backbone"]
    assert ("backbone" in row.published_files) == (row.backbone_weights is not None)
    if row.weights is None:
        assert (row.published_map, row.gflops) == (None, None)
        assert "default" not in row.published_files
        return
    published = weights.member(row.weights)
    assert published is type(published).DEFAULT
    assert Path(published.url).name == row.published_files["default"]
    assert published.meta["_metrics"]["COCO-val2017"]["box_map"] == pytest.approx(100 * (row.published_map or 0))
    assert published.meta["num_params"] == row.parameters
    assert published.meta["_ops"] == row.gflops
    assert row.recipe.source.partition("#")[0].removesuffix("/") in published.meta["recipe"]
    assert row.published_source
    assert (row.code_license, row.weights_license) == ("BSD-3-Clause", "BSD-3-Clause")


@pytest.mark.parametrize("row", CASES)
def test_a_network_has_the_parameters_that_its_row_states(row: TorchvisionArchitecture) -> None:
    """Counted in the network for COCO's classes; the norms of v1 models are no parameters, for they are frozen."""
    model = _on_meta(row, COCO_CLASSES)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    frozen = 0 if row.frozen_norm_eps is None else sum(p.numel() for norm in norms for p in norm.parameters())
    assert sum(p.numel() for p in model.parameters()) - frozen == row.parameters


@pytest.mark.parametrize("row", CASES)
def test_a_replaced_head_has_the_shapes_of_the_builders(row: TorchvisionArchitecture) -> None:
    """Every tensor has the shape that torchvision gives to a network for as many classes, and they are counted so.

    RetinaNet's and FCOS's heads keep a number of classes of their own, by which they reshape what they return.
    """
    replaced, built = _on_meta(row, COCO_CLASSES), _on_meta(row, 4)
    head = build.head_of(row)
    with torch.device("meta"):
        head.replace_head(replaced, 4)
    shapes = {name: tensor.shape for name, tensor in built.state_dict().items()}
    assert {name: tensor.shape for name, tensor in replaced.state_dict().items()} == shapes
    assert head.CLASS_WEIGHT in shapes
    assert head.count_classes(built.state_dict(), built) == 4
    if row.head == "retinanet":
        assert typing.cast("typing.Any", replaced).head.classification_head.num_classes == 4


@pytest.mark.parametrize("row", CASES)
def test_options_are_arguments_of_the_builder(row: TorchvisionArchitecture) -> None:
    """Or of the network's class; the anchors' are those of an AnchorGenerator, which the family sets itself."""
    builder = build.head_of(row).build if row.own_builder else get_model_builder(row.name)
    network = FCOS if row.name.startswith("fcos") else HEAD_LAYERS[row.head]
    known = {*inspect.signature(builder).parameters, *inspect.signature(network).parameters}
    known |= set(inspect.signature(FasterRCNN).parameters) if row.head == "mask_rcnn" else set()
    assert {option.name for option in row.options} <= known | {"anchor_sizes", "aspect_ratios"}
