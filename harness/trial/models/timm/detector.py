"""One of torchvision's detectors on a backbone of timm, as the rest of the program uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.trial.models.timm.build import Structure
from harness.trial.models.torchvision.detector import TorchvisionDetector

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import nn


class TimmDetector(TorchvisionDetector):
    """As one of torchvision's, apart from what its backbone decides."""

    def backbone_stages(self) -> Sequence[nn.Module]:
        """See `Detector.backbone_stages`: one for each feature map of timm's model."""
        backbone: Any = self.module.get_submodule("backbone")
        stages: Sequence[nn.Module] = backbone.stages()
        return stages

    def structure(self) -> Mapping[str, Any]:
        """See `Detector.structure`: what is frozen, and the normalisation."""
        return Structure.of(self.module).plain()
