"""The page: an answer in words first, then the tables, the plot, what failed, and how everything was measured.

Owns wording, units and escaping. It reads well as text: columns are padded, lines before the tables are short.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.report import (
    answer,
    classes,
    data,
    differences,
    environments,
    method,
    mistakes,
    models,
    night,
    scores,
    speed,
)
from harness.report.answer import NOT_COMPARABLE
from harness.report.frames import pareto_front
from harness.report.numbers import milliseconds, number, share
from harness.report.text import code, escape, fenced, figure, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from harness.report.comparison import Comparison
    from harness.report.drawing import Drawn
    from harness.report.part import Part
    from harness.store.record import Record
    from harness.store.results import Asked, State

_ROUNDING = 1e-3  # of mAP: stored boxes are float32, and so are torchmetrics'
_TIME = "%Y-%m-%d %H:%M"


def render(
    name: str, found: Comparison, *, drawn: Mapping[str, Drawn], root: Path, asked: Asked, generated: str
) -> str:
    """The whole page.

    Args:
        drawn: the pictures of each dataset.
        root: the folder of the page, which log paths are given relative to.
        asked: the suite's file, for the commands that try a trial again, and its prices.
        generated: when, for the coverage line.
    """
    states, frame = found.states, found.frame
    parts = [f"# {escape(name)}: which detector to ship", _coverage(states, found.others, generated)]
    if not frame.empty and frame["rehearsal"].any():
        parts.append(
            f"> **Rehearsal, {NOT_COMPARABLE}:** rows marked *{NOT_COMPARABLE}* used only the first images of each "
            "split "
            "(`--limit`). They show that the suite runs; they say nothing about which detector is better."
        )
    for part in found.parts:
        parts += _dataset(part, drawn[part.dataset], asked)
    parts += _doubts(found)
    parts += _failures(states, root, asked.suite_file)
    parts += method.footer(states)
    return "\n\n".join(parts) + "\n"


def _dataset(part: Part, drawn: Drawn, asked: Asked) -> list[str]:
    """Answers, then what they rest on."""
    rows = part.rows
    return [
        f"## {escape(part.dataset)}",
        *_environments([state.record for state in part.states if state.record]),
        *answer.section(part),
        "### Accuracy and speed",
        _speed_table(rows, mixed=part.mixed),
        *figure(drawn, "speed-accuracy", f"Speed against accuracy on {part.dataset}, with the Pareto front"),
        *differences.section(part),
        *speed.sections(rows, pareto_front(rows[~rows["rehearsal"]])),
        *classes.section(part),
        *_learning(drawn),
        *mistakes.section(part, drawn),
        *scores.section(part, drawn),
        *models.sections(rows, asked.cost),
        *data.section(part.dataset, part.states),
    ]


def _learning(drawn: Drawn) -> list[str]:
    found = figure(drawn, "learning", "Learning curves")
    return (
        ["### Learning curves", *found, "Means over seeds; the band reaches from the least to the most."]
        if found
        else []
    )


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


def _speed_table(rows: pd.DataFrame, *, mixed: bool) -> str:
    sure = rows["map_low"].notna().any()
    header = (
        "architecture", "mAP", *(("95 % interval", "group") if sure else ()), "mAP50", "mAP75", "latency median ms",
        "p95 ms", "throughput img/s (batch)", "outcome",
    )  # fmt: skip
    front = set() if mixed else set(pareto_front(rows[~rows["rehearsal"]]).index)
    cells = []
    for index, row in rows.iterrows():
        interval = f"{share(row['map_low'])} … {share(row['map_high'])}".replace("– … –", "–")
        cells.append(
            (
                escape(row["label"]) + (" ★" if index in front else ""),
                answer.accuracy(row),
                *((interval, number(row["tie_group"], 0)) if sure else ()),
                share(row["map_50"]),
                share(row["map_75"]),
                answer.latency(row),
                milliseconds(row["latency_p95_s"]),
                f"{number(row['throughput_images_per_s'], 1)} ({number(row['batch_size'], 0)})".replace("– (–)", "–"),
                _outcome(row),
            )
        )
    said = ["★ on the Pareto front: nothing measured is both faster and more accurate."] if front else []
    said += ["The interval is over images; rows of one group tie on accuracy with its first."] if sure else []
    if rows.loc[~rows["rehearsal"] & rows["map"].notna(), "map_low"].isna().any():
        said.append(
            "mAP without an interval: labels or detections are missing (an older version, `--no-bootstrap`), cannot be "
            "read (`harness report` says why), or are of a single image with boxes."
        )
    return "\n\n".join([table(header, cells), " ".join(said)] if said else [table(header, cells)])


def _outcome(row: pd.Series) -> str:
    said = [row["outcomes"]]
    said += [NOT_COMPARABLE] if row["rehearsal"] else []
    said += [escape(name) for name, _ in row["flags"] if name != "rehearsal"]
    return ", ".join(dict.fromkeys(said))


def _doubts(found: Comparison) -> list[str]:
    lines = [
        f"- {escape(row['label'])} on {escape(row['dataset'])}: {escape(name)}: {escape(reason)}"
        for _, row in found.frame.iterrows()
        for name, reason in row["flags"]
    ]
    for part in found.parts:
        for index, interval in part.certainty.intervals.items():
            row = part.rows.loc[index]
            if abs(interval.value - row["map"]) > _ROUNDING:
                lines.append(
                    f"- {escape(row['label'])} on {escape(row['dataset'])}: its records say mAP {share(row['map'])}, "
                    f"but the stored detections have {share(interval.value)} on the stored labels: they do not belong "
                    "together"
                )
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
