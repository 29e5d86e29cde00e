"""What is checked, and what the checks share: detectors built of it, images and boxes, and how a check fails."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from harness.suite import recipe
from harness.suite.trial import TrialArchitecture
from harness.trial.models.registry import family_of
from harness.trial.train.step import TrainStep

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.suite.catalog.architecture import Architecture
    from harness.suite.schema import Hyperparameters, ImageSize, Precision
    from harness.trial.inputs.augment import Target
    from harness.trial.inputs.loader import Batch
    from harness.trial.models.base import Detector, Head

STEPS = 4  # of an epoch, in as far as schedules ask


class CheckFailedError(Exception):
    """A detector does not do what it must; the text says what is wrong, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """An architecture as it is checked.

    Attributes:
        folder: where checks may write files.
    """

    row: Architecture
    classes: int
    image_size: ImageSize
    weights: str
    options: Mapping[str, Any]
    device: torch.device
    precision: Precision
    folder: Path

    def build(self, seed: int, *, classes: int | None = None, weights: str | None = None) -> tuple[Detector, Head]:
        """A detector from a seed, in training mode, and what became of its class head."""
        torch.manual_seed(seed)
        detector, head = family_of(self.row).build(
            self.row,
            weights=weights or self.weights,
            classes=classes or self.classes,
            image_size=self.image_size,
            options=self.options,
        )
        detector.module.to(self.device)
        detector.module.train()
        return detector, head

    @property
    def architecture(self) -> TrialArchitecture:
        """The architecture as a checkpoint names it."""
        return TrialArchitecture(
            name=self.row.name,
            weights=self.weights,
            weights_sha256=None,
            image_size=self.image_size,
            model=dict(self.options),
        )

    @property
    def class_names(self) -> tuple[str, ...]:
        """A name for each label."""
        return tuple(f"class {label}" for label in range(1, self.classes + 1))

    @property
    def hyperparameters(self) -> Hyperparameters:
        """The architecture's recipe, for one short epoch."""
        values = {"epochs": 1, "batch_size": self.smallest_batch, "precision": self.precision}
        return recipe.resolve(self.row, values)

    @property
    def smallest_batch(self) -> int:
        """The number of images of a batch in the checks: two, or more where the architecture needs more."""
        return max(2, self.row.min_batch)

    def train_step(self, detector: Detector) -> TrainStep:
        """The training of a detector by its recipe."""
        return TrainStep(detector, self.hyperparameters, device=self.device, epoch_steps=[STEPS])

    def images(self, count: int, seed: int = 0) -> list[Tensor]:
        """Images of noise, each of another shape, float32 [3, H, W] from 0 to 1, on the CPU."""
        generator = torch.Generator().manual_seed(seed)
        side = self.image_size.min
        shapes = [(side, side + side // 4 * (number % 2) + number // 2 * 4) for number in range(count)]
        return [torch.rand(3, *shape, generator=generator) for shape in shapes]

    def batch(self, boxes: Sequence[int], seed: int = 0) -> Batch:
        """Images with so many boxes each, of all sizes from a tenth of the image on, labels from 1 to `classes`."""
        generator = torch.Generator().manual_seed(seed + 1)
        return [
            (image, self._target(image, count, generator))
            for image, count in zip(self.images(len(boxes), seed), boxes, strict=True)
        ]

    def mixed(self, seed: int = 0) -> Batch:
        """A batch in which one image has several boxes, and the last one none."""
        return self.batch([3] * (self.smallest_batch - 1) + [0], seed)

    def _target(self, image: Tensor, count: int, generator: torch.Generator) -> Target:
        height, width = image.shape[1:]
        sides = (0.1 + 0.5 * torch.rand(count, 2, generator=generator)) * torch.tensor([width, height])
        corner = torch.rand(count, 2, generator=generator) * (torch.tensor([width, height]) - sides)
        labels = torch.randint(1, self.classes + 1, (count,), generator=generator)
        boxes = torch.cat((corner, corner + sides), dim=1)
        if not self.row.needs_masks:
            return {"boxes": boxes, "labels": labels}
        masks = torch.zeros(count, height, width, dtype=torch.uint8)
        for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
            mask[top:bottom, left:right] = 1
        return {"boxes": boxes, "labels": labels, "masks": masks}


@dataclass(slots=True)
class Session:
    """What the checks of one subject hand on, in the order of the list.

    Attributes:
        detector: the one that is checked; set by the first check.
        after_one_step: the weights' hash of the first detector after a step from seed 0.
    """

    subject: Subject
    detector: Detector | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    def checked(self) -> Detector:
        """The detector that the first check built.

        Raises:
            CheckFailedError: it could not build one.
        """
        if self.detector is None:
            raise CheckFailedError("there is no detector to check")
        return self.detector


def on_device(batch: Batch, device: torch.device) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """The images and the targets of a batch, as a detector takes them."""
    images = [image.to(device) for image, _ in batch]
    return images, [{key: value.to(device) for key, value in target.items()} for _, target in batch]
