"""Whether numbers of the two rows of a pair may be compared, by `harness.analysis.comparable`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis import comparable

if TYPE_CHECKING:
    from harness.analysis.comparable import Kind
    from harness.analysis.compare.pairing import Pair

REFERENCE, CANDIDATE = "A", "B"


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
    if kind == "throughput":
        sizes = [f"{row.numbers['batch_size']:g}" for _, row in sides]
        reasons += [f"different protocol: batch size {' / '.join(sizes)}"] if len(set(sizes)) > 1 else []
    measured = [(state, row.variant) for _, row in sides for state in row.measured]
    return (*reasons, *comparable.different(measured, kind))
