"""The canonical form as COCO JSON, for every other tool."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.data.annotations import Annotations


def to_coco(splits: Mapping[str, Annotations], folders: Mapping[str, str]) -> bytes:
    """All splits in one file, ids from 1; every image says which `split` it belongs to.

    Args:
        folders: put before the file names of each split, so that all are relative to one folder.
    """
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    class_names = next(iter(splits.values())).class_names
    for split, columns in splits.items():
        for row, name in enumerate(columns.file_names):
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
            inside = columns.rows(row)
            for (left, top, right, bottom), label, crowd, area in zip(
                columns.boxes[inside].tolist(),
                columns.labels[inside].tolist(),
                columns.crowds[inside].tolist(),
                columns.areas[inside].tolist(),
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
