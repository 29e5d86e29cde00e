"""Write fine-tuned weights in a format of another program, checked: python -m harness.trial.export FOLDER.

The written file is run again, from the disk, and compared with the weights on images. Only then does its card say what
it is.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness import printing
from harness.data.open import open_splits
from harness.errors import DataError, HarnessError, TrialError, UnsupportedVariant
from harness.store.shipping import EXPORT_REQUEST, EXPORTED, Exported
from harness.suite.schema import Protocol, SyntheticDataset, SyntheticImages
from harness.trial import environment
from harness.trial.answer import answer, load
from harness.trial.card import Check, card
from harness.trial.deploy.agreement import MAX_SCORE_DIFFERENCE, MIN_AGREEMENT, agreement, detect_each
from harness.trial.deploy.base import first_line
from harness.trial.deploy.formats import FORMATS, Source
from harness.trial.evaluate.detect import Detections
from harness.trial.inputs.dataset import open_dataset
from harness.trial.measure.protocol import images_to_time

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

    from harness.store.shipping import ExportRequest, FineTuned
    from harness.trial.deploy.formats import Run

_IMAGES = 8  # that a file is checked on
_DRAWN_SIDE = 256  # pixels
_ENOUGH = 20  # detections; where fewer reach the threshold, a file with the threshold of accuracy is compared as well


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckImages:
    """Images to check a file on, float32 [3, H, W], and what they are in words."""

    images: tuple[Tensor, ...]
    what: str


def export(request: ExportRequest) -> Exported:
    """Write the weights in the request's format to its folder.

    Raises:
        TrialError: the weights cannot be used; the detector cannot be written in this format, or what was written
            detects something else.
    """
    record = request.model.record
    protocol = Protocol() if record is None else record.trial.protocol
    environment.prepare(torch.device("cpu"), protocol, threads=request.threads, seed=0)
    row, detector, class_names = load(request.model)
    checked_on = images_to_check_on(request.model)
    source = Source(
        weights=Path(request.model.weights),
        row=row,
        detector=detector,
        image=checked_on.images[0],
        score_threshold=request.score_threshold,
        detections=request.detections,
    )
    folder = Path(request.folder)
    files = write(source, request, folder)
    fraction, compared = compare(source, request, folder / files[0], checked_on.images)
    if compared < _ENOUGH and FORMATS[request.format].threshold_inside:
        low = replace(source, score_threshold=min(source.score_threshold, protocol.score_threshold))
        apart = folder / "low"
        apart.mkdir()
        more, compared_low = compare(low, request, apart / write(low, request, apart)[0], checked_on.images)
        fraction, compared = min(fraction, more), compared + compared_low
    check = Check(images=len(checked_on.images), what=checked_on.what, agreement=fraction, detections=compared)
    return Exported(files=files, card=card(request, row, class_names, [folder / name for name in files], check))


def write(source: Source, request: ExportRequest, folder: Path) -> tuple[str, ...]:
    """Write the files of the format; returns their names, the one that a program opens first.

    Raises:
        UnsupportedVariant: the detector cannot be written in this format.
    """
    source.detector.set_postprocessing(score_threshold=source.score_threshold, detections=source.detections)
    try:
        contents: Mapping[str, bytes] = FORMATS[request.format].contents(source)
    except HarnessError:
        raise
    except Exception as error:
        raise UnsupportedVariant(
            f"{source.row.name} cannot be written as {request.format}: {type(error).__name__}: {first_line(error)}"
        ) from error
    for suffix, content in contents.items():
        (folder / f"model{suffix}").write_bytes(content)
    return tuple(f"model{suffix}" for suffix in contents)


def compare(source: Source, request: ExportRequest, path: Path, images: Sequence[Tensor]) -> tuple[float, int]:
    """Compare what the written file and the weights detect: the fraction that agrees, and of how many detections.

    Raises:
        TrialError: they detect something else.
    """
    weights = detect_each(source.deployed(source.detector), images)
    try:
        run = FORMATS[request.format].opened(path, source)
        found = tuple(_detections(run, image) for image in images)
    except HarnessError:
        raise
    except Exception as error:
        raise UnsupportedVariant(
            f"{source.row.name} as {request.format} cannot be run: {type(error).__name__}: {first_line(error)}"
        ) from error
    fraction = agreement(weights, found, max_score_difference=MAX_SCORE_DIFFERENCE)
    if fraction < MIN_AGREEMENT:
        raise TrialError(
            f"{source.row.name} as {request.format} detects something else than the weights: of the best detections in "
            f"{len(images)} images {fraction:.0%} are the same, and {MIN_AGREEMENT:.0%} must be (class, IoU 0.9, score "
            f"within {MAX_SCORE_DIFFERENCE:g}); no file was written"
        )
    return fraction, sum(len(one.scores) for one in weights)


def images_to_check_on(model: FineTuned) -> CheckImages:
    """Images of the trial's evaluated split, of different shapes where there are; drawn ones where the data is gone.

    One of them is taken once more on its side: a trace must not have kept the size that it was made with.
    """
    images, what = _evaluated(model)
    shapes: dict[tuple[int, ...], Tensor] = {}
    for image in images:
        shapes.setdefault(tuple(image.shape), image)
    others = [image for image in images if not any(image is one for one in shapes.values())]
    chosen = [*shapes.values(), *others][: _IMAGES - 1]
    turned = chosen[0].transpose(1, 2).contiguous()
    if turned.shape == chosen[0].shape:  # a square
        turned = chosen[0][:, : max(1, 3 * chosen[0].shape[1] // 4)].contiguous()
    return CheckImages(images=(*chosen, turned), what=what)


def _evaluated(model: FineTuned) -> tuple[list[Tensor], str]:
    if model.record is None:
        return _drawn(), "drawn images, for the weights belong to no trial"
    trial, split = model.record.trial, model.record.metrics.split
    try:
        data = open_dataset(trial.dataset, max_images=trial.max_images, import_folder=Path(model.import_folder))
        return images_to_time(data.splits[split], 4 * _IMAGES), f"images of {trial.dataset.name}, split {split}"
    except (DataError, OSError, KeyError) as error:
        return _drawn(), f"drawn images, for those of {trial.dataset.name} cannot be read: {first_line(error)}"


def _drawn() -> list[Tensor]:
    some = SyntheticImages(images=_IMAGES)
    dataset = SyntheticDataset(format="synthetic", train=some, val=some, size=_DRAWN_SIDE)
    split = open_splits(dataset)[0]["val"]
    pixels = (torch.from_numpy(split.read_image(index).transpose(2, 0, 1).copy()) for index in range(_IMAGES))
    return [image.float() / 255 for image in pixels]


def _detections(run: Run, image: Tensor) -> Detections:
    boxes, scores, labels = run(image)
    return Detections(boxes=boxes.float(), scores=scores.float(), labels=labels)


if __name__ == "__main__":
    printing.protect()
    sys.exit(answer(Path(sys.argv[1]), EXPORT_REQUEST, EXPORTED, export))
