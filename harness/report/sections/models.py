"""The page's section on the models themselves, and on what they cost to train and run: time, memory, energy, money."""

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
    """Models, and what they cost; energy and money where they are known."""
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
    """What an image and a trial take, where the GPU's driver counts energy or the suite names a price."""
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
            a_second = cost.per_gpu_hour / _HOUR
            line += [
                number(a_second * _MILLION / row["throughput_images_per_s"], 2),
                number(a_second * row["wall_s"], 2),
            ]
        cells.append(tuple(line))
    said = ""
    if energy:
        said = (
            "Energy is the whole GPU's, by its driver: in the throughput pass, and over a trial with all its passes. "
        )
    if cost:
        said += (
            f"Money at {cost.per_gpu_hour:g} {cost.currency} an hour of the device that was measured on: images at the "
            "throughput above, trials by their wall time."
        )
    return ["### Energy and money", table(tuple(header), cells), said.strip()]
