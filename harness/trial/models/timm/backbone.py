"""A backbone of timm with a feature pyramid: which of its feature maps the pyramid takes, and its stages.

Any model of timm serves that gives feature maps (`features_only`) for images of any size: at the strides that the
pyramid starts from, or all at one stride, as vision transformers do. Owns no weights.
"""

from __future__ import annotations

import difflib
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import timm
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.ops import FeaturePyramidNetwork

from harness.errors import TrialError, WeightsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from torchvision.ops.feature_pyramid_network import ExtraFPNBlock

_PROBE = (64, 128)  # height and width of an image that no model of timm was made for: multiples of every stride
# What makes a model of timm take images of any size: most take them as they are, some by one of these arguments.
_ANY_SIZE: tuple[Mapping[str, Any], ...] = ({}, {"strict_img_size": False}, {"dynamic_img_size": True})
_NEAREST = 3


class PyramidBackbone(nn.Module):
    """A backbone of timm and a feature pyramid over some of its feature maps, as torchvision's detectors take them.

    Attributes:
        body: timm's model, which gives a list of feature maps.
        fpn: the feature pyramid.
        out_channels: the channels of each of its levels; torchvision's detectors ask for it.
    """

    def __init__(self, body: nn.Module, strides: Sequence[int], extra: ExtraFPNBlock, out_channels: int) -> None:
        super().__init__()
        self.body = body
        reductions: list[int] = body.feature_info.reduction()  # type: ignore[union-attr, operator]
        channels: list[int] = body.feature_info.channels()  # type: ignore[union-attr, operator]
        self._taken = [_last(reductions, stride) for stride in strides]
        self._scales = [reductions[index] / stride for index, stride in zip(self._taken, strides, strict=True)]
        self._channels_last = getattr(body, "output_fmt", None) == "NHWC"
        self.fpn = FeaturePyramidNetwork([channels[index] for index in self._taken], out_channels, extra_blocks=extra)
        self.out_channels = out_channels

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """The levels of the pyramid by name, from the finest to the coarsest.

        Args:
            images: [B, 3, H, W], normalised; H and W multiples of 32, as torchvision pads them.
        """
        maps = self.body(images)
        levels: OrderedDict[str, Tensor] = OrderedDict()
        for level, (index, scale) in enumerate(zip(self._taken, self._scales, strict=True)):
            features = maps[index].permute(0, 3, 1, 2) if self._channels_last else maps[index]
            levels[str(level)] = features if scale == 1 else _rescaled(features, scale)
        pyramid: dict[str, Tensor] = self.fpn(levels)
        return pyramid

    def stages(self) -> Sequence[nn.Module]:
        """The parts of the body from the input on, each with one feature map at its end."""
        ends = {info["module"].replace(".", "_") for info in self.body.feature_info.info}  # type: ignore[union-attr]
        stages: list[list[nn.Module]] = [[]]
        for name, part in _parts(self.body):
            stages[-1].append(part)
            if name.replace(".", "_") in ends:
                stages.append([])
        rest = stages.pop()  # what follows the last feature map belongs to the last stage
        stages = [*stages[:-1], [*stages[-1], *rest]] if stages else [rest]
        return [nn.ModuleList(stage) for stage in stages if any(True for part in stage for _ in part.parameters())]


def create(name: str, strides: Sequence[int], *, file: Path | None = None) -> nn.Module:
    """The model of timm that gives feature maps.

    Args:
        name: as timm calls it, with or without the tag of its weights.
        strides: of the feature maps that the pyramid starts from.
        file: published weights, as timm publishes them; None: random ones.

    Raises:
        TrialError: there is no such model, or it gives no feature maps that the pyramid could start from.
        WeightsError: the file does not fit.
    """
    check_name(name)
    random = torch.random.get_rng_state()
    body, arguments = _of_any_size(name)
    found = body.feature_info.reduction()  # type: ignore[union-attr, operator]
    if not set(strides) <= set(found) and len(set(found)) > 1:
        raise TrialError(
            f"backbone {name}: its feature maps have the strides {_listed(found)}, and the feature pyramid starts from "
            f"{_listed(strides)}; choose another model of timm"
        )
    if file is None:
        return body
    torch.random.set_rng_state(random)
    return _loaded(body, name, arguments, file)


def _of_any_size(name: str) -> tuple[nn.Module, Mapping[str, Any]]:
    """The model with random weights, and the arguments that it takes to run on images of any size.

    Raises:
        TrialError: it has no feature maps, or takes images of one size.
    """
    refused = ""
    for arguments in _ANY_SIZE:
        random = torch.random.get_rng_state()
        try:
            body: nn.Module = timm.create_model(name, features_only=True, **arguments)
            _probe(body)
        except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            # timm has no error of its own for a model without feature maps, or for images of one size.
            refused = refused or (str(error).splitlines() or [type(error).__name__])[0]
            torch.random.set_rng_state(random)
        else:
            return body, arguments
    raise TrialError(
        f"backbone {name}: gives no feature maps for images of any size ({refused}); choose another model of timm"
    )


def _loaded(random: nn.Module, name: str, arguments: Mapping[str, Any], file: Path) -> nn.Module:
    """The model with the weights in a file.

    Args:
        random: the same model, of the same seed, without them. A tensor that equals its own was not in the file: for
            some models timm takes whatever fits.

    Raises:
        WeightsError: the file is damaged, or is of another model.
    """
    try:
        body: nn.Module = timm.create_model(
            name, features_only=True, pretrained=True, pretrained_cfg_overlay={"file": str(file)}, **arguments
        )
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - for a file that is not its own, timm raises whatever comes
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{file}: does not load as timm's {name} ({reason}); delete it and run `harness fetch` again"
        ) from None
    before = dict(random.named_parameters())
    missing = [
        key
        for key, value in body.named_parameters()
        if value.numel() > 1 and value.std() > 0 and torch.equal(value, before[key])
    ]
    if missing:
        raise WeightsError(f"{file}: lacks {len(missing)} tensors of timm's {name}, the first of them {missing[0]}")
    return body


def check_name(name: str) -> None:
    """Refuse a name that timm does not have.

    Raises:
        TrialError: it is none of timm's; the text has the nearest names.
    """
    if timm.is_model(name) and ":" not in name:
        _, _, tag = name.partition(".")
        tags = [known.partition(".")[2] for known in timm.list_pretrained(f"{name.partition('.')[0]}.*")]
        if tag and tag not in tags:
            known = f"its tags are {', '.join(tags)}" if tags else "it has no published weights, and so no tags"
            raise TrialError(f"backbone {name}: timm {timm.__version__} has no weights of the tag {tag}: {known}")
        return
    near = difflib.get_close_matches(name, timm.list_models(), _NEAREST)
    hint = f"; near: {', '.join(near)}" if near else ""
    raise TrialError(
        f"backbone {name}: timm {timm.__version__} has no model of this name{hint}; `timm.list_models()` names them all"
    )


def _probe(body: nn.Module) -> None:
    """Run a small image, of which timm's own size is no multiple, through it; what it cannot do raises."""
    training = body.training
    body.eval()
    with torch.no_grad():
        maps = body(torch.zeros(1, 3, *_PROBE))
    body.train(training)
    channels_last = getattr(body, "output_fmt", None) == "NHWC"
    sizes = [tuple(features.shape[1:3] if channels_last else features.shape[2:]) for features in maps]
    wanted = [tuple(side // stride for side in _PROBE) for stride in body.feature_info.reduction()]  # type: ignore[union-attr, operator]
    if sizes != wanted:
        raise ValueError(f"for an image of {_PROBE[0]} × {_PROBE[1]} its maps are {sizes}")


def _last(reductions: list[int], stride: int) -> int:
    """The deepest feature map of this stride; the deepest of all if all have another one."""
    return max((index for index, found in enumerate(reductions) if found == stride), default=len(reductions) - 1)


def _rescaled(features: Tensor, scale: float) -> Tensor:
    """A map of another stride: the simple feature pyramid of Li et al. 2022, arXiv:2203.16527, without weights."""
    if scale < 1:
        return functional.max_pool2d(features, kernel_size=round(1 / scale))
    return functional.interpolate(features, scale_factor=scale, mode="bilinear", align_corners=False)


def _parts(body: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The modules at which feature maps can end: the children, and those of a row of blocks."""
    for name, child in body.named_children():
        if isinstance(child, nn.Sequential) and name in {"blocks", "stages", "layers"}:
            yield from ((f"{name}.{inner}", module) for inner, module in child.named_children())
        else:
            yield name, child


def _listed(strides: Sequence[int]) -> str:
    return ", ".join(map(str, dict.fromkeys(strides)))
