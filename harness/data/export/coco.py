"""Write annotations as COCO JSON."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

import msgspec

from harness.data.export.tree import image_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.data.loaded import LoadedSplit


def to_coco(splits: Mapping[str, LoadedSplit], folders: Mapping[str, str]) -> bytes:
    """Encode all splits as one COCO file, with ids from 1 and the name of its `split` on every image.

    Args:
        splits: the images and boxes of each split.
        folders: the image folder of each split, relative to the folder that all file names will be relative to.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    class_names = next(iter(splits.values())).annotations.class_names
    for split, part in splits.items():
        columns = part.annotations
        for row, name in enumerate(image_names(part)):
            width, height = columns.sizes[row].tolist()
            images.append(
                {
                    "id": len(images) + 1,
                    "file_name": posixpath.normpath(posixpath.join(folders[split], name)),
                    "width": width,
                    "height": height,
                    "split": split,
                }
            )
            box_rows = columns.rows(row)
            for (left, top, right, bottom), label, crowd, area in zip(
                columns.boxes[box_rows].tolist(),
                columns.labels[box_rows].tolist(),
                columns.crowds[box_rows].tolist(),
                columns.areas[box_rows].tolist(),
                strict=True,
            ):
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": len(images),
                        "category_id": label + 1,
                        "bbox": [left, top, right - left, bottom - top],
                        "area": area,
                        "iscrowd": int(crowd),
                    }
                )
    categories = [{"id": number, "name": name} for number, name in enumerate(class_names, start=1)]
    return msgspec.json.encode({"images": images, "annotations": annotations, "categories": categories})
