"""Pictures of the page, as SVG: the same bytes for the same frame."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from harness.report.compare import pareto_front

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_COLOURS = {1: "#d1495b", 2: "#00798c"}
_STYLE: Any = {
    "svg.hashsalt": "harness",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def speed_accuracy(rows: pd.DataFrame, title: str) -> bytes | None:
    """Latency against mAP with the Pareto front; None where nothing is measured.

    Args:
        rows: configurations of one dataset; whiskers show the standard deviation over seeds where n > 1.
    """
    measured = rows.dropna(subset=["map", "latency_median_s"])
    if measured.empty:
        return None
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.add_subplot()
        for stages, colour in _COLOURS.items():
            group = measured[measured["stages"] == stages]
            if group.empty:
                continue
            whiskers = group["map_sd"].fillna(0.0) if group["map_sd"].notna().any() else None
            axes.errorbar(
                group["latency_median_s"] * 1e3,
                group["map"],
                yerr=whiskers,
                fmt="o",
                color=colour,
                markersize=8,
                capsize=3,
                label=f"{'one' if stages == 1 else 'two'}-stage",
                zorder=3,
            )
        front = pareto_front(measured)
        axes.step(
            front["latency_median_s"] * 1e3,
            front["map"],
            where="post",
            color="#888888",
            linestyle="--",
            label="Pareto front",
            zorder=2,
        )
        _label_points(axes, measured)
        axes.set_xlabel("latency, median, batch 1 (ms, lower is better)")
        axes.set_ylabel("mAP, IoU 0.50:0.95 (higher is better)")
        axes.set_xlim(0, measured["latency_median_s"].max() * 1e3 * 1.25)
        axes.set_ylim(0, min(1.0, (measured["map"] + measured["map_sd"].fillna(0)).max() * 1.25 + 0.02))
        axes.grid(visible=True, color="#eeeeee")
        axes.set_axisbelow(True)
        axes.set_title(title.replace("$", r"\$"), loc="left")
        # Above the axes, where no point can lie under it.
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False)
        stream = io.BytesIO()
        figure.savefig(stream, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return stream.getvalue()


def _label_points(axes: Axes, measured: pd.DataFrame) -> None:
    """A name beside each point, on the side where it stays inside the picture."""
    middle = measured["latency_median_s"].max() * 0.6
    for _, row in measured.iterrows():
        left = row["latency_median_s"] > middle
        name = row["label"]
        axes.annotate(
            name.replace("$", r"\$"),
            (row["latency_median_s"] * 1e3, row["map"]),
            xytext=(-9 if left else 9, 6),
            textcoords="offset points",
            ha="right" if left else "left",
            fontsize=9,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
            zorder=4,
        )
