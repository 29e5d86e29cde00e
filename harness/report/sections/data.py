"""The page's section on a dataset: the images and boxes that the trials used, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.formatting import counted, short_name
from harness.report.markup import escape, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.data.stats import SplitStatistics, Spread
    from harness.store.record import Data
    from harness.store.results import TrialState

_MAX_CLASSES = 30


def section(dataset: str, states: Sequence[TrialState]) -> list[str]:
    """Return tables of the splits and classes for each version of the data; empty if no record has these counts."""
    versions = {
        state.record.trial.dataset.fingerprint: state.record.data
        for state in states
        if state.record and state.trial.dataset.name == dataset and state.record.data.splits
    }
    parts = []
    for fingerprint, data in versions.items():
        parts.append("### Data" if len(versions) == 1 else f"### Data, fingerprint {fingerprint[:16]}")
        parts += _skipped(data)
        splits = data.splits or {}
        parts += [_splits(splits), _classes(splits)]
    return parts


def _skipped(data: Data) -> list[str]:
    if not data.skipped:
        return []
    counts = ", ".join(f"{count:,} × {code}" for code, count in data.skipped.items())
    return [
        f"**Left out as bad (`on_bad_data: skip`): {counts}.** `harness data check` says where each is. An object "
        "whose box is left out counts as background."
    ]


def _splits(splits: Mapping[str, SplitStatistics]) -> str:
    sizes = ("small", "medium", "large")
    header = ("split", "images", "without boxes", "boxes", *sizes, "boxes per image", "width", "height")
    rows = [
        (
            name,
            f"{s.images:,}",
            f"{s.images_without_boxes:,}",
            f"{s.boxes:,}",
            *(f"{s.box_sizes.get(size, 0):,}" for size in sizes),
            *(_spread(values) for values in (s.boxes_per_image, s.image_width, s.image_height)),
        )
        for name, s in splits.items()
    ]
    return (
        f"{table(header, rows)}\n\nSmall, medium and large are COCO's: area below 32², below 96² pixels, and above. "
        "Three numbers are the minimum / median / maximum."
    )


def some_classes(names: Sequence[str], boxes: Mapping[str, int]) -> tuple[list[str], str]:
    """Return the classes that a table shows, most boxes first, and a note on those that are left out."""
    ordered = sorted(names, key=lambda name: -boxes.get(name, 0))
    if len(ordered) <= _MAX_CLASSES:
        return ordered, ""
    half, hidden = _MAX_CLASSES // 2, len(ordered) - _MAX_CLASSES
    return [*ordered[:half], *ordered[-half:]], (
        f"\n\nShown are the {half} most and the {half} least frequent classes; "
        f"{counted(hidden, 'lies', 'lie')} between."
    )


def _classes(splits: Mapping[str, SplitStatistics]) -> str:
    first = next(iter(splits.values())).boxes_per_class
    total = {name: sum(s.boxes_per_class.get(name, 0) for s in splits.values()) for name in first}
    shown, note = some_classes(list(first), total)
    rows = [
        (escape(short_name(name)), *(f"{s.boxes_per_class.get(name, 0):,}" for s in splits.values())) for name in shown
    ]
    return table(("boxes of class", *splits), rows) + note


def _spread(values: Spread) -> str:
    """Format minimum, median and maximum; a single number if they are equal."""
    if values.min is None or values.median is None or values.max is None:
        return "–"
    if values.min == values.max:
        return f"{values.min:g}"
    return f"{values.min:g} / {values.median:g} / {values.max:g}"
