"""The stages of the backbones of torchvision's detectors, which its builders freeze one by one from the images on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import nn
from torchvision.models.detection.ssd import SSDFeatureExtractorVGG
from torchvision.models.detection.ssdlite import SSDLiteFeatureExtractorMobileNet

if TYPE_CHECKING:
    from collections.abc import Sequence

_RESNET = (("conv1", "bn1"), ("layer1",), ("layer2",), ("layer3",), ("layer4",))


def stages_of(backbone: nn.Module) -> Sequence[nn.Module]:
    """The backbone's stages, from the images on: what `trainable_backbone_layers` of torchvision's builders counts.

    What a detector adds to the backbone (a feature pyramid, SSD's further layers) belongs to none of them.

    Args:
        backbone: the module of that name in a detector.

    Returns:
        Five stages of a ResNet or VGG, six of a MobileNet; each a list of layers, whose modules are the backbone's own.
    """
    if isinstance(backbone, SSDFeatureExtractorVGG):
        *last, _further = backbone.extra[0]
        layers = [*backbone.features, *last]
        return _divided(layers, [isinstance(layer, nn.MaxPool2d) for layer in layers])
    if isinstance(backbone, SSDLiteFeatureExtractorMobileNet):
        return _stages_of_ssdlite(backbone)
    body = backbone.get_submodule("body")
    if hasattr(body, "layer4"):
        return [nn.ModuleList(body.get_submodule(name) for name in names) for names in _RESNET]
    blocks = list(body.children())
    return _divided(blocks, [_strided(block) for block in blocks[:-1]] + [True])


def _stages_of_ssdlite(backbone: SSDLiteFeatureExtractorMobileNet) -> Sequence[nn.Module]:
    """The stages of SSDlite's MobileNet, of which one block is cut in two: its first part gives a feature map."""
    (*blocks, cut), (rest, *last) = backbone.features
    layers = [*blocks, cut, rest, *last]
    begins = [*map(_strided, blocks), True, False, *map(_strided, last[:-1]), True]
    return _divided(layers, begins)


def _strided(block: nn.Module) -> bool:
    """Whether a block of MobileNet halves the resolution; torchvision marks these."""
    return bool(getattr(block, "_is_cn", False))


def _divided(layers: Sequence[nn.Module], begins: Sequence[bool]) -> Sequence[nn.Module]:
    """The layers in stages; the first layer, and each one for which `begins` says so, is the first of a stage."""
    starts = [0, *(row for row, begin in enumerate(begins) if begin and row), len(layers)]
    return [nn.ModuleList(layers[start:end]) for start, end in itertools.pairwise(starts)]
