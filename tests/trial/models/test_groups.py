"""The backbone has a rate of its own, norms and biases a decay of their own, and each parameter is in one group."""

from __future__ import annotations

import pytest
from torch import nn

from harness.errors import TrialError
from harness.suite.schema import Hyperparameters
from harness.trial.models.groups import parameter_groups


def _network() -> nn.Sequential:
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)), nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4))
    )


def test_nothing_set_is_one_group_of_all_that_train() -> None:
    network = _network()
    network[0].requires_grad_(requires_grad=False)
    (group,) = parameter_groups(network, (), Hyperparameters(lr=0.1))
    assert group == {"params": list(network[1].parameters())}


def test_rates_and_decays_follow_backbone_and_norms() -> None:
    network = _network()
    h = Hyperparameters(lr=0.1, weight_decay=0.01, backbone_lr_factor=0.1, norm_weight_decay=0.0)
    groups = parameter_groups(network, [network[0]], h)
    by_parameter = {id(parameter): group for group in groups for parameter in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(by_parameter) == 8
    for name, parameter in network.named_parameters():
        group = by_parameter[id(parameter)]
        assert group.get("lr") == (pytest.approx(0.01) if name.startswith("0.") else None)
        assert group.get("weight_decay") == (None if name in {"0.0.weight", "1.0.weight"} else 0.0)


def test_a_backbones_rate_is_refused_where_no_backbone_is_known() -> None:
    with pytest.raises(TrialError, match="backbone_lr_factor"):
        parameter_groups(_network(), (), Hyperparameters(backbone_lr_factor=0.1))
