"""The user's own torch Dataset: import it, open it, and check every item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision import tv_tensors

from harness import foreign
from harness.errors import DataError
from harness.suite import user_code

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.annotations import Annotations
    from harness.suite.schema import PythonSplit
from harness.trial.inputs.item import Item

_CHANNELS = 3
_SHOWN_CLASSES = 10
_NO_OBJECTS = (
    "; an image without objects has an empty [0, 4] tensor of boxes, torch.zeros((0, 4)), and an empty one of labels, "
    "torch.zeros(0, dtype=torch.int64)"
)


class UserItems:
    """The items of a user's Dataset. Each is checked, because training on a wrong label raises no error."""

    def __init__(
        self,
        split: str,
        source: PythonSplit,
        class_names: tuple[str, ...],
        max_images: int | None,
        folder: Path,
        *,
        with_masks: bool = False,
    ) -> None:
        self._import = source.dataset, folder
        self._with_masks = with_masks
        self.class_names = class_names
        self.annotations: Annotations | None = None
        self.where = f"{split} ({source.dataset})"
        factory = _import(source.dataset, folder, self.where)
        try:
            self._dataset = factory(**source.args)
            length = len(self._dataset)
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise DataError(
                f"{self.where}: cannot be opened with {dict(source.args)}: {foreign.described(error)}"
            ) from error
        self._length = min(length, max_images) if max_images else length

    def __len__(self) -> int:
        return self._length

    def __getstate__(self) -> tuple[object, dict[str, Any]]:
        """Return the state for a process that is not forked: it imports the class before it meets an instance."""
        return _Imported(*self._import), self.__dict__

    def __setstate__(self, state: tuple[object, dict[str, Any]]) -> None:
        self.__dict__.update(state[1])

    def path(self, index: int) -> str | None:  # noqa: ARG002 - only the user's code knows
        """Return None, as the user's code does not say which file it reads."""
        return None

    def __getitem__(self, index: int) -> Item:
        try:
            returned = self._dataset[index]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
            data_error = DataError(f"{self.where}[{index}]: {foreign.described(error)}")
            # A note survives a loader's process, a cause does not.
            data_error.add_note(foreign.whole_traceback(error))
            raise data_error from None
        try:
            return self._checked_item(index, returned)
        except _ItemError as error:
            raise DataError(f"{self.where}[{index}]: {error}") from None

    def _checked_item(self, index: int, returned: object) -> Item:
        if not isinstance(returned, tuple | list) or len(returned) != 2:  # noqa: PLR2004 - (image, target)
            raise _ItemError("item", "a pair (image, target)", _describe(returned))
        image, target = returned
        _check_image(image)
        if not isinstance(target, dict):
            raise _ItemError("target", "a dict with boxes and labels", _describe(target))
        for key in ("boxes", "labels"):
            if not isinstance(target.get(key), Tensor):
                raise _ItemError(key, "a tensor", _describe(target[key]) if key in target else "no such key")
        boxes, labels = _float32_boxes(target["boxes"]), target["labels"]
        _check_boxes(boxes, height=image.shape[1], width=image.shape[2])
        _check_labels(labels, len(boxes), self.class_names)
        sides = boxes[:, 2:] - boxes[:, :2]
        return Item(
            name=str(index),
            image=image.detach().to(torch.float32),
            boxes=boxes,
            labels=labels,
            crowds=_column(target, "iscrowd", torch.zeros(len(boxes))).to(torch.bool),
            areas=_column(target, "area", sides.prod(dim=1)).to(torch.float32),
            masks=_masks(target, len(boxes), image) if self._with_masks else None,
        )


class _Imported:
    """Stands for a user's class in what is sent to another process, which imports it there.

    The module of a file has a name of its own (`harness.suite.user_code`), which no process could find otherwise.
    """

    def __init__(self, path: str, folder: Path) -> None:
        user_code.load_attribute(path, folder)
        self._path, self._folder = path, folder

    def __reduce__(self) -> tuple[type[_Imported], tuple[str, Path]]:
        return _Imported, (self._path, self._folder)


class _ItemError(Exception):
    """An item's field does not have the expected value."""

    def __init__(self, field: str, expected: str, actual: str) -> None:
        super().__init__(f"{field}: expected {expected}, got {actual}")


def _check_image(image: object) -> None:
    expected = "a float tensor [3, H, W] with values in 0–1"
    if not isinstance(image, Tensor) or not image.is_floating_point() or image.ndim != 3 or image.shape[0] != 3:  # noqa: PLR2004
        raise _ItemError("image", expected, f"{_describe(image)}{_image_hint(image)}")
    if not image.numel():
        raise _ItemError("image", expected, f"no pixels: {_describe(image)}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0.0 and high <= 1.0):  # also NaN
        raise _ItemError("image", expected, f"values from {low:g} to {high:g}; divide 0–255 by 255, do not normalise")


def _image_hint(image: object) -> str:
    """Say how to make what training takes of an image of another type or shape; an empty text where that is unclear."""
    if not isinstance(image, Tensor):
        return "; make a tensor of it, such as torchvision.transforms.v2.functional.pil_to_tensor(image) / 255"
    hints = []
    if image.ndim == 3 and image.shape[0] != _CHANNELS:  # noqa: PLR2004
        if image.shape[0] == _CHANNELS + 1:
            hints.append("keep red, green and blue of the 4 channels: image[:3]")
        elif image.shape[0] == 1:
            hints.append("repeat the grey channel: image.expand(3, -1, -1)")
        elif image.shape[2] in {_CHANNELS, _CHANNELS + 1}:
            hints.append("put the channels first: image.permute(2, 0, 1)[:3]")
    if image.dtype == torch.uint8:
        hints.append("make 0–255 a float in 0–1: image.to(torch.float32) / 255")
    return "".join(f"; {hint}" for hint in hints)


def _float32_boxes(boxes: Tensor) -> Tensor:
    """Return the boxes as float32, the precision of training, in which two close float64 edges may become equal."""
    expected = "a float tensor [N, 4], xyxy in pixels"
    if isinstance(boxes, tv_tensors.BoundingBoxes):
        if boxes.format is not tv_tensors.BoundingBoxFormat.XYXY:
            raise _ItemError("boxes", expected, f"tv_tensors.BoundingBoxes in format {boxes.format.value}")
        boxes = boxes.as_subclass(Tensor)
    if not boxes.is_floating_point() or boxes.ndim != 2 or boxes.shape[1] != 4:  # noqa: PLR2004
        hint = _NO_OBJECTS if not boxes.numel() else ""
        raise _ItemError("boxes", expected, f"{_describe(boxes)}{hint}")
    return boxes.detach().to(torch.float32)


def _check_boxes(boxes: Tensor, *, height: int, width: int) -> None:
    for row, (left, top, right, bottom) in enumerate(boxes.tolist()):
        field, actual = f"boxes[{row}]", f"[{left:g}, {top:g}, {right:g}, {bottom:g}]"
        if not (left < right and top < bottom):  # also NaN
            hint = _NO_OBJECTS if (left, top) == (right, bottom) else ""
            raise _ItemError(field, "x1 < x2 and y1 < y2, finite", f"{actual}{hint}")
        if left < 0 or top < 0 or right > width or bottom > height:
            raise _ItemError(field, f"a box inside the image of {width} × {height} pixels", actual)


def _check_labels(labels: Tensor, count: int, class_names: tuple[str, ...]) -> None:
    if labels.dtype != torch.int64 or labels.shape != (count,):
        raise _ItemError("labels", f"an int64 tensor [{count}], one for each box", _describe(labels))
    for row, label in enumerate(labels.tolist()):
        if not 1 <= label <= len(class_names):
            raise _ItemError(f"labels[{row}]", _label_range(class_names), f"{label} (0 is the background)")


def _label_range(class_names: tuple[str, ...]) -> str:
    """Say which labels there are, and for which classes."""
    if len(class_names) == 1:
        return f"1, the label of {class_names[0]}, the only class"
    shown = (
        class_names
        if len(class_names) <= _SHOWN_CLASSES
        else (*class_names[: _SHOWN_CLASSES - 2], "…", class_names[-1])
    )
    return f"a label from 1 to {len(class_names)}, for {', '.join(shown)}"


def _column(target: dict[str, Any], key: str, default: Tensor) -> Tensor:
    """Return an optional column of the target, which must have one value for each box."""
    value = target.get(key, default)
    if not isinstance(value, Tensor) or value.shape != default.shape:
        raise _ItemError(key, f"a tensor [{len(default)}], one for each box", _describe(value))
    return value


def _masks(target: dict[str, Any], count: int, image: Tensor) -> Tensor:
    """Return the masks of the target's objects, which its architecture trains from."""
    shape = (count, *image.shape[1:])
    expected = f"a tensor {list(shape)} of 0 and 1, one mask for each box, for the architecture trains from masks"
    masks = target.get("masks")
    if not isinstance(masks, Tensor) or masks.shape != shape:
        raise _ItemError("masks", expected, _describe(masks) if "masks" in target else "no such key")
    if (
        masks.is_floating_point()
        or masks.is_complex()
        or (masks.numel() and not 0 <= int(masks.min()) <= int(masks.max()) <= 1)
    ):
        raise _ItemError("masks", expected, f"{_describe(masks)} with other values")
    return masks.detach().as_subclass(Tensor).to(torch.uint8)


def _describe(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"{type(value).__name__} {foreign.shown(value)}"


def _import(path: str, folder: Path, where: str) -> Any:
    """Import the class that `module:Class` or `file.py:Class` names, from the suite's folder or installed packages.

    Raises:
        DataError: the class cannot be imported.
    """
    try:
        return user_code.load_attribute(path, folder)
    except ImportError as error:
        raise DataError(f"{where}: {error}") from error
