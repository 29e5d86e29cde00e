"""Masks cover what outlines enclose, and labels without them are told before a training."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from harness.data.load import load
from harness.data.masks import masks_of_drawing, masks_of_files, polygons_mask, why_no_masks
from harness.data.open import drawing_of
from harness.errors import DataError
from harness.suite.schema import FilesDataset, SyntheticDataset, SyntheticImages

if TYPE_CHECKING:
    from pathlib import Path

    from harness.data.loaded import LoadedDataset

# pycocotools 2.0 and numpy 2: of its own arrays alone.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

WIDTH, HEIGHT = 40, 30
TRIANGLE = [4.0, 3.0, 30.0, 6.0, 12.0, 26.0]


def _coco(folder: Path, segmentations: list[Any], *, ids: list[Any] | None = None, **more: Any) -> LoadedDataset:
    """Load one image a split with a box for each segmentation; None: the annotation has no such key."""
    for split in ("train", "val"):
        (folder / split).mkdir(parents=True)
        Image.new("RGB", (WIDTH, HEIGHT), "grey").save(folder / split / "a.png")
        annotations = [
            {"image_id": 7, "category_id": 1, "bbox": [4, 3, 26, 23], **more}
            | ({} if ids is None else {"id": ids[row]})
            | ({} if segmentation is None else {"segmentation": segmentation})
            for row, segmentation in enumerate(segmentations)
        ]
        content = {
            "images": [{"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
            "categories": [{"id": 1, "name": "thing"}],
            "annotations": annotations,
        }
        (folder / f"{split}.json").write_text(json.dumps(content))
    return load(FilesDataset(format="coco", path=folder), depth="headers")


def _theirs(polygons: list[list[float]]) -> Any:
    return coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, HEIGHT, WIDTH)))


def test_polygons_cover_what_pycocotools_covers() -> None:
    """But for pixels that an edge crosses; a rectangle on whole numbers exactly."""
    rectangle = polygons_mask([[2, 3, 10, 3, 10, 9, 2, 9]], WIDTH, HEIGHT)
    assert rectangle.sum() == 8 * 6
    assert rectangle[3:9, 2:10].all()
    two = [TRIANGLE, [32.0, 20.0, 38.0, 20.0, 38.0, 28.0, 32.0, 28.0]]
    ours, theirs = polygons_mask(two, WIDTH, HEIGHT), _theirs(two)
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.9


def test_each_kind_of_segmentation_is_drawn(tmp_path: Path) -> None:
    """Polygons, run lengths, compressed ones; by the annotation's id, whatever the order and whatever is left out."""
    drawn = _theirs([TRIANGLE])
    compressed = coco_mask.encode(np.asfortranarray(drawn))
    compressed = {"size": compressed["size"], "counts": compressed["counts"].decode()}
    column = drawn.T.ravel()
    changes = np.flatnonzero(np.diff(column)) + 1
    plain = {"size": [HEIGHT, WIDTH], "counts": np.diff([0, *changes, len(column)]).tolist()}
    loaded = _coco(tmp_path, [[TRIANGLE], plain, compressed, TRIANGLE], ids=[9, "x", 3, 2**40])
    assert why_no_masks(loaded) is None
    masks = masks_of_files(loaded, "train")(0)
    assert masks.shape == (4, HEIGHT, WIDTH)
    assert masks.dtype == np.uint8
    assert np.array_equal(masks[1], drawn)
    assert np.array_equal(masks[2], drawn)
    assert np.array_equal(masks[0], masks[3])
    assert (masks[0] & drawn).sum() / (masks[0] | drawn).sum() > 0.9


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        (None, "no segmentation"),
        ([], "no segmentation"),
        ([[1, 2, 3, 4]], "no polygon of three points"),
        ([[1, 2, "x", 4, 5, 6]], "no polygon of three points"),
    ],
)
def test_labels_without_masks_are_told(segmentation: Any, said: str, tmp_path: Path) -> None:
    """How many, where the first one is, and what to do. A crowd region, in which nothing is trained, needs none."""
    reason = why_no_masks(_coco(tmp_path / "some", [[TRIANGLE], segmentation], ids=[1, 2]))
    assert reason is not None
    assert (
        f"1 of the 2 boxes of train have none, the first: {tmp_path}/some/train.json: image 7, annotation 2" in reason
    )
    assert said in reason
    assert "give COCO labels with a segmentation" in reason
    assert why_no_masks(_coco(tmp_path / "crowd", [segmentation], ids=[1], iscrowd=1)) is None


@pytest.mark.parametrize(
    ("runs", "said"),
    [
        ({"size": [HEIGHT, WIDTH - 1], "counts": [1]}, r"of size \[30, 39\], expected \[30, 40\]"),
        ({"size": [HEIGHT, WIDTH], "counts": [1]}, "of 1 pixels in an image of 40 × 30"),
        ({"size": [HEIGHT, WIDTH], "counts": [-1, 1201]}, "no whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": "é"}, "characters that none has"),
        ({"size": [HEIGHT, WIDTH], "counts": "P"}, "cut off"),
    ],
)
def test_run_lengths_that_fit_no_image_are_an_error(runs: dict[str, Any], said: str, tmp_path: Path) -> None:
    """With the file and the annotation."""
    loaded = _coco(tmp_path, [runs], ids=[5])
    with pytest.raises(DataError, match=rf"train\.json: image 7, annotation 5.*{said}"):
        masks_of_files(loaded, "train")(0)


def test_formats_that_are_read_as_boxes_have_none(tmp_path: Path) -> None:
    """LabelMe's polygons become bounds."""
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    shape = {"label": "thing", "shape_type": "polygon", "points": [[4, 3], [30, 6], [12, 26]]}
    content = {"imagePath": "a.png", "imageWidth": WIDTH, "imageHeight": HEIGHT, "shapes": [shape]}
    (tmp_path / "a.json").write_text(json.dumps(content))
    loaded = load(FilesDataset(format="labelme", path=tmp_path), depth="headers")
    assert "labelme labels are read as boxes" in (why_no_masks(loaded) or "")


def test_drawn_objects_have_masks_inside_their_boxes() -> None:
    """One for each box, of about its size; a ring's has a hole."""
    dataset = SyntheticDataset(
        format="synthetic", train=SyntheticImages(images=12), val=SyntheticImages(images=1), size=64, classes=8
    )
    drawing = drawing_of(dataset, "train")
    annotations, masks = drawing.annotations(), masks_of_drawing(drawing)
    seen = 0
    for index in range(12):
        boxes = annotations.boxes[annotations.rows(index)]
        for box, mask in zip(boxes, masks(index), strict=True):
            rows, columns = np.nonzero(mask)
            bounds = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert np.abs(np.array(bounds) - box).max() < 4  # tips are thinner than a pixel
            seen += 1
    assert seen > 10
