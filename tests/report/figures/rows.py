"""Rows of a comparison as the figures take them, as many as wanted, and the figures that are drawn of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from types import ModuleType

    import pytest
    from matplotlib.figure import Figure


def many_rows(count: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return that many rows, of which faster ones are less accurate and every other one was raced, and their seeds."""
    rng = np.random.default_rng(0)
    latency = np.exp(rng.normal(np.log(0.03), 0.5, count))
    accuracy = np.clip(0.2 + 0.1 * np.log(latency / 0.01) + rng.normal(0, 0.05, count), 0.01, 0.9)
    raced = np.where(np.arange(count) % 2, 1.0, np.nan)
    stages = [(1, 2, None)[number % 3] for number in range(count)]
    labels = [f"fasterrcnn_resnet50_fpn_v2 (learning rate {number / 1000:g})" for number in range(count)]
    rows = pd.DataFrame(
        {
            "label": labels,
            "stages": stages,
            "map": accuracy,
            "map_std": 0.01,
            "map_low": accuracy - 0.03,
            "map_high": accuracy + 0.03,
            "n": 3,
            "latency_median_s": latency,
            "latency_p95_s": latency * 1.2,
            "latency_race_low_s": latency * 0.93 * raced,
            "latency_race_high_s": latency * 1.1 * raced,
            "front_separated": np.arange(count) % 4 == 0,
            "throughput_images_per_s": 1 / latency,
            "inference_memory_bytes": 2.0**30,
            "parameters": 4e7,
            "joules_per_image": float("nan"),
            "warnings": [()] * count,
            "subset": False,
        }
    ).sort_values("map", ascending=False, ignore_index=True)
    seeds = rows.loc[rows.index.repeat(3), ["label", "stages", "map", "latency_median_s"]].reset_index(drop=True)
    return rows, seeds.assign(map=seeds["map"] + rng.normal(0, 0.01, len(seeds)))


def keep_figures(monkeypatch: pytest.MonkeyPatch, module: ModuleType) -> list[Figure]:
    """The figures that a module draws from now on, each laid out."""
    figures: list[Figure] = []

    def keep(figure: Figure) -> bytes:
        figure.draw_without_rendering()
        figures.append(figure)
        return b""

    monkeypatch.setattr(module, "svg", keep)
    return figures
