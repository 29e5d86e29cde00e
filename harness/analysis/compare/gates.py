"""How far a candidate may fall behind its reference before a check fails: a person's tolerance, on measured numbers.

Chance plays no part here: the verdict of `harness.analysis.compare` stands beside. What a gate names is always judged.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.analysis.compare.comparability import incomparable_because
from harness.analysis.compare.pairing import is_known
from harness.errors import UsageError
from harness.formatting import BYTES, SECONDS, memory, metric_value, milliseconds, number, parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from harness.analysis.comparable import Kind
    from harness.analysis.compare.verdicts import ComparedPair, Word

_TOLERANCE = 1e-9  # as a fraction of the numbers: 0.50 - 0.49 is more than 0.01 in floating point


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a gate can be on.

    Attributes:
        column: the column of the comparison that holds the number.
        kind: what must be equal on both sides for the number to compare.
        worse: the direction that is worse, and that a gate limits: up (+1) or down (−1).
        show: the number as a reader sees it.
        units: the units that a gate's amount can have, each with its factor to the SI unit; empty: only a plain number.
    """

    column: str
    kind: Kind
    worse: int
    show: Callable[[float], str]
    units: Mapping[str, float] = field(default_factory=dict)


def _images_per_s(value: float) -> str:
    return f"{number(value, 1)} images/s"


def _milliseconds(value: float) -> str:
    return f"{milliseconds(value)} ms"


EXAMPLES = "map:-0.01, latency:+10%, p95:+5ms, memory:+500MB or throughput:-10images/s"
_RATES = {"images/s": 1.0, "img/s": 1.0}

METRICS = {
    "map": Metric(column="map", kind="accuracy", worse=-1, show=metric_value),
    "map_50": Metric(column="map_50", kind="accuracy", worse=-1, show=metric_value),
    "map_75": Metric(column="map_75", kind="accuracy", worse=-1, show=metric_value),
    "latency": Metric(column="latency_median_s", kind="latency", worse=1, show=_milliseconds, units=SECONDS),
    "p95": Metric(column="latency_p95_s", kind="latency", worse=1, show=_milliseconds, units=SECONDS),
    "memory": Metric(column="inference_memory_bytes", kind="memory", worse=1, show=memory, units=BYTES),
    "throughput": Metric(
        column="throughput_images_per_s", kind="throughput", worse=-1, show=_images_per_s, units=_RATES
    ),
    "train_speed": Metric(column="train_images_per_s", kind="training", worse=-1, show=_images_per_s, units=_RATES),
}
_SIGNS = {1: "+", -1: "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegressionGate:
    """A limit on how far a metric of the candidate may move away from the reference.

    Attributes:
        text: the gate as the user wrote it.
        metric: a key of `METRICS`.
        direction: which movement is limited: up (+1) or down (−1).
        max_change: the largest movement that passes, in SI units or as a fraction of the reference.
        relative: whether `max_change` is a fraction of the reference.
    """

    text: str
    metric: str
    direction: int
    max_change: float
    relative: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult:
    """The outcome of one gate on one row.

    Attributes:
        gate: the gate.
        row: the compared row; None if there is no row to check.
        broken: whether the candidate fell further behind than the gate allows, or could not be checked.
        before: the reference's number; None if the two cannot be compared.
        after: the candidate's number; None if the two cannot be compared.
        verdict: whether the difference is real, beyond chance; None for metrics without a verdict.
        reasons: why the gate could not be checked, which breaks it as well.
    """

    gate: RegressionGate
    row: ComparedPair | None
    broken: bool
    before: float | None = None
    after: float | None = None
    verdict: Word | None = None
    reasons: tuple[str, ...] = ()


def parse_gates(texts: Iterable[str]) -> tuple[RegressionGate, ...]:
    """Read gates as a user writes them, such as `map:-0.01`; a text can hold several, separated by commas.

    Raises:
        UsageError: a text is no gate; says what is allowed.
    """
    return tuple(_parse_gate(part.strip()) for text in texts for part in text.split(","))


def _parse_gate(text: str) -> RegressionGate:
    match = re.fullmatch(r"(\w+)\s*:\s*([+-])\s*((\d+(?:\.\d+)?)\s*(\S*))", text)
    if match is None:
        raise UsageError(f"{text!r} is no limit with a sign, such as {EXAMPLES}")
    metric, sign, amount, plain_number, unit = match.groups()
    if metric not in METRICS:
        raise UsageError(f"{text!r}: {metric!r} is none of {', '.join(METRICS)}")
    units = METRICS[metric].units
    if unit == "%":
        max_change = float(plain_number) / 100
    elif units:
        try:
            max_change = parse_quantity(amount, units, f"10% or 10{next(iter(units))}")
        except ValueError as error:
            raise UsageError(f"{text!r}: {error}") from None
    elif not unit:
        max_change = float(plain_number)
    else:
        raise UsageError(f"{text!r}: {metric} is between 0 and 1: a limit on it has no unit, or %")
    _refuse_senseless(text, metric, sign, max_change, relative=unit == "%")
    return RegressionGate(
        text=text, metric=metric, direction=METRICS[metric].worse, max_change=max_change, relative=unit == "%"
    )


def _refuse_senseless(text: str, metric: str, sign: str, max_change: float, *, relative: bool) -> None:
    """Refuse a limit on getting better, and one that no result can break: a check with it would say nothing.

    Raises:
        UsageError: says which limits there are.
    """
    worse = METRICS[metric].worse
    if sign != _SIGNS[worse]:
        kinds = (
            f"{sign_} for {', '.join(name for name, other in METRICS.items() if other.worse == direction)}"
            for direction, sign_ in _SIGNS.items()
        )
        change = "rise" if sign == "+" else "fall"
        raise UsageError(
            f"{text!r}: a {change} of {metric} is an improvement, which needs no limit; a limit is on getting worse: "
            f"{'; '.join(kinds)}"
        )
    most = 1.0 if worse < 0 and (relative or METRICS[metric].kind == "accuracy") else math.inf
    if max_change >= most:
        allowed = "below 100%" if relative else "below 1, such as -0.01"
        raise UsageError(f"{text!r}: {metric} can never fall that far; the amount must be {allowed}")


def check_gates(rows: Sequence[ComparedPair], gates: Sequence[RegressionGate]) -> tuple[GateResult, ...]:
    """Check every gate on every row that the reference has a number for; rows that only the candidate has are free."""
    return tuple(result for gate in gates for result in _check_gate(rows, gate))


def _check_gate(rows: Sequence[ComparedPair], gate: RegressionGate) -> Iterator[GateResult]:
    metric = METRICS[gate.metric]
    # A row without a number in the reference cannot become worse.
    checked = [row for row in rows if row.pair.reference and is_known(row.pair.reference.numbers[metric.column])]
    if not checked:
        reason = f"nothing to compare: A has no {gate.metric}"
        yield GateResult(gate=gate, row=None, broken=True, reasons=(reason,))
    for row in checked:
        reasons = incomparable_because(row.pair, metric.kind)
        values = [side.numbers[metric.column] for side in row.pair.rows]
        missing = [name for name, value in zip("AB", values, strict=False) if not is_known(value)]
        if not reasons and missing:
            reasons = (f"not measured in {' and '.join(missing)}",)
        if reasons:
            yield GateResult(gate=gate, row=row, broken=True, reasons=reasons)
            continue
        before, after = values
        verdict = {"accuracy": row.accuracy.word, "latency": row.speed.word}.get(metric.kind)
        broken = _is_broken(gate, before, after)
        yield GateResult(gate=gate, row=row, broken=broken, before=before, after=after, verdict=verdict)


def _is_broken(gate: RegressionGate, before: float, after: float) -> bool:
    change = gate.direction * (after - before)
    max_change = gate.max_change * abs(before) if gate.relative else gate.max_change
    return change - max_change > _TOLERANCE * max(abs(before), abs(after))
