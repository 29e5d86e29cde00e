"""Sheets show labelled boxes and detections, fit the size they may have, and do without unreadable images."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image, ImageDraw

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
    """Count the pixels of about this colour."""
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    return int((np.abs(pixels - colour).max(axis=2) < 60).sum())


def test_right_wrong_missed_and_labelled_have_their_colours() -> None:
    """Each colour occurs only where there is such a box."""
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
    """A detection below its class's best threshold is not drawn, and its object is missed."""
    truth = labels([(DISC, BOX)])
    architecture = image_grid.match_image("x", truth, detections((0, DISC, 0.4, BOX)), np.array([0.5, np.nan]))
    assert len(architecture.detections) == 0
    assert not architecture.matched.any()


def test_a_sheet_is_made_smaller_until_it_fits() -> None:
    """Photographs of noise compress badly; the sheet still has all its images."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 255, (480, 640, 3), dtype=np.uint8)
    truth = labels(*([(DISC, BOX)] for _ in range(6)))
    architecture = [
        image_grid.match_image(str(k), truth, detections((0, DISC, 0.9, BOX)), np.array([0.5, 0.5])) for k in range(6)
    ]
    data = image_grid.sheet(range(6), truth, architecture, lambda _index: noise, max_bytes=300_000)
    assert data is not None
    assert len(data) <= 300_000


def test_an_image_that_cannot_be_read_is_left_out() -> None:
    """The others are shown; without any readable image there is no sheet."""
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
def test_unusual_names_can_be_drawn(name: str) -> None:
    """No name of a file or a class breaks a picture."""
    truth = labels([(DISC, BOX)], classes=(name, "b"))
    architecture = image_grid.match_image(name, truth, detections((0, DISC, 0.9, BOX)), np.array([0.5, 0.5]))
    assert image_grid.sheet([0], truth, [architecture], _grey, max_bytes=10**6)


def test_names_never_hide_a_crowded_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers stand for the classes, which the first line names; what is right has only its colour."""
    texts: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda _pen, _place, text, *_, **__: texts.append(text))
    cells = [(float(x), float(y), x + 18.0, y + 18.0) for x in range(0, 100, 25) for y in range(0, 100, 25)]
    truth = labels([(DISC, box) for box in cells[:15]] + [(1, cells[15])], classes=("disc", "square"))
    found = [*((0, DISC, 0.9, box) for box in cells[:14]), (0, 1, 0.8, cells[14])]
    architecture = image_grid.match_image("a", truth, detections(*found), np.array([0.5, 0.5]))
    image_grid.sheet([0], truth, [architecture], _grey, max_bytes=10**6)
    assert texts == ["1 disc, 2 square", "labelled", "a", "0.png", *["1"] * 15, "2", "2"]
    texts.clear()
    few = labels([(DISC, BOX), (1, OTHER)])
    image_grid.sheet([0], few, [], _grey, max_bytes=10**6)
    assert texts == ["labelled", "0.png", "disc", "square"]
