"""What a user may want to know of a row of the catalogue, as plain values: for a table, and for other programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.suite.catalog.published import described, location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.catalog.architecture import Architecture, Value

_BUILT_IN = "harness.trial.models."


def family_name(row: Architecture) -> str:
    """The library whose detector it is; of the user's own the module that builds it."""
    if row.family.startswith(_BUILT_IN):
        return row.family.removeprefix(_BUILT_IN).removesuffix(".family")
    return row.family


def backbone_name(row: Architecture, model: Mapping[str, Value], weights: str = "none") -> str:
    """The backbone that a suite chose, else the row's; of a folder its name alone.

    Where a suite chooses none beside weights of its own, and these say themselves what their backbone is, it is theirs.
    """
    chosen = model.get("backbone") if row.find_option("backbone") else None
    if not isinstance(chosen, str):
        theirs = row.find_option("backbone") and row.weights_folders and weights not in row.weights_words()
        return "that of its weights" if theirs else row.backbone
    return Path(chosen).name if Path(chosen).is_absolute() else chosen


def as_data(row: Architecture) -> dict[str, Any]:
    """The row, what of it is installed and which of its weights are on this machine.

    Parameters are counted, `gflops` are billions of multiplications with their additions, `coco_map` is from 0 to 1,
    `image_size` is the shorter and the longer side in pixels.
    """
    weights = [
        {"weights": word, "file": described(file), "path": str(location(file)), "cached": location(file).is_file()}
        for word, file in ((word, row.published_file(word)) for word in row.published_files)
    ]
    return {
        "name": row.name,
        "family": family_name(row),
        "backbone": row.backbone,
        "stages": row.stages,
        "queries": row.queries,
        "image_size": list(row.image_size),
        "resize": row.resize,
        "fixed_size": row.fixed_size,
        "size_multiple": row.size_multiple,
        "min_batch": row.min_batch,
        "fp16": row.fp16,
        "needs_masks": row.needs_masks,
        "parameters": row.parameters,
        "gflops": row.gflops,
        "coco_map": row.published_map,
        "coco_map_source": row.published_source or None,
        "code_license": row.code_license or None,
        "weights_license": row.weights_license or None,
        "extra": row.extra,
        "installed": row.missing_package() is None,
        "weights": weights,
        "recipe": asdict(row.recipe),
        "options": [option.name for option in row.options],
    }
