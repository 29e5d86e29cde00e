"""What recipes add to a training (averages, chosen layers, several sizes, a budget) resumes, reloads and deploys."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import Augmentation, Budget, Hyperparameters, ImageSize
from harness.suite.trial import TrialArchitecture
from harness.trial.inputs.item import as_float
from harness.trial.inputs.loader import EpochBatches, TrainingSet, training_loader
from harness.trial.models import checkpoint, trainable
from harness.trial.models.base import Detector
from harness.trial.train.loop import Training, finetune
from harness.trial.train.step import TrainStep
from harness.trial.train.validate import Validation
from tests.trial.train.test_loop import CPU, _hyperparameters, _Line, _line_loader, _shapes, _tiny_detector

_NAME = "fasterrcnn_mobilenet_v3_large_fpn"
_EVERYTHING: dict[str, Any] = {
    "epochs": None,
    "budget": Budget(images=6),
    "milestones": (0.5,),
    "lr": 1e-3,
    "warmup_steps": 1,
    "ema": 0.9,
    "trainable_layers": 2,
    "batch_norm": "train",
    "validate_every": 1,
}


def _train(h: Hyperparameters, state: dict[str, Any] | None = None, **more: Any) -> tuple[Detector, Training]:
    items, detector = _shapes(), _tiny_detector()
    trainable.apply(detector, trainable_layers=h.trainable_layers, batch_norm=h.batch_norm)
    batches = EpochBatches(len(items), 2, 7, np.array([1.4, 1.0, 1.6, 1.0]), h.budget.images if h.budget else None)
    options = {"validate": lambda: Validation(map=0.25), "on_step": lambda *_: None, "state": state, **more}
    loader = training_loader(TrainingSet(items, h.augmentation, 7), batches, 0)
    return detector, finetune(detector, loader, batches, h, device=CPU, **options)


def test_a_resumed_training_with_every_part_of_a_recipe_ends_with_the_same_bits() -> None:
    """From the states after steps: averages, drawn sizes, fixed layers, a budget of images, its schedule."""
    h = _hyperparameters(**_EVERYTHING, augmentation=Augmentation(multiscale=(0.6, 1.4), zoom_out=0.5))
    kept: list[bytes] = []

    def save(state: Callable[[], dict[str, Any]], _steps: int, *, finished: bool) -> None:
        stream = io.BytesIO()
        torch.save(state(), stream)
        kept.append(stream.getvalue())

    detector, training = _train(h, save_checkpoint=save)
    whole = checkpoint.state_sha256(detector.module)
    assert training.images_seen in (6, 7)
    for content in (kept[0], kept[2], kept[-1]):  # within and after an epoch, and at the end
        torch.manual_seed(99)
        again, resumed = _train(h, torch.load(io.BytesIO(content), weights_only=True))
        assert checkpoint.state_sha256(again.module) == whole
        assert [(e.loss, e.lr) for e in resumed.epochs] == [(e.loss, e.lr) for e in training.epochs]


def test_the_average_is_what_is_validated_and_kept() -> None:
    """Not the weights as the optimizer leaves them, with which training goes on; without `ema` it is those."""
    seen: list[float] = []

    def train(**changes: object) -> float:
        model = _Line()

        def validate() -> Validation:
            seen.append(model.weight.item())
            return Validation(map=0.5)

        h = _hyperparameters(
            epochs=2, batch_size=1, momentum=0.0, warmup_steps=0, milestones=(), validate_every=1, **changes
        )
        loader = _line_loader([1.0, 1.0], 1)
        batches = EpochBatches(2, 1, seed=0)
        finetune(model, loader, batches, h, device=CPU, on_step=lambda *_: None, validate=validate)
        return model.weight.item()

    plain, averaged = train(), train(ema=0.5)
    expected, weight, at_validation = 1.0, 1.0, []
    for step in range(1, 5):
        weight -= 0.1
        expected += (weight - expected) * (1 - 0.5 * (1 - math.exp(-step / 2000)))
        at_validation += [expected] if step % 2 == 0 else []
    assert plain == pytest.approx(weight)
    assert averaged == pytest.approx(expected)
    assert seen == pytest.approx([0.8, 0.6, *at_validation])


def test_a_checkpoint_gives_a_detector_with_thawed_norms_again(tmp_path: Path) -> None:
    """With equal detections, its eps, and what is thawed in it; a training that starts from the file has them too."""
    h = _hyperparameters(epochs=1, lr=1e-3, batch_norm="train", warmup_steps=0)
    detector = _tiny_detector()
    _freeze_norms(detector.module)
    trainable.apply(detector, trainable_layers=None, batch_norm=h.batch_norm)
    names = trainable.thawed(detector.module)
    assert set(names.values()) == {0.25}
    step = TrainStep(detector, h, device=CPU, epoch_steps=[10])
    step.train_mode()
    items = _shapes()
    step.step([(items[0].image, {"boxes": items[0].boxes, "labels": items[0].labels})] * 2, "here")
    step.finish()
    choice = TrialArchitecture(
        name=_NAME, weights="none", weights_sha256=None, image_size=ImageSize(min=64, max=64), model={}
    )
    path = tmp_path / "weights.pt"
    checkpoint.save(path, detector, choice, ("a", "b", "c"))
    again, _ = checkpoint.load_detector(path, BUILT_IN[_NAME])
    assert trainable.thawed(again.module) == names
    detector.module.eval()
    images = [as_float(items[index].image) for index in range(3)]
    with torch.inference_mode():
        for first, second in zip(detector.detect(images), again.detect(images), strict=True):
            assert all(torch.equal(first[key], second[key]) for key in ("boxes", "scores", "labels"))
    started = _tiny_detector()
    checkpoint.thaw_as_saved(path, started)
    assert trainable.thawed(started.module) == names


def _freeze_norms(module: nn.Module) -> None:
    """As torchvision's pretrained first versions have them, with another eps than BatchNorm2d."""
    from torchvision.ops import FrozenBatchNorm2d

    for name, norm in list(module.named_modules()):
        if isinstance(norm, nn.BatchNorm2d):
            frozen = FrozenBatchNorm2d(norm.num_features, eps=0.25)
            parent, _, child = name.rpartition(".")
            setattr(module.get_submodule(parent), child, frozen)


class _Sized(_Line):
    """Keeps the scale of each loss that is asked of it."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.scales = 1.0, list[float]()

    def set_training_scale(self, scale: float) -> None:
        self.scale = scale

    def losses(self, images: list[torch.Tensor], targets: object) -> dict[str, torch.Tensor]:
        self.scales.append(self.scale)
        return super().losses(images, targets)


def test_sizes_are_drawn_for_each_step_and_for_nothing_else() -> None:
    """Within the range, equal for the parts of a batch, by torch's generator; outside of a step the size is whole."""
    detector = _Sized()
    h = _hyperparameters(batch_size=2, accumulate=2, augmentation=Augmentation(multiscale=(0.5, 1.5)))
    step = TrainStep(detector, h, device=CPU, epoch_steps=[30])
    (batch,) = _line_loader([1.0, 1.0], 2)
    torch.manual_seed(5)
    for _ in range(20):
        step.step(copy.copy(batch), "here")  # type: ignore[arg-type]
        assert detector.scale == 1.0
    assert detector.scales[::2] == detector.scales[1::2]
    drawn = detector.scales[::2]
    assert 0.5 <= min(drawn) < 0.75
    assert 1.25 < max(drawn) <= 1.5
    torch.manual_seed(5)
    assert drawn[0] == pytest.approx(0.5 + float(torch.rand(())))
    step.step(batch, "here", scale=1.5)  # type: ignore[arg-type]
    assert detector.scales[-1] == 1.5


def test_an_optimizer_has_the_groups_that_a_recipe_asks_for() -> None:
    """The backbone's rate is a factor of the others', norms and biases have their own decay, all one schedule."""
    detector = _tiny_detector()
    h = _hyperparameters(
        optimizer="adamw", lr=0.1, weight_decay=0.3, backbone_lr_factor=0.1, norm_weight_decay=0.0, schedule="cosine",
        warmup_steps=0,
    )  # fmt: skip
    step = TrainStep(detector, h, device=CPU, epoch_steps=[2])
    names = {id(parameter): name for name, parameter in detector.module.named_parameters()}
    found: dict[tuple[float, float], set[str]] = {}
    for group in step.optimizer.param_groups:
        found.setdefault((round(group["lr"], 9), group["weight_decay"]), set()).update(
            names[id(parameter)] for parameter in group["params"]
        )
    assert set(found) == {(0.01, 0.3), (0.01, 0.0), (0.1, 0.3), (0.1, 0.0)}
    assert "backbone.body.0.0.weight" in found[0.01, 0.3]
    assert "backbone.body.0.1.weight" in found[0.01, 0.0]
    assert "backbone.fpn.inner_blocks.0.0.weight" in found[0.1, 0.3]
    assert "roi_heads.box_head.fc6.bias" in found[0.1, 0.0]
    assert sum(map(len, found.values())) == len(names)
    items = _shapes()
    step.step([(items[0].image, {"boxes": items[0].boxes, "labels": items[0].labels})] * 2, "here")
    rates = {round(group["lr"], 9) for group in step.optimizer.param_groups}
    assert rates == {0.05, 0.005}
