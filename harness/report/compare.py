"""One folder against another in words: a table and lines for people, and the same as data for programs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.analysis.compare.comparability import incomparable_because
from harness.analysis.compare.gates import METRICS
from harness.analysis.compare.pairing import NUMBERS, differing
from harness.analysis.compare.verdicts import NOT_COMPARABLE, counted
from harness.formatting import metric_value, milliseconds, points, printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.analysis.compare.gates import Judged
    from harness.analysis.compare.pairing import Row
    from harness.analysis.compare.verdicts import Compared, Verdict

HEADER = (
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


def cells(compared: Compared) -> tuple[str, ...]:
    """One row under `HEADER`."""
    pair = compared.pair
    latencies = [_number(row, "latency_median_s") for row in (pair.reference, pair.candidate)]
    change = math.nan if incomparable_because(pair, "latency") else latencies[1] / latencies[0] - 1
    return (
        printable(pair.label),
        *(_map(row) for row in (pair.reference, pair.candidate)),
        _difference(compared),
        compared.accuracy.word,
        *(milliseconds(latency) for latency in latencies),
        _share(change),
        compared.speed.word,
    )


def reasons(compared: Sequence[Compared]) -> Iterator[str]:
    """Why what does not compare does not, and what else is to be known, each once with the rows that it holds for."""
    said: dict[str, list[str]] = {}
    for row in compared:
        verdicts = {"accuracy": row.accuracy, "speed": row.speed}
        why = {name: verdict.reasons for name, verdict in verdicts.items() if verdict.word == NOT_COMPARABLE}
        both = len(why) > 1 and len(set(why.values())) == 1
        for name, found in {"accuracy and speed": row.speed.reasons}.items() if both else why.items():
            said.setdefault(f"{name} not comparable: {'; '.join(found)}", []).append(row.pair.label)
        for name, verdict in verdicts.items():
            if verdict.basis:
                said.setdefault(f"{name} rests on {verdict.basis}", []).append(row.pair.label)
        for remark in row.remarks:
            said.setdefault(remark, []).append(row.pair.label)
    for text, labels in said.items():
        everywhere = len(labels) == len(compared) > 1
        yield printable(f"{'all' if everywhere else ', '.join(labels)}: {text}")


def summary(compared: Sequence[Compared]) -> str:
    """How many of which verdict."""
    parts = {"accuracy": [row.accuracy for row in compared], "speed": [row.speed for row in compared]}
    return "; ".join(
        f"{name}: {', '.join(f'{count} {word}' for word, count in counted(verdicts).items() if count) or 'nothing'}"
        for name, verdicts in parts.items()
    )


def judgement(judged: Judged) -> str:
    """One limit on one row."""
    state = "FAIL" if judged.broken else "ok"
    if judged.compared is None:
        return f"{state} {judged.limit.text}: {'; '.join(judged.reasons)}"
    name = f"{state} {judged.limit.text}: {judged.compared.pair.label} on {_dataset(judged.compared)}"
    if judged.before is None or judged.after is None:
        return printable(f"{name}: cannot be compared: {'; '.join(judged.reasons)}")
    show = METRICS[judged.limit.metric].show
    change = judged.after / judged.before - 1 if judged.before else math.nan
    moved = points(judged.after - judged.before) if METRICS[judged.limit.metric].kind == "accuracy" else ""
    moved = f"{moved} ({_share(change)})" if moved and judged.limit.relative else moved or _share(change)
    verdict = f"; verdict: {judged.verdict}" if judged.verdict else ""
    return printable(f"{name}: {show(judged.before)} to {show(judged.after)}, {moved}{verdict}")


def data(names: tuple[str, str], compared: Sequence[Compared], judged: Sequence[Judged]) -> dict[str, Any]:
    """All of it for programs; SI units, null for what is not known.

    Args:
        names: of the reference and the candidate, as the person gave them.
    """
    return {
        "a": names[0],
        "b": names[1],
        "rows": [_row(row) for row in compared],
        "summary": {
            "accuracy": counted([row.accuracy for row in compared]),
            "speed": counted([row.speed for row in compared]),
        },
        "limits": [
            {
                "limit": one.limit.text,
                "dataset": one.compared and _dataset(one.compared),
                "label": one.compared and one.compared.pair.label,
                "a": one.before,
                "b": one.after,
                "broken": one.broken,
                "verdict": one.verdict,
                "reasons": one.reasons,
            }
            for one in judged
        ],
    }


def _row(compared: Compared) -> dict[str, Any]:
    pair = compared.pair
    return {
        "dataset": _dataset(compared),
        "architecture": pair.rows[0].trial.architecture.name,
        "variant": pair.rows[0].variant,
        "label": pair.label,
        "differs": differing(pair),
        "a": _side(pair.reference),
        "b": _side(pair.candidate),
        "accuracy": {**_verdict(compared.accuracy, "difference"), "p": compared.accuracy.p},
        "speed": {**_verdict(compared.speed, "ratio"), "drift": compared.speed.drift},
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


def _dataset(compared: Compared) -> str:
    return compared.pair.rows[0].trial.dataset.name


def _number(row: Row | None, name: str) -> float:
    return math.nan if row is None else row.numbers[name]


def _map(row: Row | None) -> str:
    """With the seeds' spread, where there are several."""
    if row is None:
        return metric_value(None)
    spread = f" ± {metric_value(row.numbers['map_std'])} (n={len(row.measured)})" if len(row.measured) > 1 else ""
    return f"{metric_value(row.numbers['map'])}{spread}"


def _difference(compared: Compared) -> str:
    """With its interval, where chance was reckoned with; a dash where numbers do not compare."""
    pair, interval = compared.pair, compared.accuracy.interval
    if interval is not None:
        return f"{points(interval.value)} ({points(interval.low)} to {points(interval.high)})"
    comparable = not incomparable_because(pair, "accuracy")
    return points(_number(pair.candidate, "map") - _number(pair.reference, "map") if comparable else math.nan)


def _share(change: float) -> str:
    return "–" if math.isnan(change) else f"{100 * change:+.1f} %".replace("-", "\u2212")
