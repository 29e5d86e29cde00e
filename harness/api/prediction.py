"""Detect in images with fine-tuned weights: drawn copies, and the detections as plain numbers."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.api.arguments import check_device, check_number
from harness.api.device import resolve
from harness.api.fine_tuned import choose_thresholds, find_weights, protocol_of, run_apart
from harness.data.image_names import IMAGE_SUFFIXES, is_jpeg
from harness.errors import UsageError
from harness.executors.environment import available_cores
from harness.store import files
from harness.store.shipping import DETECTED, PREDICT_REQUEST, Detected, FineTuned, ImageTask, PredictRequest, Thresholds

if TYPE_CHECKING:
    from collections.abc import Iterator

DETECTIONS, COCO = "detections.json", "coco_results.json"
_ALREADY_FITS = {".png"}
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What fine-tuned weights detect in images.

    Attributes:
        model: the weights, and the record of their trial where they have one.
        detected: the detections of each image, and the images that could not be read.
        thresholds: from which score on a detection counts.
        folder: where the drawn copies and the JSON files are; None where nothing was written.
    """

    model: FineTuned
    detected: Detected
    thresholds: Thresholds
    folder: Path | None

    def document(self) -> dict[str, Any]:
        """Everything as plain values: what stands in detections.json."""
        record = self.model.record
        return {
            "weights": self.model.weights,
            "trial_id": None if record is None else record.trial.trial_id,
            "architecture": self.detected.architecture,
            "class_names": list(self.detected.class_names),
            "thresholds": {
                "source": self.thresholds.source,
                "by_class": {name: self.thresholds.of(name) for name in self.detected.class_names},
            },
            **DETECTED.dump_python(self.detected, mode="json", include={"images", "unreadable"}),
        }

    def coco(self) -> list[dict[str, Any]]:
        """The detections as COCO's results format has them: `image_id` counts the images from 1, in their order."""
        return [
            {
                "image_id": number,
                "file_name": image.file,
                "category_id": label,
                "bbox": [left, top, right - left, bottom - top],
                "score": score,
            }
            for number, image in enumerate(self.detected.images, start=1)
            for (left, top, right, bottom), score, label in zip(image.boxes, image.scores, image.labels, strict=True)
        ]


def predict(  # noqa: PLR0913 - what a prediction can be asked for
    target: str | Path,
    images: str | Path,
    *,
    results: str | Path = "results",
    out: str | Path | None = None,
    score_threshold: float | None = None,
    device: str = "auto",
    architecture: str | None = None,
    coco: bool = False,
    overwrite: bool = False,
) -> Prediction:
    """Detect in an image, or in all images of a folder and the folders in it, with fine-tuned weights.

    An image is turned upright as its EXIF entry says, as in training. One that cannot be read, or only in part, is
    skipped, and named in `detected.unreadable`. The detector runs as it was evaluated: image by image, at the precision
    of its training.

    Args:
        target: the id of a trial (its start is enough), or a file of weights.
        images: an image, or a folder.
        results: the folder in which the trial is looked for.
        out: the folder for copies with the detections drawn, and for detections.json; None: nothing is written.
        score_threshold: for all classes; None: that of best F1 of each class, if the trial's detections are there, else
            the protocol's deployment threshold.
        device: auto, cpu, cuda or cuda:N.
        architecture: the import path of an architecture of your own, for a file of weights that belongs to no trial.
        coco: write coco_results.json as well.
        overwrite: replace what is in `out` already.

    Raises:
        UsageError: an argument is wrong, there are no such weights or images, or a file is there already.
        WeightsError: the weights cannot be used.
        MachineError: the device is not there, or the disk is full.
    """
    check_device(device)
    check_number("score_threshold", score_threshold, maximum=1)
    model = find_weights(target, Path(results), architecture)
    folder = None if out is None else Path(out)
    tasks = _tasks(Path(images), folder)
    if folder is not None:
        _refuse_to_overwrite(folder, tasks, coco=coco, overwrite=overwrite)
    thresholds = choose_thresholds(model, score_threshold)
    request = PredictRequest(
        model=model,
        device=resolve(device),
        threads=available_cores(),
        thresholds=thresholds,
        detections=protocol_of(model).detections,
        images=tasks,
    )
    detected = run_apart("harness.trial.predict", request, PREDICT_REQUEST, DETECTED)
    prediction = Prediction(model=model, detected=detected, thresholds=thresholds, folder=folder)
    if folder is not None:
        files.make_folder(folder)  # no drawn copy has made it where no image could be read
        files.write_out(folder / DETECTIONS, _json(prediction.document()))
        if coco:
            files.write_out(folder / COCO, _json(prediction.coco()))
    return prediction


def _tasks(images: Path, out: Path | None) -> tuple[ImageTask, ...]:
    """Each image, by its name relative to the folder that was given, and where its drawn copy goes.

    Raises:
        UsageError: there is none.
    """
    if images.is_dir():
        found = tuple(_below(images, None if out is None else out.resolve()))
        if not found:
            raise UsageError(f"{images}: holds no image")
        named = [(path, path.relative_to(images).as_posix()) for path in found]
    elif images.is_file():
        named = [(images, images.name)]
    else:
        raise UsageError(f"{images}: no such image or folder")
    return tuple(
        ImageTask(path=str(path.resolve()), file=name, drawn=None if out is None else str(out / _copy_name(name)))
        for path, name in named
    )


def _below(folder: Path, left_out: Path | None) -> Iterator[Path]:
    """The images in a folder and in those below it, sorted; not those that an earlier call has drawn."""
    for place, inside, names in os.walk(folder):
        inside[:] = sorted(
            name for name in inside if not name.startswith(".") and Path(place, name).resolve() != left_out
        )
        for name in sorted(names):
            if not name.startswith(".") and os.path.splitext(name)[1].lower() in IMAGE_SUFFIXES:
                yield Path(place, name)


def _copy_name(name: str) -> str:
    """A drawn copy is a JPEG or a PNG: other kinds of images get `.png` behind their own names."""
    suffix = os.path.splitext(name)[1]
    return name if is_jpeg(suffix) or suffix.lower() in _ALREADY_FITS else f"{name}.png"


def _refuse_to_overwrite(folder: Path, tasks: tuple[ImageTask, ...], *, coco: bool, overwrite: bool) -> None:
    """Refuse to write over files; over an image that is read, in any case.

    Raises:
        UsageError: it would.
    """
    sources = {task.path for task in tasks}
    written = [Path(task.drawn) for task in tasks if task.drawn]
    over = [path for path in written if str(path.resolve()) in sources]
    if over:
        raise UsageError(f"{over[0]}: a drawn copy would replace the image itself; give another folder as --out")
    if len(set(written)) < len(written):
        raise UsageError(f"{folder}: two images would have the same drawn copy (a.bmp and a.bmp.png); rename one")
    there = [path for path in (*written, folder / DETECTIONS, *([folder / COCO] if coco else [])) if path.exists()]
    if there and not overwrite:
        more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
        listed = ", ".join(map(str, there[:_SHOWN]))
        raise UsageError(f"{listed}{more}: there already; give another folder as --out, or --overwrite")


def _json(document: object) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n"
