"""Which parameters an optimizer trains together: the backbone's at another rate, norms and biases at another decay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

from harness.errors import TrialError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.suite.schema import Hyperparameters

_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.LocalResponseNorm)  # noqa: SLF001 - no other name


def parameter_groups(
    module: nn.Module, backbone_stages: Sequence[nn.Module], hyperparameters: Hyperparameters
) -> list[dict[str, Any]]:
    """The parameters that require gradients, in groups as `torch.optim` takes them.

    One group where neither `backbone_lr_factor` nor `norm_weight_decay` is set; else up to four, of those that are not
    empty: backbone or not, norms and biases or not. Their order does not depend on anything but the network.

    Raises:
        TrialError: `backbone_lr_factor` is set, and no stages are given.
    """
    h = hyperparameters
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    if h.backbone_lr_factor is None and h.norm_weight_decay is None:
        return [{"params": list(trained.values())}]
    if h.backbone_lr_factor is not None and not backbone_stages:
        raise TrialError("backbone_lr_factor: this architecture does not tell which parameters are the backbone's")
    backbone = {id(parameter) for stage in backbone_stages for parameter in stage.parameters()}
    of_norms = {id(p) for part in module.modules() if isinstance(part, _NORMS) for p in part.parameters(recurse=False)}
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in trained.items():
        in_backbone = h.backbone_lr_factor is not None and id(parameter) in backbone
        undecayed = h.norm_weight_decay is not None and (id(parameter) in of_norms or name.endswith("bias"))
        groups.setdefault((in_backbone, undecayed), []).append(parameter)
    return [
        {
            "params": parameters,
            **({"lr": (h.lr or 0.0) * (h.backbone_lr_factor or 0.0)} if in_backbone else {}),
            **({"weight_decay": h.norm_weight_decay} if undecayed else {}),
        }
        for (in_backbone, undecayed), parameters in groups.items()
    ]
