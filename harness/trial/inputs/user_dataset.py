"""A torch Dataset of the user's: imported, opened, and every item checked."""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torchvision import tv_tensors

from harness.errors import DataError
from harness.suite import user_code

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.annotations import Annotations
    from harness.suite.schema import PythonSplit
from harness.trial.inputs.item import Item


class UserItems:
    """A Dataset of the user's. Everything it returns is checked, since a wrong label trains in silence."""

    def __init__(
        self, split: str, source: PythonSplit, class_names: tuple[str, ...], max_images: int | None, folder: Path
    ) -> None:
        self.class_names = class_names
        self.annotations: Annotations | None = None
        self._where = f"{split} ({source.dataset})"
        factory = _import(source.dataset, folder, self._where)
        try:
            self._dataset = factory(**source.args)
            length = len(self._dataset)
        except (Exception, SystemExit) as error:  # the user's code may raise anything
            raise DataError(f"{self._where}: cannot be opened with {dict(source.args)}: {_said(error)}") from error
        self._length = min(length, max_images) if max_images else length

    def __len__(self) -> int:
        return self._length

    def path(self, index: int) -> str | None:  # noqa: ARG002 - only the user's code knows
        return None

    def __getitem__(self, index: int) -> Item:
        try:
            got = self._dataset[index]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the user's code may raise anything
            raised = DataError(f"{self._where}[{index}]: {_said(error)}")
            raised.add_note("".join(traceback.format_exception(error)).rstrip())  # unlike a cause, it leaves a loader
            raise raised from None
        try:
            return self._checked(index, got)
        except _UnexpectedError as error:
            raise DataError(f"{self._where}[{index}]: {error}") from None

    def _checked(self, index: int, got: object) -> Item:
        if not isinstance(got, tuple | list) or len(got) != 2:  # noqa: PLR2004 - (image, target)
            raise _UnexpectedError("item", "a pair (image, target)", _kind(got))
        image, target = got
        _check_image(image)
        if not isinstance(target, dict):
            raise _UnexpectedError("target", "a dict with boxes and labels", _kind(target))
        for key in ("boxes", "labels"):
            if not isinstance(target.get(key), Tensor):
                raise _UnexpectedError(key, "a tensor", _kind(target[key]) if key in target else "no such key")
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
        )


class _UnexpectedError(Exception):
    """A field, what was expected of it, and what came."""

    def __init__(self, field: str, expected: str, came: str) -> None:
        super().__init__(f"{field}: expected {expected}, got {came}")


def _check_image(image: object) -> None:
    expected = "a float tensor [3, H, W] with values in 0–1"
    if not isinstance(image, Tensor) or not image.is_floating_point() or image.ndim != 3 or image.shape[0] != 3:  # noqa: PLR2004
        raise _UnexpectedError("image", expected, _kind(image))
    if not image.numel():
        raise _UnexpectedError("image", expected, f"no pixels: {_kind(image)}")
    low, high = float(image.min()), float(image.max())
    if not (low >= 0.0 and high <= 1.0):  # also NaN
        raise _UnexpectedError(
            "image", expected, f"values from {low:g} to {high:g}; divide 0–255 by 255, do not normalise"
        )


def _float32_boxes(boxes: Tensor) -> Tensor:
    """Boxes as training sees them: two edges that differ in float64 alone are one edge there."""
    expected = "a float tensor [N, 4], xyxy in pixels"
    if isinstance(boxes, tv_tensors.BoundingBoxes):
        if boxes.format is not tv_tensors.BoundingBoxFormat.XYXY:
            raise _UnexpectedError("boxes", expected, f"tv_tensors.BoundingBoxes in format {boxes.format.value}")
        boxes = boxes.as_subclass(Tensor)
    if not boxes.is_floating_point() or boxes.ndim != 2 or boxes.shape[1] != 4:  # noqa: PLR2004
        hint = "; for an image without boxes return torch.zeros((0, 4))" if not boxes.numel() else ""
        raise _UnexpectedError("boxes", expected, f"{_kind(boxes)}{hint}")
    return boxes.detach().to(torch.float32)


def _check_boxes(boxes: Tensor, *, height: int, width: int) -> None:
    for row, (left, top, right, bottom) in enumerate(boxes.tolist()):
        field, came = f"boxes[{row}]", f"[{left:g}, {top:g}, {right:g}, {bottom:g}]"
        if not (left < right and top < bottom):  # also NaN
            raise _UnexpectedError(field, "x1 < x2 and y1 < y2, finite", came)
        if left < 0 or top < 0 or right > width or bottom > height:
            raise _UnexpectedError(field, f"a box inside the image of {width} × {height} pixels", came)


def _check_labels(labels: Tensor, count: int, class_names: tuple[str, ...]) -> None:
    if labels.dtype != torch.int64 or labels.shape != (count,):
        raise _UnexpectedError("labels", f"an int64 tensor [{count}], one for each box", _kind(labels))
    for row, label in enumerate(labels.tolist()):
        if not 1 <= label <= len(class_names):
            background = " (0 is the background; the first class is 1)" if label == 0 else ""
            raise _UnexpectedError(
                f"labels[{row}]", f"1 to {len(class_names)}, for {', '.join(class_names)}", f"{label}{background}"
            )


def _column(target: dict[str, Any], key: str, default: Tensor) -> Tensor:
    """An optional column of COCO's: as long as the boxes."""
    value = target.get(key, default)
    if not isinstance(value, Tensor) or value.shape != default.shape:
        raise _UnexpectedError(key, f"a tensor [{len(default)}], one for each box", _kind(value))
    return value


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return f"a tensor {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return f"{type(value).__name__} {value!r:.60}"


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _import(path: str, folder: Path, where: str) -> Any:
    """The class that `module:Class` or `file.py:Class` names; modules lie in the suite's folder, or are installed.

    Raises:
        DataError: it cannot be imported.
    """
    try:
        return user_code.load_attribute(path, folder)
    except ImportError as error:
        raise DataError(f"{where}: {error}") from error
