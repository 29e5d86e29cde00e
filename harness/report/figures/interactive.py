"""The interactive picture of speed against accuracy, as data: the axes, the points, and a Vega-Lite spec.

Owns the spec, which altair checks while it is built, and the libraries that draw it. `assets/plot.js` only puts the
axis that the reader chooses into the spec; it computes nothing.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import math
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import altair as alt

from harness.analysis.frame import pareto_front
from harness.errors import HarnessError
from harness.formatting import memory, metric_value, milliseconds, number
from harness.store import files, paths

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)

_STAGES = {1: "one-stage", 2: "two-stage"}
_OTHER = "stages unknown"
# Each colour has a contrast of at least 3:1 to white and to near-black, which WCAG 2 requires of graphics.
_COLOURS = {"one-stage": "#d9536a", "two-stage": "#1b8ea0", _OTHER: "#848b96"}
_SHAPES = {"one-stage": "circle", "two-stage": "square", _OTHER: "triangle-up"}
_MAX_LABELLED = 12  # with more points than these, names would overlap, so they are switched off at first

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


def speed_accuracy(rows: pd.DataFrame) -> dict[str, Any] | None:
    """Return what the page needs to draw one dataset; None if no row has an mAP and a number for an axis.

    Args:
        rows: the configurations of one dataset; `map_low` and `map_high` may be absent.

    Returns:
        `spec` for Vega-Lite with its points inside, the `axes` to choose from, whether names are shown at first
        (`labels`), and whether there are whiskers.
    """
    measured = rows.dropna(subset=["map"])
    axes = [axis for axis in _AXES if measured[axis.column].notna().any()]
    if not axes:
        return None
    fronts = {axis.name: _front(measured, axis) for axis in axes}
    points = [_point(index, row, axes, fronts) for index, row in measured.iterrows()]
    labels = len(points) <= _MAX_LABELLED
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
    """Start to bundle the libraries in another process, once: it takes seconds, while the rest of the page is made."""
    return ThreadPoolExecutor(1).submit(_bundle)


def libraries() -> str | None:
    """Return Vega, Vega-Lite and Vega-Embed as a JavaScript module that sets `window.vegaEmbed`; None if that fails."""
    try:
        return prepare().result()
    except (OSError, subprocess.CalledProcessError) as error:
        log.warning("the page has no interactive picture: %s", error)
        return None


def _bundle() -> str:
    """Read the bundle that an earlier report of this user left in the cache, or make it."""
    kept = paths.user_cache() / f"vega-{metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        first_line, _, bundle = kept.read_text(encoding="utf-8").partition("\n")
        if first_line == _checksum(bundle):
            return bundle
    code = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle('window.vegaEmbed = vegaEmbed;'))"
    process = subprocess.run((sys.executable, "-c", code), capture_output=True, check=True, encoding="utf-8")
    with contextlib.suppress(HarnessError):  # it is made again next time
        files.make_folder(kept.parent)
        files.replace(kept, f"{_checksum(process.stdout)}\n{process.stdout}".encode())
    return process.stdout


def _checksum(bundle: str) -> str:
    return f"// sha256 {hashlib.sha256(bundle.encode()).hexdigest()}"


def _front(rows: pd.DataFrame, axis: _Axis) -> set[Any]:
    """Return the rows on the Pareto front of this axis; subset rows are left out."""
    compared = rows[~rows["subset"]]
    # The front minimises the column of the latency, so the axis takes its place.
    cost = compared[axis.column] * (1 if axis.lower_is_better else -1)
    return set(pareto_front(compared.assign(latency_median_s=cost)).index)


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
    """Return what is shown beside a point: its known numbers with their units."""
    low, high = row.get("map_low"), row.get("map_high")
    texts = {
        "mAP": metric_value(row["map"]) + (f" ± {row['map_std']:.3f}" if row["n"] > 1 else ""),
        "95 % interval": "–"
        if "–" in (metric_value(low), metric_value(high))
        else f"{metric_value(low)} to {metric_value(high)}",
        "latency, median": f"{milliseconds(row['latency_median_s'])} ms",
        "latency, p95": f"{milliseconds(row['latency_p95_s'])} ms",
        "throughput": f"{number(row['throughput_images_per_s'], 1)} images/s",
        "memory of inference": memory(row["inference_memory_bytes"]),
        "parameters": f"{number(row['parameters'] / 1e6, 1)} M",
        "energy": f"{number(row['joules_per_image'], 2)} J per image",
        "seeds": number(row["n"], 0),
        "warnings": ", ".join(dict.fromkeys(name for name, _ in row["warnings"])) or "–",
    }
    return {"title": row["label"], **{key: text for key, text in texts.items() if not text.startswith("–")}}


def _title(axis: _Axis) -> str:
    return f"{axis.title}, {'lower' if axis.lower_is_better else 'higher'} is better"


def _spec(points: list[dict[str, Any]], first: _Axis, *, labels: bool) -> dict[str, Any]:
    """Return the Vega-Lite spec of all layers; the parameters `axis` and `labels` say what is shown."""
    spec: dict[str, Any] = (
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
    del spec["datasets"]  # the empty one
    spec["data"] = {"values": points}  # plain numbers and words, which altair would take long to check
    return spec


def _heights(points: list[dict[str, Any]]) -> list[float]:
    """Return the range of the mAP axis: a little beyond all points and whiskers, not from 0, to show differences."""
    ends = [end for point in points for end in (point["map"], point["low"], point["high"]) if end is not None]
    margin = max(_MIN_MARGIN, (max(ends) - min(ends)) / 10)
    return [max(0.0, min(ends) - margin), min(1.0, max(ends) + margin)]


def _layers(points: list[dict[str, Any]]) -> list[alt.Chart]:
    """Return front, whiskers, marks and names; layers without points are left out, since Vega would warn of them."""
    stages = [name for name in _COLOURS if any(point["stages"] == name for point in points)]
    legend = alt.Legend(orient="top", title=None)
    shapes = alt.Scale(domain=stages, range=[_SHAPES[name] for name in stages])
    colours = alt.Scale(domain=stages, range=[_COLOURS[name] for name in stages])
    shape = alt.Shape("stages:N", legend=legend, scale=shapes)
    colour = alt.Color("stages:N", legend=legend, scale=colours)
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
    right = "scale('x', datum.x) > width / 2"  # names stand on the side where they stay inside the picture
    align, offset = alt.ExprRef(f"{right} ? 'right' : 'left'"), alt.ExprRef(f"{right} ? -9 : 9")
    names = base.mark_text(align=align, dx=offset, dy=-9, fontSize=12, limit=alt.ExprRef("width / 2 - 12"))
    return [*layers, marks, names.encode(text=alt.TextValue(alt.ExprRef("labels ? datum.label : ''")))]
