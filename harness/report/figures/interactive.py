"""The interactive picture of speed against accuracy, as data: which axes there are, every point, and a Vega-Lite spec.

Owns the spec, which altair checks as it is built, and the libraries that draw it. `assets/plot.js` puts the axis that
the reader chooses into the spec; nothing is computed there.
"""

from __future__ import annotations

import functools
import logging
import math
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.analysis.frame import pareto_front
from harness.formatting import mebibytes, metric_value, milliseconds, number

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_STAGES = {1: "one-stage", 2: "two-stage"}
_OTHER = "stages unknown"
# Each reads on white and on near-black: at least 3:1 against both, as WCAG 2 asks of graphics.
_COLOURS = {"one-stage": "#d9536a", "two-stage": "#1b8ea0", _OTHER: "#848b96"}
_SHAPES = {"one-stage": "circle", "two-stage": "square", _OTHER: "triangle-up"}
_LABELLED = 12  # with more points than these their names would lie over each other, so they start switched off

_MARGIN = 0.01  # of mAP, above and below the points at least


@dataclass(frozen=True, slots=True, kw_only=True)
class _Axis:
    """What can stand below the picture; `scale` takes the frame's SI unit to the title's."""

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


def speed_accuracy(rows: pd.DataFrame) -> dict[str, Any] | None:
    """What the page needs to draw one dataset; None where nothing has both an mAP and a number for an axis.

    Args:
        rows: configurations of one dataset; `map_low` and `map_high` may be absent.

    Returns:
        `spec` for Vega-Lite with its points inside, `axes` to choose from, and whether names and whiskers are shown.
    """
    measured = rows.dropna(subset=["map"])
    axes = [axis for axis in _AXES if measured[axis.column].notna().any()]
    if not axes:
        return None
    fronts = {axis.name: _front(measured, axis) for axis in axes}
    points = [_point(index, row, axes, fronts) for index, row in measured.iterrows()]
    labels = len(points) <= _LABELLED
    return {
        "spec": _spec(points, axes[0], labels=labels),
        "axes": [
            {
                "name": axis.name,
                "choice": axis.title,
                "title": _title(axis),
                "interpolate": "step-after" if axis.lower_is_better else "step-before",
            }
            for axis in axes
        ],
        "labels": labels,
        "whiskers": any(point["low"] is not None for point in points),
    }


@functools.cache
def prepare() -> Future[str]:
    """Begin to make the libraries, in a process of its own: 1.5 s of another core, once, while the rest is made."""
    return ThreadPoolExecutor(1).submit(_bundled)


def libraries() -> str | None:
    """Vega, Vega-Lite and Vega-Embed as one JavaScript module, which sets `window.vegaEmbed`; None where that fails."""
    try:
        return prepare().result()
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("the page goes without its interactive picture: %s", error)
        return None


def _bundled() -> str:
    code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'))"
    done = subprocess.run((sys.executable, "-c", code), capture_output=True, check=True, encoding="utf-8")
    return done.stdout


def _front(rows: pd.DataFrame, axis: _Axis) -> set[Any]:
    """The rows on the Pareto front of this axis; subset rows are not compared."""
    real = rows[~rows["subset"]]
    # The front minimises what stands in latency's place, whatever it is.
    cost = real[axis.column] * (1 if axis.lower_is_better else -1)
    return set(pareto_front(real.assign(latency_median_s=cost)).index)


def _point(index: Any, row: pd.Series, axes: list[_Axis], fronts: dict[str, set[Any]]) -> dict[str, Any]:
    low, high = _finite(row.get("map_low")), _finite(row.get("map_high"))
    return {
        "label": row["label"],
        "stages": _STAGES.get(row["stages"], _OTHER),
        "map": float(row["map"]),
        "low": None if high is None else low,
        "high": None if low is None else high,
        "values": {axis.name: _finite(row[axis.column], axis.scale) for axis in axes},
        "front": [axis.name for axis in axes if index in fronts[axis.name]],
        "numbers": _numbers(row),
    }


def _finite(value: Any, scale: float = 1.0) -> float | None:
    return float(value) * scale if value is not None and math.isfinite(value) else None


def _numbers(row: pd.Series) -> dict[str, str]:
    """What is shown beside a point: words and numbers with their units, those that are known."""
    low, high = row.get("map_low"), row.get("map_high")
    told = {
        "mAP": metric_value(row["map"]) + (f" ± {row['map_std']:.3f}" if row["n"] > 1 else ""),
        "95 % interval": "–"
        if "–" in (metric_value(low), metric_value(high))
        else f"{metric_value(low)} to {metric_value(high)}",
        "latency, median": f"{milliseconds(row['latency_median_s'])} ms",
        "latency, p95": f"{milliseconds(row['latency_p95_s'])} ms",
        "throughput": f"{number(row['throughput_images_per_s'], 1)} images/s",
        "memory of inference": f"{mebibytes(row['inference_memory_bytes'])} MiB",
        "parameters": f"{number(row['parameters'] / 1e6, 1)} M",
        "energy": f"{number(row['joules_per_image'], 2)} J per image",
        "seeds": number(row["n"], 0),
        "warnings": ", ".join(dict.fromkeys(name for name, _ in row["warnings"])) or "–",
    }
    return {"title": row["label"], **{key: text for key, text in told.items() if not text.startswith("–")}}


def _title(axis: _Axis) -> str:
    return f"{axis.title}, {'lower' if axis.lower_is_better else 'higher'} is better"


def _spec(points: list[dict[str, Any]], first: _Axis, *, labels: bool) -> dict[str, Any]:
    """Layers over one another; the parameters `axis` and `labels` say what is shown."""
    made: dict[str, Any] = (
        alt.layer(*_layers(points), data=alt.InlineData(values=[]))
        .transform_calculate(x="datum.values[axis]")
        .transform_filter("isValid(datum.x)")
        .encode(
            x=alt.X("x:Q", title=_title(first), scale=alt.Scale(type="linear", zero=True)),
            y=alt.Y("map:Q", title="mAP, IoU 0.50:0.95, higher is better", scale=alt.Scale(domain=_heights(points))),
        )
        .add_params(alt.param(name="axis", value=first.name), alt.param(name="labels", value=labels))
        .properties(width="container", height=420)
        .configure(font="system-ui, sans-serif", background="transparent")
        .configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight="normal", titlePadding=10, tickCount=8)
        .configure_legend(labelFontSize=12)
        .to_dict()
    )
    del made["datasets"]  # the empty one
    made["data"] = {"values": points}  # plain numbers and words, which altair would take long to check
    return made


def _heights(points: list[dict[str, Any]]) -> list[float]:
    """From a little below every mAP and whisker to a little above: not from 0, since what differs is to be seen."""
    ends = [end for point in points for end in (point["map"], point["low"], point["high"]) if end is not None]
    margin = max(_MARGIN, (max(ends) - min(ends)) / 10)
    return [max(0.0, min(ends) - margin), min(1.0, max(ends) + margin)]


def _layers(points: list[dict[str, Any]]) -> list[alt.Chart]:
    """Front, whiskers, marks and names; one that no point belongs to is left out, since Vega would warn of it."""
    here = [name for name in _COLOURS if any(point["stages"] == name for point in points)]
    legend = alt.Legend(orient="top", title=None)
    shape = alt.Shape("stages:N", legend=legend, scale=alt.Scale(domain=here, range=[_SHAPES[name] for name in here]))
    colour = alt.Color("stages:N", legend=legend, scale=alt.Scale(domain=here, range=[_COLOURS[name] for name in here]))
    base = alt.Chart()
    layers = []
    if any(point["front"] for point in points):
        front = base.transform_filter("indexof(datum.front, axis) >= 0")
        line = front.mark_line(color="#8a8f98", strokeDash=[5, 4], interpolate="step-after")
        layers.append(line.encode(order=alt.Order("x:Q")))
    if any(point["low"] is not None for point in points):
        whiskers = base.transform_filter("isValid(datum.low)").mark_rule(strokeWidth=1.5)
        layers.append(whiskers.encode(y=alt.Y("low:Q"), y2=alt.Y2("high"), color=colour))
    marks = base.mark_point(filled=True, size=110, opacity=1).encode(
        color=colour,
        shape=shape,
        tooltip=alt.TooltipValue(alt.ExprRef("datum.numbers")),
        description=alt.DescriptionValue(alt.ExprRef("datum.label")),
    )
    right = "scale('x', datum.x) > width / 2"  # a name stands on the side where it stays inside the picture
    align, away = alt.ExprRef(f"{right} ? 'right' : 'left'"), alt.ExprRef(f"{right} ? -9 : 9")
    names = base.mark_text(align=align, dx=away, dy=-9, fontSize=12, limit=alt.ExprRef("width / 2 - 12"))
    return [*layers, marks, names.encode(text=alt.TextValue(alt.ExprRef("labels ? datum.label : ''")))]
