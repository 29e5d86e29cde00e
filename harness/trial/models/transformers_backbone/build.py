"""RT-DETRv2 on any backbone that transformers' AutoBackbone builds, from random or from the backbone's own weights.

As the library fine-tunes it, BatchNorms of pretrained weights are frozen and everything else trains; random ones learn.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import torch
from transformers import AutoBackbone, AutoConfig

from harness import foreign
from harness.errors import TrialError, WeightsError
from harness.formatting import on_one_line
from harness.trial.models.transformers import build, network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from torch import nn

    from harness.suite.catalog.transformers_row import TransformersArchitecture

_PROBE = (64, 128)  # height and width of an image that no backbone was made for: multiples of every stride
# Of a configuration what says nothing of the network's shape: labels of its own classes, and where it comes from.
_NOT_OF_SHAPE = ("id2label", "label2id", "architectures", "_name_or_path", "dtype", "out_features", "out_indices")

log = logging.getLogger(__name__)


def start_from(
    row: TransformersArchitecture,
    name: str,
    folder: Path | None,
    classes: int,
    changes: Mapping[str, Any],
    *,
    pretrained: bool,
) -> nn.Module:
    """A network on this backbone.

    Args:
        name: of the backbone, for errors.
        folder: with its files; None: the row has its configuration.
        changes: of the row's configuration.
        pretrained: whether the backbone starts from the weights in the folder; the rest is random.

    Raises:
        TrialError: transformers has no such backbone, or it gives no feature maps that fit.
        WeightsError: its files cannot be read, or do not fit.
    """
    strides = tuple(row.config.get("feat_strides", (8, 16, 32)))
    config = _configuration(row, name, folder)
    kind, taken, channels = _shapes(name, config, strides)
    own = {"backbone_config": {**config, "out_indices": taken}, "encoder_in_channels": channels}
    module = build.untrained(row, classes, {**changes, **own}, live_norms=not pretrained)
    if pretrained and folder is not None:
        body = network.backbone(module)
        state = _pretrained(kind, body, name, folder)
        body.load_state_dict({key: state[key] for key in body.state_dict()})
    return module


def _configuration(row: TransformersArchitecture, name: str, folder: Path | None) -> dict[str, Any]:
    """The backbone's configuration as plain values.

    Raises:
        TrialError: transformers has no backbone of this kind.
        WeightsError: it cannot be read.
    """
    if folder is None:
        return dict(row.config["backbone_config"])
    with build.explained(folder):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    if type(config) not in AutoBackbone._model_mapping or config.model_type == "timm_backbone":  # noqa: SLF001 - no other way to ask
        raise TrialError(
            f"backbone {name}: is a {config.model_type}, of which transformers' AutoBackbone makes no backbone; choose "
            "another one, such as microsoft/resnet-50, or one of timm's with the architecture rtdetr_v2_timm"
        )
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return {key: value for key, value in values.items() if key not in _NOT_OF_SHAPE}


def _shapes(name: str, config: Mapping[str, Any], strides: tuple[int, ...]) -> tuple[type, list[int], list[int]]:
    """The backbone's class, and of the deepest feature map of each stride its index and its channels.

    Raises:
        TrialError: a stride is not there, or it takes images of one size alone.
    """
    try:
        whole = network.plain(config)
        whole.out_indices = list(range(len(whole.stage_names)))
        with torch.device("meta"), torch.no_grad():
            body = AutoBackbone.from_config(whole).eval()
            maps = body(torch.zeros(1, 3, *_PROBE)).feature_maps
    except MemoryError:
        raise
    except Exception as error:  # transformers has no error of its own for an image that does not fit
        raise TrialError(
            f"backbone {name}: gives no feature maps for images of any size "
            f"({on_one_line(foreign.described(error))}); choose another one, such as microsoft/resnet-50"
        ) from error
    found = [_stride(features.shape[-2:]) for features in maps]
    if not set(strides) <= set(found):
        sizes = dict.fromkeys(" × ".join(map(str, features.shape[-2:])) for features in maps)
        raise TrialError(
            f"backbone {name}: the detector takes feature maps at strides {', '.join(map(str, strides))}, and of an "
            f"image of {' × '.join(map(str, _PROBE))} its own are {', '.join(sizes)}; choose another one, such as "
            "microsoft/resnet-50"
        )
    taken = [max(index for index, stride in enumerate(found) if stride == wanted) for wanted in strides]
    return type(body), taken, [maps[index].shape[1] for index in taken]


def _stride(size: tuple[int, int]) -> int:
    """What divides the sides of the image; 0 if no number does so for both."""
    high, wide = (side // found for side, found in zip(_PROBE, size, strict=True))
    return high if high == wide and (size[0] * high, size[1] * wide) == _PROBE else 0


def _pretrained(kind: Any, body: nn.Module, name: str, folder: Path) -> dict[str, Any]:
    """The tensors in the folder under the names of this backbone.

    What lies behind the feature maps, a classifier or a pooling, is left out. A norm that transformers adds to each
    feature map is in no file and starts as the identity.

    Raises:
        WeightsError: something else is missing, left over, or has another shape.
    """
    config = body.config
    with build.explained(folder):
        loaded, found = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # which are told below
        )
    added = {key for key in found["missing_keys"] if key.startswith("hidden_states_norms.")}
    parts = {part for part, _ in loaded.named_children()}
    inner = f"{loaded.base_model_prefix}."
    behind = {key for key in found["unexpected_keys"] if key.removeprefix(inner).partition(".")[0] not in parts}
    problems = [
        f"{word} {len(keys)} tensors ({', '.join(sorted(map(str, keys))[:2])}, ...)"
        for word, keys in (
            ("lacks", set(found["missing_keys"]) - added),
            ("has besides", set(found["unexpected_keys"]) - behind),
            ("has other shapes in", {entry[0] for entry in found["mismatched_keys"]}),
        )
        if keys
    ]
    if problems:
        raise WeightsError(f"{folder}: does not fit the backbone in its config.json: it {'; it '.join(problems)}")
    for what, keys in (("left out, behind its feature maps", behind), ("new, as norms of feature maps", added)):
        if keys:
            log.info("backbone %s: %s: %s", name, what, ", ".join(sorted(keys)))
    state: dict[str, Any] = loaded.state_dict()
    return state
