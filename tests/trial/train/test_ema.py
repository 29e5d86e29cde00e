"""The average of the weights is what its definition says, and takes their place to the bit."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from harness.trial.train.ema import WeightAverage


class _Net(nn.Module):
    """One weight that trains, one that does not, BatchNorm's buffers, and a weight under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.free = nn.Parameter(torch.zeros(2))
        self.fixed = nn.Parameter(torch.full((2,), 0.1), requires_grad=False)
        self.norm = nn.BatchNorm2d(2)
        self.again = self.free


def test_the_average_follows_its_definition() -> None:
    """After each update it has moved by 1 − decay · (1 − exp(−t / 2000)) of the way to the weights."""
    net = _Net()
    average, expected = WeightAverage(net, 0.9), 0.0
    for update in range(1, 6):
        with torch.no_grad():
            net.free.fill_(float(update))
        average.update()
        expected += (update - expected) * (1 - 0.9 * (1 - math.exp(-update / 2000)))
    with average.in_place():
        assert net.free.tolist() == pytest.approx([expected] * 2)
        assert net.again is net.free
    assert net.free.tolist() == [5.0, 5.0]


def test_statistics_are_averaged_and_counters_are_not() -> None:
    """The running mean is an average like the weights; the number of batches is that of training."""
    net = _Net()
    average = WeightAverage(net, 0.9)
    for value in (1.0, 2.0, 3.0):
        net.norm(torch.full((2, 2, 4, 4), value))
        average.update()
    trained = net.norm.running_mean.clone()  # type: ignore[union-attr]
    with average.in_place():
        assert not torch.equal(net.norm.running_mean, trained)  # type: ignore[arg-type]
        assert net.norm.num_batches_tracked == 3
    assert torch.equal(net.norm.running_mean, trained)  # type: ignore[arg-type]


def test_what_does_not_train_is_not_touched() -> None:
    """It has no average, and equal values stay equal to the bit however often they are averaged."""
    net = _Net()
    with torch.no_grad():
        net.free.fill_(1 / 3)
    average = WeightAverage(net, 0.9998)
    assert set(average.state()["mean"]) == {"free", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var"}
    for _ in range(50):
        average.update()
    with average.in_place():
        assert net.free.tolist() == torch.full((2,), 1 / 3).tolist()
        assert net.fixed.tolist() == torch.full((2,), 0.1).tolist()


def test_an_average_goes_on_where_its_state_was_taken() -> None:
    """To the bit; a state of another network is refused."""
    torch.manual_seed(0)
    first, second = _Net(), _Net()
    average, other = WeightAverage(first, 0.99), WeightAverage(second, 0.99)
    for _ in range(3):
        with torch.no_grad():
            first.free.copy_(torch.rand(2))
        average.update()
    second.load_state_dict(first.state_dict())
    other.restore(average.state())
    for each in (average, other):
        each.update()
        each.swap()
    assert torch.equal(first.free, second.free)
    with pytest.raises(KeyError, match="fixed"):
        other.restore({"updates": 1, "mean": {**other.state()["mean"], "fixed": torch.zeros(2)}})
