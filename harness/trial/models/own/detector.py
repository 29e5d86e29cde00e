"""A network of the user's as the rest of the program uses it.

In training the network takes a list of images and a list of targets and returns a dict of losses; in evaluation it
takes a list of images and returns a dict with boxes, scores and labels for each. That is torchvision's convention, and
all that is needed. What a network does beyond it, by methods of these names or as torchvision's own do, is used:
`set_postprocessing`, `set_training_scale`, `backbone_stages`, a submodule `transform`, a method
`postprocess_detections`, a submodule `backbone`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from harness.errors import TrialError, UnsupportedVariant
from harness.trial.models.base import Detector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_KEYS = ("boxes", "scores", "labels")
_SIDES = 4


class OwnDetector(Detector):
    """A network of the user's.

    Args:
        module: the network.
        path: the import path of the function that built it, for messages.
    """

    def __init__(self, module: nn.Module, path: str) -> None:
        self.module = module
        self._path = path
        self._threshold, self._detections = 0.0, 100
        self._mark: Callable[[], None] | None = None

    def losses(self, images: list[Tensor], targets: list[dict[str, Tensor]]) -> Mapping[str, Tensor]:
        """See `Detector.losses`.

        Raises:
            TrialError: the network returns something else.
        """
        losses = self.module(images, targets)
        if not isinstance(losses, Mapping) or not losses:
            got = "an empty one" if isinstance(losses, Mapping) else f"a {type(losses).__name__}"
            raise TrialError(f"{self._path}: in training the network must return a dict of losses by name, got {got}")
        for name, loss in losses.items():
            if not isinstance(loss, Tensor) or loss.ndim:
                got = f"a tensor of shape {list(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
                raise TrialError(f"{self._path}: the loss {name!r} must be a tensor with one number, got {got}")
        return losses

    def detect(self, images: list[Tensor]) -> Sequence[Mapping[str, Tensor]]:
        """See `Detector.detect`; of what the network finds, the best above the threshold are kept, best first.

        Raises:
            TrialError: the network returns something else than detections.
        """
        mark = self._mark
        if mark is not None and not self._has_transform():
            mark()
        outputs = self.module(images)
        if mark is not None and self._postprocessor() is None:
            mark()
        if not isinstance(outputs, Sequence) or len(outputs) != len(images):
            got = f"{len(outputs)} for {len(images)} images" if isinstance(outputs, Sequence) else type(outputs)
            raise TrialError(
                f"{self._path}: in evaluation the network must return a list, a dict for each image: {got}"
            )
        return [self._best(output) for output in outputs]

    def _best(self, output: object) -> dict[str, Tensor]:
        """The detections to keep of an image."""
        boxes, scores, labels = self._checked(output)
        best = scores.sort(descending=True).indices[: self._detections]  # argsort is not exported to ONNX
        best = best[scores[best] > self._threshold]
        return {"boxes": boxes[best], "scores": scores[best], "labels": labels[best].to(torch.int64)}

    def _checked(self, output: object) -> tuple[Tensor, Tensor, Tensor]:
        """What the network found in an image, if its shapes are right; values are not looked at, for speed."""
        if not isinstance(output, Mapping) or not set(_KEYS) <= set(output):
            got = f"one with {', '.join(map(str, output))}" if isinstance(output, Mapping) else type(output).__name__
            raise TrialError(f"{self._path}: of each image the network must return a dict with {_KEYS}, got {got}")
        boxes, scores, labels = (output[key] for key in _KEYS)
        if not all(isinstance(tensor, Tensor) for tensor in (boxes, scores, labels)):
            raise TrialError(f"{self._path}: boxes, scores and labels must be tensors")
        shapes = [list(tensor.shape) for tensor in (boxes, scores, labels)]
        count = len(scores) if scores.ndim else -1
        if shapes != [[count, _SIDES], [count], [count]]:
            raise TrialError(
                f"{self._path}: boxes, scores and labels of an image must be of shapes [N, 4], [N], [N], got {shapes}"
            )
        if labels.is_floating_point() or labels.dtype == torch.bool:
            raise TrialError(f"{self._path}: labels must be whole numbers from 1, got {labels.dtype}")
        return boxes, scores, labels

    def set_postprocessing(self, *, score_threshold: float, detections: int) -> None:
        """See `Detector.set_postprocessing`; the network is told as well, where it can be."""
        self._threshold, self._detections = score_threshold, detections
        own = getattr(self.module, "set_postprocessing", None)
        if callable(own):
            own(score_threshold=score_threshold, detections=detections)
            return
        for owner in self._torchvision_owners():
            if hasattr(owner, "score_thresh") and hasattr(owner, "detections_per_img"):
                owner.score_thresh, owner.detections_per_img = cast("Any", (score_threshold, detections))

    @contextlib.contextmanager
    def mark_phases(self, mark: Callable[[], None]) -> Iterator[None]:
        """See `Detector.mark_phases`; what the network does not divide is its forward pass."""
        hooks = contextlib.ExitStack()
        with hooks:
            if self._has_transform():
                hook = self.module.get_submodule("transform").register_forward_hook(lambda *_: mark())
                hooks.callback(hook.remove)
            owner = self._postprocessor()
            if owner is not None:
                _mark_before(owner, mark, hooks)
            self._mark = mark
            try:
                yield
            finally:
                self._mark = None

    def _has_transform(self) -> bool:
        return isinstance(getattr(self.module, "transform", None), nn.Module)

    def _postprocessor(self) -> nn.Module | None:
        """The module whose method `postprocess_detections` makes boxes of raw outputs, if there is one."""
        return next((owner for owner in self._torchvision_owners() if hasattr(owner, "postprocess_detections")), None)

    def _torchvision_owners(self) -> list[nn.Module]:
        """Where torchvision's detectors keep their post-processing: the network, or its submodule `roi_heads`."""
        heads = getattr(self.module, "roi_heads", None)
        return [self.module, *([heads] if isinstance(heads, nn.Module) else [])]

    def set_training_scale(self, scale: float) -> None:
        """See `Detector.set_training_scale`: by the network's own method of that name."""
        own = getattr(self.module, "set_training_scale", None)
        if not callable(own):
            raise TrialError(
                f"{self._path}: the network has no method set_training_scale(scale), so it trains at one image size: "
                "remove multiscale from augmentation"
            )
        own(scale)

    def structure(self) -> Mapping[str, Any]:
        """See `Detector.structure`: which parameters are frozen."""
        return {"frozen_parameters": [name for name, p in self.module.named_parameters() if not p.requires_grad]}

    def backbone_stages(self) -> Sequence[nn.Module]:
        """See `Detector.backbone_stages`: what the network's own method of that name says."""
        own = getattr(self.module, "backbone_stages", None)
        return list(own()) if callable(own) else []

    def use_channels_last(self) -> None:
        """See `Detector.use_channels_last`; a batch that the network stacks takes the format of its weights."""
        self.module.to(memory_format=torch.channels_last)

    def use_compiled(self) -> str:
        """See `Detector.use_compiled`: the submodule `backbone`.

        Raises:
            UnsupportedVariant: there is none.
        """
        backbone = getattr(self.module, "backbone", None)
        if not isinstance(backbone, nn.Module):
            raise UnsupportedVariant(f"{self._path}: only a submodule `backbone` is compiled, and it has none")
        self.module.backbone = cast("nn.Module", torch.compile(backbone, fullgraph=True))
        return "backbone"


def _mark_before(owner: nn.Module, mark: Callable[[], None], hooks: contextlib.ExitStack) -> None:
    """Call `mark` before the method `postprocess_detections` runs, until the hooks are closed."""
    original = cast("Callable[..., object]", owner.postprocess_detections)

    def postprocess(*arguments: object, **named: object) -> object:
        mark()
        return original(*arguments, **named)

    cast("Any", owner).postprocess_detections = postprocess
    hooks.callback(lambda: delattr(owner, "postprocess_detections"))
