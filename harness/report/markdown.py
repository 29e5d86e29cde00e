"""The page: an answer in words first, then the tables, the plot, what failed, and how everything was measured.

Owns wording, units and escaping. It reads well as text: columns are padded, lines before the tables are short.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.report.compare import pareto_front

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd

    from harness.store.record import Environment, Record
    from harness.store.results import State

_MEBIBYTE = 2**20
_MINUTE = 60
_HOUR = 3600
NOT_COMPARABLE = "not comparable"


def render(
    name: str, states: Sequence[State], frame: pd.DataFrame, *, plots: dict[str, str], root: Path, generated: str
) -> str:
    """The whole page.

    Args:
        frame: `compare.configuration_frame` of the same states.
        plots: for each dataset the path of its plot, relative to the page.
        root: the folder of the page, which log paths are given relative to.
        generated: when, for the coverage line.
    """
    parts = [f"# {escape(name)}: which detector to ship", _coverage(states, generated)]
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
        parts += ["### Accuracy and speed", _speed_table(rows), "### Size and cost", _cost_table(rows)]
        if dataset in plots:
            parts.append(f"![Speed against accuracy on {escape(dataset)}, with the Pareto front]({plots[dataset]})")
    parts += _doubts(frame)
    parts += _failures(states, root)
    parts += _footer(states)
    return "\n\n".join(parts) + "\n"


def escape(text: object) -> str:
    """Text from a file as markdown that shows it and does nothing."""
    plain = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{character}" if character in "\\`*_[]|~" else character for character in plain).replace(
        "\\_", "_"
    )


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> str:
    """A padded markdown table; the first `left` columns align left, the others right."""
    widths = [max(3, *(len(row[column]) for row in (header, *rows))) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = [
        ":" + "-" * (width - 1) if column < left else "-" * (width - 1) + ":" for column, width in enumerate(widths)
    ]
    return "\n".join([line(header), line(rule), *(line(row) for row in rows)])


def _coverage(states: Sequence[State], generated: str) -> str:
    done = sum(state.record is not None for state in states)
    failed = sum(state.record is None and _failed(state) for state in states)
    left = len(states) - done - failed
    said = [f"{done} of {len(states)} trials measured"]
    said += [f"**{failed} failed**"] if failed else []
    said += [f"{left} left"] if left else []
    return f"{', '.join(said)}. Written {generated}."


def _failed(state: State) -> bool:
    return state.last is not None and state.last.outcome not in {"interrupted", "succeeded"}


def _answer(rows: pd.DataFrame, states: Sequence[State]) -> list[str]:
    """Most accurate, fastest, and what each step along the Pareto front costs."""
    measured = rows.dropna(subset=["map", "latency_median_s"])
    if measured["rehearsal"].any() and not measured["rehearsal"].all():
        measured = measured[~measured["rehearsal"]]
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
        return f"- **Pareto front:** {_label(steps[0])} alone; every other one is both slower and less accurate."
    text = f"- **Pareto front,** fastest first: {_label(steps[0])}"
    for before, after in itertools.pairwise(steps):
        times = after["latency_median_s"] / before["latency_median_s"]
        text += f"; then {_label(after)}, {_points(after['map'] - before['map'])} mAP for {times:.1f}× the latency"
    return f"{text}."


def _certainty(measured: pd.DataFrame, states: Sequence[State]) -> str:
    seeds = sorted(set(measured["n"]))
    splits = sorted({state.record.metrics.split for state in states if state.record})
    on = f"accuracy is on the {' and '.join(splits)} split"
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


def _cost_table(rows: pd.DataFrame) -> str:
    header = (
        "architecture",
        "backbone",
        "stages",
        "weights",
        "image size",
        "parameters M",
        "GFLOPs",
        "training img/s",
        "peak memory training MiB",
        "inference MiB",
        "wall time",
    )
    return table(
        header,
        [
            (
                _label(row),
                str(row["backbone"]),
                {1: "one", 2: "two"}.get(row["stages"], "?"),
                escape(row["weights"]),
                row["image_size"],
                _number(row["parameters"] / 1e6, 1),
                _number(row["flops"] / 1e9, 1),
                _number(row["train_images_per_s"], 1),
                _number(row["training_memory_bytes"] / _MEBIBYTE, 0),
                _number(row["inference_memory_bytes"] / _MEBIBYTE, 0),
                _duration(row["wall_s"]),
            )
            for _, row in rows.iterrows()
        ],
        left=5,
    )


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


def _failures(states: Sequence[State], root: Path) -> list[str]:
    lines = []
    for state in states:
        reason = state.problem or (state.last.reason if state.last and state.record is None else None)
        if reason is None:
            continue
        outcome = state.last.outcome if state.last else "unreadable"
        log = f" Log: [{state.log.relative_to(root)}](<{state.log.relative_to(root)}>)" if state.log else ""
        lines.append(f"- **{escape(state.trial.trial_id)}**: {outcome.replace('_', ' ')}. {escape(reason)}.{log}")
    if not lines:
        return []
    return [
        "## What did not succeed",
        "\n".join(lines),
        "`harness run` with the same suite runs these again and keeps what is measured.",
    ]


def _footer(states: Sequence[State]) -> list[str]:
    records = [state.record for state in states if state.record]
    if not records:
        return []
    parts = ["## How it was measured", _protocol(records), "## Where"]
    environments = list(dict.fromkeys(record.environment for record in records))
    if len(environments) > 1:
        parts.append(
            f"> **{len(environments)} environments:** speeds from different environments do not compare; accuracy does."
        )
    parts += [_environment(environment, environments[0]) for environment in environments]
    data = dict.fromkeys((record.trial.dataset.name, record.trial.dataset.fingerprint) for record in records)
    parts.append("\n".join(f"- data {escape(name)}: fingerprint {digest[:16]}" for name, digest in data))
    return parts


def _protocol(records: Sequence[Record]) -> str:
    protocols = list(dict.fromkeys(record.trial.protocol for record in records))
    precisions = sorted({record.trial.hyperparameters.precision for record in records})
    lines = []
    for p in protocols:
        lines += [
            f"- Protocol {p.level}: {p.rounds} rounds, at least {p.latency_images} images and {p.latency_s:g} s of "
            "latency "
            f"in all, after a warm-up of at least {p.warmup} images and every input shape once.",
            "- Latency: batch 1, real images of the evaluated split, decoded beforehand. The clock covers the copy "
            "to the "
            "device, the model's own resizing, forward, NMS and the boxes back on the CPU; score threshold "
            f"{p.deployment_score_threshold:g}. The median and p95 of all samples; nothing clipped.",
            f"- Throughput: its own pass, batches of {p.throughput_batch_size}, images ÷ wall time.",
            f"- Accuracy: COCO mAP, IoU 0.50:0.95, score threshold {p.score_threshold:g}, {p.detections} detections an "
            "image, for every architecture alike; the weights and the precision "
            f"({', '.join(precisions)}) are those whose speed was measured.",
        ]
    lines += [
        "- Training img/s: without the first epoch (or its first 100 steps), waiting for data included.",
        "- Peak memory: reserved by the CUDA allocator on a GPU; on a CPU the whole process' resident set, python "
        "included. Training and inference are separate passes.",
        "- GFLOPs: one image, convolutions and matrix products, a multiply and an add counted as two.",
        "- Every raw timing and every detection lies beside its record: `trials/*/samples.parquet` and "
        "`predictions.parquet`.",
    ]
    return "\n".join(dict.fromkeys(lines))


def _environment(environment: Environment, first: Environment) -> str:
    """All of the first environment; of another only what differs."""
    e = environment
    if e != first:
        theirs, ours = asdict(first), asdict(e)
        return "- also: " + ", ".join(f"{key} {escape(ours[key])}" for key in ours if ours[key] != theirs[key])
    on = f"{e.device} ({escape(e.device_name)})"
    if e.device.startswith("cuda"):
        on += f", driver {e.driver}, CUDA {e.cuda}, cuDNN {e.cudnn}, TF32 {'on' if e.tf32 else 'off'}"
    commit = f", commit {e.git_commit[:12]}{' with changes' if e.git_dirty else ''}" if e.git_commit else ""
    return "\n".join(
        (
            f"- device {on}",
            f"- CPU {escape(e.cpu)}, {e.threads} threads, {e.loader_workers} loader workers",
            f"- {escape(e.platform)}, Python {e.python}, torch {e.torch}, torchvision {e.torchvision}, "
            f"torchmetrics {e.torchmetrics}, harness {e.harness}{commit}",
        )
    )


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
