"""Results folders in each of which something stands against calling a row the one to ship."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from tests.report.made import agreeing, drawn_detections, drawn_labels, make_detected, write
from tests.store.make import make_folder, make_outcome, make_record, make_trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from harness.store.arrays import StoredDetections
    from harness.store.paths import SuiteFolder
    from harness.suite.trial import Trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
TRUTH = drawn_labels(np.random.default_rng(0), images=40, crowds=0.0)


def drawn(stream: int, hits: float) -> StoredDetections:
    """Draw what a detector finds in `TRUTH`: nearly everything with 0.9 hits, little with 0.2."""
    return drawn_detections(np.random.default_rng((stream, 1)), TRUTH, hits=hits, shift=1.0, each=8)


GOOD, AS_GOOD, POOR = drawn(1, 0.9), drawn(2, 0.9), drawn(3, 0.2)


@dataclass(frozen=True)
class Doubtful:
    """A folder whose results leave a doubt.

    Attributes:
        make: writes it.
        page: what the first lines under a dataset's heading say of it, of each of its tables.
        advice: what `harness recommend` says of it.
        tables: how many tables of rows there are.
    """

    make: Callable[[Path], SuiteFolder]
    page: str
    advice: str
    tables: int = 1


def _one_seed_of_three(root: Path) -> SuiteFolder:
    failed = tuple((make_trial(FASTER, seed=seed), make_outcome()) for seed in (1, 2))
    return make_detected(
        root, TRUTH, [(make_record(make_trial(FASTER)), GOOD), (make_record(make_trial(MOBILE)), POOR)], failed=failed
    )


def _one_row_of_two(root: Path, **missing: Any) -> SuiteFolder:
    return make_detected(root, TRUTH, [(make_record(make_trial(FASTER)), GOOD)], **missing)


def _learnt_nothing(root: Path) -> SuiteFolder:
    nothing = drawn_detections(np.random.default_rng(4), TRUTH, hits=0.0, each=4)
    slow, fast = make_record(make_trial(FASTER), latency_s=0.04), make_record(make_trial(MOBILE), latency_s=0.01)
    return make_detected(root, TRUTH, [(slow, nothing), (fast, nothing)])


def _without_detections(root: Path) -> SuiteFolder:
    return make_folder(root, [make_record(make_trial(FASTER), map=0.5), make_record(make_trial(MOBILE), map=0.4)])


def _two_machines(root: Path) -> SuiteFolder:
    first, second = make_record(make_trial(FASTER), cpu="A"), make_record(make_trial(MOBILE), cpu="B", latency_s=0.01)
    return make_detected(root, TRUTH, [(first, GOOD), (second, AS_GOOD)])


def _seeds_on_two_machines(root: Path) -> SuiteFolder:
    seeds = [(make_record(make_trial(FASTER, seed=seed), cpu="AB"[seed]), (GOOD, AS_GOOD)[seed]) for seed in (0, 1)]
    return make_detected(root, TRUTH, seeds)


def contradicting(root: Path, by: float = 0.1) -> SuiteFolder:
    """Write a folder whose best row, by its record, has an mAP that its detections do not have."""
    sound = agreeing(make_record(make_trial(MOBILE)), TRUTH, POOR)
    other = agreeing(make_record(make_trial(FASTER)), TRUTH, GOOD)
    assert other.metrics.map is not None
    wrong = dataclasses.replace(other, metrics=dataclasses.replace(other.metrics, map=other.metrics.map + by))
    folder = make_folder(root, [sound, wrong])
    write(folder, sound, TRUTH, POOR)
    write(folder, wrong, TRUTH, GOOD)
    return folder


def apart(**changes: Any) -> Callable[[Path], SuiteFolder]:
    """Write two rows, the second one with another protocol, other data (`fingerprint`) or another `split`."""

    def make(root: Path) -> SuiteFolder:
        split = changes.get("split", "val")
        other = _changed(make_trial(MOBILE), changes)
        second = make_record(other, latency_s=0.01)
        second = dataclasses.replace(second, metrics=dataclasses.replace(second.metrics, split=split))
        return make_detected(root, TRUTH, [(make_record(make_trial(FASTER)), GOOD), (second, AS_GOOD)])

    return make


def _changed(trial: Trial, changes: dict[str, Any]) -> Trial:
    protocol = dataclasses.replace(trial.protocol, **changes.get("protocol", {}))
    fingerprint = changes.get("fingerprint", trial.dataset.fingerprint)
    return dataclasses.replace(
        trial, protocol=protocol, dataset=dataclasses.replace(trial.dataset, fingerprint=fingerprint)
    )


_APART = "other rows of this dataset do not compare with it"
DOUBTFUL = {
    "one seed of three": Doubtful(_one_seed_of_three, "only 1 of its 3 seeds succeeded", "only 1 of its 3 seeds"),
    "a row failed": Doubtful(
        lambda root: _one_row_of_two(root, failed=((make_trial(MOBILE), make_outcome()),)),
        "1 of 2 rows is not measured",
        "1 of 2 rows is not measured",
    ),
    "two rows not run yet": Doubtful(
        lambda root: _one_row_of_two(root, left=(make_trial(MOBILE), make_trial(RETINA))),
        "2 of 3 rows are not measured",
        "2 of 3 rows are not measured",
    ),
    "nothing learnt": Doubtful(
        _learnt_nothing, "**Nothing to ship yet:**", "it finds next to nothing: train longer, or look at the data"
    ),
    "no detections": Doubtful(
        _without_detections,
        "it is not known how certain the accuracy of 2 rows is",
        "it is not known how certain the accuracy of 2 rows is",
    ),
    "two machines": Doubtful(
        _two_machines,
        "the speeds of those not separated in accuracy do not compare",
        "different environment: cpu A / B",
    ),
    "seeds on two machines": Doubtful(
        _seeds_on_two_machines, "its seeds were measured in different environments", "different environment: cpu A / B"
    ),
    "a contradiction": Doubtful(contradicting, "1 of 2 rows is not measured", "they do not belong together"),
    "score thresholds": Doubtful(
        apart(protocol={"score_threshold": 0.3}), _APART, "different protocol: score_threshold 0.001 / 0.3", 2
    ),
    "detections an image": Doubtful(
        apart(protocol={"detections": 300}), _APART, "different protocol: detections 100 / 300", 2
    ),
    "val beside test": Doubtful(apart(split="test"), _APART, "different data: split val / split test", 2),
    "fingerprints": Doubtful(
        apart(fingerprint="e" * 64), _APART, "different data: fingerprint ffffffff / fingerprint eeeeeeee", 2
    ),
}
