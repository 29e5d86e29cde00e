"""RT-DETRv2 and D-FINE on a backbone of timm, from random or from timm's own ImageNet weights.

The norms of such a backbone stay timm's own. transformers would freeze them by putting a frozen norm in the place of
each, which drops what timm's norms do besides (the activation behind them) and another eps than its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.trial.models.timm import backbone as backbones
from harness.trial.models.timm import weights
from harness.trial.models.transformers import build, network

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

    from harness.suite.catalog.transformers_row import TransformersArchitecture


@dataclass(frozen=True, slots=True, kw_only=True)
class OnTimm:
    """A network on a backbone of timm, and what its pixels are normalised with.

    Attributes:
        pixel_mean: subtracted from red, green and blue.
        pixel_std: what the difference is divided by.
    """

    module: nn.Module
    pixel_mean: tuple[float, ...]
    pixel_std: tuple[float, ...]


def start_from(
    row: TransformersArchitecture, name: str, classes: int, changes: Mapping[str, Any], *, pretrained: bool
) -> OnTimm:
    """A network on timm's backbone of this name.

    Args:
        name: as timm calls it, with or without the tag of its weights.
        changes: of the row's configuration.
        pretrained: whether the backbone starts from its published weights; the rest is random.

    Raises:
        TrialError: there is no such model, or it gives no feature maps that fit.
        WeightsError: its weights are not on this machine, or do not fit.
    """
    strides = tuple(row.config.get("feat_strides", (8, 16, 32)))
    body: Any = weights.pretrained(name, strides) if pretrained else backbones.create(name, strides)
    found: list[int] = body.feature_info.reduction()
    channels: list[int] = body.feature_info.channels()
    taken = [max(index for index, stride in enumerate(found) if stride == wanted) for wanted in strides]
    on_timm = {
        "backbone_config": {
            "model_type": "timm_backbone",
            "backbone": name,
            "out_indices": taken,
            "features_only": True,
            "use_pretrained_backbone": False,
        },
        "encoder_in_channels": [channels[index] for index in taken],
    }
    module = build.untrained(row, classes, {**changes, **on_timm}, live_norms=True)
    if pretrained:
        own = network.backbone(module)
        state = body.state_dict()
        own.load_state_dict({key: state[key] for key in own.state_dict()})
    known: Any = body.pretrained_cfg
    return OnTimm(module=module, pixel_mean=tuple(known["mean"]), pixel_std=tuple(known["std"]))
