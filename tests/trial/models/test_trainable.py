"""What trains is what was asked: stages of the backbone from its output on, and norms fixed, half fixed or live."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from harness.errors import TrialError
from harness.trial.models import trainable
from tests.trial.models.fakes import IncapableDetector


def _block(norm: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 3, 1), norm)


def _frozen_norm() -> FrozenBatchNorm2d:
    norm = FrozenBatchNorm2d(3, eps=0.25)
    for name, value in (("weight", 2.0), ("bias", 0.5), ("running_mean", 0.1), ("running_var", 3.0)):
        getattr(norm, name).fill_(value)
    return norm


class _Staged(IncapableDetector):
    """A backbone of three stages and a head with a norm of its own."""

    def __init__(self, norm: type[nn.Module] | None = None) -> None:
        super().__init__()
        make = _frozen_norm if norm is None else lambda: norm(3)
        self.module = nn.Sequential(*(_block(make()) for _ in range(3)), _block(nn.BatchNorm2d(3)))

    def backbone_stages(self) -> Sequence[nn.Module]:
        return list(self.module.children())[:3]


def _trains(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


@pytest.mark.parametrize("layers", [0, 1, 3, "all"])
def test_stages_train_from_the_output_on(layers: int | str) -> None:
    """So many of them, their BatchNorm too; the head always; a fixed stage keeps its statistics in training."""
    detector = _Staged(nn.BatchNorm2d)
    trainable.apply(detector, trainable_layers=layers, batch_norm=None)  # type: ignore[arg-type]
    count = 3 if layers == "all" else int(layers)
    expected = [f"{stage}.{part}" for stage in (*range(3 - count, 3), 3)
                for part in ("0.weight", "0.bias", "1.weight", "1.bias")]  # fmt: skip
    assert _trains(detector.module) == expected
    trainable.set_training_mode(detector, trainable_layers=layers, batch_norm=None)  # type: ignore[arg-type]
    assert [norm.training for norm in detector.module.modules() if isinstance(norm, nn.BatchNorm2d)] == [
        *[False] * (3 - count), *[True] * count, True,
    ]  # fmt: skip


@pytest.mark.parametrize("rule", ["frozen", "eval", "train"])
@pytest.mark.parametrize("norm", [None, nn.BatchNorm2d])
def test_norms_train_as_asked(rule: trainable.Rule, norm: type[nn.Module] | None) -> None:
    """Whether the family starts with frozen norms or with live ones."""
    affine, moves = rule != "frozen", rule == "train"
    detector = _Staged(norm)
    trainable.apply(detector, trainable_layers=None, batch_norm=rule)
    trainable.set_training_mode(detector, trainable_layers=None, batch_norm=rule)
    assert ("0.1.weight" in _trains(detector.module)) == affine
    assert ("3.1.bias" in _trains(detector.module)) == affine
    before = {name: value.clone() for name, value in detector.module.state_dict().items()}
    detector.module(torch.rand(2, 3, 4, 4))
    after = detector.module.state_dict()
    assert torch.equal(before["0.1.running_mean"], after["0.1.running_mean"]) != moves
    assert torch.equal(before["3.1.running_var"], after["3.1.running_var"]) != moves


def test_a_thawed_norm_has_the_values_and_names_of_the_frozen_one() -> None:
    """Equal outputs with its own eps, the same keys of the state dict, and a way back from a file."""
    detector, again = _Staged(), _Staged()
    images = torch.rand(2, 3, 5, 5)
    again.module.load_state_dict(detector.module.state_dict())
    expected = again.module.eval()(images)
    trainable.apply(detector, trainable_layers=None, batch_norm="train")
    assert torch.allclose(detector.module.eval()(images), expected, atol=1e-6)
    assert list(detector.module.state_dict()) == list(again.module.state_dict())
    found = trainable.thawed(detector.module)
    assert found == {"0.1": 0.25, "1.1": 0.25, "2.1": 0.25}
    detector.module.train()(images)
    again.module.load_state_dict(detector.module.state_dict())
    trainable.thaw(again.module, found)
    assert torch.equal(detector.module.eval()(images), again.module.eval()(images))


def test_a_frozen_stage_keeps_its_norms_though_norms_train() -> None:
    """`trainable_layers` says where, `batch_norm` how."""
    detector = _Staged()
    trainable.apply(detector, trainable_layers=1, batch_norm="train")
    trainable.set_training_mode(detector, trainable_layers=1, batch_norm="train")
    assert _trains(detector.module)[0] == "2.0.weight"
    before = detector.module.state_dict()["0.1.running_mean"].clone()
    detector.module(torch.rand(2, 3, 4, 4))
    assert torch.equal(before, detector.module.state_dict()["0.1.running_mean"])
    trainable.apply(detector, trainable_layers=2, batch_norm="frozen")
    assert _trains(detector.module) == ["1.0.weight", "1.0.bias", "2.0.weight", "2.0.bias", "3.0.weight", "3.0.bias"]


def test_what_a_detector_does_not_have_is_told() -> None:
    """More stages than there are, stages of a family that tells none, norms of a network without."""
    with pytest.raises(TrialError, match=r"trainable_layers: 4: the backbone has 3 stages; write a number from 0 to 3"):
        trainable.apply(_Staged(), trainable_layers=4, batch_norm=None)
    plain = IncapableDetector()
    plain.module = nn.Linear(2, 2)
    with pytest.raises(TrialError, match=r"trainable_layers: 1: this architecture does not tell the stages"):
        trainable.apply(plain, trainable_layers=1, batch_norm=None)
    with pytest.raises(TrialError, match=r"batch_norm: train: this architecture has no batch normalisation"):
        trainable.apply(plain, trainable_layers=None, batch_norm="train")
