"""Build one of torchvision's detectors on a backbone of timm from each kind of weights, and rebuild a fine-tuned one.

Every `num_classes` here counts the background.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from timm.layers import freeze_batch_norm_2d
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7

from harness.errors import TrialError, WeightsError
from harness.suite.catalog.timm import LITE0
from harness.trial.models import state as states
from harness.trial.models.timm import backbone as backbones
from harness.trial.models.timm import weights as published
from harness.trial.models.torchvision.build import head_of, set_anchors

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.catalog.timm import TimmArchitecture
    from harness.trial.models.base import Head

_ANCHORS = ("anchor_sizes", "aspect_ratios")
_NORMALISATION = ("image_mean", "image_std")
_CHANNELS = 256  # of each level of the pyramid: Lin et al. 2017, arXiv:1612.03144, section 3
_GROUPS = 32  # of the norms in FCOS's head: each needs two channels, for its coarsest map may be one pixel


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a state dict does not tell.

    Attributes:
        frozen_norms: the names of norms whose statistics and weights are fixed.
        frozen_parameters: the names of parameters that do not train.
        image_mean: of each channel, which the network subtracts from an image; `image_std`, by which it divides.
    """

    frozen_norms: tuple[str, ...]
    frozen_parameters: tuple[str, ...]
    image_mean: tuple[float, ...]
    image_std: tuple[float, ...]

    @classmethod
    def of(cls, model: nn.Module) -> Structure:
        """Of a model."""
        transform: Any = model.transform
        return cls(
            frozen_norms=tuple(
                name for name, part in model.named_modules() if "FrozenBatchNorm" in type(part).__name__
            ),
            frozen_parameters=tuple(name for name, p in model.named_parameters() if not p.requires_grad),
            image_mean=tuple(map(float, transform.image_mean)),
            image_std=tuple(map(float, transform.image_std)),
        )

    @classmethod
    def of_plain(cls, content: Mapping[str, Any]) -> Structure:
        """From the plain values that a checkpoint holds."""
        return cls(**{name: tuple(content[name]) for name in cls.__slots__})

    def plain(self) -> dict[str, Any]:
        """As plain values, for a checkpoint."""
        return {name: list(getattr(self, name)) for name in self.__slots__}


def start_from(
    row: TimmArchitecture, weights: str, num_classes: int, arguments: Mapping[str, Any]
) -> tuple[nn.Module, Head]:
    """A network that starts from `weights`, in training mode, and what became of its class head.

    The norms of pretrained weights are frozen, as torchvision freezes those of its own backbones: a batch of a few
    images tells less of their statistics than ImageNet did.

    Args:
        weights: backbone, none, or the path of a state dict.
        arguments: of torchvision's class, with the backbone's name and the anchors.

    Raises:
        TrialError: there is no such backbone, or it gives no feature maps that fit.
        WeightsError: the weights cannot be had, or do not fit. There is no fall-back.
    """
    if weights not in {"none", *row.published_files}:
        return _from_file(row, Path(weights), num_classes, arguments)
    name = arguments.get("backbone", LITE0)
    body = backbones.create(name, row.strides) if weights == "none" else published.pretrained(name, row.strides)
    model = _built(row, body, num_classes, arguments)
    if weights != "none":
        freeze_batch_norm_2d(model.get_submodule("backbone.body"))
    return model, "new"


def rebuild(
    row: TimmArchitecture,
    structure: Structure,
    state: Mapping[str, Tensor],
    num_classes: int,
    arguments: Mapping[str, Any],
) -> nn.Module:
    """A fine-tuned network again, the way it was trained, from its state dict alone.

    Raises:
        WeightsError: the state dict does not fit.
    """
    normalisation = {"image_mean": structure.image_mean, "image_std": structure.image_std}
    body = backbones.create(arguments.get("backbone", LITE0), row.strides)
    model = _built(row, body, num_classes, {**normalisation, **arguments})
    _apply(model, structure)
    states.load_into(model, state, f"the state dict of {row.name}")
    return model


def _built(row: TimmArchitecture, body: nn.Module, num_classes: int, arguments: Mapping[str, Any]) -> nn.Module:
    """Torchvision's detector on a backbone, normalised as that was trained unless the arguments say otherwise.

    Raises:
        TrialError: the head cannot have so many channels.
    """
    known: Any = body.pretrained_cfg
    own = {key: value for key, value in arguments.items() if key not in ("backbone", "fpn_channels", *_ANCHORS)}
    own = {"image_mean": known["mean"], "image_std": known["std"], **own}
    channels = arguments.get("fpn_channels", _CHANNELS)
    if channels < 2 * _GROUPS or channels % _GROUPS:
        raise TrialError(f"fpn_channels: {channels}: {row.name} takes a multiple of {_GROUPS} from {2 * _GROUPS} on")
    extra = LastLevelMaxPool() if row.detector == "FasterRCNN" else LastLevelP6P7(channels, channels)
    backbone = backbones.PyramidBackbone(body, row.strides, extra, channels)
    model: nn.Module = getattr(detection, row.detector)(backbone, num_classes, **own)
    set_anchors(row, model, arguments)
    return model


def _apply(model: nn.Module, structure: Structure) -> None:
    """Freeze what the structure names in a model whose parts are live."""
    for name in structure.frozen_norms:
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, freeze_batch_norm_2d(model.get_submodule(name)))
    frozen = set(structure.frozen_parameters)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name not in frozen)


def _from_file(
    row: TimmArchitecture, path: Path, num_classes: int, arguments: Mapping[str, Any]
) -> tuple[nn.Module, Head]:
    """Start from a state dict of a whole detector; its head is kept where it has as many classes as the user.

    A checkpoint of this harness says itself how it was built. Of another file, norms without a counter of batches were
    frozen.
    """
    content = states.read(path)
    state = states.state_dict_of(content, path)
    head = head_of(row)
    if head.CLASS_WEIGHT not in state:
        raise WeightsError(f"{path}: is not a state dict of {row.name}: it has no {head.CLASS_WEIGHT}")
    ours = "harness_checkpoint" in content
    trained = content.get("model", {}) if ours else {}
    backbone = arguments.get("backbone", LITE0)
    if ours and trained.get("backbone", LITE0) != backbone:
        raise WeightsError(f"{path}: was trained with backbone: {trained.get('backbone', LITE0)}; name that one")
    unsaid = [key for key in (*_ANCHORS, *_NORMALISATION) if key in trained and key not in arguments]
    if unsaid:
        raise WeightsError(f"{path}: was trained with {', '.join(unsaid)}: give these under model, as they were or new")
    as_trained = {key: value for key, value in arguments.items() if key not in _ANCHORS} | {
        key: trained[key] for key in _ANCHORS if key in trained
    }
    model = _built(row, backbones.create(backbone, row.strides), num_classes, as_trained)
    found = head.count_classes(state, model)
    head.replace_head(model, found)
    _apply(model, Structure.of_plain(content["structure"]) if ours else _guessed(model, state))
    states.load_into(model, state, str(path))
    set_anchors(row, model, arguments)
    if found == num_classes:
        return model, "kept"
    head.replace_head(model, num_classes)
    return model, "replaced"


def _guessed(model: nn.Module, state: Mapping[str, Tensor]) -> Structure:
    """How a state dict of unknown origin was built: its norms were frozen if they have no counters of batches."""
    structure = Structure.of(model)
    if any(name.endswith("num_batches_tracked") for name in state):
        return structure
    norms = tuple(name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d))
    return replace(structure, frozen_norms=norms)
