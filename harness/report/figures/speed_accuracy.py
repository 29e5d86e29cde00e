"""The static picture of speed against accuracy, as SVG; the same frame gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.frame import pareto_front

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
from harness.report.figures.style import figure, plain, svg

STAGES = {1: "#d1495b", 2: "#00798c"}  # colours
_MAX_LABELLED = 25  # with more points than these, only those on the front are named, so that names do not overlap


def speed_accuracy(rows: pd.DataFrame, title: str) -> bytes | None:
    """Draw latency against mAP with the Pareto front, as SVG; None if nothing is measured.

    Args:
        rows: the configurations of one dataset; whiskers reach from `map_low` to `map_high` if they have these columns.
        title: the title of the figure.
    """
    measured = rows.dropna(subset=["map", "latency_median_s"])
    if measured.empty:
        return None
    with figure(8, 4.5) as drawn:
        axes = drawn.add_subplot()
        for stages, colour in STAGES.items():
            group = measured[measured["stages"] == stages]
            if group.empty:
                continue
            axes.errorbar(
                group["latency_median_s"] * 1e3,
                group["map"],
                yerr=_whiskers(group),
                fmt="o",
                color=colour,
                markersize=8,
                capsize=3,
                label=f"{'one' if stages == 1 else 'two'}-stage",
                zorder=3,
            )
        front = pareto_front(measured[~measured["subset"]])
        axes.step(
            front["latency_median_s"] * 1e3,
            front["map"],
            where="post",
            color="#888888",
            linestyle="--",
            label="Pareto front",
            zorder=2,
        )
        _label_points(axes, measured if len(measured) <= _MAX_LABELLED else front)
        axes.set_xlabel("latency, median, batch 1 (ms, lower is better)")
        axes.set_ylabel("mAP, IoU 0.50:0.95 (higher is better)")
        axes.set_xlim(0, measured["latency_median_s"].max() * 1e3 * 1.25)
        axes.set_ylim(0, min(1.0, _highest(measured) * 1.25 + 0.02))
        axes.grid(visible=True, color="#eeeeee")
        axes.set_axisbelow(True)
        axes.set_title(plain(title), loc="left")
        # Above the axes, where no point can lie under it.
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
        return svg(drawn)


def _highest(rows: pd.DataFrame) -> float:
    return float(rows[[name for name in ("map", "map_high") if name in rows]].max().max())


def _whiskers(rows: pd.DataFrame) -> NDArray[np.float64] | None:
    """Return the 95 % intervals over images, as lengths below and above the mAP; None if no row has one."""
    if "map_low" not in rows or rows["map_low"].isna().all():
        return None
    ends: NDArray[np.float64] = np.array([rows["map"] - rows["map_low"], rows["map_high"] - rows["map"]])
    return np.nan_to_num(ends).clip(min=0)


def _label_points(axes: Axes, measured: pd.DataFrame) -> None:
    """Write a name beside each point, on the side where it stays inside the picture."""
    middle = measured["latency_median_s"].max() * 0.6
    for _, row in measured.iterrows():
        left = row["latency_median_s"] > middle
        axes.annotate(
            plain(row["label"]),
            (row["latency_median_s"] * 1e3, row["map"]),
            xytext=(-9 if left else 9, 6),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            zorder=4,
        )
