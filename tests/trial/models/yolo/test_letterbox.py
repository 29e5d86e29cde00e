"""An image fills its square without distortion, and a box comes back to where it was."""

from __future__ import annotations

import pytest
import torch

from harness.trial.models.yolo.letterbox import PADDING, Placement, letterbox

BOXES = torch.tensor([[0.0, 0.0, 50.0, 30.0], [3.5, 7.25, 41.0, 12.0]])


@pytest.mark.parametrize("placement", ["topleft", "center"])
@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (64, 64), (7, 200)])
def test_boxes_come_back_and_stay_in_the_image(shape: tuple[int, int], placement: Placement) -> None:
    place = letterbox(torch.rand(3, *shape), 64, placement)
    boxes = torch.tensor([[0.0, 0.0, shape[1], shape[0]], [1.5, 2.0, shape[1] - 0.5, shape[0] - 1.0]])
    assert place.pixels.shape == (3, 64, 64)
    torch.testing.assert_close(place.back(place.into(boxes)), boxes, rtol=0, atol=1e-4)
    beyond = place.back(torch.tensor([[-9.0, -9.0, 99.0, 99.0]]))
    assert beyond.tolist() == [[0.0, 0.0, shape[1], shape[0]]]


@pytest.mark.parametrize(("placement", "rows"), [("topleft", slice(0, 32)), ("center", slice(16, 48))])
def test_the_rest_of_the_square_is_grey(placement: Placement, rows: slice) -> None:
    place = letterbox(torch.ones(3, 16, 32), 64, placement)
    assert torch.equal(place.pixels[:, rows], torch.ones(3, 32, 64))
    outside = torch.ones(64, dtype=torch.bool)
    outside[rows] = False
    assert torch.equal(place.pixels[:, outside], torch.full((3, 32, 64), PADDING))


def test_an_image_of_the_size_is_not_touched() -> None:
    image = torch.rand(3, 64, 64)
    assert torch.equal(letterbox(image, 64, "topleft").pixels, image)


def test_it_lies_where_libreyolo_puts_it() -> None:
    """The whole pixels of the resized image, and the margins, are those of the library's own preprocessing."""
    geometry = pytest.importorskip("libreyolo.preprocess.letterbox").letterbox_geometry
    for placement in ("topleft", "center"):
        for height, width in ((427, 640), (333, 500), (640, 481), (100, 37)):
            _, new_height, new_width, left, top = geometry(height, width, 128, 128, placement)
            place = letterbox(torch.zeros(3, height, width), 128, placement)
            assert place.offset.tolist() == [left, top, left, top]
            assert place.factor[:2].tolist() == pytest.approx([new_width / width, new_height / height])
