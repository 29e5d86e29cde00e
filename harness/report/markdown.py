"""The page: an answer in words first, then the tables, the plot, what failed, and how everything was measured.

Owns wording, units and escaping. It reads well as text: columns are padded, lines before the tables are short.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from harness.report import data, environments, method, night, speed
from harness.report.compare import pareto_front
from harness.report.numbers import duration, mebibytes, milliseconds, number, points, share
from harness.report.text import code, escape, fenced, table
from harness.store.record import AS_TRAINED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from harness.store.record import Record
    from harness.store.results import Asked, State

_WEIGHTS_OF = {
    "test": "test split, with the epoch that val chose where it was looked at, else the last one",
    "val": "val split, with the last epoch's weights",
}
_TIME = "%Y-%m-%d %H:%M"
NOT_COMPARABLE = "not comparable"


def render(
    name: str,
    states: Sequence[State],
    frame: pd.DataFrame,
    *,
    others: int,
    plots: dict[str, str],
    root: Path,
    asked: Asked,
    generated: str,
) -> str:
    """The whole page.

    Args:
        others: how many trials of the folder are left out.
        frame: `compare.configuration_frame` of the same states.
        plots: for each dataset the path of its plot, relative to the page.
        root: the folder of the page, which log paths are given relative to.
        asked: the suite's file, for the commands that try a trial again, and its prices.
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
        here = [state.record for state in states if state.record and state.trial.dataset.name == dataset]
        parts.append(f"## {escape(dataset)}")
        parts += _environments(here)
        parts += _answer(rows, states)
        parts += ["### Accuracy and speed", _speed_table(rows)]
        if dataset in plots:
            parts.append(f"![Speed against accuracy on {escape(dataset)}, with the Pareto front]({plots[dataset]})")
        parts += speed.sections(rows, pareto_front(rows[~rows["rehearsal"]]))
        parts += ["### Models", _model_table(rows[rows["variant"] == AS_TRAINED])]
        parts += ["### What they cost to train and run", _cost_table(rows)]
        parts += speed.energy_and_money(rows, asked.cost)
        parts += data.section(dataset, states)
    parts += _doubts(frame)
    parts += _failures(states, root, asked.suite_file)
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


def _environments(records: Sequence[Record]) -> list[str]:
    """A banner where speeds come from different environments."""
    found = environments.differences([record.environment for record in records])
    if not found:
        return []
    return [
        f"> **Not one ranking:** these trials ran in different environments ({escape('; '.join(found))}). Their "
        "accuracy compares; their speed, memory and energy do not."
    ]


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
            f"{points(fastest['map'] - best['map'])} mAP."
        )
    lines.append(_front(pareto_front(measured)))
    lines.append(_certainty(measured, states))
    return ["\n".join(lines)]


def _sentence(row: pd.Series) -> str:
    return (
        f"{_label(row)}, mAP {_map(row)} at {milliseconds(row['latency_median_s'])} ms "
        f"(p95 {milliseconds(row['latency_p95_s'])})"
    )


def _front(front: pd.DataFrame) -> str:
    steps = [row for _, row in front.iterrows()]
    if len(steps) == 1:
        return f"- **Pareto front:** {_label(steps[0])} alone."
    text = f"- **Pareto front,** fastest first: {_label(steps[0])}"
    for before, after in itertools.pairwise(steps):
        times = after["latency_median_s"] / before["latency_median_s"]
        text += f"; then {_label(after)}, {points(after['map'] - before['map'])} mAP for {times:.1f}× the latency"
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
    header = (
        "architecture", "mAP", "mAP50", "mAP75", "latency median ms", "p95 ms", "throughput img/s", "batch", "outcome",
    )  # fmt: skip
    front = set(pareto_front(rows[~rows["rehearsal"]]).index)
    return table(
        header,
        [
            (
                _label(row) + (" ★" if index in front else ""),
                _map(row),
                share(row["map_50"]),
                share(row["map_75"]),
                milliseconds(row["latency_median_s"]),
                milliseconds(row["latency_p95_s"]),
                number(row["throughput_images_per_s"], 1),
                number(row["batch_size"], 0),
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
    labels = [_label(row) for _, row in rows.iterrows()]
    return table(("architecture", *columns), list(zip(labels, *columns.values(), strict=True)))


def _label(row: pd.Series) -> str:
    return escape(row["label"])


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
    return f"{share(row['map'])}{spread}"
