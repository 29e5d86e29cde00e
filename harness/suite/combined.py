"""What only several keys of a suite show together: hyperparameters that contradict each other or the architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import Hyperparameters
    from harness.suite.trial import TrialArchitecture
    from harness.suite.yaml_document import Place

_LENGTHS = ("epochs", "budget")


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
        yield where, f"{key} and budget both say how long training is; remove one of them"


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
    if h.precision == "fp16" and not row.fp16:
        return "overflows in fp16: use precision: bf16 or fp32"
    if h.augmentation.multiscale is not None and row.fixed_size:
        return f"takes {row.image_size[0]} pixels alone, so it cannot be trained at several sizes: remove multiscale"
    if h.trainable_layers is not None and "trainable_backbone_layers" in architecture.model:
        return "trainable_layers and model.trainable_backbone_layers say the same thing; remove one of them"
    return None
