"""What the exported forms of a detector share: one image at a time, and the score threshold as a constant in the file.

An export is traced, so it holds the threshold as a constant, and each threshold is an export of its own. It is traced
with one image, so images pass one by one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from harness.trial.deploy.base import Deployment
from harness.trial.evaluate.detect import Detections
from harness.trial.inputs.item import as_float

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from harness.trial.models.base import Detector

OUTPUTS = ("boxes", "scores", "labels")


class OneImage(nn.Module):
    """A detector as a module from one image [3, H, W], from 0 to 1, to boxes [N, 4], scores [N], labels [N]."""

    def __init__(self, detector: Detector) -> None:
        super().__init__()
        self.module = detector.module  # whose weights an exporter looks for
        self._detect = detector.detect

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The detections as the post-processing of the detector is set."""
        (detections,) = self._detect([image])
        return detections["boxes"], detections["scores"], detections["labels"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A detector as it is built for one threshold.

    Attributes:
        run: from float32 [3, H, W] on the CPU to boxes, scores and labels on the CPU.
        files: what another program would load, by the suffix of the file's name; the first one names the others.
    """

    run: Callable[[Tensor], Sequence[Tensor]]
    files: Callable[[], Mapping[str, bytes]]


class PerThreshold:
    """A runtime that is built anew for each threshold.

    Args:
        detector: in evaluation mode.
        build: builds the detector as it is at the moment.
    """

    def __init__(self, detector: Detector, build: Callable[[float, int], Built]) -> None:
        self._detector, self._build = detector, build
        self._key: tuple[float, int] | None = None
        self._built: Built | None = None

    def set_threshold(self, score: float, detections: int) -> None:
        """Build for this threshold, unless it is the one that is set."""
        if self._key == (score, detections):
            return
        self._key = self._built = None  # two of them at once could be too large
        self._detector.set_postprocessing(score_threshold=score, detections=detections)
        self._built = self._build(score, detections)
        self._key = (score, detections)

    def detect(self, images: Sequence[Tensor]) -> tuple[Detections, ...]:
        """The detections in each image, on the CPU; one image passes after the other."""
        assert self._built is not None
        results = []
        for image in images:
            boxes, scores, labels = self._built.run(as_float(image))
            results.append(Detections(boxes=boxes.float(), scores=scores.float(), labels=labels))
        return tuple(results)

    def files(self) -> Mapping[str, bytes]:
        """What another program would load, for the threshold that is set."""
        assert self._built is not None
        return self._built.files()

    def deployment(self, how: str) -> Deployment:
        """As the rest of a trial uses it; `how` says in words what it is."""
        return Deployment(
            how=how, detect=self.detect, set_threshold=self.set_threshold, batched=False, exported=self.files
        )
