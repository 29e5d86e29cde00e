"""The family of the user's own networks: the functions of `harness.trial.models.base.Family`.

The user's function gets the number of classes with the background, as torchvision's builders do; every number of
classes here is without it.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from harness.errors import WeightsError
from harness.suite.catalog.own import OwnModel
from harness.trial.models import state as states
from harness.trial.models.own.build import built, takes_weights
from harness.trial.models.own.detector import OwnDetector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import ImageSize
    from harness.trial.models.base import Head

_SHOWN = 3  # names of tensors in a message

log = logging.getLogger(__name__)


def build(
    row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
) -> tuple[OwnDetector, Head]:
    """See `harness.trial.models.base.Family.build`.

    `default` is passed on to the user's function as its argument `weights`. A file must hold a tensor for each name of
    the network's; those of another shape belong to other classes and are left out, which the log says.
    """
    row = _own(row)
    if weights == "default":
        if not takes_weights(row.build):
            raise WeightsError(
                f"{row.build}: takes no weights, so there are no default ones; give it an argument `weights`, or set "
                "weights: none or a file"
            )
        return _detector(row, classes, image_size, options, weights=weights), "replaced"
    detector = _detector(row, classes, image_size, options)
    if weights == "none":
        return detector, "new"
    state = states.state_dict_of(states.read(Path(weights)), Path(weights))
    return detector, _load(detector.module, state, weights)


def rebuild(
    row: Architecture,
    *,
    structure: Mapping[str, Any],
    state: Mapping[str, Tensor],
    classes: int,
    image_size: ImageSize,
    options: Mapping[str, Any],
) -> OwnDetector:
    """See `harness.trial.models.base.Family.rebuild`; the user's function must build the same without weights."""
    row = _own(row)
    detector = _detector(row, classes, image_size, options)
    frozen = set(structure["frozen_parameters"])
    for name, parameter in detector.module.named_parameters():
        parameter.requires_grad_(name not in frozen)
    states.load_into(detector.module, state, f"the state dict of {row.name}")
    return detector


def _detector(
    row: OwnModel, classes: int, image_size: ImageSize, options: Mapping[str, Any], **weights: str
) -> OwnDetector:
    given = {"num_classes": classes + 1, "image_size": (image_size.min, image_size.max), **weights}
    module = built(row.build, {**given, **options})
    module.train()
    return OwnDetector(module, row.build)


def _load(module: nn.Module, state: Mapping[str, Any], path: str) -> Head:
    """Load what fits of a state dict that has all of the network's names; returns what became of the class head.

    Raises:
        WeightsError: names differ, or no tensor fits.
    """
    own = module.state_dict()
    strange = [f"lacks {name}" for name in own if not isinstance(state.get(name), Tensor)]
    strange += [f"has {name}" for name in state if name not in own]
    if strange:
        more = f" and {len(strange) - _SHOWN} more" if len(strange) > _SHOWN else ""
        raise WeightsError(
            f"{path}: is not a state dict of this network: it {', '.join(strange[:_SHOWN])}{more}; save "
            "model.state_dict() of the same network with torch.save"
        )
    fitting = {name: state[name] for name, tensor in own.items() if state[name].shape == tensor.shape}
    left_out = [name for name in own if name not in fitting]
    if not fitting:
        raise WeightsError(f"{path}: none of its {len(own)} tensors has the shape that this network wants")
    module.load_state_dict(fitting, strict=False)
    if left_out:
        log.warning("%s: left out, for their shapes belong to other classes: %s", path, ", ".join(left_out))
    return "replaced" if left_out else "kept"


def _own(row: Architecture) -> OwnModel:
    """The row as one of the user's networks, which name this family."""
    if not isinstance(row, OwnModel):
        raise TypeError(f"{row.name}: a row of this family is an OwnModel, not a {type(row).__name__}")
    return row
