"""Every picture of a dataset's share of the report: which there are, what they show, and where they lie."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.report import curves, frames, mistakes, pictures, plots
from harness.report.evidence.labels import labels_of
from harness.report.evidence.read import UnreadableError, read_detections
from harness.store import files

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.report.evidence.read import Labels
    from harness.report.part import Part
    from harness.store.files import SuiteFolder

_COLUMNS = 6  # architectures side by side
_FEW = 4  # images on a sheet


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was drawn of a dataset.

    Attributes:
        paths: by kind (speed-accuracy, learning, precision-recall, calibration, confusion, images, worst, disputed),
            relative to the results folder.
        images: the names of all evaluated images; empty where labels or detections are not stored.
    """

    paths: Mapping[str, str]
    images: tuple[str, ...]


def draw(folder: SuiteFolder, part: Part, *, most_bytes: int) -> Drawn:
    """Draw all that there is something to show in.

    Args:
        most_bytes: of the sheets of images together.

    Raises:
        MachineError: the disk is full or failing.
        UsageError: the folder cannot be written.
    """
    made: dict[str, bytes | None] = {
        "speed-accuracy": plots.speed_accuracy(part.rows, f"{part.dataset}: speed against accuracy"),
        "learning": curves.learning(
            [
                (row["label"], [record.measurements.epochs for record in part.records(row)])
                for _, row in frames.leading(part.rows, mistakes.MOST).iterrows()
            ]
        ),
    }
    images: tuple[str, ...] = ()
    known = mistakes.examined(part, _COLUMNS)
    if known:
        made |= {
            "precision-recall": curves.precision_recall(known),
            "calibration": curves.calibration(known),
            "confusion": curves.confusion(known),
        }
        sheets, images = _sheets(folder, part, known, most_bytes)
        made |= sheets
    paths = {kind: _write(folder, f"{kind}-{part.dataset}", drawn) for kind, drawn in made.items() if drawn is not None}
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
    folder: SuiteFolder, part: Part, known: Sequence[mistakes.Examined], most_bytes: int
) -> tuple[dict[str, bytes | None], tuple[str, ...]]:
    """A few fixed images, the worst of each architecture and the most disputed; and the names of all images."""
    trial, record = folder.trial(known[0][1]), part.measured[known[0][1]]
    seen = []
    try:
        labels = labels_of(trial, record, {})
        if labels is None:
            return {}, ()
        for row, trial_id, evidence in known:
            found = read_detections(folder.trial(trial_id).predictions().read_bytes(), labels)
            seen.append(pictures.see(row["label"], labels, found, evidence.thresholds))
        read = pictures.reader(trial, record, labels)
    except (OSError, UnreadableError):
        return {}, ()  # gone since they were examined
    worst = [int(image) for _, _, evidence in known for image in mistakes.worst_images(evidence, 1)]
    chosen = {
        "images": _fixed(labels),
        "worst": list(dict.fromkeys(worst)),
        "disputed": [image for image, _, _, _ in mistakes.most_disputed(known, _FEW)],
    }
    share = most_bytes // len(chosen)
    sheets = {
        kind: pictures.sheet(images, labels, seen, read, most_bytes=share) for kind, images in chosen.items() if images
    }
    return sheets, labels.images


def _fixed(labels: Labels) -> list[int]:
    """A few images with boxes, spread evenly over the split: the same ones in every report on it."""
    boxed = np.flatnonzero(np.diff(labels.offsets))
    places = np.linspace(0, len(boxed) - 1, min(_FEW, len(boxed))).round().astype(int)
    return [int(image) for image in boxed[np.unique(places)]] if len(boxed) else []
