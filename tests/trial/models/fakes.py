"""A detector that can do nothing, for tests that need one of its abilities alone: subclass it and add that one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor, nn

from harness.trial.models.base import Detector


class IncapableDetector(Detector):
    def __init__(self) -> None:
        self.module = nn.Module()

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        raise NotImplementedError

    def detect(self, images: list[Tensor]) -> Sequence[Mapping[str, Tensor]]:
        raise NotImplementedError

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        raise NotImplementedError

    def mark_phases(self, mark: Callable[[], None]) -> AbstractContextManager[None]:
        raise NotImplementedError

    def structure(self) -> Mapping[str, Any]:
        raise NotImplementedError
