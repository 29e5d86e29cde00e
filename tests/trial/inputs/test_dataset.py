"""What a trial opens holds masks where its architecture trains from them, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from harness.data.load import load
from harness.data.open import fingerprint
from harness.errors import DataError
from harness.suite.schema import FilesDataset, SyntheticDataset, SyntheticImages
from harness.suite.trial import TrialDataset
from harness.trial.inputs.dataset import OpenedDataset, open_dataset


def _opened(source: FilesDataset | SyntheticDataset, *, with_masks: bool) -> OpenedDataset:
    digest = load(source, depth="headers").fingerprint() if isinstance(source, FilesDataset) else fingerprint(source)
    dataset = TrialDataset(name="d", fingerprint=digest, source=source)
    return open_dataset(dataset, max_images=2, import_folder=Path(), with_masks=with_masks)


def test_drawn_items_have_masks_if_asked_for() -> None:
    """One for each box of train and val, of whose images losses are computed; none of test, and none unasked."""
    images = SyntheticImages(images=3)
    source = SyntheticDataset(format="synthetic", train=images, val=images, test=images, size=64)
    splits = _opened(source, with_masks=True).splits
    for name in ("train", "val"):
        item = splits[name][0]
        assert item.masks is not None
        assert item.masks.shape == (len(item.boxes), 64, 64)
    assert splits["test"][0].masks is None
    assert _opened(source, with_masks=False).splits["train"][0].masks is None


def test_masks_of_files_belong_to_their_boxes(tmp_path: Path) -> None:
    """Though images are sorted by name, a crowd has none, and an annotation of an unknown class is left out."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        annotations = []
        for number, name in enumerate(("b.png", "a.png")):
            Image.new("RGB", (50, 40), (number * 90, 40 * len(split), 0)).save(tmp_path / split / name)
            for row, (x, category) in enumerate(((2, 1), (12, 9), (22, 1))):
                corner = x + 3 * number
                polygon = [corner, 5, corner + 8, 5, corner + 8, 15, corner, 15]
                box = {
                    "image_id": number,
                    "bbox": [corner, 5, 8, 10],
                    "category_id": category,
                    "segmentation": [polygon],
                }
                annotations.append(box | {"id": 10 * number + row, "iscrowd": 0})
            crowd = {"image_id": number, "bbox": [0, 20, 50, 20], "category_id": 1, "iscrowd": 1, "id": 100 + number}
            annotations.append(crowd)
        images = [{"id": n, "file_name": name, "width": 50, "height": 40} for n, name in enumerate(("b.png", "a.png"))]
        content = {"images": images, "categories": [{"id": 1, "name": "x"}], "annotations": annotations}
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    source = FilesDataset(format="coco", path=tmp_path, on_bad_data="skip")
    for item in map(_opened(source, with_masks=True).splits["train"].__getitem__, range(2)):
        assert item.masks is not None
        assert len(item.masks) == len(item.boxes) == 3
        for box, mask, crowd in zip(item.boxes.tolist(), item.masks, item.crowds.tolist(), strict=True):
            left, top, right, bottom = map(int, box)
            assert mask.sum() == (0 if crowd else 80)
            assert crowd or mask[top:bottom, left:right].all()


def test_a_training_set_without_masks_is_an_error(tmp_path: Path) -> None:
    """Where the plan was made without looking: the trial says so before it builds anything."""
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        Image.new("RGB", (20, 20), (40 * len(split), 0, 0)).save(tmp_path / split / "a.png")
        (tmp_path / split / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("train: train\nval: val\nnames: [x]\n")
    with pytest.raises(DataError, match="yolo labels are read as boxes, without masks"):
        _opened(FilesDataset(format="yolo", path=tmp_path), with_masks=True)
