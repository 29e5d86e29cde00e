"""The page's sections on the models, and on what they cost to train and run: time, memory, energy, money."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import duration, mebibytes, number
from harness.report.markup import escape, table
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    import pandas as pd

    from harness.suite.schema import Cost

_HOUR = 3600
_MILLION = 1e6


def sections(rows: pd.DataFrame, cost: Cost | None) -> list[str]:
    """Return tables of the models and their cost; energy and money if they are known."""
    return [
        "### Models",
        _model_table(rows[rows["variant"] == AS_TRAINED]),
        "### What they cost to train and run",
        _cost_table(rows),
        *_energy_and_money(rows, cost),
    ]


def _model_table(rows: pd.DataFrame) -> str:
    header = ("architecture", "backbone", "stages", "weights", "image size", "parameters M", "GFLOPs")
    cells = [
        (
            escape(row["label"]),
            str(row["backbone"]),
            {1: "one", 2: "two"}.get(row["stages"], "?"),
            escape(row["weights"]),
            row["image_size"],
            number(row["parameters"] / 1e6, 1),
            number(row["flops"] / 1e9, 1),
        )
        for _, row in rows.iterrows()
    ]
    return table(header, cells, left=5)


def _cost_table(rows: pd.DataFrame) -> str:
    columns = {
        "training img/s": [number(value, 1) for value in rows["train_images_per_s"]],
        "peak memory training MiB": [mebibytes(value) for value in rows["training_memory_bytes"]],
        "peak memory inference MiB": [mebibytes(value) for value in rows["inference_memory_bytes"]],
        "with most boxes MiB": [mebibytes(value) for value in rows["worst_memory_bytes"]],
        "as the driver sees it MiB": [mebibytes(value) for value in rows["driver_memory_bytes"]],
        "wall time": [duration(value) for value in rows["wall_s"]],
    }
    if rows["driver_memory_bytes"].isna().all():
        del columns["as the driver sees it MiB"]
    labels = [escape(row["label"]) for _, row in rows.iterrows()]
    return table(("architecture", *columns), list(zip(labels, *columns.values(), strict=True)))


def _energy_and_money(rows: pd.DataFrame, cost: Cost | None) -> list[str]:
    """Return what an image and a trial cost, if the GPU's driver counts energy or the suite names a price."""
    energy = rows["joules_per_image"].notna().any()
    if not energy and cost is None:
        return []
    measured = rows.dropna(subset=["latency_median_s"])
    header = ["architecture"]
    header += ["J per image", "kJ per trial"] if energy else []
    header += [f"{cost.currency} per million images", f"{cost.currency} per trial"] if cost else []
    cells = []
    for _, row in measured.iterrows():
        line = [escape(row["label"])]
        if energy:
            line += [number(row["joules_per_image"], 2), number(row["joules"] / 1e3, 1)]
        if cost:
            price_per_s = cost.per_gpu_hour / _HOUR
            line += [
                number(price_per_s * _MILLION / row["throughput_images_per_s"], 2),
                number(price_per_s * row["wall_s"], 2),
            ]
        cells.append(tuple(line))
    notes = []
    if energy:
        notes.append(
            "Energy is that of the whole GPU, as its driver counts it: in the throughput pass, and over a whole trial."
        )
    if cost:
        notes.append(
            f"An hour of the device costs {cost.per_gpu_hour:g} {cost.currency}: an image takes its time at the "
            "throughput above, and a trial takes its wall time."
        )
    return ["### Energy and money", table(tuple(header), cells), " ".join(notes)]
