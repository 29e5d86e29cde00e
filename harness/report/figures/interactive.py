"""The interactive picture of speed against accuracy, as data: the axes, the points, and a Vega-Lite spec.

Owns the spec, which altair checks while it is built. `assets/plot.js` puts the axis that the reader chooses into the
spec, and hides names that lie over others; `vega` has the libraries that draw it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.analysis.frame import pareto_front
from harness.formatting import memory, metric_value, milliseconds, number
from harness.report.figures.speed_accuracy import MAX_LABELLED

if TYPE_CHECKING:
    import pandas as pd

_STAGES = {1: "one-stage", 2: "two-stage"}
_OTHER = "stages unknown"
# Each colour has a contrast of at least 3:1 to white and to near-black, which WCAG 2 requires of graphics.
_COLOURS = {"one-stage": "#d9536a", "two-stage": "#1b8ea0", _OTHER: "#848b96"}
_SHAPES = {"one-stage": "circle", "two-stage": "square", _OTHER: "triangle-up"}
# A star, and one with a hole in its shape: a path inside it that runs the other way.
_STAR = "M0,-1L.26,-.36L.95,-.31L.43,.14L.59,.81L0,.46L-.59,.81L-.43,.14L-.95,-.31L-.26,-.36Z"
_HOLLOW_STAR = f"{_STAR}M0,-.58L-.16,-.21L-.55,-.18L-.25,.08L-.34,.47L0,.27L.34,.47L.25,.08L.55,-.18L.16,-.21Z"

_MIN_MARGIN = 0.01  # of mAP, above and below the points


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """A possible horizontal axis; `scale` converts the frame's SI unit to the unit of the title."""

    name: str
    column: str
    scale: float
    title: str
    lower_is_better: bool = True


_AXES = (
    _Axis(name="latency", column="latency_median_s", scale=1e3, title="latency, median, batch 1 (ms)"),
    _Axis(
        name="throughput",
        column="throughput_images_per_s",
        scale=1.0,
        title="throughput (images/s)",
        lower_is_better=False,
    ),
    _Axis(name="memory", column="inference_memory_bytes", scale=2.0**-20, title="peak memory of inference (MiB)"),
    _Axis(name="parameters", column="parameters", scale=1e-6, title="parameters (M)"),
    _Axis(name="energy", column="joules_per_image", scale=1.0, title="energy (J per image)"),
)


def speed_accuracy(rows: pd.DataFrame, seeds: pd.DataFrame | None = None) -> dict[str, Any] | None:
    """Return what the page needs to draw one dataset; None if no row has an mAP and a number for an axis.

    Args:
        rows: the configurations of one dataset, with the columns that `figures.speed_accuracy` looks at.
        seeds: what `seeds.seed_points` returns.

    Returns:
        `spec` for Vega-Lite with its points inside, the `axes` to choose from, and a `caption`.
    """
    measured = rows.dropna(subset=["map"])
    axes = [axis for axis in _AXES if measured[axis.column].notna().any()]
    if not axes:
        return None
    fronts = {axis.name: _front(measured, axis) for axis in axes}
    points = [_point(index, row, axes, fronts) for index, row in measured.iterrows()]
    points += [_seed_point(seed) for _, seed in seeds.iterrows()] if seeds is not None else []
    detailed = len(measured) <= MAX_LABELLED
    return {
        "spec": _spec(points, axes[0], detailed=detailed),
        "axes": [
            {
                "name": axis.name,
                "choice": axis.title,
                "title": _title(axis),
                "interpolate": "step-after" if axis.lower_is_better else "step-before",
            }
            for axis in axes
        ],
        "caption": _caption(points, detailed=detailed),
    }


def _caption(points: list[dict[str, Any]], *, detailed: bool) -> str:
    """Say what the marks mean, as far as there are such marks."""
    sentences = ["Point at a mark for its numbers.", "Dashed: the Pareto front on these axes, its rows as stars."]
    if any(point["separated"] for point in points):
        sentences.append("Filled stars: separated from their neighbours on the front in accuracy and in latency.")
    if any(point["low"] is not None for point in points):
        sentences.append("Whiskers upwards: 95 % interval of the mAP.")
    if any(point["fast"] is not None for point in points):
        sentences.append("Whiskers sideways: 95 % interval of the latency in the race.")
    if any(point["seed"] for point in points):
        sentences.append("Faint: single seeds.")
    return " ".join(sentences if detailed else [*sentences, "Only rows on the front have names and whiskers."])


def _front(rows: pd.DataFrame, axis: _Axis) -> set[Any]:
    """Return the rows on the Pareto front of this axis; subset rows are left out."""
    compared = rows[~rows["subset"]]
    # The front minimises the column of the latency, so the axis takes its place.
    cost = compared[axis.column] * (1 if axis.lower_is_better else -1)
    return set(pareto_front(compared.assign(latency_median_s=cost)).index)


def _point(index: Any, row: pd.Series, axes: list[_Axis], fronts: dict[str, set[Any]]) -> dict[str, Any]:
    low, high = _ends(row, "map_low", "map_high")
    fast, slow = _ends(row, "latency_race_low_s", "latency_race_high_s", 1e3)
    return {
        "seed": False,
        "label": row["label"],
        "stages": _STAGES.get(row["stages"], _OTHER),
        "map": float(row["map"]),
        "low": low,
        "high": high,
        "fast": fast,
        "slow": slow,
        "separated": bool(row.get("front_separated", False)),
        "values": {axis.name: _finite(row[axis.column], axis.scale) for axis in axes},
        "front": [axis.name for axis in axes if index in fronts[axis.name]],
        "numbers": _numbers(row),
    }


def _seed_point(seed: pd.Series) -> dict[str, Any]:
    numbers = {"mAP": metric_value(seed["map"]), "latency, median": f"{milliseconds(seed['latency_median_s'])} ms"}
    return {
        "seed": True,
        "label": seed["label"],
        "stages": _STAGES.get(seed["stages"], _OTHER),
        "map": float(seed["map"]),
        **dict.fromkeys(("low", "high", "fast", "slow")),
        "separated": False,
        "values": {"latency": _finite(seed["latency_median_s"], 1e3)},
        "front": [],
        "numbers": {"title": f"one seed of {seed['label']}", **numbers},
    }


def _ends(row: pd.Series, low: str, high: str, scale: float = 1.0) -> tuple[float | None, float | None]:
    """Return both ends of an interval; None twice if it is not known."""
    ends = _finite(row.get(low), scale), _finite(row.get(high), scale)
    return (None, None) if None in ends else ends


def _finite(value: Any, scale: float = 1.0) -> float | None:
    return float(value) * scale if value is not None and math.isfinite(value) else None


def _numbers(row: pd.Series) -> dict[str, str]:
    """Return what is shown beside a point: its known numbers with their units."""
    low, high = row.get("map_low"), row.get("map_high")
    texts = {
        "mAP": metric_value(row["map"]) + (f" ± {row['map_std']:.3f}" if row["n"] > 1 else ""),
        "95 % interval": "–"
        if "–" in (metric_value(low), metric_value(high))
        else f"{metric_value(low)} to {metric_value(high)}",
        "latency, median": f"{milliseconds(row['latency_median_s'])} ms",
        "95 % interval in the race": _race(row),
        "latency, p95": f"{milliseconds(row['latency_p95_s'])} ms",
        "throughput": f"{number(row['throughput_images_per_s'], 1)} images/s",
        "memory of inference": memory(row["inference_memory_bytes"]),
        "parameters": f"{number(row['parameters'] / 1e6, 1)} M",
        "energy": f"{number(row['joules_per_image'], 2)} J per image",
        "seeds": number(row["n"], 0),
        "warnings": ", ".join(dict.fromkeys(name for name, _ in row["warnings"])) or "–",
    }
    return {"title": row["label"], **{key: text for key, text in texts.items() if not text.startswith("–")}}


def _race(row: pd.Series) -> str:
    low, high = milliseconds(row.get("latency_race_low_s")), milliseconds(row.get("latency_race_high_s"))
    return "–" if "–" in (low, high) else f"{low} to {high} ms"


def _title(axis: _Axis) -> str:
    return f"{axis.title}, {'lower' if axis.lower_is_better else 'higher'} is better"


def _spec(points: list[dict[str, Any]], first: _Axis, *, detailed: bool) -> dict[str, Any]:
    """Return the Vega-Lite spec of all layers; the parameters `axis` and `labels` say what is shown.

    Args:
        points: every point.
        first: the axis that is shown first.
        detailed: whether every row has a name and whiskers, not only those on the front.
    """
    spec: dict[str, Any] = (
        alt.layer(*_layers(points, detailed=detailed), data=alt.InlineData(values=[]))
        .transform_calculate(x="datum.values[axis]")
        .transform_filter("isValid(datum.x)")
        .encode(
            x=alt.X("x:Q", title=_title(first), scale=alt.Scale(type="linear", zero=True)),
            y=alt.Y("map:Q", title="mAP, IoU 0.50:0.95, higher is better", scale=alt.Scale(domain=_heights(points))),
        )
        .add_params(alt.param(name="axis", value=first.name), alt.param(name="labels", value=True))
        .properties(width="container", height=420)
        .configure(font="system-ui, sans-serif", background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=10, tickCount=8)
        .configure_legend(labelFontSize=12)
        .to_dict()
    )
    del spec["datasets"]  # the empty one
    spec["data"] = {"values": points}  # plain numbers and words, which altair would take long to check
    return spec


def _heights(points: list[dict[str, Any]]) -> list[float]:
    """Return the range of the mAP axis: a little beyond all points and whiskers, not from 0, to show differences."""
    ends = [end for point in points for end in (point["map"], point["low"], point["high"]) if end is not None]
    margin = max(_MIN_MARGIN, (max(ends) - min(ends)) / 10)
    return [max(0.0, min(ends) - margin), min(1.0, max(ends) + margin)]


def _layers(points: list[dict[str, Any]], *, detailed: bool) -> list[alt.Chart]:
    """Return seeds, front, whiskers, marks and names; layers without points are left out: Vega would warn of them."""
    stages = [name for name in _COLOURS if any(point["stages"] == name for point in points)]
    colours = alt.Scale(domain=stages, range=[_COLOURS[name] for name in stages])
    colour = alt.Color("stages:N", legend=alt.Legend(orient="top", title=None, symbolOpacity=1), scale=colours)
    rows = alt.Chart().transform_filter("!datum.seed").transform_calculate(star="indexof(datum.front, axis) >= 0")
    front = rows.transform_filter("datum.star")
    shown = rows if detailed else front
    layers = []
    if any(point["seed"] for point in points):
        seeds = alt.Chart().transform_filter("datum.seed").mark_point(filled=True, size=18, opacity=0.35)
        layers.append(seeds.encode(color=colour, tooltip=alt.TooltipValue(alt.ExprRef("datum.numbers"))))
    if any(point["front"] for point in points):
        line = front.mark_line(color="#8a8f98", strokeDash=[5, 4], interpolate="step-after")
        layers.append(line.encode(order=alt.Order("x:Q")))
    if any(point["low"] is not None for point in points):
        upwards = shown.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5)
        layers.append(upwards.encode(y=alt.Y("low:Q"), y2=alt.Y2("high"), color=colour))
    if any(point["fast"] is not None for point in points):
        sideways = shown.transform_filter("axis === 'latency' && isValid(datum.fast)").mark_rule(strokeWidth=1.5)
        layers.append(sideways.encode(x=alt.X("fast:Q"), x2=alt.X2("slow"), color=colour))
    return [*layers, _marks(rows, stages, colour, size=110 if detailed else 40), _names(shown)]


def _marks(rows: alt.Chart, stages: list[str], colour: alt.Color, *, size: int) -> alt.Chart:
    """Return a mark for each row: a star on the front, hollow where it is not separated, on top of the others."""
    shapes = alt.Scale(domain=stages, range=[_SHAPES[name] for name in stages])
    stars = [
        {"test": "datum.star && axis === 'latency' && datum.separated", "value": _STAR},
        {"test": "datum.star", "value": _HOLLOW_STAR},
    ]
    legend = alt.Legend(orient="top", title=None, symbolOpacity=1)
    marks: alt.Chart = rows.mark_point(filled=True, opacity=1).encode(
        color=colour,
        shape=alt.Shape("stages:N", legend=legend, scale=shapes, condition=stars),
        size=alt.condition("datum.star", alt.value(260), alt.value(size)),
        order=alt.Order("star:Q"),
        tooltip=alt.TooltipValue(alt.ExprRef("datum.numbers")),
        description=alt.DescriptionValue(alt.ExprRef("datum.label")),
    )
    return marks


def _names(rows: alt.Chart) -> alt.Chart:
    """Return the name of each row; the page hides those that lie over others."""
    right = "scale('x', datum.x) > width / 2"  # names stand on the side where they stay inside the picture
    align, offset = alt.ExprRef(f"{right} ? 'right' : 'left'"), alt.ExprRef(f"{right} ? -9 : 9")
    names = rows.mark_text(align=align, dx=offset, dy=-9, fontSize=12, limit=alt.ExprRef("width / 2 - 12"))
    named: alt.Chart = names.encode(text=alt.TextValue(alt.ExprRef("labels ? datum.label : ''")))
    return named
