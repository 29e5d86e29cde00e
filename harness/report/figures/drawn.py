"""Which pictures of a dataset were drawn, and where they are stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The pictures of one dataset.

    Attributes:
        paths: the path of each picture, relative to the results folder, by its kind: speed-accuracy, learning,
            precision-recall, calibration, confusion, images, worst or disputed.
        images: the names of all evaluated images; empty if ground truth or detections are not stored.
    """

    paths: Mapping[str, str]
    images: tuple[str, ...]
