"""The page: an answer in words first, then the tables, the plot, what failed, and how everything was measured.

Owns wording, units and escaping. It reads well as text: columns are padded, lines before the tables are short.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from harness.report import data, method, night
from harness.report.compare import pareto_front
from harness.report.text import code, escape, fenced, table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from harness.store.results import State

_MEBIBYTE = 2**20
_WEIGHTS_OF = {
    "test": "test split, with the epoch that val chose where it was looked at, else the last one",
    "val": "val split, with the last epoch's weights",
}
_TIME = "%Y-%m-%d %H:%M"
_MINUTE = 60
_HOUR = 3600
NOT_COMPARABLE = "not comparable"


def render(
    name: str,
    states: Sequence[State],
    frame: pd.DataFrame,
    *,
    others: int,
    plots: dict[str, str],
    root: Path,
    suite_file: str | None,
    generated: str,
) -> str:
    """The whole page.

    Args:
        others: how many trials of the folder are left out.
        frame: `compare.configuration_frame` of the same states.
        plots: for each dataset the path of its plot, relative to the page.
        root: the folder of the page, which log paths are given relative to.
        suite_file: for the commands that try a trial again.
        generated: when, for the coverage line.
    """
    parts = [f"# {escape(name)}: which detector to ship", _coverage(states, others, generated)]
    if not frame.empty and frame["rehearsal"].any():
        parts.append(
            f"> **Rehearsal, {NOT_COMPARABLE}:** rows marked *{NOT_COMPARABLE}* used only the first images of each "
            "split "
            "(`--limit`). They show that the suite runs; they say nothing about which detector is better."
        )
    for dataset in dict.fromkeys(frame["dataset"] if not frame.empty else ()):
        rows = frame[frame["dataset"] == dataset]
        parts.append(f"## {escape(dataset)}")
        parts += _answer(rows, states)
        parts += ["### Accuracy and speed", _speed_table(rows)]
        if dataset in plots:
            parts.append(f"![Speed against accuracy on {escape(dataset)}, with the Pareto front]({plots[dataset]})")
        parts += ["### Models", _model_table(rows), "### What they cost to train and run", _cost_table(rows)]
        parts += data.section(dataset, states)
    parts += _doubts(frame)
    parts += _failures(states, root, suite_file)
    parts += method.footer(states)
    return "\n\n".join(parts) + "\n"


def _coverage(states: Sequence[State], others: int, generated: str) -> str:
    measured, failed, left = night.counts(states)
    said = [f"{measured} of {len(states)} trials measured"]
    said += [f"**{failed} failed**"] if failed else []
    said += [f"{left} left"] if left else []
    span = night.span(states)
    when = f" First started {span[0]:{_TIME}}, last ended {span[1]:{_TIME}} UTC." if span else ""
    beside = f" {others} more lie in trials/, which the suite as last run does not ask for." if others else ""
    return f"{', '.join(said)}.{when} Written {generated}.{beside}"


def _answer(rows: pd.DataFrame, states: Sequence[State]) -> list[str]:
    """Most accurate, fastest, and what each step along the Pareto front costs."""
    measured = rows.dropna(subset=["map", "latency_median_s"])
    if measured["rehearsal"].any() and not measured["rehearsal"].all():
        measured = measured[~measured["rehearsal"]]
    if measured.empty and rows["latency_median_s"].notna().any():
        return ["The evaluated split has no boxes: there are speeds below, but nothing to call accurate."]
    if measured.empty:
        return ["Nothing is measured here yet."]
    best = measured.loc[measured["map"].idxmax()]
    fastest = measured.loc[measured["latency_median_s"].idxmin()]
    stamp = f" ({NOT_COMPARABLE})" if measured["rehearsal"].any() else ""
    lines = []
    if best.name == fastest.name:
        lines.append(f"- **Most accurate and fastest{stamp}:** {_sentence(best)}.")
    else:
        slower = best["latency_median_s"] / fastest["latency_median_s"]
        lines.append(f"- **Most accurate{stamp}:** {_sentence(best)}.")
        lines.append(
            f"- **Fastest{stamp}:** {_sentence(fastest)}: {slower:.1f}× faster, for "
            f"{_points(fastest['map'] - best['map'])} mAP."
        )
    lines.append(_front(pareto_front(measured)))
    lines.append(_certainty(measured, states))
    return ["\n".join(lines)]


def _sentence(row: pd.Series) -> str:
    return (
        f"{_label(row)}, mAP {_map(row)} at {_milliseconds(row['latency_median_s'])} ms "
        f"(p95 {_milliseconds(row['latency_p95_s'])})"
    )


def _front(front: pd.DataFrame) -> str:
    steps = [row for _, row in front.iterrows()]
    if len(steps) == 1:
        return f"- **Pareto front:** {_label(steps[0])} alone."
    text = f"- **Pareto front,** fastest first: {_label(steps[0])}"
    for before, after in itertools.pairwise(steps):
        times = after["latency_median_s"] / before["latency_median_s"]
        text += f"; then {_label(after)}, {_points(after['map'] - before['map'])} mAP for {times:.1f}× the latency"
    return f"{text}."


def _certainty(measured: pd.DataFrame, states: Sequence[State]) -> str:
    seeds = sorted(set(measured["n"]))
    here = set(measured["dataset"])
    splits = {state.record.metrics.split for state in states if state.record and state.trial.dataset.name in here}
    on = "accuracy is on the " + " and ".join(_WEIGHTS_OF[split] for split in sorted(splits))
    if seeds == [1]:
        return (
            f"- **How sure:** one seed each (n=1), {on}; a repeated training moves mAP by a point or more, so a small "
            "difference here decides nothing."
        )
    return f"- **How sure:** mean ± standard deviation over {' or '.join(map(str, seeds))} seeds; {on}."


def _speed_table(rows: pd.DataFrame) -> str:
    header = ("architecture", "mAP", "mAP50", "mAP75", "latency median ms", "p95 ms", "throughput img/s", "outcome")
    front = set(pareto_front(rows[~rows["rehearsal"]]).index)
    return table(
        header,
        [
            (
                _label(row) + (" ★" if index in front else ""),
                _map(row),
                _share(row["map_50"]),
                _share(row["map_75"]),
                _milliseconds(row["latency_median_s"]),
                _milliseconds(row["latency_p95_s"]),
                _number(row["throughput_images_per_s"], 1),
                _outcome(row),
            )
            for index, row in rows.iterrows()
        ],
    ) + ("\n\n★ on the Pareto front: nothing measured is both faster and more accurate." if front else "")


def _model_table(rows: pd.DataFrame) -> str:
    header = ("architecture", "backbone", "stages", "weights", "image size", "parameters M", "GFLOPs")
    cells = [
        (
            _label(row),
            str(row["backbone"]),
            {1: "one", 2: "two"}.get(row["stages"], "?"),
            escape(row["weights"]),
            row["image_size"],
            _number(row["parameters"] / 1e6, 1),
            _number(row["flops"] / 1e9, 1),
        )
        for _, row in rows.iterrows()
    ]
    return table(header, cells, left=5)


def _cost_table(rows: pd.DataFrame) -> str:
    header = ("architecture", "training img/s", "peak memory training MiB", "peak memory inference MiB", "wall time")
    cells = [
        (
            _label(row),
            _number(row["train_images_per_s"], 1),
            _number(row["training_memory_bytes"] / _MEBIBYTE, 0),
            _number(row["inference_memory_bytes"] / _MEBIBYTE, 0),
            _duration(row["wall_s"]),
        )
        for _, row in rows.iterrows()
    ]
    return table(header, cells)


def _label(row: pd.Series) -> str:
    return escape(row["architecture"]) + (f" ({escape(row['setting'])})" if row["setting"] else "")


def _outcome(row: pd.Series) -> str:
    said = [row["outcomes"]]
    said += [NOT_COMPARABLE] if row["rehearsal"] else []
    said += [name for name, _ in row["flags"] if name != "rehearsal"]
    return ", ".join(dict.fromkeys(said))


def _doubts(frame: pd.DataFrame) -> list[str]:
    lines = [
        f"- {_label(row)} on {escape(row['dataset'])}: {name}: {escape(reason)}"
        for _, row in frame.iterrows()
        for name, reason in row["flags"]
    ]
    return ["## Doubts", "\n".join(dict.fromkeys(lines))] if lines else []


def _failures(states: Sequence[State], root: Path, suite_file: str | None) -> list[str]:
    """What did not succeed, by reason: the last lines of its traceback, and for each trial its log and its command."""
    groups = night.failures(states)
    if not groups:
        return []
    parts = ["## What did not succeed"]
    for group in groups:
        count = f"{len(group.states)} trials" if len(group.states) > 1 else "1 trial"
        parts.append(f"**{group.outcome}, {count}:** {escape(group.reason)}")
        parts += [fenced(group.traceback)] if group.traceback else []
        lines = []
        for state in group.states:
            again = night.command(state, suite_file=suite_file, results=root.parent)
            log = f", [log](<{state.log.relative_to(root)}>)" if state.log else ""
            lines.append(f"- {escape(state.trial.trial_id)}{log}; again: {code(again)}")
        parts.append("\n".join(lines))
    parts.append(
        "`harness run` with the same suite goes on with what was interrupted and keeps what is measured; what failed "
        "for a reason of its own is tried again only with `--retry-failed`."
    )
    return parts


def _map(row: pd.Series) -> str:
    spread = f" ± {row['map_sd']:.3f}" if row["n"] > 1 else ""
    return f"{_share(row['map'])}{spread}"


def _share(value: Any) -> str:
    return _number(value, 3)


def _points(difference: float) -> str:
    return f"{difference:+.3f}".replace("-", "\u2212")


def _milliseconds(seconds: float) -> str:
    return _number(seconds * 1e3, 1)


def _number(value: Any, digits: int) -> str:
    return "–" if value is None or math.isnan(value) else f"{value:,.{digits}f}"


def _duration(seconds: float) -> str:
    if math.isnan(seconds):
        return "–"
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest:02d} s" if seconds < _HOUR else f"{minutes // 60} h {minutes % 60:02d} min"
