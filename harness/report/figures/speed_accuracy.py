"""The static picture of speed against accuracy, as SVG; the same frame gives the same bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import text_to_path

from harness.analysis.frame import pareto_front
from harness.report.figures.place import Rectangle, place_names
from harness.report.figures.style import figure, plain, svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_STAGES = {1: ("#d1495b", "one-stage"), 2: ("#00798c", "two-stage")}  # colours and words
_OTHER = ("#848b96", "stages unknown")
MAX_LABELLED = 12  # with more rows than these, only those on the front have names and whiskers, so that all can be seen
_FONT = 9
_MAX_NAME = 40  # characters
_LEADER = {"arrowstyle": "-", "color": "#888888", "linewidth": 0.7, "shrinkA": 0, "shrinkB": 5}  # from name to mark


def speed_accuracy(rows: pd.DataFrame, title: str, seeds: pd.DataFrame | None = None) -> bytes | None:
    """Draw latency against mAP with the Pareto front, as SVG; None if nothing is measured.

    Args:
        rows: the configurations of one dataset. If they have these columns, whiskers reach from `map_low` to `map_high`
            and from `latency_race_low_s` to `latency_race_high_s`, and the star of a row on the front is filled where
            `front_separated` says that its neighbours differ from it on both axes.
        title: the title of the figure.
        seeds: what `seeds.seed_points` returns.
    """
    measured = rows.dropna(subset=["map", "latency_median_s"])
    if measured.empty:
        return None
    front = pareto_front(measured[~measured["subset"]])
    detailed = measured if len(measured) <= MAX_LABELLED else front
    with figure(8, 4.8) as drawn:
        axes = drawn.add_subplot()
        handles = _draw_seeds(axes, seeds) + _draw_rows(axes, measured, front, detailed) + _draw_front(axes, front)
        axes.set_xlabel("latency, median, batch 1 (ms, lower is better)")
        axes.set_ylabel("mAP, IoU 0.50:0.95 (higher is better)")
        axes.set_xlim(0, _extreme(measured, "latency_median_s", "latency_race_high_s") * 1e3 * 1.25)
        axes.set_ylim(*_heights(measured))
        axes.grid(visible=True, color="#eeeeee")
        axes.set_axisbelow(True)
        axes.set_title(plain(title), loc="left")
        # Below the axes: neither a point nor the title can lie under it.
        drawn.legend(handles=handles, loc="outside lower left", ncols=4, frameon=False, fontsize=_FONT)
        _write_names(drawn, axes, detailed, [measured, front, front, front])  # a star is hidden last of all
        return svg(drawn)


def _draw_rows(axes: Axes, measured: pd.DataFrame, front: pd.DataFrame, detailed: pd.DataFrame) -> list[Line2D]:
    """Draw a dot for each row, a star on the front, and the whiskers of `detailed`; return what the legend explains."""
    handles = []
    groups = {kind: measured["stages"] == stages for stages, kind in _STAGES.items()}
    groups[_OTHER] = ~measured["stages"].isin(list(_STAGES))
    for (colour, word), chosen in groups.items():
        group = measured[chosen]
        others = group[~group.index.isin(front.index)]
        size = 7 if len(measured) <= MAX_LABELLED else 4
        axes.plot(others["latency_median_s"] * 1e3, others["map"], "o", color=colour, markersize=size, zorder=3)
        for _, row in group[group.index.isin(detailed.index)].iterrows():
            _draw_whiskers(axes, row, colour)
        for _, row in group[group.index.isin(front.index)].iterrows():
            style = _star(colour, filled=bool(row.get("front_separated", False)))
            axes.plot(row["latency_median_s"] * 1e3, row["map"], linestyle="none", zorder=4, **style)
        if not group.empty:
            handles.append(Line2D([], [], linestyle="none", marker="o", color=colour, label=word))
    return handles


def _draw_whiskers(axes: Axes, row: pd.Series, colour: str) -> None:
    errors: dict[str, Any] = {
        "yerr": _whisker(row, "map", "map_low", "map_high"),
        "xerr": _whisker(row, "latency_median_s", "latency_race_low_s", "latency_race_high_s", 1e3),
    }
    place = row["latency_median_s"] * 1e3, row["map"]
    axes.errorbar(*place, **errors, fmt="none", ecolor=colour, elinewidth=1.2, capsize=3, zorder=3.5)


def _star(colour: str, *, filled: bool) -> dict[str, Any]:
    return {"marker": "*", "markersize": 13, "color": colour, "markerfacecolor": colour if filled else "white"}


def _draw_front(axes: Axes, front: pd.DataFrame) -> list[Line2D]:
    """Draw the line of the front; return the legend of the line and of the stars that there are."""
    style: dict[str, Any] = {"color": "#888888", "linestyle": "--"}
    axes.step(front["latency_median_s"] * 1e3, front["map"], where="post", zorder=2, **style)
    handles = [Line2D([], [], label="Pareto front", **style)]
    separated = front["front_separated"].astype(bool) if "front_separated" in front else front["map"].isna()
    for filled, word in ((True, "separated on both axes"), (False, "not separated")):
        if (separated == filled).any():
            handles.append(Line2D([], [], linestyle="none", label=word, **_star("#555555", filled=filled)))
    return handles


def _draw_seeds(axes: Axes, seeds: pd.DataFrame | None) -> list[Line2D]:
    """Draw each seed as a faint dot."""
    if seeds is None or seeds.empty:
        return []
    colours = [_STAGES.get(stages, _OTHER)[0] for stages in seeds["stages"]]
    axes.scatter(seeds["latency_median_s"] * 1e3, seeds["map"], 9, c=colours, alpha=0.35, linewidths=0, zorder=2.5)
    return [Line2D([], [], linestyle="none", marker=".", markersize=5, color="#555555", alpha=0.5, label="one seed")]


def _extreme(rows: pd.DataFrame, *names: str) -> float:
    return float(rows[[name for name in names if name in rows]].max().max())


def _heights(rows: pd.DataFrame) -> tuple[float, float]:
    """Return the range of the mAP axis: from 0 where there are few rows, close to the rows where there are many."""
    highest = _extreme(rows, "map", "map_high")
    if len(rows) <= MAX_LABELLED:
        return 0.0, min(1.0, highest * 1.25 + 0.02)
    lowest = float(rows["map"].min())
    margin = max(0.01, (highest - lowest) / 8)
    return max(0.0, lowest - margin), min(1.0, highest + margin)


def _whisker(row: pd.Series, value: str, low: str, high: str, scale: float = 1.0) -> NDArray[np.float64] | None:
    """Return the interval as lengths on both sides of the value: float64 [2, 1]; None if the row has none."""
    ends = np.array([row.get(low, np.nan), row.get(high, np.nan)], dtype=np.float64)
    if np.isnan(ends).any():
        return None
    lengths: NDArray[np.float64] = ((ends - row[value]) * (-1, 1)).clip(min=0)[:, None] * scale
    return lengths


def _write_names(drawn: Figure, axes: Axes, named: pd.DataFrame, marked: Sequence[pd.DataFrame]) -> None:
    """Write names beside marks where there is room, those of the most accurate rows first."""
    drawn.draw_without_rendering()  # gives the axes their place
    points = 72 / drawn.dpi
    ordered = named.sort_values("map", ascending=False, kind="stable")
    names = [plain(label, _MAX_NAME) for label in ordered["label"]]
    font = FontProperties(size=_FONT)
    sizes = [text_to_path.get_text_width_height_descent(name, font, ismath=False)[:2] for name in names]
    anchors = _on_page(axes, ordered) * points
    box = axes.get_window_extent()
    places = place_names(
        [(x, y) for x, y in anchors.tolist()],
        [(width, max(height, _FONT)) for width, height in sizes],
        area=Rectangle(*(edge * points for edge in (box.x0, box.y0, box.x1, box.y1))),
        marks=[(x, y) for rows in marked for x, y in (_on_page(axes, rows) * points).tolist()],
    )
    for name, (x, y), place, (_, row) in zip(names, anchors.tolist(), places, ordered.iterrows(), strict=True):
        if place is None:
            continue
        axes.annotate(
            name,
            (row["latency_median_s"] * 1e3, row["map"]),
            xytext=((place.left + place.right) / 2 - x, (place.bottom + place.top) / 2 - y),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_FONT,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.6, "pad": 0.5},
            arrowprops={**_LEADER, "relpos": _nearest(place, x, y)},
            zorder=5,
        ).set_in_layout(False)


def _nearest(place: Rectangle, x: float, y: float) -> tuple[float, float]:
    """Return the point of a place that is nearest to (x, y), as fractions of the place's width and height."""
    across = (x - place.left) / (place.right - place.left)
    up = (y - place.bottom) / (place.top - place.bottom)
    return min(max(across, 0.0), 1.0), min(max(up, 0.0), 1.0)


def _on_page(axes: Axes, rows: pd.DataFrame) -> NDArray[np.float64]:
    """Return where the rows' marks lie on the page, in pixels: float64 [N, 2]."""
    places: NDArray[np.float64] = axes.transData.transform(np.c_[rows["latency_median_s"] * 1e3, rows["map"]])
    return places
