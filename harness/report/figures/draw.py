"""Every picture of a dataset's share of the report: which there are, what they show, and where they lie."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis import frame
from harness.analysis.detections.ground_truth import ground_truth_of
from harness.analysis.images import MAX_ANALYSED_ROWS, analysed_rows, most_disputed, worst_images
from harness.report.figures import curves, image_grid, speed_accuracy
from harness.store import files
from harness.store.paths import stored
from harness.store.tables import UnreadableError, read_detections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.images import AnalysedRow
    from harness.store.paths import SuiteFolder
    from harness.store.tables import StoredGroundTruth
from harness.report.figures.drawn import Drawn

_COLUMNS = 6  # architectures side by side
_FEW = 4  # images on a sheet


def draw(folder: SuiteFolder, dataset: DatasetAnalysis, *, max_bytes: int) -> Drawn:
    """Draw all that there is something to show in.

    Args:
        most_bytes: of the sheets of images together.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    made: dict[str, bytes | None] = {
        "speed-accuracy": speed_accuracy.speed_accuracy(dataset.rows, f"{dataset.name}: speed against accuracy"),
        "learning": curves.learning(
            [
                (row["label"], [record.measurements.epochs for record in dataset.records(row)])
                for _, row in frame.leading(dataset.rows, MAX_ANALYSED_ROWS).iterrows()
            ]
        ),
    }
    images: tuple[str, ...] = ()
    known = analysed_rows(dataset, _COLUMNS)
    if known:
        made |= {
            "precision-recall": curves.precision_recall(known),
            "calibration": curves.calibration(known),
            "confusion": curves.confusion(known),
        }
        sheets, images = _sheets(folder, dataset, known, max_bytes)
        made |= sheets
    paths = {kind: _write(folder, f"{kind}-{dataset.name}", drawn) for kind, drawn in made.items() if drawn is not None}
    return Drawn(paths=paths, images=images)


def _write(folder: SuiteFolder, name: str, picture: bytes) -> str:
    suffix = "jpg" if picture.startswith(b"\xff\xd8") else "svg"
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    if safe != name:  # another name may come to the same
        safe += f"-{hashlib.sha256(name.encode('utf-8', 'backslashreplace')).hexdigest()[:8]}"
    path = folder.plots / f"{safe}.{suffix}"
    files.make_folder(folder.plots)
    files.replace(path, picture)
    return str(path.relative_to(folder.path))


def _sheets(
    folder: SuiteFolder, dataset: DatasetAnalysis, known: Sequence[AnalysedRow], max_bytes: int
) -> tuple[dict[str, bytes | None], tuple[str, ...]]:
    """A few fixed images, the worst of each architecture and the most disputed; and the names of all images."""
    trial, record = folder.trial(known[0][1]), dataset.measured[known[0][1]]
    seen = []
    try:
        labels = ground_truth_of(trial, record, {})
        if labels is None:
            return {}, ()
        for row, trial_id, analysis in known:
            found = read_detections(stored(folder.trial(trial_id).detections()).read_bytes(), labels)
            seen.append(image_grid.match_image(row["label"], labels, found, analysis.thresholds))
        read = image_grid.reader(trial, record, labels)
    except (OSError, UnreadableError):
        return {}, ()  # gone since they were examined
    worst = [int(image) for _, _, analysis in known for image in worst_images(analysis, 1)]
    chosen = {
        "images": _fixed(labels),
        "worst": list(dict.fromkeys(worst)),
        "disputed": [image for image, _, _, _ in most_disputed(known, _FEW)],
    }
    share = max_bytes // len(chosen)
    sheets = {
        kind: image_grid.sheet(images, labels, seen, read, max_bytes=share) for kind, images in chosen.items() if images
    }
    return sheets, labels.images


def _fixed(labels: StoredGroundTruth) -> list[int]:
    """A few images with boxes, spread evenly over the split: the same ones in every report on it."""
    boxed = np.flatnonzero(np.diff(labels.offsets))
    places = np.linspace(0, len(boxed) - 1, min(_FEW, len(boxed))).round().astype(int)
    return [int(image) for image in boxed[np.unique(places)]] if len(boxed) else []
