"""When a split is empty: one rule, and one sentence, for every format and for the user's own Dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.data.annotations import Annotations


def why_empty(split: str, *, images: int, boxes: int | None) -> str | None:
    """Return why a split cannot be used, or None if it can.

    Without a box there is nothing to learn from, and mAP is a mean over no class.

    Args:
        split: its name: train, val or test, or `all` for a folder that is not divided yet.
        images: the number of its images.
        boxes: the number of its boxes, without crowd regions; None if it is not known.
    """
    evaluated = split in {"val", "test"}
    if not images:
        return f"{split}: no image: nothing to {'evaluate' if evaluated else 'train on'}"
    if boxes == 0:
        return f"{split}: not one box: {'its mAP is undefined' if evaluated else 'nothing to learn from'}"
    return None


def boxes_in(annotations: Annotations) -> int:
    """Return the number of boxes that are trained on and evaluated, which crowd regions are not."""
    return int((~annotations.crowds).sum())
