"""Simulated worlds with a known truth: detectors on sets of images of one kind, and suites of equal detectors."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.accuracy import Accuracies, SeedAnalyses
from harness.analysis.detections.analyse import DetectionAnalysis, analyse_detections
from harness.analysis.detections.average_precision import (
    average_precisions,
    every_image_once,
    expected_precisions,
    leave_groups_out,
    mean_average_precision,
)
from harness.analysis.detections.matching import Matches
from harness.store.arrays import StoredDetections, StoredGroundTruth
from tests.report.made import detections, labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BLANK = analyse_detections(labels(*[[(0, (0.0, 0.0, 10.0, 10.0))]] * 2), detections(), min_score=0.05)
_METRICS = 3

World = tuple[StoredGroundTruth, StoredDetections, Matches]


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """How good a simulated detector is.

    Attributes:
        recall: of an ordinary box.
        quality: at how many of the ten IoU thresholds an ordinary true detection is one.
        false: false detections of a common class in an ordinary image.
        gap: how far the scores of true detections are above those of false ones, in standard deviations.
    """

    recall: float
    quality: float
    false: float
    gap: float


DETECTORS = {
    "weak": Detector(recall=0.45, quality=3.0, false=1.5, gap=0.8),
    "middling": Detector(recall=0.7, quality=5.5, false=0.5, gap=1.5),
    "strong": Detector(recall=0.9, quality=8.0, false=0.15, gap=3.0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a set of images is like: how many of them, how many classes and boxes, and whether few classes have most."""

    images: int
    classes: int
    boxes: int
    long_tail: bool = False

    @property
    def rates(self) -> NDArray[np.float64]:
        """The boxes of each class in an ordinary image."""
        weights = 1 / np.arange(1, self.classes + 1) if self.long_tail else np.ones(self.classes)
        rates: NDArray[np.float64] = self.boxes * weights / weights.sum() / self.images
        return rates


SHAPES = {
    "128 x 80": Shape(images=128, classes=80, boxes=200),
    "200 x 20": Shape(images=200, classes=20, boxes=300),
    "60 x 2": Shape(images=60, classes=2, boxes=120),
    "long tail 100 x 10": Shape(images=100, classes=10, boxes=300, long_tail=True),
    "300 x 80, 7 a class": Shape(images=300, classes=80, boxes=560),
    "100 x 20": Shape(images=100, classes=20, boxes=200),
}


def draw_world(rng: np.random.Generator, images: int, rates: NDArray[np.float64], detector: Detector) -> World:
    """Draw images, some more crowded and some harder than others, and what a detector finds in them."""
    crowded = rng.gamma(2, 0.5, (images, 1))
    counts = rng.poisson(rates * crowded)
    hard = rng.normal(0, 0.5, images)
    image_of, classes = (
        np.repeat(places, counts[np.nonzero(counts)]) for places in np.nonzero(counts)
    )  # one row for each box
    odds = np.exp(np.log(detector.recall / (1 - detector.recall)) - hard[image_of])
    found = rng.random(len(image_of)) < odds / (1 + odds)
    quality = np.clip(rng.normal(detector.quality - hard[image_of], 2.5).round(), 1, 10).astype(int)
    scores = rng.normal(detector.gap - 0.5 * hard[image_of], 1)
    common = np.minimum(1, rates / rates.mean())
    false_counts = rng.poisson(detector.false * np.exp(0.5 * hard)[:, None] * common * crowded)
    false_images, false_classes = (
        np.repeat(places, false_counts[np.nonzero(false_counts)]) for places in np.nonzero(false_counts)
    )
    n_false = len(false_images)
    truth = StoredGroundTruth(
        class_names=tuple(f"class {number}" for number in range(len(rates))),
        images=tuple(map(str, range(images))),
        files=(None,) * images,
        offsets=np.concatenate(([0], np.cumsum(counts.sum(axis=1)))).astype(np.int64),
        boxes=np.zeros((len(image_of), 4)),
        classes=classes,
        crowds=np.zeros(len(image_of), dtype=np.bool_),
        areas=np.ones(len(image_of)),
    )
    predictions = StoredDetections(
        images=np.concatenate([image_of[found], false_images]),
        classes=np.concatenate([classes[found], false_classes]),
        scores=np.concatenate([scores[found], rng.normal(0, 1, n_false)]),
        boxes=np.zeros((found.sum() + n_false, 4)),
    )
    bits = np.concatenate([((1 << quality) - 1)[found], np.zeros(n_false, int)]).astype(np.uint16)
    nothing = np.zeros(len(bits), dtype=np.uint16)
    return truth, predictions, Matches(true=bits, ignored=nothing, boxes=np.full(len(bits), -1))


def true_map(shape: Shape, detector: Detector) -> float:
    """Return the mAP of an endless set: of each class alone, on tens of thousands of images."""
    rng = np.random.default_rng(99)
    mean = shape.rates.mean()
    maps = {}
    for rate in np.unique(shape.rates):
        images = int(np.clip(30_000 / rate, 20_000, 400_000))
        alone = dataclasses.replace(detector, false=detector.false * min(1, rate / mean))
        world = draw_world(rng, images, np.array([rate]), alone)
        maps[rate] = mean_average_precision(average_precisions(*world, every_image_once(images)))[0]
    return float(np.mean([maps[rate] for rate in shape.rates]))


def analysis_of(world: World) -> DetectionAnalysis:
    """Return the analysis of a world, as far as errors of accuracy need it."""
    images = len(world[0].images)
    precisions = average_precisions(*world, every_image_once(images))
    value = float(mean_average_precision(precisions)[0])
    inflation = float(np.nanmean(precisions - expected_precisions(*world)))
    replicates = mean_average_precision(average_precisions(*world, leave_groups_out(images)))
    return made_analysis(value, replicates, inflation=inflation)


def made_analysis(
    value: float, replicates: NDArray[np.float64], *, inflation: float = 0.0, on: str = "x"
) -> DetectionAnalysis:
    """Return an analysis with this mAP, and with these mAPs without one group of images at a time."""
    return dataclasses.replace(
        _BLANK,
        values=np.full(_METRICS, value),
        inflations=np.full(_METRICS, inflation),
        replicates=np.tile(replicates, (_METRICS, 1)),
        ground_truth_fingerprint=on,
    )


def made_suite(
    rng: np.random.Generator,
    maps: Sequence[float],
    *,
    seeds: int,
    seed_std: float,
    images: int = 100,
    image_std: float = 0.15,
    noise_std: float = 0.2,
) -> list[SeedAnalyses]:
    """Draw rows whose true mAPs are given, the most accurate by its number first.

    An image's share in an mAP is what is hard for all (which cancels), what is hard for this detector (`image_std`),
    and what this training made of it (`noise_std`); `seed_std` is that of a training as a whole.
    """
    for_all = rng.normal(0, 0.3, images)
    rows = []
    for number, value in enumerate(maps):
        for_one = rng.normal(0, image_std, images)
        shares = (
            value + for_all + for_one + rng.normal(0, seed_std, (seeds, 1)) + rng.normal(0, noise_std, (seeds, images))
        )
        analyses = [made_analysis(one.mean(), (one.sum() - one) / (images - 1)) for one in shares]
        trial_ids = tuple(f"{number}.{seed}" for seed in range(seeds))
        rows.append(SeedAnalyses(trial_ids=trial_ids, analyses=tuple(analyses)))
    return sorted(rows, key=lambda row: -float(np.mean([analysis.map for analysis in row.analyses])))


def p_values(rows: Sequence[SeedAnalyses]) -> tuple[NDArray[np.float64], list[float]]:
    """Return the p-value of each pair of rows, float64 [N, N], and the rows' mAPs."""
    accuracies = Accuracies(rows)
    p = np.ones((len(rows), len(rows)))
    for first in range(len(rows)):
        for second in range(first + 1, len(rows)):
            p[first, second] = p[second, first] = accuracies.difference(first, second).p
    return p, [accuracies.value(number) for number in range(len(rows))]
