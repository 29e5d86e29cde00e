"""How far a candidate may fall behind its reference before a check fails: a person's tolerance, on measured numbers.

Chance plays no part here: the verdict of `harness.analysis.compare` stands beside. What was named never passes unjudged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.analysis.compare.comparability import incomparable_because
from harness.analysis.compare.pairing import is_known
from harness.formatting import mebibytes, metric_value, milliseconds, number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.analysis.compare.comparability import Kind
    from harness.analysis.compare.verdicts import Compared, Word

_DUST = 1e-9  # as a share of the numbers: 0.50 less 0.49 is more than 0.01 in floating point


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a limit can be on: a column of the comparison, and how it reads.."""

    column: str
    kind: Kind
    show: Callable[[float], str]


def _images_per_s(value: float) -> str:
    return f"{number(value, 1)} images/s"


METRICS = {
    "map": Metric(column="map", kind="accuracy", show=metric_value),
    "map_50": Metric(column="map_50", kind="accuracy", show=metric_value),
    "map_75": Metric(column="map_75", kind="accuracy", show=metric_value),
    "latency": Metric(column="latency_median_s", kind="latency", show=lambda value: f"{milliseconds(value)} ms"),
    "p95": Metric(column="latency_p95_s", kind="latency", show=lambda value: f"{milliseconds(value)} ms"),
    "throughput": Metric(column="throughput_images_per_s", kind="throughput", show=_images_per_s),
    "memory": Metric(column="inference_memory_bytes", kind="memory", show=lambda value: f"{mebibytes(value)} MiB"),
    "train_speed": Metric(column="train_images_per_s", kind="training", show=_images_per_s),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionGate:
    """As `text` says it: by how much at most (SI units, or a share of the reference), up (+1) or down (−1)."""

    text: str
    metric: str
    direction: int
    max_change: float
    relative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """One limit on one row.

    Attributes:
        compared: the row; None where there is none at all.
        before: the reference's number, after: the candidate's; None where they cannot be compared.
        verdict: what is known beyond the measured difference; None for metrics without one.
        reasons: why it could not be judged, which breaks the limit too.
    """

    limit: RegressionGate
    compared: Compared | None
    broken: bool
    before: float | None = None
    after: float | None = None
    verdict: Word | None = None
    reasons: tuple[str, ...] = ()


def judge(compared: Sequence[Compared], limits: Sequence[RegressionGate]) -> tuple[Judged, ...]:
    """Every limit on every row that the reference has; what the candidate has in addition is free."""
    return tuple(judged for limit in limits for judged in _judged(compared, limit))


def _judged(compared: Sequence[Compared], limit: RegressionGate) -> Iterator[Judged]:
    metric = METRICS[limit.metric]
    # What the reference has no number for either is no loss.
    rows = [row for row in compared if row.pair.reference and is_known(row.pair.reference.numbers[metric.column])]
    if not rows:
        why = f"nothing to compare: A has no {limit.metric}"
        yield Judged(limit=limit, compared=None, broken=True, reasons=(why,))
    for row in rows:
        reasons = incomparable_because(row.pair, metric.kind)
        values = [side.numbers[metric.column] for side in row.pair.rows]
        unknown = [name for name, value in zip("AB", values, strict=False) if not is_known(value)]
        if not reasons and unknown:
            reasons = (f"not measured in {' and '.join(unknown)}",)
        if reasons:
            yield Judged(limit=limit, compared=row, broken=True, reasons=reasons)
            continue
        before, after = values
        verdict = {"accuracy": row.accuracy.word, "latency": row.speed.word}.get(metric.kind)
        broken = _broken(limit, before, after)
        yield Judged(limit=limit, compared=row, broken=broken, before=before, after=after, verdict=verdict)


def _broken(limit: RegressionGate, before: float, after: float) -> bool:
    moved = limit.direction * (after - before)
    max_change = limit.max_change * abs(before) if limit.relative else limit.max_change
    return moved - max_change > _DUST * max(abs(before), abs(after))
