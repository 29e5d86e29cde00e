"""The loss on val leaves a training as it was, and early stopping and plateaus follow from the curve alone."""

from __future__ import annotations

import copy
import io
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import EarlyStopping, Hyperparameters, ImageSize
from harness.trial.inputs.item import Item
from harness.trial.inputs.loader import EpochBatches
from harness.trial.models import checkpoint
from harness.trial.models.torchvision import family
from harness.trial.train.loop import Training, finetune
from harness.trial.train.validate import Validation, plateau_factor, stops_early, validation_loss
from tests.trial.models.fakes import IncapableDetector

CPU = torch.device("cpu")
SMALL = {"rpn_post_nms_top_n_train": 20, "box_batch_size_per_image": 8}


def _item(value: float, boxes: int = 1) -> Item:
    corners = torch.tensor([[4.0, 6.0, 40.0, 50.0], [10.0, 10.0, 30.0, 30.0]])[:boxes]
    return Item(
        name="a",
        image=torch.full((3, 64, 64), value),
        boxes=corners,
        labels=torch.ones(boxes, dtype=torch.int64),
        crowds=torch.tensor([False, True][:boxes], dtype=torch.bool),
        areas=torch.full((boxes,), 400.0),
    )


class _Counted(IncapableDetector):
    """A loss of the mean of the images' first pixels, plus the number of boxes an image."""

    def __init__(self) -> None:
        super().__init__()
        self.module = nn.Sequential(nn.Dropout(), nn.BatchNorm2d(3))
        self.modes: list[tuple[bool, ...]] = []

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        self.modes.append(tuple(part.training for part in self.module.modules()))
        assert not torch.is_grad_enabled()
        torch.rand(3)
        number = torch.tensor(float(sum(len(target["labels"]) for target in targets)))
        return {"pixels": torch.stack([i[0, 0, 0] for i in images]).mean(), "boxes": number / len(images)}


def _of(detector: Any, items: list[Item], batch_size: int = 2) -> float | None:
    return validation_loss(detector, items, batch_size=batch_size, device=CPU, precision="fp32")


def test_it_is_the_mean_over_images() -> None:
    """Whatever the batches, the last one smaller; without crowd regions; norms and dropout in evaluation mode."""
    items = [_item(0.0), _item(0.25, boxes=2), _item(0.5, boxes=0)]
    for batch_size, batches in ((1, 3), (2, 2), (3, 1), (8, 1)):
        detector = _Counted()
        assert _of(detector, items, batch_size) == pytest.approx(0.25 + 2 / 3)
        assert detector.modes == [(True, False, False)] * batches
    assert _of(_Counted(), [_item(math.inf)]) is None
    assert _of(_Counted(), []) is None


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ["fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"])
def test_nothing_of_a_training_is_disturbed(name: str, *, training: bool) -> None:
    """Weights, running statistics, modes, gradients and generators are as before; the same loss comes twice."""
    torch.manual_seed(7)
    options = SMALL if name.startswith("faster") else {}
    detector, _ = family.build(
        BUILT_IN[name], weights="none", classes=2, image_size=ImageSize(min=64, max=64), options=options
    )
    detector.module.train(training)
    modes = [part.training for part in detector.module.modules()]
    before, state = checkpoint.state_sha256(detector.module), torch.get_rng_state()
    items = [_item(0.3), _item(0.6, boxes=0), _item(0.9, boxes=2)]
    loss = _of(detector, items)
    torch.rand(7)
    assert loss is not None
    assert loss > 0
    assert _of(detector, items) == loss
    assert checkpoint.state_sha256(detector.module) == before
    assert [part.training for part in detector.module.modules()] == modes
    assert all(parameter.grad is None for parameter in detector.module.parameters())
    torch.set_rng_state(state)
    _of(detector, items)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("maps", "patience", "min_delta", "stops"),
    [
        ([], 1, 0.0, False),
        ([0.0], 1, 0.0, False),
        ([0.1, 0.1], 1, 0.0, True),
        ([0.1, 0.2], 1, 0.1, True),
        ([0.1, 0.21], 1, 0.1, False),
        ([0.1, 0.15, 0.2, 0.25], 3, 0.1, False),  # the third one rose by more than 0.1 over the best one
        ([0.3, 0.2, 0.1], 3, 0.0, False),
        ([0.3, 0.2, 0.1, 0.3], 3, 0.0, True),
        ([0.3, 0.2, 0.31, 0.2, 0.1], 3, 0.0, False),
    ],
)
def test_when_training_stops(maps: list[float], patience: int, min_delta: float, *, stops: bool) -> None:
    """After so many validations in a row that are not better than the best one by more than `min_delta`."""
    assert stops_early(maps, EarlyStopping(patience=patience, min_delta=min_delta)) is stops
    assert not stops_early(maps, None)


@pytest.mark.parametrize("patience", [0, 1, 3])
def test_a_plateau_is_torchs(patience: int) -> None:
    """After each of many random validations, the rate is that of torch's ReduceLROnPlateau on a mAP."""
    draw = random.Random(patience)
    for _ in range(20):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode="max", factor=0.5, patience=patience, eps=0.0
        )
        maps: list[float] = []
        for _ in range(30):
            maps.append(draw.choice([0.0, 0.1, 0.10000999, 0.1001, 0.2, draw.random()]))
            theirs.step(maps[-1])
            assert plateau_factor(maps, gamma=0.5, patience=patience) == optimizer.param_groups[0]["lr"]


class _Line(IncapableDetector):
    """A weight of 1; the loss is the weight × the images' first pixel."""

    def __init__(self) -> None:
        super().__init__()
        self.module.register_parameter("weight", nn.Parameter(torch.tensor(1.0)))

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {"line": torch.stack([self.module.get_parameter("weight") * image[0, 0, 0] for image in images]).mean()}


def _train(maps: list[float], state: dict[str, Any] | None = None, **changes: Any) -> tuple[float, Training, list[Any]]:
    """Train two steps an epoch, with these validations; return the weight, the result, and every checkpoint."""
    detector, kept = _Line(), list[Any]()
    done = len(state["position"]["curve"]) if state else 0
    scores = iter(maps[done // changes.get("validate_every", 1) :])
    content = {"epochs": 12, "batch_size": 1, "lr": 0.01, "milestones": (), "weight_decay": 0.0, "warmup_steps": 3}
    h = Hyperparameters(**{**content, "validate_every": 1, **changes})
    pair = (torch.ones(3, 1, 1), {"boxes": torch.zeros(0, 4)})
    batches = EpochBatches(2, 1, seed=0)

    class Loader:
        def __iter__(self) -> Any:
            return ([pair] for _ in batches)

    def keep(state: Callable[[], dict[str, Any]], steps: int, *, finished: bool) -> None:
        stream = io.BytesIO()
        torch.save(copy.deepcopy(state()), stream)
        kept.append((stream.getvalue(), finished))

    training = finetune(
        detector,
        Loader(),
        batches,
        h,
        device=CPU,
        on_step=lambda *_: None,
        validate=lambda: Validation(map=next(scores), map_50=0.5, loss=0.75),
        state=state,
        save_checkpoint=keep,
    )
    return float(detector.module.get_parameter("weight").detach()), training, kept


@pytest.mark.parametrize(
    ("changes", "epochs", "rates"),
    [
        ({"early_stopping": EarlyStopping(patience=2)}, 5, [0.01] * 3),
        ({"early_stopping": EarlyStopping(patience=2), "validate_every": 2}, 10, [0.01] * 8),
        ({"schedule": "plateau", "plateau_patience": 0, "gamma": 0.5}, 12, [0.01, 0.01, 0.005, 0.0025]),
        (
            {"schedule": "plateau", "plateau_patience": 1, "early_stopping": EarlyStopping(patience=3)},
            6,
            [0.01, 0.01, 0.01, 0.001],
        ),
    ],
)
def test_a_resumed_training_stops_and_slows_down_at_the_same_epoch(
    changes: dict[str, Any], epochs: int, rates: list[float]
) -> None:
    """From the state after every step and every validation: the same weights, rates and end."""
    maps = [0.1, 0.2, 0.3, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    weight, training, kept = _train(maps, **changes)
    assert [epoch.epoch for epoch in training.epochs] == list(range(1, epochs + 1))
    assert training.stopped_epoch == (epochs if "early_stopping" in changes else None)
    assert [finished for _, finished in kept] == [False] * (len(kept) - 1) + [True]
    lrs = [epoch.lr for epoch in training.epochs]
    assert lrs[2 : 2 + len(rates)] == pytest.approx(rates)
    validated = [epoch.epoch for epoch in training.epochs if epoch.val_loss == 0.75]
    assert validated == list(range(changes.get("validate_every", 1), epochs + 1, changes.get("validate_every", 1)))
    for content, _ in kept:
        again, resumed, _ = _train(maps, torch.load(io.BytesIO(content), weights_only=True), **changes)
        assert again == weight
        assert [epoch.lr for epoch in resumed.epochs] == lrs
        assert resumed.stopped_epoch == training.stopped_epoch
