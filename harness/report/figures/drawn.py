"""Which pictures of a dataset were drawn, and where they lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was drawn of a dataset.

    Attributes:
        paths: by kind (speed-accuracy, learning, precision-recall, calibration, confusion, images, worst, disputed),
            relative to the results folder.
        images: the names of all evaluated images; empty where labels or detections are not stored.
    """

    paths: Mapping[str, str]
    images: tuple[str, ...]
