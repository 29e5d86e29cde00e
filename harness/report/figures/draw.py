"""Draw and write every picture of one dataset: which ones there are, what they show, and where they are stored."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import frame
from harness.analysis.detections.ground_truth import ground_truth_of
from harness.analysis.images import MAX_ANALYSED_ROWS, analysed_rows, most_disputed, worst_images
from harness.formatting import short_name
from harness.report.figures import curves, image_grid, speed_accuracy
from harness.report.figures.seeds import seed_points
from harness.store import files
from harness.store.paths import stored
from harness.store.tables import UnreadableError, read_detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.images import AnalysedRow
    from harness.store.arrays import StoredGroundTruth
    from harness.store.paths import SuiteFolder
from harness.report.figures.drawn import Drawn

_MAX_COLUMNS = 6  # architectures side by side
_MAX_ROWS = 4  # images on a sheet


def draw(folder: SuiteFolder, dataset: DatasetAnalysis, *, max_bytes: int) -> Drawn:
    """Draw and write every picture that has something to show.

    Args:
        folder: the results folder, which also takes the pictures.
        dataset: the dataset to draw.
        max_bytes: the size of all sheets of images together.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    pictures: dict[str, bytes | None] = {
        "speed-accuracy": speed_accuracy.speed_accuracy(
            dataset.rows, f"{short_name(dataset.title, 60)}: speed against accuracy", seed_points(dataset)
        ),
        "learning": curves.learning(
            [
                (row["label"], [record.measurements.epochs for record in dataset.records(row)])
                for _, row in frame.leading_rows(dataset.rows, MAX_ANALYSED_ROWS).iterrows()
            ]
        ),
    }
    images: tuple[str, ...] = ()
    analysed = analysed_rows(dataset, _MAX_COLUMNS)
    if analysed:
        pictures |= {
            "precision-recall": curves.precision_recall(analysed),
            "calibration": curves.calibration(analysed),
            "confusion": curves.confusion(analysed),
        }
        sheets, images = _sheets(folder, dataset, analysed, max_bytes)
        pictures |= sheets
    paths = {
        kind: _write(folder, f"{kind}-{dataset.title}", picture)
        for kind, picture in pictures.items()
        if picture is not None
    }
    return Drawn(paths=paths, images=images)


def _write(folder: SuiteFolder, name: str, picture: bytes) -> str:
    suffix = "jpg" if picture.startswith(b"\xff\xd8") else "svg"
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    if safe != name:  # another name may give the same safe one
        safe += f"-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"
    path = folder.plots / f"{safe}.{suffix}"
    files.make_derived_folder(folder.plots)
    files.replace(path, picture)
    return str(path.relative_to(folder.path))


def _sheets(
    folder: SuiteFolder, dataset: DatasetAnalysis, analysed: Sequence[AnalysedRow], max_bytes: int
) -> tuple[dict[str, bytes | None], tuple[str, ...]]:
    """Draw a few fixed images, the worst ones and the most disputed ones; return also the names of all images."""
    trial, record = folder.trial(analysed[0].trial_id), dataset.measured[analysed[0].trial_id]
    architectures = []
    try:
        ground_truth = ground_truth_of(trial, record, {})
        if ground_truth is None:
            return {}, ()
        for row, trial_id, analysis in analysed:
            detections = read_detections(stored(folder.trial(trial_id).detections()).read_bytes(), ground_truth)
            architectures.append(image_grid.match_image(row["label"], ground_truth, detections, analysis.thresholds))
        read = image_grid.reader(trial, record, ground_truth)
    except (OSError, UnreadableError):
        return {}, ()  # deleted since they were analysed
    worst = [int(image) for _, _, analysis in analysed for image in worst_images(analysis, 1)]
    images_of = {
        "images": _fixed_images(ground_truth),
        "worst": list(dict.fromkeys(worst)),
        "disputed": [image for image, _, _, _ in most_disputed(analysed, _MAX_ROWS)],
    }
    sheets = {
        kind: image_grid.sheet(images, ground_truth, architectures, read, max_bytes=max_bytes // len(images_of))
        for kind, images in images_of.items()
        if images
    }
    return sheets, ground_truth.images


def _fixed_images(ground_truth: StoredGroundTruth) -> list[int]:
    """Choose a few images with boxes, spread evenly over the split: the same ones in every report on the split."""
    boxed = np.flatnonzero(np.diff(ground_truth.offsets))
    places = np.linspace(0, len(boxed) - 1, min(_MAX_ROWS, len(boxed))).round().astype(int)
    return [int(image) for image in boxed[np.unique(places)]] if len(boxed) else []
