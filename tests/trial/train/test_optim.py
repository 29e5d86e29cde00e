"""The optimizer steps from what it was given, and from nothing that lay in memory before."""

from __future__ import annotations

import math
from typing import Literal

import pytest
import torch

from harness.suite.schema import Hyperparameters
from harness.trial.train.optim import build_optimizer


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_first_step_that_the_scaler_skips_leaves_nothing_behind(optimizer: Literal["sgd", "adamw"]) -> None:
    """An overflow in fp16, then a gradient of zero: the weights have not moved."""
    weights = torch.nn.Parameter(torch.ones(100_000))
    h = Hyperparameters(optimizer=optimizer, lr=1.0, weight_decay=0.0, precision="fp16")
    stepper, scaler = build_optimizer([weights], h), torch.amp.GradScaler("cpu")
    scaler.scale(torch.ones(()))
    for gradient in (math.inf, 0.0):
        junk = [torch.full_like(weights, 7.0) for _ in range(4)]
        del junk  # what uninitialised memory then holds
        weights.grad = torch.full_like(weights, gradient)
        scaler.step(stepper)
        scaler.update()
    assert torch.equal(weights.detach(), torch.ones(100_000))
