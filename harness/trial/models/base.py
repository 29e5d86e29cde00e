"""What a family of detectors must offer, so that everything else can train, deploy and measure its detectors.

A family is a module that builds detectors (`Family`); a detector is an object of that family's own class (`Detector`),
which the rest of `harness.trial` uses without ever looking behind it. Owns no detector.

To add a family, write such a module and name it as `family` in the rows of the catalogue
(`harness.suite.catalog.architecture.Architecture`); `tests/examples/` holds a small one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from harness.errors import TrialError, UnsupportedVariant
from harness.trial.models.frozen_norms import faster_norms
from harness.trial.models.groups import parameter_groups
from harness.trial.models.memory_format import faster_layout

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from torch import Tensor, nn

    from harness.suite.catalog.architecture import Architecture, Published
    from harness.suite.schema import Hyperparameters, ImageSize
    from harness.trial.models.faster import Parts

Head = Literal["new", "replaced", "kept"]  # what became of the class head of the weights that a training starts from


class Detector(Protocol):
    """A detector that can be trained and run.

    Subclass this Protocol to inherit `parameter_groups`, `faster_parts`, and the refusal of variants that the detector
    cannot do.

    Attributes:
        module: the network: its parameters are trained, its state dict is saved, it is moved between devices and
            switched between training and evaluation mode. It stays the same object.
    """

    module: nn.Module

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        """The parts of the training loss, by name; each a scalar, averaged over the images. Their sum is minimised.

        Args:
            images: each float32 [3, H, W], RGB from 0 to 1, on the device of the module; sizes differ.
            targets: each with `boxes`, float32 [N, 4], xyxy in pixels, and `labels`, int64 [N] from 1; N may be 0. For
                a row that `needs_masks`, with `masks` too: uint8 [N, H, W], 1 where the object is.
        """

    def detect(self, images: list[Tensor]) -> Sequence[Mapping[str, Tensor]]:
        """The detections in each image, best first, as the post-processing is set; the module is in evaluation mode.

        Args:
            images: each [3, H, W], RGB from 0 to 1, on the device and in the floating-point type of the module.

        Returns:
            For each image `boxes` [N, 4], xyxy in pixels of the image as given, `scores` [N] and `labels`, int64 [N]
            from 1.
        """

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        """Keep detections with scores above `score_threshold`, at most `detections` an image, from now on."""

    def mark_phases(self, mark: Callable[[], None]) -> AbstractContextManager[None]:
        """Within the context, call `mark` twice in each `detect`: where the time of one image is divided.

        The first call is when the images are ready for the network (resized, normalised, one batch), the second when
        the raw outputs are there, before boxes are made of them.
        """

    def structure(self) -> Mapping[str, Any]:
        """What building the same network again needs beside its state dict: plain values, lists and dicts of them."""

    def backbone_stages(self) -> Sequence[nn.Module]:
        """The parts of the backbone, from the image on; what is in none of them is neck or head.

        `trainable_layers` freezes the first ones, and `backbone_lr_factor` is for the parameters of all of them. Here:
        none are known.
        """
        return ()

    def parameter_groups(self, hyperparameters: Hyperparameters) -> list[dict[str, Any]]:
        """The parameters to train, in groups as `torch.optim` takes them: `params`, and what differs in that group.

        The optimizer's learning rate and weight decay hold for groups without `lr` and `weight_decay` of their own.
        Here: all that require gradients, divided where `backbone_lr_factor` or `norm_weight_decay` ask for it.

        Raises:
            TrialError: `backbone_lr_factor` is set, and this detector does not tell which parameters those are.
        """
        return parameter_groups(self.module, self.backbone_stages(), hyperparameters)

    def faster_parts(self) -> Mapping[str, Parts]:
        """What computes the same training step faster in the place of parts of the network, by the speed-up's name.

        Here: frozen norms, and the layout of a backbone with depthwise convolutions.
        """
        return {"frozen_norms": faster_norms(self.module), "channels_last": faster_layout(self.backbone_stages())}

    def set_training_scale(self, scale: float) -> None:  # noqa: ARG002 - for those that can
        """Resize training images to `scale` times the image size from now on; what is detected in is not affected.

        Raises:
            TrialError: this detector cannot train at several sizes.
        """
        raise TrialError(f"{type(self).__name__} trains at one image size: remove multiscale from augmentation")

    def use_channels_last(self) -> None:
        """Store the weights, and run the convolutions, in torch's channels_last memory format.

        Raises:
            UnsupportedVariant: this detector cannot.
        """
        raise UnsupportedVariant(f"{type(self).__name__} does not support channels_last")

    def use_compiled(self) -> str:
        """Let `torch.compile` take the parts without graph breaks; returns in words which parts these are.

        Raises:
            UnsupportedVariant: this detector cannot.
        """
        raise UnsupportedVariant(f"{type(self).__name__} does not support torch.compile")


@runtime_checkable
class Family(Protocol):
    """A module that builds detectors from rows of the catalogue."""

    def build(
        self, row: Architecture, *, weights: str, classes: int, image_size: ImageSize, options: Mapping[str, Any]
    ) -> tuple[Detector, Head]:
        """A detector for the user's classes, in training mode, and what became of its class head.

        Args:
            weights: a word of the row's `published_files`, `none`, or the path of a file of weights.
            classes: the number of classes; labels are from 1 to that.
            options: of the row's `options`, those that the suite sets.

        Raises:
            WeightsError: the weights cannot be had, or do not fit. There is no fall-back to others.
        """

    def rebuild(
        self,
        row: Architecture,
        *,
        structure: Mapping[str, Any],
        state: Mapping[str, Tensor],
        classes: int,
        image_size: ImageSize,
        options: Mapping[str, Any],
    ) -> Detector:
        """A fine-tuned detector again, as it was trained, without any published file.

        Args:
            structure: what `Detector.structure` gave.
            state: the state dict of its module.

        Raises:
            WeightsError: the state dict does not fit.
        """


@runtime_checkable
class FetchingFamily(Family, Protocol):
    """A family that downloads its published files itself; those of others are fetched as their rows say."""

    def fetch(self, row: Architecture, word: str) -> Path:
        """The file of published weights that `word` stands for, downloaded unless it is there already.

        Raises:
            WeightsError: it cannot be had; names the file, the folder and the alternatives.
        """


@runtime_checkable
class NamingFamily(Family, Protocol):
    """A family whose rows cannot tell which file is published, because only the family's library knows its name."""

    def published_file(self, row: Architecture, word: str, backbone: str | None) -> Published:
        """The published file that `word` stands for.

        Args:
            backbone: the one that the suite names, or None.

        Raises:
            TrialError: there is no such backbone, or nothing is published.
        """


@runtime_checkable
class BackboneFetchingFamily(Family, Protocol):
    """A family that downloads the files of the backbone that a suite chose itself, for it needs more than one."""

    def fetch_backbone(self, row: Architecture, word: str, backbone: str | None) -> Path:
        """The file that `Architecture.needed_file` names, it and those beside it downloaded unless they are there.

        Raises:
            WeightsError: one of them cannot be had; names the file, the folder and the alternatives.
        """
