"""What only several keys of a suite show together: hyperparameters that contradict each other or the architecture."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from harness.suite.schema import Hyperparameters

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.trial import TrialArchitecture
    from harness.suite.yaml_document import Place

_LENGTHS = ("epochs", "budget")
_DEFAULTS = {field.name: field.default for field in fields(Hyperparameters)}
# Hyperparameters that only count where another one has one of these values.
_PARTS_OF: dict[str, tuple[str, tuple[str, ...]]] = {
    "momentum": ("optimizer", ("sgd",)),
    "nesterov": ("optimizer", ("sgd",)),
    "milestones": ("schedule", ("multistep",)),
    "gamma": ("schedule", ("multistep", "plateau")),
    "plateau_patience": ("schedule", ("plateau",)),
    "repeat_threshold": ("class_balance", ("repeat_factor",)),
}


def contradiction(row: Architecture, architecture: TrialArchitecture, h: Hyperparameters) -> str | None:
    """Say why these hyperparameters of an architecture, which the text names, cannot be; None if they can.

    Args:
        row: of the catalogue.
        architecture: as the suite sets it up.
        h: with the recipe's values filled in.
    """
    problem = _of_batches(row, h) or _of_length(h) or _of_training(row, architecture, h)
    return f"{row.name}: {problem}" if problem else None


def budget_problems(data: Mapping[str, Any], index: int) -> Iterator[tuple[Place, str]]:
    """Yield each place where the length of training is set a second time, or for one architecture alone.

    Args:
        data: the suite file's content.
        index: of the architecture.
    """
    shared, sweep = data.get("hyperparameters", {}), data.get("sweep", {})
    own = data["architectures"][index].get("hyperparameters", {})
    place: Place = ("architectures", index, "hyperparameters")
    if own.get("budget") is not None:
        yield (*place, "budget"), "a budget is the same for all architectures: write budget beside architectures"
    holders: tuple[tuple[Place, Mapping[str, Any]], ...] = (
        ((), {"budget": data.get("budget")}),
        (("hyperparameters",), shared),
        (place, own),
        (("sweep",), sweep),
    )
    places = [((*holder, key), key) for holder, keys in holders for key in _LENGTHS if keys.get(key) is not None]
    if any(key == "budget" for _, key in places) and len(places) > 1:
        where, key = next((each for each in reversed(places) if each[1] == "epochs"), places[-1])
        what = "budget is set twice" if key == "budget" else f"{key} and budget both say how long training is"
        yield where, f"{what}; remove one of them"


def without_effect(
    data: Mapping[str, Any], trained: Sequence[Sequence[Hyperparameters]]
) -> Iterator[tuple[Place, str]]:
    """Yield each hyperparameter that is set, swept or tuned and changes nothing, wherever it holds.

    One that all architectures share need only count for one of them; what is swept or tuned, for each: its trials
    would be the same training again. A default that is written out is let be.

    Args:
        data: the suite file's content, without short forms.
        trained: for each architecture, all hyperparameters that its trials have.
    """
    search = data.get("search") or {}
    together = [h for each in trained for h in each]
    holders: list[tuple[Place, Mapping[str, Any], Sequence[Hyperparameters]]] = [
        (("hyperparameters",), data.get("hyperparameters") or {}, together)
    ]
    for index, each in enumerate(trained):
        own = data["architectures"][index].get("hyperparameters") or {}
        holders.append((("architectures", index, "hyperparameters"), own, each))
        holders += [(("sweep",), data.get("sweep") or {}, each), (("search", "over"), search.get("over") or {}, each)]
    for place, keys, hyperparameters in holders:
        for name, value in keys.items():
            if name not in _PARTS_OF or value == _DEFAULTS[name]:
                continue
            other, values = _PARTS_OF[name]
            found = {getattr(h, other) for h in hyperparameters}
            if found and not found & set(values):
                said = f"with {other}: {' or '.join(sorted(found))}"
                yield (
                    (*place, name),
                    f"has no effect {said}, only with {' or '.join(values)}; remove it or change {other}",
                )


def _of_batches(row: Architecture, h: Hyperparameters) -> str | None:
    at_once = h.batch_size // h.accumulate
    if h.batch_size % h.accumulate:
        return f"batch_size {h.batch_size} cannot be divided into accumulate: {h.accumulate} equal parts"
    if at_once < row.min_batch:
        return f"trains on at least {row.min_batch} images at once, got {at_once}: raise batch_size or lower accumulate"
    return None


def _of_length(h: Hyperparameters) -> str | None:
    followed = "schedule: plateau" if h.schedule == "plateau" else "early_stopping"
    if not h.validate_every and (followed != "early_stopping" or h.early_stopping):
        return f"{followed} follows the mAP on val: set validate_every, the number of epochs between two validations"
    if h.epochs is None and any(milestone >= 1 for milestone in h.milestones or ()):
        return (
            "milestones that are epochs do not fit a budget of images or minutes; write them as fractions of the "
            "training, such as [0.6, 0.85]"
        )
    return None


def _of_training(row: Architecture, architecture: TrialArchitecture, h: Hyperparameters) -> str | None:
    if h.optimizer == "sgd" and h.nesterov and not h.momentum:
        return "nesterov is a kind of momentum, and momentum is 0: remove one of them"
    if h.precision == "fp16" and not row.fp16:
        return "overflows in fp16: use precision: bf16 or fp32"
    if h.augmentation.multiscale is not None and row.fixed_size:
        return f"takes {row.image_size[0]} pixels alone, so it cannot be trained at several sizes: remove multiscale"
    if h.trainable_layers is not None and "trainable_backbone_layers" in architecture.model:
        return "trainable_layers and model.trainable_backbone_layers say the same thing; remove one of them"
    return None
