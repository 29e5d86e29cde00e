"""The report of a suite of twelve trials stays small enough to mail and to commit."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from harness import api
from harness.analysis.detections import average_precision
from harness.store.record import Epoch
from harness.suite.schema import FilesDataset
from harness.suite.trial import TrialDataset
from tests.report.made import drawn_detections, drawn_labels, of_classes, write
from tests.store.make import make_folder, make_record, make_trial

if TYPE_CHECKING:
    import pytest


def test_the_report_of_twelve_trials_is_at_most_5_mb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With photographs as hard to compress as noise, 80 classes and 26 epochs."""
    monkeypatch.setattr(average_precision, "REPLICATES", 20)  # how many there are changes no size
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
    records = []
    for number in range(1, 13):
        trial = dataclasses.replace(make_trial(h={"lr": number / 1000}), dataset=dataset)
        record = of_classes(make_record(trial, map=0.01 * number, latency_s=0.01 * number), truth)
        measured = dataclasses.replace(record.measurements, epochs=epochs)
        records.append(dataclasses.replace(record, measurements=measured))
    folder = make_folder(tmp_path / "results", records)
    for record in records:
        write(folder, record, truth, drawn_detections(rng, truth, each=100, hits=0.3))
    api.report(folder.path)
    parts = [folder.report, folder.page, *folder.plots.iterdir()]
    assert {path.suffix for path in parts} == {".md", ".html", ".svg", ".jpg"}
    assert sum(path.stat().st_size for path in parts) <= 5_000_000
