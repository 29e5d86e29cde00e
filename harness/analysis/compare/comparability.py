"""Whether numbers of two rows may be compared at all: same data, same protocol, and for speeds the same machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.analysis import environments
from harness.analysis.frame import result_of_variant

if TYPE_CHECKING:
    from harness.analysis.compare.pairing import Pair, Row

Kind = Literal["accuracy", "latency", "throughput", "memory", "training"]
REFERENCE, CANDIDATE = "A", "B"
# Fields of the protocol that each kind of number hangs on.
_PROTOCOL: dict[Kind, tuple[str, ...]] = {
    "accuracy": ("score_threshold", "detections"),
    "latency": (
        "level", "rounds", "warmup", "latency_images", "latency_s", "deployment_score_threshold", "detections", "tf32",
    ),
    "throughput": ("level", "rounds", "throughput_s", "deployment_score_threshold", "detections", "tf32"),
    "memory": ("deployment_score_threshold", "detections", "tf32"),
    "training": ("tf32",),
}  # fmt: skip


def incomparable_because(pair: Pair, kind: Kind) -> tuple[str, ...]:
    """Why numbers of a kind do not compare; nothing where they do."""
    if pair.reference is None or pair.candidate is None:
        return (f"only in {CANDIDATE if pair.reference is None else REFERENCE}",)
    sides = ((REFERENCE, pair.reference), (CANDIDATE, pair.candidate))
    missing = tuple(f"not measured in {name}: {row.problem}" for name, row in sides if row.problem is not None)
    if missing:
        return missing
    short = [name for name, row in sides if row.trial.max_images is not None]
    found = [f"only a subset of the images in {' and '.join(short)}"] if short else []
    found += _other_data(*(row for _, row in sides))
    fields = {name: tuple(getattr(row.trial.protocol, name) for _, row in sides) for name in _PROTOCOL[kind]}
    if kind == "throughput":
        fields["batch size"] = tuple(f"{row.numbers['batch_size']:g}" for _, row in sides)
    found += [f"different protocol: {name} {a} / {b}" for name, (a, b) in fields.items() if a != b]
    if kind != "accuracy":
        records = [state.record.environment for _, row in sides for state in row.measured if state.record]
        found += [f"different environment: {what}" for what in environments.differences(records)]
    return tuple(found)


def _other_data(reference: Row, candidate: Row) -> list[str]:
    """Labels and images of the dataset, and what of it was evaluated."""
    facts = []
    for row in (reference, candidate):
        for state in row.measured:
            found = result_of_variant(state.record, row.variant)
            assert found is not None
            assert found.metrics is not None
            fingerprint = f"fingerprint {state.trial.dataset.fingerprint[:8]}"
            facts.append((fingerprint, f"split {found.metrics.split}", f"{found.metrics.images} images"))
    values = [tuple(dict.fromkeys(column)) for column in zip(*facts, strict=True)]
    return [f"different data: {' / '.join(told)}" for told in values if len(told) > 1]
