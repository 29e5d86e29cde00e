"""The comparison of two results folders in words: lines for a terminal, and the same content as data for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.analysis.compare.comparability import incomparable_because
from harness.analysis.compare.gates import METRICS
from harness.analysis.compare.pairing import NUMBERS, setting_differences
from harness.analysis.compare.verdicts import ACCURACY_WORDS, NOT_COMPARABLE, SPEED_WORDS, count_verdicts
from harness.formatting import metric_value, milliseconds, points, printable
from harness.report.markup import table as markdown_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.analysis.compare.gates import GateResult
    from harness.analysis.compare.pairing import Row
    from harness.analysis.compare.verdicts import ComparedPair, Verdict

_HEADER = (
    "architecture",
    "mAP A",
    "mAP B",
    "difference (95 % interval)",
    "accuracy",
    "latency A ms",
    "B ms",
    "change",
    "speed",
)


def render(
    names: tuple[str, str],
    rows: Sequence[ComparedPair],
    gates: Sequence[GateResult],
    *,
    table: Callable[[Sequence[str], Sequence[Sequence[str]]], Any] = markdown_table,
) -> Iterator[Any]:
    """Yield the comparison as blocks of lines: a table for each dataset, remarks, a summary and the gates.

    Args:
        names: the reference and the candidate, as the user named them.
        rows: the compared pairs.
        gates: the gates' results.
        table: makes the block of a table from its header and its rows; each other block is a text.
    """
    yield f"A, the reference: {printable(names[0])}\nB, the candidate: {printable(names[1])}"
    datasets: dict[str, list[ComparedPair]] = {}
    for row in rows:
        datasets.setdefault(_dataset(row), []).append(row)
    for dataset, dataset_rows in datasets.items():
        yield f"\n{printable(dataset)}:\n"
        yield table(_HEADER, [_cells(row) for row in dataset_rows])
        yield from _with_blank_line(_remarks(dataset_rows))
    yield f"\n{_summary(rows)}"
    yield from _with_blank_line(map(_gate_line, gates))


def _with_blank_line(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines, with a blank line before the first one."""
    for number, line in enumerate(lines):
        yield line if number else f"\n{line}"


def _cells(compared: ComparedPair) -> tuple[str, ...]:
    """Return one row under `_HEADER`."""
    pair = compared.pair
    latencies = [_number(row, "latency_median_s") for row in (pair.reference, pair.candidate)]
    change = math.nan if incomparable_because(pair, "latency") else latencies[1] / latencies[0] - 1
    return (
        printable(pair.label),
        *(_map(row) for row in (pair.reference, pair.candidate)),
        _difference(compared),
        compared.accuracy.word,
        *(milliseconds(latency) for latency in latencies),
        _percent(change),
        compared.speed.word,
    )


def _remarks(rows: Sequence[ComparedPair]) -> Iterator[str]:
    """Yield why rows are not comparable, what verdicts are based on, and other remarks.

    Each text occurs once, after the labels of the rows that it holds for.
    """
    labels_by_text: dict[str, list[str]] = {}
    for row in rows:
        verdicts = {"accuracy": row.accuracy, "speed": row.speed}
        incomparable = {name: verdict.reasons for name, verdict in verdicts.items() if verdict.word == NOT_COMPARABLE}
        if len(incomparable) > 1 and len(set(incomparable.values())) == 1:
            incomparable = {"accuracy and speed": row.speed.reasons}
        texts = [f"{name} not comparable: {'; '.join(reasons)}" for name, reasons in incomparable.items()]
        texts += [f"{name} is based on {verdict.basis}" for name, verdict in verdicts.items() if verdict.basis]
        for text in (*texts, *row.remarks):
            labels_by_text.setdefault(text, []).append(row.pair.label)
    for text, labels in labels_by_text.items():
        everywhere = len(labels) == len(rows) > 1
        yield printable(f"{'all' if everywhere else ', '.join(labels)}: {text}")


def _summary(rows: Sequence[ComparedPair]) -> str:
    """Count the verdicts: `accuracy: 1 more accurate, 2 not separated; speed: 3 not raced`."""
    counts = {
        "accuracy": count_verdicts([row.accuracy for row in rows], ACCURACY_WORDS),
        "speed": count_verdicts([row.speed for row in rows], SPEED_WORDS),
    }
    return "; ".join(
        f"{name}: {', '.join(f'{count} {word}' for word, count in verdicts.items() if count) or 'nothing'}"
        for name, verdicts in counts.items()
    )


def _gate_line(result: GateResult) -> str:
    """Describe one gate on one row: whether it passes, both numbers, and how far they moved."""
    gate, state = result.gate, "FAIL" if result.broken else "ok"
    if result.row is None:
        return f"{state} {gate.text}: {'; '.join(result.reasons)}"
    name = f"{state} {gate.text}: {result.row.pair.label} on {_dataset(result.row)}"
    if result.before is None or result.after is None:
        return printable(f"{name}: cannot be compared: {'; '.join(result.reasons)}")
    metric = METRICS[gate.metric]
    percent = _percent(result.after / result.before - 1 if result.before else math.nan)
    difference = points(result.after - result.before) if metric.kind == "accuracy" else ""
    change = f"{difference} ({percent})" if difference and gate.relative else difference or percent
    verdict = f"; verdict: {result.verdict}" if result.verdict else ""
    return printable(f"{name}: {metric.show(result.before)} to {metric.show(result.after)}, {change}{verdict}")


def data(names: tuple[str, str], rows: Sequence[ComparedPair], gates: Sequence[GateResult]) -> dict[str, Any]:
    """Return the whole comparison as plain data for programs, in SI units; None if a number is not known.

    Args:
        names: the reference and the candidate, as the user named them.
        rows: the compared pairs.
        gates: the gates' results.
    """
    return {
        "a": names[0],
        "b": names[1],
        "rows": [_row(row) for row in rows],
        "summary": {
            "accuracy": count_verdicts([row.accuracy for row in rows], ACCURACY_WORDS),
            "speed": count_verdicts([row.speed for row in rows], SPEED_WORDS),
        },
        "limits": [
            {
                "limit": result.gate.text,
                "dataset": result.row and _dataset(result.row),
                "label": result.row and result.row.pair.label,
                "a": result.before,
                "b": result.after,
                "broken": result.broken,
                "verdict": result.verdict,
                "reasons": result.reasons,
            }
            for result in gates
        ],
    }


def _row(compared: ComparedPair) -> dict[str, Any]:
    pair = compared.pair
    return {
        "dataset": _dataset(compared),
        "architecture": pair.rows[0].trial.architecture.name,
        "variant": pair.rows[0].variant,
        "label": pair.label,
        "differs": setting_differences(pair),
        "a": _side(pair.reference),
        "b": _side(pair.candidate),
        "accuracy": {**_verdict(compared.accuracy, "difference"), "p": compared.accuracy.p},
        "speed": _verdict(compared.speed, "ratio"),
        "remarks": compared.remarks,
    }


def _side(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    numbers = {name: None if math.isnan(row.numbers[name]) else row.numbers[name] for name in NUMBERS}
    return {"label": row.label, "n": len(row.measured), **numbers, "outcomes": row.outcomes, "warnings": row.warnings}


def _verdict(verdict: Verdict, name: str) -> dict[str, Any]:
    interval = verdict.interval
    return {
        "verdict": verdict.word,
        name: interval and interval.value,
        "low": interval and interval.low,
        "high": interval and interval.high,
        "basis": verdict.basis,
        "reasons": verdict.reasons,
    }


def _dataset(compared: ComparedPair) -> str:
    return compared.pair.rows[0].trial.dataset.name


def _number(row: Row | None, name: str) -> float:
    return math.nan if row is None else row.numbers[name]


def _map(row: Row | None) -> str:
    """Format a row's mAP, with the standard deviation over seeds if there are several."""
    if row is None:
        return metric_value(None)
    std = f" ± {metric_value(row.numbers['map_std'])} (n={len(row.measured)})" if len(row.measured) > 1 else ""
    return f"{metric_value(row.numbers['map'])}{std}"


def _difference(compared: ComparedPair) -> str:
    """Format the difference of mAP, with its interval if there is one; a dash if the two are not comparable."""
    pair, interval = compared.pair, compared.accuracy.interval
    if interval is not None:
        return f"{points(interval.value)} ({points(interval.low)} to {points(interval.high)})"
    comparable = not incomparable_because(pair, "accuracy")
    return points(_number(pair.candidate, "map") - _number(pair.reference, "map") if comparable else math.nan)


def _percent(change: float) -> str:
    return "–" if math.isnan(change) else f"{100 * change:+.1f} %".replace("-", "\u2212")
