"""A fine-tuned detector as a user of the Python API gets it: the model, and what its labels mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.trial.models import checkpoint

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedDetector:
    """A fine-tuned detector.

    Attributes:
        model: the model, on the CPU and in evaluation mode. Called with a list of images (float32 [3, H, W], values
            from 0 to 1) it returns for each one a dictionary: boxes (float32 [D, 4], xyxy, pixels), scores and labels.
        class_names: the name of each class; label 1 is the first one.
    """

    model: nn.Module
    class_names: tuple[str, ...]


def load(weights: Path) -> LoadedDetector:
    """Rebuild the detector that a trial saved.

    Raises:
        WeightsError: the file is no checkpoint of this program.
    """
    model, class_names = checkpoint.load(weights)
    return LoadedDetector(model=model, class_names=class_names)
