"""A class name of thousands of characters is shortened wherever it is shown, so that the page stays a page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import ImageDraw

from harness import api
from harness.data.stats import SplitStatistics, Spread
from harness.store.record import Data
from tests.report.made import drawn_detections, drawn_labels, of_classes, write
from tests.store.make import make_folder, make_record, make_trial

if TYPE_CHECKING:
    import pytest

_NAMES = ("x" * 3000, "y" * 3000, "disc")
_SPREAD = Spread(min=1, median=1, max=1)


def test_no_long_name_is_drawn_or_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In every table, every figure and every sheet of images."""
    drawn: list[str] = []
    monkeypatch.setattr(ImageDraw.ImageDraw, "text", lambda _pen, _place, text, *_, **__: drawn.append(text))
    truth = drawn_labels(np.random.default_rng(0), images=2, max_boxes=12, names=_NAMES)
    boxes = dict.fromkeys(_NAMES, 3)
    split = SplitStatistics(
        images=2, images_without_boxes=0, boxes=9, crowds=0, boxes_per_class=boxes, box_sizes={},
        boxes_per_image=_SPREAD, image_width=_SPREAD, image_height=_SPREAD,
    )  # fmt: skip
    record = replace(of_classes(make_record(make_trial()), truth), data=Data(splits={"val": split}, skipped={}))
    folder = make_folder(tmp_path, [record])
    write(folder, record, truth, drawn_detections(np.random.default_rng(1), truth))
    api.report(folder.path)
    assert any("x" in text for text in drawn)
    assert max(map(len, drawn)) < 61
    for path in (folder.report, folder.page, *folder.plots.glob("*.svg")):
        text = path.read_text()
        assert not any(letter * 61 in text for letter in "xy"), path.name
    for heading in ("Accuracy by size", "What goes wrong", "Score thresholds", "### Data"):
        assert f"{'x' * 39}…{'x' * 20}" in folder.report.read_text().split(heading)[1].split("###")[0], heading
