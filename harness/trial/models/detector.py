"""A fine-tuned detector as a user of the Python API gets it: the model, and what its labels mean."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.errors import WeightsError
from harness.suite.catalog import registry
from harness.trial.models import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

    from harness.suite.catalog.architecture import Architecture


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedDetector:
    """A fine-tuned detector.

    Attributes:
        model: the model, on the CPU and in evaluation mode. Called with a list of images (float32 [3, H, W], values
            from 0 to 1) it returns for each one a dictionary: boxes (float32 [D, 4], xyxy, pixels), scores and labels.
            The network of an architecture of your own is called as its family defines it.
        class_names: the name of each class; label 1 is the first one.
        detect: the same for every family: from a list of such images to a dictionary for each, without gradients.
    """

    model: nn.Module
    class_names: tuple[str, ...]
    detect: Callable[[list[Tensor]], Sequence[Mapping[str, Tensor]]]


def load(weights: Path, architecture: str | None) -> LoadedDetector:
    """Rebuild the detector that a trial saved.

    Args:
        architecture: the import path of an architecture of the user's own; None: one of the catalogue or installed.

    Raises:
        WeightsError: the file is no checkpoint of this program, or the architecture cannot be imported.
    """
    row = None
    if architecture is not None:
        try:
            row = _own_row(architecture, weights)
        except (ImportError, LookupError, TypeError) as error:
            raise WeightsError(f"architecture {architecture}: {error}") from error
    detector, class_names = checkpoint.load_detector(weights, row)
    return LoadedDetector(
        model=detector.module, class_names=class_names, detect=torch.inference_mode()(detector.detect)
    )


def _own_row(architecture: str, weights: Path) -> Architecture:
    """The row of an import path, or of a function that builds a network, which is called as its checkpoint says."""
    if ":" not in architecture:
        return registry.find(architecture, Path.cwd())[0]
    return registry.load_row(architecture, Path.cwd(), checkpoint.header(weights)["architecture"])
