"""Pictures show what is labelled and found, fit their share of the page, and never fail for want of an image."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from harness.errors import DataError
from harness.report.figures import image_grid
from tests.report.made import detections, labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

BOX, OTHER = (10.0, 10.0, 50.0, 50.0), (60.0, 60.0, 90.0, 90.0)
DISC = 0


def _grey(index: int) -> NDArray[np.uint8]:
    return np.full((100, 100, 3), 128, dtype=np.uint8)


def _near(picture: Image.Image, colour: tuple[int, int, int]) -> int:
    """How many pixels have about this colour."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=2) < 60).sum())


def test_right_wrong_missed_and_labelled_have_their_colours() -> None:
    """Each in its own column or box, and none where there is nothing of it."""
    truth = labels([(DISC, BOX), (DISC, OTHER)])
    good = image_grid.match_image(
        "good", truth, detections((0, DISC, 0.9, BOX), (0, DISC, 0.9, OTHER)), np.array([0.5, 0.5])
    )
    poor = image_grid.match_image("poor", truth, detections((0, DISC, 0.9, (10, 60, 40, 90))), np.array([0.5, 0.5]))

    def drawn(*architectures: image_grid.ImageDetections) -> Image.Image:
        data = image_grid.sheet([0], truth, architectures, _grey, max_bytes=10**6)
        assert data is not None
        return Image.open(io.BytesIO(data))

    only_labels, with_good, with_poor = drawn(), drawn(good), drawn(poor)
    assert _near(only_labels, image_grid.LABELLED) > 300
    assert _near(only_labels, image_grid.CORRECT) == 0
    assert _near(with_good, image_grid.CORRECT) > 300
    assert _near(with_good, image_grid.WRONG) == _near(with_good, image_grid.MISSED) == 0
    assert min(_near(with_poor, image_grid.WRONG), _near(with_poor, image_grid.MISSED)) > 300
    assert _near(with_poor, image_grid.CORRECT) == 0


def test_only_what_a_deployment_shows_is_drawn() -> None:
    """Below its class' best threshold a detection is not there, and its object is missed."""
    truth = labels([(DISC, BOX)])
    seen = image_grid.match_image("x", truth, detections((0, DISC, 0.4, BOX)), np.array([0.5, np.nan]))
    assert len(seen.detections) == 0
    assert not seen.matched.any()


def test_a_sheet_is_made_smaller_until_it_fits() -> None:
    """Photographs of noise compress badly; the sheet keeps all its images all the same."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)
    truth = labels(*([(DISC, BOX)] for _ in range(6)))
    seen = [
        image_grid.match_image(str(k), truth, detections((0, DISC, 0.9, BOX)), np.array([0.5, 0.5])) for k in range(6)
    ]
    data = image_grid.sheet(range(6), truth, seen, lambda _index: noise, max_bytes=300_000)
    assert data is not None
    assert len(data) <= 300_000


def test_an_image_that_cannot_be_read_is_left_out() -> None:
    """The others are shown; without any there is no sheet."""
    truth = labels([(DISC, BOX)], [(DISC, BOX)])

    def read(index: int) -> NDArray[np.uint8]:
        if index == 0:
            raise DataError("gone")
        return _grey(index)

    both = image_grid.sheet([0, 1], truth, [], read, max_bytes=10**6)
    one = image_grid.sheet([1], truth, [], read, max_bytes=10**6)
    assert both == one
    assert image_grid.sheet([0], truth, [], read, max_bytes=10**6) is None


@pytest.mark.parametrize("name", ["a\nb", "\u202eevil", "💥", "x" * 500, ""])
def test_odd_names_are_drawn_somehow(name: str) -> None:
    """No name of a file or a class breaks a picture."""
    truth = labels([(DISC, BOX)], classes=(name, "b"))
    seen = image_grid.match_image(name, truth, detections((0, DISC, 0.9, BOX)), np.array([0.5, 0.5]))
    assert image_grid.sheet([0], truth, [seen], _grey, max_bytes=10**6)
