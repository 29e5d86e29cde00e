"""A network from its configuration, and where its backbone and its class heads are."""

from __future__ import annotations

import contextlib
import itertools
import json
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoModelForObjectDetection
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from harness.errors import WeightsError
from harness.trial.models import trainable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

_BACKBONES = ("model.backbone.backbone", "model.backbone.model", "model.conv_encoder.model", "vit")
# Layers whose shape depends on the number of classes, in the whole family; YOLOS' head is a tower and a last layer.
_HEADS = (
    "class_embed.",
    "class_labels_classifier.",
    "model.decoder.class_embed.",
    "model.enc_score_head.",
    "model.enc_out_class_embed.",
    "model.denoising_class_embed.",
)
_STEMS = ("embedder", "embeddings", "stem", "encoder.convolution")
_STAGES = ("encoder.stages", "encoder.layers", "encoder.layer", "encoder.blocks", "layer")
_NORM_EPS = 1e-5  # of the library's frozen norms, which have it in their forward pass
_TOWER = ("class_labels_classifier.layers.0.", "class_labels_classifier.layers.1.")


def plain(values: Mapping[str, Any]) -> Any:
    """The library's configuration of a backbone from plain values.

    Raises:
        WeightsError: this version of transformers knows no such network.
    """
    model_type = str(values.get("model_type"))
    if model_type not in CONFIG_MAPPING:
        raise WeightsError(f"the installed transformers has no {model_type}: pip install -U 'transformers>=5.19'")
    kept = {key: value for key, value in values.items() if key != "model_type"}
    return CONFIG_MAPPING[model_type](**json.loads(json.dumps(kept)))


def configuration(model_type: str, values: Mapping[str, Any], *, classes: int) -> Any:
    """The library's configuration of a network for so many classes, from plain values.

    Raises:
        WeightsError: this version of transformers knows no such network.
    """
    if model_type not in CONFIG_MAPPING:
        raise WeightsError(f"the installed transformers has no {model_type}: pip install -U 'transformers>=5.19'")
    named = {str(label): f"class {label + 1}" for label in range(classes)}
    own = {"num_labels", "id2label", "label2id", "model_type"}
    kept = {key: value for key, value in values.items() if key not in own}
    ids = {name: int(label) for label, name in named.items()}
    return CONFIG_MAPPING[model_type](**json.loads(json.dumps(kept)), id2label=named, label2id=ids)


def build(config: Any, *, live_norms: bool) -> nn.Module:
    """A network with random weights, in float32 and in training mode.

    Args:
        live_norms: whether the backbone's BatchNorms learn. Frozen ones normalise nothing unless they hold the
            statistics of pretrained weights; DETR's are frozen whatever its configuration says.
    """
    module: nn.Module = AutoModelForObjectDetection.from_config(config, dtype=torch.float32)
    module.requires_grad_(requires_grad=True)  # the library freezes all of DETR's ResNet where it means its stem
    for name, parameter in module.named_parameters():
        if name.endswith(".mask_token"):  # of DINOv2's own pretraining: no image of a detector is masked
            parameter.requires_grad_(False)
    if live_norms:
        _thaw(backbone(module))
    return module.train()


def backbone(module: nn.Module) -> nn.Module:
    """The backbone; of timm's, what transformers wraps."""
    for path in _BACKBONES:
        try:
            part = module.get_submodule(path)
        except AttributeError:
            continue
        inner = getattr(part, "_backbone", None)
        return inner if isinstance(inner, nn.Module) else part
    raise TypeError(f"{type(module).__name__}: no backbone at {', '.join(_BACKBONES)}")


def stages(module: nn.Module) -> Sequence[nn.Module]:
    """The stages of a network's backbone from the input on: the stem or the patches, then each stage or layer."""
    part = backbone(module)
    inner = getattr(part, getattr(part, "base_model_prefix", "") or "-", part)  # what some backbones wrap
    for stem, rest in itertools.product(_STEMS, _STAGES):
        try:
            return [inner.get_submodule(stem), *inner.get_submodule(rest).children()]
        except AttributeError:
            continue
    for rest in _STAGES:  # of one without a stem
        with contextlib.suppress(AttributeError):
            return list(inner.get_submodule(rest).children())
    children = [child for child in part.named_children() if any(True for _ in child[1].parameters())]
    first = next((i for i, (name, _) in enumerate(children) if name.startswith(("layer", "blocks", "stages"))), 0)
    stem_parts = [child for _, child in children[:first]]
    rest_parts = [
        part
        for name, child in children[first:]
        for part in (child.children() if name in {"blocks", "stages", "layers"} else (child,))
    ]
    return [*([nn.ModuleList(stem_parts)] if stem_parts else []), *rest_parts]


def places(config: Any, side: int) -> int | None:
    """The number of places in the feature maps of a square image, among which queries are chosen; None: queries learn.

    Args:
        side: of the image, in pixels.
    """
    values = config.to_dict()
    if "projector_scale_factors" in values:
        patch = values["backbone_config"]["patch_size"]
        strides = [patch / factor for factor in values["projector_scale_factors"]]
    elif "feat_strides" in values:
        strides = list(values["feat_strides"])
        while len(strides) < values["num_feature_levels"]:
            strides.append(strides[-1] * 2)
    else:
        return None
    return sum(int(-(-side // stride)) ** 2 for stride in strides)


def is_head(name: str) -> bool:
    """Whether a parameter belongs to a layer that is new for the user's classes."""
    return name.startswith(_HEADS) and not name.startswith(_TOWER)


def take_all_but_heads(module: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load everything but the class heads, which stay as they are.

    Args:
        state: of the same network for other classes.
        what: where it comes from, for the error.

    Raises:
        WeightsError: something else than the heads is missing, left over, or has another shape.
    """
    own = module.state_dict()
    wanted, found = ({name for name in names if not is_head(name)} for names in (own, state))
    shapes = [name for name in wanted & found if own[name].shape != state[name].shape]
    problems = [
        f"{word} {len(names)} tensors ({', '.join(sorted(names)[:2])}, ...)"
        for word, names in (("lacks", wanted - found), ("has besides", found - wanted), ("has other shapes in", shapes))
        if names
    ]
    if problems:
        raise WeightsError(f"{what} does not fit {type(module).__name__}: it {'; it '.join(problems)}")
    module.load_state_dict({name: state[name] for name in wanted}, strict=False)


def _thaw(part: nn.Module) -> None:
    """Let frozen norms learn; checkpoints remember which these are."""
    frozen = {
        name: float(getattr(norm, "eps", _NORM_EPS))
        for name, norm in part.named_modules()
        if "FrozenBatchNorm2d" in type(norm).__name__
    }
    trainable.thaw(part, frozen)
