"""Whether numbers of two rows may be compared: they need the same data and protocol, and speeds the same machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.analysis import environments
from harness.analysis.frame import result_of_variant
from harness.formatting import counted

if TYPE_CHECKING:
    from harness.analysis.compare.pairing import Pair, Row

Kind = Literal["accuracy", "latency", "throughput", "memory", "training"]
REFERENCE, CANDIDATE = "A", "B"
# The fields of the protocol that each kind of number depends on.
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
    """Return the reasons why numbers of this kind cannot be compared; empty if they can."""
    if pair.reference is None or pair.candidate is None:
        return (f"only in {CANDIDATE if pair.reference is None else REFERENCE}",)
    sides = ((REFERENCE, pair.reference), (CANDIDATE, pair.candidate))
    missing = tuple(f"not measured in {name}: {row.problem}" for name, row in sides if row.problem is not None)
    if missing:
        return missing
    subsets = [name for name, row in sides if row.trial.max_images is not None]
    reasons = [f"only a subset of the images in {' and '.join(subsets)}"] if subsets else []
    reasons += _different_data(*(row for _, row in sides))
    fields = {name: tuple(getattr(row.trial.protocol, name) for _, row in sides) for name in _PROTOCOL[kind]}
    if kind == "throughput":
        fields["batch size"] = tuple(f"{row.numbers['batch_size']:g}" for _, row in sides)
    reasons += [f"different protocol: {name} {a} / {b}" for name, (a, b) in fields.items() if a != b]
    if kind != "accuracy":
        used = [state.record.environment for _, row in sides for state in row.measured if state.record]
        reasons += [f"different environment: {text}" for text in environments.differences(used)]
    return tuple(reasons)


def _different_data(reference: Row, candidate: Row) -> list[str]:
    """Return in what the evaluated data differ: the dataset's fingerprint, the split, the number of images."""
    descriptions = []
    for row in (reference, candidate):
        for state in row.measured:
            result = result_of_variant(state.record, row.variant)
            assert result is not None
            assert result.metrics is not None
            fingerprint = f"fingerprint {state.trial.dataset.fingerprint[:8]}"
            descriptions.append((fingerprint, f"split {result.metrics.split}", counted(result.metrics.images, "image")))
    columns = [tuple(dict.fromkeys(column)) for column in zip(*descriptions, strict=True)]
    return [f"different data: {' / '.join(values)}" for values in columns if len(values) > 1]
