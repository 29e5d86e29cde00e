"""What makes an architecture small enough to be checked in seconds: the image size, and options that go with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.suite.schema import ImageSize

if TYPE_CHECKING:
    from harness.suite.catalog.architecture import Architecture

SIDE = 128  # pixels
# Of a small image few places can be proposed, and fewer are quicker.
_OPTIONS = {
    "queries": 16,
    "rpn_post_nms_top_n_train": 40,
    "rpn_post_nms_top_n_test": 40,
    "box_batch_size_per_image": 16,
}


def reduced_size(row: Architecture, side: int = SIDE) -> ImageSize:
    """A small size that a row takes, of its native kind; its native one where it takes no other."""
    low, high = row.image_size
    if row.fixed_size:
        return ImageSize(min=low, max=high)
    side = -(-side // row.size_multiple) * row.size_multiple
    return ImageSize(min=side, max=side if low == high else side * 2)


def reduced_options(row: Architecture) -> dict[str, int]:
    """Options of a row that belong to a small image; none where a row takes no other size than its own."""
    known = {option.name for option in row.options}
    return {} if row.fixed_size else {name: value for name, value in _OPTIONS.items() if name in known}
