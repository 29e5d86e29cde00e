"""One folder against another: what is paired, what may be compared, what is called a difference, what a check fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis import statistics
from harness.analysis.compare import pairing, verdicts
from harness.analysis.compare.gates import RegressionGate, judge
from harness.analysis.compare.verdicts import Compared
from harness.store import record, tables
from harness.store.arrays import StoredTimings
from harness.store.paths import SuiteFolder
from harness.store.record import AS_TRAINED, MeasurementWarning, Record
from harness.store.results import planned_trials, read_results
from harness.suite.trial import Trial
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


@dataclass(frozen=True)
class Found:
    """As much of `Evidence` as a comparison looks at."""

    map: float
    replicates: np.ndarray[Any, np.dtype[np.float64]]
    labels: str = "l"


def _found(value: float, *, noise: float = 0.01, own: int = 0, labels: str = "l") -> Found:
    """A model with this mAP: the images drawn move all models alike, and this one by `noise` besides."""
    shared = np.random.default_rng(7).normal(0, 0.05, 1000)
    return Found(value, value + shared + np.random.default_rng(own).normal(0, noise, 1000), labels)


def _compared(
    a: SuiteFolder, b: SuiteFolder, analyses: tuple[dict[str, Found], dict[str, Found]] = ({}, {})
) -> tuple[Compared, ...]:
    """Evidence by trial id, of the models as trained."""
    references, candidates = (pairing.rows(planned_trials(read_results(folder))) for folder in (a, b))
    keyed: Any = tuple({(trial, AS_TRAINED): found for trial, found in side.items()} for side in analyses)
    return verdicts.compare(pairing.pair(references, candidates), (a, b), keyed)


def _one(tmp_path: Path, a: Sequence[Record], b: Sequence[Record], **options: Any) -> Compared:
    (found,) = _compared(make_folder(tmp_path / "a", [*a]), make_folder(tmp_path / "b", [*b]), **options)
    return found


def _time(folder: SuiteFolder, trial: Trial, seconds: float, *, drift: float = 0.0) -> None:
    """Three rounds over forty images, as samples.parquet has them."""
    rng = np.random.default_rng(len(str(folder.path)))
    rounds = np.repeat(np.arange(3), 40)
    timings = StoredTimings(
        passes=np.full(120, "latency"),
        repeats=np.zeros(120, dtype=np.int64),
        rounds=rounds,
        images=np.tile(np.arange(40), 3),
        counts=np.ones(120, dtype=np.int64),
        seconds=seconds * (1 + drift * rounds) * rng.lognormal(0, 0.02, 120),
    )
    folder.trial(trial.trial_id).samples.write_bytes(tables.write_timings({AS_TRAINED: timings}))


def _limit(metric: str, change: float, *, relative: bool = False) -> RegressionGate:
    text = f"{metric}:{change:+g}"
    return RegressionGate(
        text=text, metric=metric, direction=1 if change > 0 else -1, max_change=abs(change), relative=relative
    )


def test_rows_of_equal_hyperparameters_are_a_pair(tmp_path: Path) -> None:
    """A sweep against another: what is on both sides is paired, whatever else the labels name; the rest is alone."""
    a = [make_record(make_trial(h={"lr": lr})) for lr in (0.01, 0.02)]
    b = [make_record(make_trial(h={"lr": lr})) for lr in (0.02, 0.04, 0.08)]
    found = _compared(make_folder(tmp_path / "a", a), make_folder(tmp_path / "b", b))
    rates = [tuple(row and row.trial.hyperparameters.lr for row in (one.pair.reference, one.pair.candidate))
             for one in found]  # fmt: skip
    assert sorted(rates, key=str) == [(0.01, None), (0.02, 0.02), (None, 0.04), (None, 0.08)]
    alone = {one.accuracy.reasons for one in found if len(one.pair.rows) == 1}
    assert alone == {("only in A",), ("only in B",)}


def test_one_setting_finds_its_own_among_several(tmp_path: Path) -> None:
    """A has one setting, without a name; B swept: the equal one is its counterpart, named as B names it."""
    b = [make_record(make_trial(h={"lr": lr})) for lr in (0.01, 0.02)]
    found = _compared(make_folder(tmp_path / "a", [make_record(make_trial())]), make_folder(tmp_path / "b", b))
    assert [one.pair.label for one in found] == [f"{RETINA} (lr 0.01)", f"{RETINA} (lr 0.02)"]
    assert [len(one.pair.rows) for one in found] == [2, 1]


def test_what_is_alone_is_paired_and_says_what_differs(tmp_path: Path) -> None:
    """The same architecture at another precision and rate is a pair; that is a remark and no objection."""
    found = _one(tmp_path, [make_record(make_trial())],
                 [make_record(make_trial(h={"lr": 0.02, "precision": "bf16"}))])  # fmt: skip
    assert found.remarks == ("differs in lr 0.01 / 0.02, precision fp32 / bf16",)
    assert (found.accuracy.word, found.speed.word) == ("tie", "tie")


def test_variants_meet_their_own(tmp_path: Path) -> None:
    """A variant is a row of its own; one that only B has is only in B."""
    made = make_record(make_trial(), map=0.4)
    own = {field: getattr(made.measurements, field) for field in record.Inference.__slots__}
    compiled, exported = (
        record.Variant(name=name, metrics=made.metrics, measurements=record.Inference(**own))
        for name in ("compile", "onnxruntime")
    )
    a, b = replace(made, variants=(compiled,)), replace(made, variants=(exported, compiled))
    found = _compared(make_folder(tmp_path / "a", [a]), make_folder(tmp_path / "b", [b]))
    assert {(one.pair.rows[0].variant, len(one.pair.rows)) for one in found} == {
        (AS_TRAINED, 2), ("compile", 2), ("onnxruntime", 1),
    }  # fmt: skip


def test_subsets_stand_aside(tmp_path: Path) -> None:
    """Beside real trials they do not count; where there is nothing else they do not compare."""
    subset, real = make_record(make_trial(max_images=4), map=0.9), make_record(make_trial())
    assert _one(tmp_path / "1", [subset, real], [real]).accuracy.word == "tie"
    found = _one(tmp_path / "2", [real], [subset])
    assert found.accuracy.reasons == ("only a subset of the images in B",)
    assert found.speed.word == "not comparable"


@pytest.mark.parametrize(
    ("changes", "accuracy", "speed"),
    [
        ({}, (), ()),
        ({"torch": "2.16"}, (), ("different environment: torch 2.15 / 2.16",)),
        (
            {"protocol": {"score_threshold": 0.05}},
            ("different protocol: score_threshold 0.001 / 0.05",),
            (),
        ),
        (
            {"protocol": {"deployment_score_threshold": 0.3, "level": "publish"}},
            (),
            (
                "different protocol: level quick / publish",
                "different protocol: deployment_score_threshold 0.05 / 0.3",
            ),
        ),
        ({"protocol": {"throughput_batch_size": 2}}, (), ()),
        ({"fingerprint": "e" * 64}, *((("different data: fingerprint ffffffff / fingerprint eeeeeeee",),) * 2)),
        ({"split": "test"}, *((("different data: split val / split test",),) * 2)),
        ({"images": 3}, *((("different data: 2 images / 3 images",),) * 2)),
    ],
)
def test_only_like_is_compared_with_like(
    tmp_path: Path, changes: dict[str, Any], accuracy: tuple[str, ...], speed: tuple[str, ...]
) -> None:
    """Data for both; of the protocol what each number hangs on; another machine forbids speeds alone."""
    trial = make_trial()
    protocol = replace(trial.protocol, **changes.pop("protocol", {}))
    dataset = replace(trial.dataset, fingerprint=changes.pop("fingerprint", trial.dataset.fingerprint))
    measured = {name: changes.pop(name) for name in ("split", "images") if name in changes}
    other = make_record(replace(trial, protocol=protocol, dataset=dataset), **changes)
    other = replace(other, metrics=replace(other.metrics, **measured))
    found = _one(tmp_path, [make_record(trial)], [other])
    assert found.accuracy.reasons == accuracy
    assert found.speed.reasons == speed
    assert found.accuracy.word == ("not comparable" if accuracy else "tie")


def test_what_failed_is_not_measured(tmp_path: Path) -> None:
    """With the side, the outcome and its reason."""
    b = make_folder(tmp_path / "b", [], failed=((make_trial(), make_outcome("out_of_memory", "8 GiB are full")),))
    (found,) = _compared(make_folder(tmp_path / "a", [make_record(make_trial())]), b)
    assert found.accuracy.reasons == ("not measured in B: out of memory: 8 GiB are full",) == found.speed.reasons


def test_warnings_and_missing_seeds_are_remarks(tmp_path: Path) -> None:
    """A reader learns them beside the verdict."""
    warnings = (MeasurementWarning(name="unstable", reason="rounds lie 9 % apart"),)
    b = make_folder(tmp_path / "b", [make_record(make_trial(), warnings=warnings)],
                    failed=((make_trial(seed=1), make_outcome()),))  # fmt: skip
    (found,) = _compared(make_folder(tmp_path / "a", [make_record(make_trial())]), b)
    assert found.remarks == ("warnings in B: unstable", "B: 1 succeeded, 1 failed")


def _paired(tmp_path: Path, before: Found, after: Found) -> Compared:
    trial = make_trial()
    a, b = make_record(trial, map=before.map), make_record(trial, map=after.map)
    return _one(tmp_path, [a], [b], analyses=({trial.trial_id: before}, {trial.trial_id: after}))


@pytest.mark.parametrize(("after", "word"), [(0.50, "better"), (0.30, "worse"), (0.405, "tie")])
def test_detections_decide_image_by_image(tmp_path: Path, after: float, word: str) -> None:
    """What all models find hard cancels: 0.1 is seen through a spread of images of 0.05 each; half a point is not."""
    found = _paired(tmp_path, _found(0.4, own=1), _found(after, own=2)).accuracy
    assert found.word == word
    assert found.interval is not None
    assert found.interval.value == pytest.approx(after - 0.4)
    assert found.interval.low < after - 0.4 < found.interval.high
    assert found.basis == "a paired bootstrap over images"


def test_the_same_detections_are_a_tie(tmp_path: Path) -> None:
    """A commit against itself."""
    found = _paired(tmp_path, _found(0.4), _found(0.4)).accuracy
    assert (found.word, found.p) == ("tie", 1.0)


def test_other_labels_are_other_data(tmp_path: Path) -> None:
    """Detections judged by other labels than the fingerprint promised are never paired."""
    found = _paired(tmp_path, _found(0.4), _found(0.5, labels="other")).accuracy
    assert found.reasons == ("different data: the stored labels differ",)


def test_many_pairs_raise_the_bar(tmp_path: Path) -> None:
    """Holm: what is a difference alone (p about 0.02) is a tie among ten that were asked."""
    trials = [make_trial(h={"weight_decay": index / 10}) for index in range(10)]
    trials = [replace(trial, trial_id=f"t{index}") for index, trial in enumerate(trials)]
    values = [0.433, *[0.4] * 9]
    after = {trial.trial_id: _found(value, own=2) for trial, value in zip(trials, values, strict=True)}
    before = {trial.trial_id: _found(0.4, own=1) for trial in trials}
    folders = [make_folder(tmp_path / name, [make_record(trial, map=side[trial.trial_id].map) for trial in trials])
               for name, side in (("a", before), ("b", after))]  # fmt: skip
    many = _compared(folders[0], folders[1], (before, after))
    assert {one.accuracy.word for one in many} == {"tie"}
    alone = _paired(tmp_path / "alone", before["t0"], after["t0"])
    assert alone.accuracy.word == "better"


def test_seeds_decide_where_there_are_no_detections(tmp_path: Path) -> None:
    """Two seeds or more on either side: beyond their spread better, within it a tie; said so, with the interval."""

    def several(root: str, *values: float) -> list[Record]:
        return [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate(values)]

    a = several("a", 0.40, 0.41, 0.42)
    better = _one(tmp_path / "1", a, several("b", 0.50, 0.51, 0.52)).accuracy
    assert better.word == "better"
    assert better.basis == "Welch's t-interval over seeds (no stored detections in A and B)"
    tie = _one(tmp_path / "2", a, several("b", 0.38, 0.46)).accuracy
    assert tie.word == "tie"
    single = _one(tmp_path / "3", a, several("b", 0.6)).accuracy
    assert single.reasons == ("no stored detections in A and B, one seed",)


def test_welch_is_as_the_textbook_has_it() -> None:
    """Against numbers worked out by hand: t of 2 degrees of freedom is 4.303, without spread there is no interval."""
    found = statistics.welch((0.50, 0.52, 0.54), (0.40, 0.42, 0.44))
    assert found.value == pytest.approx(0.1)
    reach = 2.776 * (2 * 0.02**2 / 3) ** 0.5  # four degrees of freedom: equal variances
    assert (found.low, found.high) == pytest.approx((0.1 - reach, 0.1 + reach))
    uneven = statistics.welch((0.5, 0.6, 0.7), (0.4, 0.4, 0.4))
    assert uneven.high - uneven.value == pytest.approx(4.303 * 0.1 / 3**0.5)
    flat = statistics.welch((0.5, 0.5), (0.4, 0.4))
    assert flat.low == flat.high == pytest.approx(0.1)


def _timed(tmp_path: Path, before: float, after: float, *, drift: float = 0.0, count: int = 1) -> Compared:
    trials = [make_trial(seed=seed) for seed in range(count)]
    sides = []
    for name, seconds in (("a", before), ("b", after)):
        folder = make_folder(tmp_path / name, [make_record(trial, latency_s=seconds) for trial in trials])
        for trial in trials:
            _time(folder, trial, seconds, drift=drift)
        sides.append(folder)
    (found,) = _compared(sides[0], sides[1])
    return found


@pytest.mark.parametrize(("after", "word"), [(0.016, "better"), (0.026, "worse"), (0.0205, "tie")])
def test_raw_timings_decide_speed(tmp_path: Path, after: float, word: str) -> None:
    """Faster is better; less than two processes on a fit machine may differ by is a tie; seeds count together."""
    for count in (1, 2):
        found = _timed(tmp_path / str(count), 0.02, after, count=count).speed
        assert found.word == word
        assert found.interval is not None
        assert found.interval.value == pytest.approx(after / 0.02, rel=0.02)


def test_drift_of_rounds_is_not_averaged_away(tmp_path: Path) -> None:
    """Rounds of two seeds stay apart: 15 % slower is a tie where rounds of a measurement lie 18 % apart."""
    found = _timed(tmp_path, 0.02, 0.023, drift=0.1, count=2).speed
    assert found.word == "tie"
    assert found.drift is not None
    assert found.drift > 0.15


def test_speed_without_raw_timings(tmp_path: Path) -> None:
    """Equal medians are a tie; others are not comparable, and the side that lacks them is named."""
    trial = make_trial()
    a = make_folder(tmp_path / "a", [make_record(trial, latency_s=0.02)])
    _time(a, trial, 0.02)
    (found,) = _compared(a, make_folder(tmp_path / "b", [make_record(trial, latency_s=0.03)]))
    assert found.speed.reasons == ("no raw timings in B",)


@pytest.mark.parametrize(
    ("metric", "change", "relative", "after", "broken"),
    [
        ("map", -0.01, False, {"map": 0.49}, False),  # exactly at the limit, floating-point dust aside
        ("map", -0.01, False, {"map": 0.4899}, True),
        ("map", -0.01, False, {"map": 0.9}, False),
        ("map", 0.01, False, {"map": 0.52}, True),
        ("map_50", -0.1, True, {"map": 0.44}, True),
        ("latency", 0.1, True, {"latency_s": 0.022}, False),
        ("latency", 0.1, True, {"latency_s": 0.0221}, True),
        ("latency", 0.001, False, {"latency_s": 0.0211}, True),
        ("p95", 0.001, False, {"latency_s": 0.0209}, False),
        ("latency", 0.1, True, {"latency_s": 0.001}, False),
        ("memory", 1e6, False, {}, False),
        ("throughput", -0.1, True, {}, False),
    ],
)
def test_limits_are_on_what_was_measured(
    tmp_path: Path, *, metric: str, change: float, relative: bool, after: dict[str, Any], broken: bool
) -> None:
    """In the direction of the sign, beyond the limit, whatever the verdict."""
    trial = make_trial()
    found = _one(tmp_path, [make_record(trial, map=0.5, latency_s=0.02)],
                 [make_record(trial, **{"map": 0.5, "latency_s": 0.02, **after})])  # fmt: skip
    (judged,) = judge([found], [_limit(metric, change, relative=relative)])
    assert judged.broken is broken
    assert not judged.reasons


def test_what_cannot_be_judged_breaks_its_limit(tmp_path: Path) -> None:
    """Missing in B, measured elsewhere, not measured at all, nothing in common: no silence; what B has more is free."""
    limits = [_limit("map", -0.01), _limit("latency", 0.1, relative=True), _limit("train_speed", -0.1, relative=True)]
    a = [make_record(make_trial()), make_record(make_trial(MOBILE))]
    b = [make_record(make_trial(), torch="2.16"), make_record(make_trial(FASTER))]
    found = _compared(make_folder(tmp_path / "a", a), make_folder(tmp_path / "b", b))
    judged = {(one.limit.metric, one.compared.pair.label): one for one in judge(found, limits) if one.compared}
    assert {key: (one.broken, one.reasons) for key, one in judged.items()} == {
        ("map", RETINA): (False, ()),
        ("map", MOBILE): (True, ("only in A",)),
        ("latency", RETINA): (True, ("different environment: torch 2.15 / 2.16",)),
        ("latency", MOBILE): (True, ("only in A",)),
    }
    (nothing,) = judge(_compared(make_folder(tmp_path / "c", []), make_folder(tmp_path / "d", b)), limits[:1])
    assert (nothing.broken, nothing.compared) == (True, None)
    (unknown,) = judge([_one(tmp_path / "e", a[:1], a[:1])], limits[2:])
    assert (unknown.broken, unknown.reasons) == (True, ("nothing to compare: A has no train_speed",))


def test_seeds_are_told_beside_the_verdict(tmp_path: Path) -> None:
    """One seed tells nothing of another; with several, whether seeds alone differ as much."""
    one = _one(tmp_path / "one", [make_record(make_trial(), map=0.5)], [make_record(make_trial(), map=0.4)])
    assert any(remark.startswith("one seed in A and B") for remark in one.remarks)
    a = [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate((0.5, 0.6, 0.4))]
    b = [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate((0.48, 0.58, 0.38))]
    several = _one(tmp_path / "several", a, b)
    assert "the difference of mAP is within twice its standard error by seeds (± 0.082)" in several.remarks


def test_what_the_reference_could_not_do_either_is_no_loss(tmp_path: Path) -> None:
    """A variant that A's machine cannot run is judged in neither; one that only B cannot is a loss."""
    made = make_record(make_trial())
    cannot = replace(made, variants=(record.Variant(name="compile", problem="no compiler"),))
    own = {field: getattr(made.measurements, field) for field in record.Inference.__slots__}
    can = replace(made, variants=(record.Variant(name="compile", metrics=made.metrics,
                                                 measurements=record.Inference(**own)),))  # fmt: skip
    for number, (a, b, broken) in enumerate(((cannot, cannot, [False]), (can, cannot, [False, True]))):
        root = tmp_path / str(number)
        found = _compared(make_folder(root / "a", [a]), make_folder(root / "b", [b]))
        judged = judge(found, [_limit("map", -0.01)])
        assert sorted(one.broken for one in judged) == broken
