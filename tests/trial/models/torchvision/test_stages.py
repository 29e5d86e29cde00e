"""A backbone's stages are what torchvision's builders count where they freeze it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn
from torchvision.models import mobilenet_v3_large, resnet50, vgg16
from torchvision.models.detection.backbone_utils import _mobilenet_extractor, _resnet_fpn_extractor
from torchvision.models.detection.ssd import _vgg_extractor
from torchvision.models.detection.ssdlite import _mobilenet_extractor as _ssdlite_extractor

from harness.trial.models.torchvision.stages import stages_of

if TYPE_CHECKING:
    from collections.abc import Callable

BACKBONES: dict[str, tuple[int, Callable[[int], nn.Module]]] = {
    "resnet50 and FPN": (5, lambda kept: _resnet_fpn_extractor(resnet50(), kept)),
    "mobilenet and FPN": (6, lambda kept: _mobilenet_extractor(mobilenet_v3_large(), True, kept)),
    "vgg16 of SSD": (5, lambda kept: _vgg_extractor(vgg16(), False, kept)),
    "mobilenet of SSDlite": (6, lambda kept: _ssdlite_extractor(mobilenet_v3_large(), kept, partial(nn.BatchNorm2d))),
}


@pytest.mark.parametrize("name", BACKBONES)
def test_the_stages_that_train_are_the_last_ones(name: str) -> None:
    """Every parameter of as many as the builder trains, and none of those before."""
    count, make = BACKBONES[name]
    for kept in (0, 1, count - 2, count):
        with torch.device("meta"):
            stages = stages_of(make(kept))
        trained = [{parameter.requires_grad for parameter in stage.parameters()} for stage in stages]
        assert trained == [{False}] * (count - kept) + [{True}] * kept


@pytest.mark.parametrize("name", BACKBONES)
def test_no_layer_of_a_backbone_is_in_two_stages_or_in_none(name: str) -> None:
    """All that the ImageNet network gave is in one of them."""
    _, make = BACKBONES[name]
    with torch.device("meta"):
        frozen = make(0)
    inside = [id(parameter) for stage in stages_of(frozen) for parameter in stage.parameters()]
    assert len(inside) == len(set(inside))
    assert set(inside) == {id(parameter) for parameter in frozen.parameters() if not parameter.requires_grad}
