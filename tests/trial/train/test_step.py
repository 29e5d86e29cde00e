"""A step trains what the detector's family gives it to train, each group at its own rate."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.suite.schema import Hyperparameters
from harness.trial.train.step import TrainStep
from tests.trial.models.fakes import IncapableDetector


class _TwoRates(IncapableDetector):
    """Weights of 1 with gradients of 1: one as the suite says, one at a tenth of the rate, one that is not trained."""

    def __init__(self) -> None:
        super().__init__()
        for name in ("fast", "slow", "frozen"):
            self.module.register_parameter(name, nn.Parameter(torch.tensor(1.0)))

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {"loss": sum(self.module.parameters(), start=torch.zeros(()))}

    def parameter_groups(self, hyperparameters: Hyperparameters) -> list[dict[str, Any]]:
        assert hyperparameters.lr is not None
        slow = {"params": [self.module.slow], "lr": hyperparameters.lr / 10, "weight_decay": 0.0}
        return [{"params": [self.module.fast]}, slow]


def test_groups_have_their_own_rates() -> None:
    """The suite's rate and decay hold where a group has none; the schedule scales both; the rest stays as it is."""
    detector = _TwoRates()
    h = Hyperparameters(epochs=1, lr=0.1, weight_decay=0.5, momentum=0.0, warmup_steps=0, milestones=())
    step = TrainStep(detector, h, device=torch.device("cpu"), steps_per_epoch=1)
    losses = step.step([(torch.zeros(3, 1, 1), {"labels": torch.zeros(0)})], "here")
    assert losses == {"loss": 3.0}
    weights = {name: weight.item() for name, weight in detector.module.named_parameters()}
    assert weights == pytest.approx({"fast": 1 - 0.1 * 1.5, "slow": 1 - 0.01, "frozen": 1.0})
