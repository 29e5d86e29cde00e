"""What `predict` and `export` hand to the process that imports torch, and what it hands back: JSON texts, never kept.

Owns the fields alone. What they are read into is part of the Python API.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from harness.store.record import Record  # noqa: TC001 - pydantic reads the annotations

ExportFormat = Literal["onnx", "torchscript", "openvino", "state_dict"]
Box = tuple[float, float, float, float]  # xyxy, pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuned:
    """A file of fine-tuned weights, and what is known of it.

    Attributes:
        weights: the file.
        record: of the trial that made them; None for weights of no trial.
        import_folder: where the modules of an architecture or a Dataset of the user's own are looked for.
        architecture: the import path of an architecture of the user's own, for weights of no trial.
    """

    weights: str
    record: Record | None
    import_folder: str
    architecture: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """From which score on a detection counts, by class, and where these scores come from, in words."""

    by_class: Mapping[str, float]
    default: float
    source: str

    def of(self, class_name: str) -> float:
        """The threshold of a class."""
        return self.by_class.get(class_name, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTask:
    """An image to detect in: its path, what it is called in the results, and where its drawn copy goes, if anywhere."""

    path: str
    file: str
    drawn: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictRequest:
    """Images, and the weights that detect in them."""

    model: FineTuned
    device: str
    threads: int
    thresholds: Thresholds
    detections: int
    images: tuple[ImageTask, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageDetections:
    """What was detected in one image, best first.

    Attributes:
        file: the image's name, relative to the folder that was given.
        width: of the upright image, in pixels.
        height: likewise.
        boxes: xyxy, in pixels of the upright image.
        scores: from 0 to 1.
        labels: class numbers from 1.
        classes: the names of these classes.
    """

    file: str
    width: int
    height: int
    boxes: tuple[Box, ...]
    scores: tuple[float, ...]
    labels: tuple[int, ...]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """An image that was skipped, and why."""

    file: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What came out: the detections of each image that could be read, and the others."""

    architecture: str
    class_names: tuple[str, ...]
    images: tuple[ImageDetections, ...]
    unreadable: tuple[Unreadable, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """What to write where: `folder` is there, and empty."""

    model: FineTuned
    format: ExportFormat
    threads: int
    thresholds: Thresholds
    score_threshold: float
    detections: int
    folder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What was written: the names of the files, the model's own first, and the card as it stands in card.json."""

    files: tuple[str, ...]
    card: Mapping[str, object]


PREDICT_REQUEST = TypeAdapter(PredictRequest)
DETECTED = TypeAdapter(Detected)
EXPORT_REQUEST = TypeAdapter(ExportRequest)
EXPORTED = TypeAdapter(Exported)
