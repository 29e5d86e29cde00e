"""Augmentation keeps boxes on their objects, leaves nothing degenerate, and draws nothing that is not asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torchvision.transforms import v2

from harness.suite.schema import Augmentation
from harness.trial.inputs.augment import augment
from tests.trial.inputs.marked import marked

EVERYTHING = Augmentation(hflip=0.5, vflip=0.5, photometric=0.5, random_crop=0.7, scale_jitter=(0.5, 2.0))


@pytest.mark.parametrize("jitter", [None, (0.5, 2.0)])
def test_boxes_stay_on_their_objects(jitter: tuple[float, float] | None) -> None:
    """After mirroring and zooming the white object lies in its box, the image keeps its size, crowds are left out."""
    seen = 0
    for seed in range(20):
        torch.manual_seed(seed)
        image, target = augment(marked(), Augmentation(hflip=0.5, scale_jitter=jitter))
        assert image.shape == (3, 60, 80)
        assert len(target["boxes"]) == len(target["labels"]) <= 1
        for left, top, right, bottom in target["boxes"].tolist():
            seen += 1
            white = (image[0] > 0.9).nonzero()
            assert white[:, 1].min() >= left - 1.5
            assert white[:, 1].max() <= right + 1.5
            assert white[:, 0].min() >= top - 1.5
            assert white[:, 0].max() <= bottom + 1.5
    assert seen >= 10


@pytest.mark.parametrize(
    "augmentation",
    [
        Augmentation(hflip=0.0, vflip=0.7),
        Augmentation(hflip=0.5, random_crop=1.0),
        Augmentation(hflip=0.5, vflip=0.5, random_crop=0.5, scale_jitter=(0.5, 2.0)),
    ],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_boxes_follow_each_augmentation(augmentation: Augmentation, dtype: torch.dtype) -> None:
    """The white object fills its box after every flip, crop and zoom; images stay of their type, boxes within them."""
    item = marked()
    if dtype == torch.uint8:
        item = replace(item, image=(item.image * 255).to(torch.uint8))
    sizes, seen = set(), 0
    for seed in range(40):
        torch.manual_seed(seed)
        image, target = augment(item, augmentation)
        assert image.dtype == dtype
        sizes.add(tuple(image.shape))
        assert len(target["boxes"]) == len(target["labels"]) <= 1
        for left, top, right, bottom in target["boxes"].tolist():
            seen += 1
            assert 0 <= left < right <= image.shape[2]
            assert 0 <= top < bottom <= image.shape[1]
            assert min(right - left, bottom - top) >= 1
            white = (image[0] > (0.9 if dtype == torch.float32 else 229)).nonzero()
            assert (left, right) == pytest.approx((int(white[:, 1].min()), int(white[:, 1].max()) + 1), abs=1.5)
            assert (top, bottom) == pytest.approx((int(white[:, 0].min()), int(white[:, 0].max()) + 1), abs=1.5)
    assert seen >= 15
    assert (len(sizes) > 1) == (augmentation.random_crop > 0)


def test_colours_change_and_boxes_do_not() -> None:
    """`photometric` moves no box, keeps the scale from 0 to 1, and differs from draw to draw."""
    item = replace(marked(), image=torch.rand(3, 60, 80))
    images = []
    for seed in range(6):
        torch.manual_seed(seed)
        image, target = augment(item, Augmentation(hflip=0.0, photometric=1.0))
        assert torch.equal(target["boxes"], item.boxes[:1])
        assert image.shape == item.image.shape
        assert 0 <= float(image.min()) < float(image.max()) <= 1
        images.append(image)
    assert not any(torch.equal(a, b) for n, a in enumerate([item.image, *images]) for b in [item.image, *images][:n])


@pytest.mark.parametrize("size", [(1, 1), (3, 200), (200, 3), (4, 4), (6, 2000), (60, 80)])
@pytest.mark.parametrize("boxes", [0, 1])
def test_no_image_is_too_small_to_be_augmented(size: tuple[int, int], boxes: int) -> None:
    """Down to one pixel, with and without a box: no error, no empty image and no degenerate box."""
    height, width = size
    item = replace(
        marked(),
        image=torch.rand(3, height, width),
        boxes=torch.tensor([[0.0, 0.0, float(width), float(height)]])[:boxes],
        labels=torch.ones(boxes, dtype=torch.int64),
        crowds=torch.zeros(boxes, dtype=torch.bool),
    )
    for seed in range(10):
        torch.manual_seed(seed)
        image, target = augment(item, replace(EVERYTHING, scale_jitter=None, random_crop=1.0))
        assert min(image.shape) >= 1
        assert (target["boxes"][:, 2:] > target["boxes"][:, :2]).all()


def test_unset_augmentations_draw_nothing() -> None:
    """A suite that does not ask for them trains on the same images as before there were any."""
    item = replace(marked(), image=torch.rand(3, 60, 80))
    for seed in range(8):
        torch.manual_seed(seed)
        image, _ = augment(item, Augmentation())
        after = torch.get_rng_state()
        torch.manual_seed(seed)
        expected = v2.RandomHorizontalFlip(0.5)(item.image)
        assert torch.equal(image, expected)
        assert torch.equal(after, torch.get_rng_state())


@pytest.mark.parametrize("dtype", [torch.float32, torch.uint8])
def test_masks_follow_their_objects(dtype: torch.dtype) -> None:
    """After every flip, crop and zoom the mask is where the white object is, and nowhere in what pads the image."""
    item = replace(marked(), masks=torch.zeros(2, 60, 80, dtype=torch.uint8))
    item.masks[0, 20:40, 10:30] = 1  # type: ignore[index]
    if dtype == torch.uint8:
        item = replace(item, image=(item.image * 255).to(torch.uint8))
    augmentation, seen = replace(EVERYTHING, photometric=0.0), 0
    for seed in range(40):
        torch.manual_seed(seed)
        image, target = augment(item, augmentation)
        masks = target["masks"]
        assert masks.dtype == torch.uint8
        assert masks.shape == (len(target["boxes"]), *image.shape[1:])
        for mask in masks:
            white = image[0] > 0.6 * (255 if dtype == torch.uint8 else 1)
            assert (mask.bool() ^ white).sum() <= 4 * white.sum().sqrt() + 8  # a pixel along its edge
            seen += 1
    assert seen >= 10
    torch.manual_seed(0)
    assert set(augment(marked(), EVERYTHING)[1]) == {"boxes", "labels"}
