"""The report stays small enough to mail and to commit, and readable, whatever the suite and its names."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from harness import api
from harness.analysis.detections import average_precision
from harness.data.stats import SplitStatistics, Spread
from harness.store.record import Data, Epoch
from harness.suite.schema import FilesDataset
from harness.suite.trial import TrialDataset
from tests.report.made import drawn_detections, drawn_labels, make_detected
from tests.store.make import make_record, make_trial

_NAMES = ("x" * 3000, "y" * 3000, "disc")
_SPREAD = Spread(min=1, median=1, max=1)


@pytest.mark.slow
def test_the_report_of_twelve_trials_is_at_most_5_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With photographs as hard to compress as noise, 80 classes and 26 epochs."""
    monkeypatch.setattr(average_precision, "MAX_GROUPS", 20)  # how many there are changes no size
    rng = np.random.default_rng(0)
    truth = drawn_labels(rng, images=80, classes=80, max_boxes=8)
    paths = []
    for number in range(80):
        pixels = rng.integers(0, 255, (240, 320, 3), dtype=np.uint8)
        paths.append(str(tmp_path / f"{number}.jpg"))
        Image.fromarray(pixels).resize((1280, 960)).save(paths[-1], quality=90)
    truth = dataclasses.replace(truth, files=tuple(paths))
    dataset = TrialDataset(name="d", fingerprint="f" * 64, source=FilesDataset(format="coco", path=tmp_path))
    epochs = tuple(
        Epoch(epoch=k, lr=0.1, loss=1 / k, loss_parts={}, wall_s=1.0, val_map=k / 100, val_map_50=None)
        for k in range(1, 27)
    )
    drawn = [drawn_detections(rng, truth, each=100, hits=0.3) for _ in range(3)]
    rows = []
    for number in range(1, 13):
        trial = dataclasses.replace(make_trial(h={"lr": number / 1000}), dataset=dataset)
        record = make_record(trial, latency_s=0.01 * number)
        measured = dataclasses.replace(record.measurements, epochs=epochs)
        rows.append((dataclasses.replace(record, measurements=measured), drawn[number % 3]))
    folder = make_detected(tmp_path / "results", truth, rows)
    api.report(folder.path)
    parts = [folder.report, folder.page, *folder.plots.iterdir()]
    assert {path.suffix for path in parts} == {".md", ".html", ".svg", ".jpg"}
    assert sum(path.stat().st_size for path in parts) <= 5_000_000


@pytest.mark.parametrize("name", ["plots", "cache", "report.md", "report.html"])
def test_no_link_is_followed_out_of_the_folder(name: str, tmp_path: Path) -> None:
    """Whatever the report writes lies in the results folder; what a link of that name leads to stays as it was."""
    truth = drawn_labels(np.random.default_rng(0), images=2, max_boxes=3)
    folder = make_detected(
        tmp_path / "results", truth, [(make_record(make_trial()), drawn_detections(np.random.default_rng(1), truth))]
    )
    outside = tmp_path / "outside"
    if "." in name:
        outside.write_text("mine")
    else:
        outside.mkdir()
    (folder.path / name).symlink_to(outside)
    api.report(folder.path)
    assert outside.read_text() == "mine" if outside.is_file() else not list(outside.iterdir())
    assert not (folder.path / name).is_symlink()
    assert (folder.path / name).exists()
    assert list(folder.plots.iterdir())


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
    record = dataclasses.replace(make_record(make_trial()), data=Data(splits={"val": split}, skipped={}))
    folder = make_detected(tmp_path, truth, [(record, drawn_detections(np.random.default_rng(1), truth))])
    api.report(folder.path)
    assert any("x" in text for text in drawn)
    assert not any(letter * 61 in text for letter in "xy" for text in drawn)
    for path in (folder.report, folder.page, *folder.plots.glob("*.svg")):
        text = path.read_text()
        assert not any(letter * 61 in text for letter in "xy"), path.name
    for heading in ("Accuracy by size", "What goes wrong", "Score thresholds", "### Data"):
        assert f"{'x' * 39}…{'x' * 20}" in folder.report.read_text().split(heading)[1].split("###")[0], heading
