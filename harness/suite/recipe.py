"""Hyperparameters as a trial has them: a recipe's values wherever the suite sets none.

A recipe is the published one of an architecture (`harness.suite.catalog`), or `SHARED`, one for all architectures.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from harness.suite.catalog.architecture import Recipe
from harness.suite.schema import PRESETS, Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.suite.catalog.architecture import Architecture

HYPERPARAMETERS = TypeAdapter(Hyperparameters)

# A step of AdamW does not depend on the gradients' scale, so one rate and one clipping serve every loss.
SHARED = Recipe(
    lr=1e-4,
    optimizer="adamw",
    weight_decay=0.05,
    schedule="cosine",
    clip_grad_norm=0.1,
    source="rate and decay: torchvision's recipe of retinanet_resnet50_fpn_v2; clipping: DETR (arXiv:2005.12872)",
)
_FROM_RECIPE = (
    "optimizer",
    "momentum",
    "nesterov",
    "schedule",
    "warmup_steps",
    "max_warmup_epochs",
    "clip_grad_norm",
    "norm_weight_decay",
    "backbone_lr_factor",
    "ema",
)
_SGD = (0.02, 1e-4)  # rate for 16 images and weight decay of torchvision's references, for a recipe of AdamW
_ADAMW = (1e-4, 0.05)  # of torchvision's recipe of retinanet_resnet50_fpn_v2, for a recipe of SGD


def recipe_of(row: Architecture, values: Mapping[str, Any]) -> Recipe:
    """The recipe that fills what `values`, a suite's hyperparameters, leave open."""
    return SHARED if values.get("recipe") == "shared" else row.recipe


def resolve(row: Architecture, values: Mapping[str, Any]) -> Hyperparameters:
    """Fill the hyperparameters that a suite does not set from the recipe.

    SGD's rate is scaled linearly to the batch (Goyal et al. 2017, arXiv:1706.02677), AdamW's by the square root
    (Malladi et al. 2022, arXiv:2205.10287). Milestones keep their fraction of all epochs; of a budget of images or
    minutes, which has no number of epochs until data and machine are known, they are that fraction. Where the suite
    takes another optimizer than the recipe, rate and decay are torchvision's for that optimizer.

    Args:
        row: the architecture.
        values: the suite's own values, without short forms.

    Raises:
        ValidationError: a value is not allowed.
    """
    recipe = recipe_of(row, values)
    filled = {
        key: value
        for key in _FROM_RECIPE
        if (value := getattr(recipe, key)) is not None  # else the schema's default
    }
    if "warmup_steps" in values:  # a number of the suite's own is meant
        filled.pop("max_warmup_epochs", None)
    filled["augmentation"] = asdict(PRESETS[recipe.augmentation])
    configured = HYPERPARAMETERS.validate_json(json.dumps(merged(filled, values)))
    epochs = _epochs(configured, recipe)
    batch_ratio = configured.batch_size / recipe.batch_size
    sgd = configured.optimizer == "sgd"
    lr, decay = (
        (recipe.lr, recipe.weight_decay) if configured.optimizer == recipe.optimizer else _SGD if sgd else _ADAMW
    )
    return replace(
        configured,
        epochs=epochs,
        lr=lr * (batch_ratio if sgd else batch_ratio**0.5) if configured.lr is None else configured.lr,
        milestones=_milestones(recipe, epochs) if configured.milestones is None else configured.milestones,
        weight_decay=decay if configured.weight_decay is None else configured.weight_decay,
        clip_grad_norm=configured.clip_grad_norm or None,
        ema=configured.ema or None,
        backbone_lr_factor=None if configured.backbone_lr_factor == 1 else configured.backbone_lr_factor,
    )


def departures(row: Architecture, h: Hyperparameters) -> tuple[str, ...]:
    """The hyperparameters, of those that a recipe fills, in which resolved ones differ from their recipe.

    The length of training and the batch are the suite's own business: the recipe is scaled to them. Another optimizer
    is a departure, the rate and the decay that it brings along are none.
    """
    length = {"budget": asdict(h.budget)} if h.budget is not None else {"epochs": h.epochs}
    batches = {"batch_size": h.batch_size, "accumulate": h.accumulate}
    by_recipe = resolve(row, {"recipe": h.recipe, "optimizer": h.optimizer, **length, **batches})
    names = ("lr", "weight_decay", "milestones", "augmentation", *_FROM_RECIPE[1:])
    differing = tuple(name for name in names if getattr(h, name) != getattr(by_recipe, name))
    return differing if h.optimizer == recipe_of(row, {"recipe": h.recipe}).optimizer else ("optimizer", *differing)


def _epochs(configured: Hyperparameters, recipe: Recipe) -> int | None:
    """The number of epochs; None if a budget of images or minutes sets the length."""
    if configured.budget is not None:
        return configured.budget.epochs
    return configured.epochs or recipe.epochs


def _milestones(recipe: Recipe, epochs: int | None) -> tuple[float, ...]:
    """The recipe's milestones of so many epochs; as fractions where their number is not known."""
    if epochs is None:
        return tuple(epoch / recipe.epochs for epoch in recipe.milestones if 0 < epoch < recipe.epochs)
    return at_length(recipe.milestones, recipe.epochs, epochs)


def at_length(milestones: Sequence[float], before: int, epochs: int) -> tuple[float, ...]:
    """Milestones of a training of so many epochs `before`, for another length; fractions of it stay as they are."""
    if all(milestone < 1 for milestone in milestones):
        return tuple(milestones)
    scaled = {milestone if milestone < 1 else round(milestone * epochs / before) for milestone in milestones}
    return tuple(sorted(milestone for milestone in scaled if 0 < milestone < epochs))


def merged(defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return `defaults` with the values of `overrides`; mappings are merged key by key."""
    both = {
        key: merged(defaults[key], value) if isinstance(defaults.get(key), dict) and isinstance(value, dict) else value
        for key, value in overrides.items()
    }
    return {**defaults, **both}
