"""Published ImageNet weights of a timm backbone: which file has them, and the backbone that starts from them.

They come from a package that ships them, for the one backbone that has such a package, and else from the cache of
Hugging Face's hub, which `harness fetch` fills. Nothing here downloads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import timm
import torch

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile, PackageFile
from harness.suite.catalog.timm import LITE0, LITE0_FILE
from harness.trial.models import published
from harness.trial.models import state as states
from harness.trial.models.timm import backbone as backbones

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor, nn


def published_file(name: str) -> HubFile | PackageFile:
    """The published file of a backbone.

    Args:
        name: as timm calls it, with or without the tag of its weights.

    Raises:
        TrialError: there is no such model.
        WeightsError: it has no published weights.
    """
    if name == LITE0:
        return LITE0_FILE
    backbones.check_name(name)
    known = timm.models.get_pretrained_cfg(name)
    if known is None or not known.hf_hub_id:
        raise WeightsError(
            f"backbone {name}: timm {timm.__version__} publishes no weights of it on Hugging Face's hub: set "
            "`weights: none` (random) or choose another backbone"
        )
    return HubFile(repo=known.hf_hub_id, file=known.hf_hub_filename or "model.safetensors")


def pretrained(name: str, strides: Sequence[int]) -> nn.Module:
    """The backbone with its published weights.

    Raises:
        TrialError: there is no such model, or it gives no feature maps that fit.
        WeightsError: the file is not on this machine, is another one, or does not fit.
    """
    file = published_file(name)
    path = published.require(file, f"the backbone {name}")
    if isinstance(file, PackageFile):
        body = backbones.create(name, strides)
        state = lite0_state(path)
        states.load_into(body, {key: state[key] for key in body.state_dict()}, str(path))
        return body
    return backbones.create(name, strides, file=path)


def lite0_state(path: Path) -> dict[str, Tensor]:
    """The state dict of timm's whole model from the file of another implementation.

    Both have the same layers in the same order under other names, so they are matched by position, and each shape is
    compared.

    Raises:
        WeightsError: they do not match.
    """
    theirs = states.read(path)
    with torch.device("meta"):
        ours: dict[str, Any] = timm.create_model(LITE0).state_dict()
    if [tuple(value.shape) for value in theirs.values()] != [tuple(value.shape) for value in ours.values()]:
        raise WeightsError(f"{path}: does not fit timm {timm.__version__}'s {LITE0}: their layers differ")
    return dict(zip(ours, theirs.values(), strict=True))
