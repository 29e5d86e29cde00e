"""Hyperparameters that a suite leaves open come from the architecture's recipe, or from one recipe for all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.suite.catalog.architecture import Architecture, Recipe
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.recipe import SHARED, at_length, departures, resolve

_SGD = BUILT_IN["retinanet_resnet50_fpn"]
_ADAMW = Architecture(
    name="an_adamw_one",
    family="nowhere",
    backbone="none",
    stages=1,
    parameters=1,
    recipe=Recipe(
        lr=2e-4,
        batch_size=16,
        epochs=72,
        milestones=(),
        optimizer="adamw",
        weight_decay=1e-4,
        norm_weight_decay=0.0,
        schedule="constant",
        warmup_steps=2000,
        max_warmup_epochs=1.0,
        clip_grad_norm=0.1,
        backbone_lr_factor=0.1,
        ema=0.9999,
        augmentation="ssd",
    ),
)


def test_the_published_recipe_fills_what_a_suite_leaves_open() -> None:
    h = resolve(_ADAMW, {"batch_size": 4})
    assert (h.optimizer, h.schedule, h.epochs, h.warmup_steps) == ("adamw", "constant", 72, 2000)
    assert h.lr == pytest.approx(1e-4)  # a quarter of the batch, half of the rate
    assert (h.weight_decay, h.norm_weight_decay, h.clip_grad_norm) == (1e-4, 0.0, 0.1)
    assert (h.backbone_lr_factor, h.ema) == (0.1, 0.9999)
    assert (h.augmentation.photometric, h.augmentation.random_crop) == (0.5, 1.0)


def test_a_suites_own_value_wins_and_zero_turns_a_part_of_the_recipe_off() -> None:
    values = {"lr": 0.5, "ema": 0, "clip_grad_norm": 0, "backbone_lr_factor": 1, "augmentation": {"hflip": 0}}
    h = resolve(_ADAMW, values)
    assert (h.lr, h.ema, h.clip_grad_norm, h.backbone_lr_factor) == (0.5, None, None, None)
    assert (h.augmentation.hflip, h.augmentation.photometric) == (0.0, 0.5)


def test_a_recipes_warm_up_is_bounded_and_a_suites_own_is_not() -> None:
    """What a recipe says of 118,000 images would be the whole training on a few."""
    assert (resolve(_ADAMW, {}).warmup_steps, resolve(_ADAMW, {}).max_warmup_epochs) == (2000, 1.0)
    own = resolve(_ADAMW, {"warmup_steps": 2000})
    assert (own.warmup_steps, own.max_warmup_epochs) == (2000, None)
    assert departures(_ADAMW, resolve(_ADAMW, {"epochs": 3})) == ()


def test_one_shared_recipe_is_the_same_for_all_architectures() -> None:
    sgd, adamw = (resolve(row, {"recipe": "shared"}) for row in (_SGD, _ADAMW))
    assert sgd == adamw
    assert (sgd.optimizer, sgd.epochs) == ("adamw", SHARED.epochs)
    assert sgd.lr == pytest.approx(SHARED.lr / 2)


@pytest.mark.parametrize(
    ("row", "optimizer", "lr", "decay"), [(_ADAMW, "sgd", 0.02, 1e-4), (_SGD, "adamw", 1e-4, 0.05)]
)
def test_another_optimizer_than_the_recipes_has_torchvisions_rate(
    row: Architecture, optimizer: str, lr: float, decay: float
) -> None:
    h = resolve(row, {"optimizer": optimizer, "batch_size": 16})
    assert h.lr == pytest.approx(lr)
    assert h.weight_decay == decay


def test_milestones_keep_their_fraction_of_all_epochs() -> None:
    assert resolve(_SGD, {"epochs": 13}).milestones == (8, 11)
    longer = replace(_ADAMW, recipe=replace(_ADAMW.recipe, milestones=(36,)))
    assert resolve(longer, {"epochs": 8}).milestones == (4,)
    assert at_length((12, 18), 20, 10) == (6, 9)
    assert at_length((0.5, 18), 20, 10) == (0.5, 9)
    assert at_length((0.6, 0.85), 20, 10) == (0.6, 0.85)
    assert at_length((12, 18), 20, 1) == ()
