"""One battery for every architecture of the catalogue: what `harness check-architecture` checks, and three things more.

The rows are taken from the catalogue, so that a new one is checked by being there. Large ones are `slow`, and in the
longest test all but the smallest of each library; everything runs at a reduced size where the architecture takes one.
"""

from __future__ import annotations

import importlib
import math
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from harness.suite.catalog.architecture import Architecture
from harness.suite.catalog.describe import family_name
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.schema import ImageSize
from harness.trial.battery import checks
from harness.trial.battery.reduced import reduced_options, reduced_size
from harness.trial.battery.subject import Subject
from harness.trial.evaluate.coco import accuracy
from harness.trial.evaluate.detect import Detections, GroundTruth
from harness.trial.models.base import Detector
from harness.trial.models.registry import family_of

CLASSES = 3
QUICK = 25_000_000  # parameters of a row that the default tests run
COCO_CLASSES = (80, 90, 91)  # as libraries count them: those with labels, the ids, the ids with a background


def _rows(largest: float, *, of_each_library: bool = False) -> list[Any]:
    """Every row; those with more parameters are slow, and on demand all but the smallest of each library."""
    smallest: dict[str, Architecture] = {}
    for row in sorted(BUILT_IN.values(), key=lambda row: row.parameters):
        smallest.setdefault(family_name(row).partition("_")[0], row)
    return [
        pytest.param(row, id=name, marks=[] if quick else [pytest.mark.slow])
        for name, row in BUILT_IN.items()
        for quick in [row.parameters <= largest and (not of_each_library or row in smallest.values())]
    ]


@pytest.mark.parametrize("row", _rows(QUICK, of_each_library=True))
def test_a_row_does_what_it_must(row: Architecture, tmp_path: Path) -> None:
    """Everything that is checked, on the CPU, from random weights."""
    subject = Subject(
        row=row,
        classes=CLASSES,
        image_size=reduced_size(row, 64),
        weights="none",
        options=reduced_options(row),
        device=torch.device("cpu"),
        precision="fp32",
        folder=tmp_path,
    )
    results = {result.name: result for result in checks.run(subject, exports=False)}
    failed = {name: result.detail for name, result in results.items() if result.outcome in {"failed", "not run"}}
    assert not failed
    unsupported = {name for name, result in results.items() if result.outcome == "not supported"}
    assert unsupported == ({"a batch of one image"} if row.min_batch > 1 else set()), results


@pytest.mark.parametrize("row", _rows(math.inf))
def test_the_parameters_are_those_of_the_published_weights(row: Architecture) -> None:
    """Counted without memory for them, for as many classes as the library counts in COCO.

    Without those of the norms, or of the backbone's, where the published weights keep these as constants.
    """
    counts: dict[int, set[int]] = {}
    for classes in COCO_CLASSES:
        detector = _counted(row, classes)
        everything = _count(detector.module)
        kept = (_of_norms(detector.module), sum(map(_of_norms, detector.backbone_stages())))
        counts[classes] = {everything, *(everything - norms for norms in kept)}
        if row.parameters in counts[classes]:
            return
    raise AssertionError(f"{row.name} has {row.parameters:,} parameters in the catalogue, and by classes: {counts}")


def _counted(row: Architecture, classes: int) -> Detector:
    """A detector whose parameters can be counted, without memory for them where it can be built so."""

    def build() -> Detector:
        size = ImageSize(min=row.image_size[0], max=row.image_size[1])
        return family_of(row).build(row, weights="none", classes=classes, image_size=size, options={})[0]

    try:
        with torch.device("meta"):
            return build()
    except (NotImplementedError, RuntimeError):  # it computes while it is built
        return build()


def _count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _of_norms(module: nn.Module) -> int:
    return sum(_count(norm) for norm in module.modules() if isinstance(norm, nn.BatchNorm2d))


def _perfect(row: Architecture) -> Any:
    """The function of a family's tests that makes raw outputs of targets."""
    return importlib.import_module(f"tests{row.family.removeprefix('harness').removesuffix('.family')}.perfect").perfect


def _truth() -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Two images of other shapes; objects far apart, of each class."""
    images = [torch.rand(3, *shape, generator=torch.Generator().manual_seed(0)) for shape in ((96, 128), (110, 80))]
    boxes = [
        [[4.0, 6.0, 44.0, 42.0], [60.0, 50.0, 120.0, 90.0], [70.0, 5.0, 100.0, 35.0]],
        [[10.0, 20.0, 60.0, 100.0]],
    ]
    labels = [[1, 3, 2], [3]]
    return images, [
        {"boxes": torch.tensor(b), "labels": torch.tensor(label)} for b, label in zip(boxes, labels, strict=True)
    ]


def _map(detector: Detector, images: list[Tensor], targets: list[dict[str, Tensor]]) -> float:
    """The mAP on the images, each detected alone or all at once."""
    detector.set_postprocessing(score_threshold=0.001, detections=100)
    with torch.inference_mode():
        found = detector.detect(images)
    truths = [
        GroundTruth(
            name=str(number),
            boxes=target["boxes"],
            labels=target["labels"],
            crowds=torch.zeros(len(target["labels"]), dtype=torch.bool),
            areas=(target["boxes"][:, 2:] - target["boxes"][:, :2]).prod(dim=1),
        )
        for number, target in enumerate(targets)
    ]
    detections = [Detections(boxes=f["boxes"], scores=f["scores"], labels=f["labels"]) for f in found]
    names = [str(label) for label in range(1, CLASSES + 1)]
    return accuracy(truths, detections, class_names=names, split="val").map or 0.0


@pytest.mark.parametrize("row", _rows(QUICK, of_each_library=True))
def test_a_perfect_prediction_scores_one(row: Architecture) -> None:
    """Labels and boxes go into the network's own terms and come back as they were."""
    torch.manual_seed(0)
    detector, _ = family_of(row).build(
        row, weights="none", classes=CLASSES, image_size=reduced_size(row, 128), options=reduced_options(row)
    )
    detector.module.eval()
    images, targets = _truth()
    assert _map(detector, images, targets) < 0.5
    prediction: AbstractContextManager[None] = _perfect(row)(detector, images, targets)
    with prediction:
        assert _map(detector, images, targets) == pytest.approx(1.0, abs=1e-6)
