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
from harness.analysis.compare.gates import RegressionGate, check_gates
from harness.analysis.compare.verdicts import ComparedPair
from harness.store import record, tables
from harness.store.arrays import StoredTimings
from harness.store.paths import SuiteFolder
from harness.store.record import AS_TRAINED, MeasurementWarning, Record
from harness.store.results import planned_trials, read_results
from harness.suite.trial import Trial
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


@dataclass(frozen=True)
class FakeAnalysis:
    """The fields of `DetectionAnalysis` that a comparison uses."""

    map: float
    replicates: np.ndarray[Any, np.dtype[np.float64]]
    ground_truth_fingerprint: str = "l"


def _fake_analysis(value: float, *, noise: float = 0.01, stream: int = 0, fingerprint: str = "l") -> FakeAnalysis:
    """Return a model of this mAP: drawn images move all models alike, and this one by `noise` in addition."""
    shared = np.random.default_rng(7).normal(0, 0.05, 1000)
    return FakeAnalysis(value, value + shared + np.random.default_rng(stream).normal(0, noise, 1000), fingerprint)


def _compare(
    a: SuiteFolder, b: SuiteFolder, analyses: tuple[dict[str, FakeAnalysis], dict[str, FakeAnalysis]] = ({}, {})
) -> tuple[ComparedPair, ...]:
    """Compare two folders; `analyses` are those of the models as trained, by trial id."""
    references, candidates = (pairing.rows(planned_trials(read_results(folder))) for folder in (a, b))
    keyed: Any = tuple({(trial, AS_TRAINED): analysis for trial, analysis in side.items()} for side in analyses)
    return verdicts.compare(pairing.pair(references, candidates), (a, b), keyed)


def _compare_one(tmp_path: Path, a: Sequence[Record], b: Sequence[Record], **options: Any) -> ComparedPair:
    (compared,) = _compare(make_folder(tmp_path / "a", [*a]), make_folder(tmp_path / "b", [*b]), **options)
    return compared


def _write_timings(folder: SuiteFolder, trial: Trial, seconds: float, *, drift: float = 0.0) -> None:
    """Write samples.parquet with three rounds over forty images."""
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


def _gate(metric: str, change: float, *, relative: bool = False) -> RegressionGate:
    text = f"{metric}:{change:+g}"
    return RegressionGate(
        text=text, metric=metric, direction=1 if change > 0 else -1, max_change=abs(change), relative=relative
    )


def test_rows_of_equal_hyperparameters_are_a_pair(tmp_path: Path) -> None:
    """Of two sweeps, settings that both have are paired, whatever else the labels name; the others stay unpaired."""
    a = [make_record(make_trial(h={"lr": lr})) for lr in (0.01, 0.02)]
    b = [make_record(make_trial(h={"lr": lr})) for lr in (0.02, 0.04, 0.08)]
    compared = _compare(make_folder(tmp_path / "a", a), make_folder(tmp_path / "b", b))
    rates = [tuple(row and row.trial.hyperparameters.lr for row in (row.pair.reference, row.pair.candidate))
             for row in compared]  # fmt: skip
    assert sorted(rates, key=str) == [(0.01, None), (0.02, 0.02), (None, 0.04), (None, 0.08)]
    alone = {row.accuracy.reasons for row in compared if len(row.pair.rows) == 1}
    assert alone == {("only in A",), ("only in B",)}


def test_a_setting_is_paired_with_the_equal_one_among_several(tmp_path: Path) -> None:
    """A has one setting and B several: the equal one is its counterpart, and has the longer label of B."""
    b = [make_record(make_trial(h={"lr": lr})) for lr in (0.01, 0.02)]
    compared = _compare(make_folder(tmp_path / "a", [make_record(make_trial())]), make_folder(tmp_path / "b", b))
    assert [row.pair.label for row in compared] == [f"{RETINA} (lr 0.01)", f"{RETINA} (lr 0.02)"]
    assert [len(row.pair.rows) for row in compared] == [2, 1]


def test_the_only_rows_of_an_architecture_are_paired_and_say_what_differs(tmp_path: Path) -> None:
    """The same architecture at another precision and learning rate is a pair; a remark says what differs."""
    compared = _compare_one(tmp_path, [make_record(make_trial())],
                 [make_record(make_trial(h={"lr": 0.02, "precision": "bf16"}))])  # fmt: skip
    assert compared.remarks == ("differs in lr 0.01 / 0.02, precision fp32 / bf16",)
    assert (compared.accuracy.word, compared.speed.word) == ("tie", "tie")


def test_variants_are_paired_by_name(tmp_path: Path) -> None:
    """A variant is paired with the same variant; one that only B has is unpaired."""
    made = make_record(make_trial(), map=0.4)
    fields = {field: getattr(made.measurements, field) for field in record.Inference.__slots__}
    compiled, exported = (
        record.Variant(name=name, metrics=made.metrics, measurements=record.Inference(**fields))
        for name in ("compile", "onnxruntime")
    )
    a, b = replace(made, variants=(compiled,)), replace(made, variants=(exported, compiled))
    compared = _compare(make_folder(tmp_path / "a", [a]), make_folder(tmp_path / "b", [b]))
    assert {(row.pair.rows[0].variant, len(row.pair.rows)) for row in compared} == {
        (AS_TRAINED, 2), ("compile", 2), ("onnxruntime", 1),
    }  # fmt: skip


def test_subsets_stand_aside(tmp_path: Path) -> None:
    """Subsets are left out if there are full trials; otherwise they are not comparable."""
    subset, real = make_record(make_trial(max_images=4), map=0.9), make_record(make_trial())
    assert _compare_one(tmp_path / "1", [subset, real], [real]).accuracy.word == "tie"
    compared = _compare_one(tmp_path / "2", [real], [subset])
    assert compared.accuracy.reasons == ("only a subset of the images in B",)
    assert compared.speed.word == "not comparable"


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
    """Data must be equal for both numbers, and the protocol where it matters; another machine forbids speeds alone."""
    trial = make_trial()
    protocol = replace(trial.protocol, **changes.pop("protocol", {}))
    dataset = replace(trial.dataset, fingerprint=changes.pop("fingerprint", trial.dataset.fingerprint))
    measured = {name: changes.pop(name) for name in ("split", "images") if name in changes}
    other = make_record(replace(trial, protocol=protocol, dataset=dataset), **changes)
    other = replace(other, metrics=replace(other.metrics, **measured))
    compared = _compare_one(tmp_path, [make_record(trial)], [other])
    assert compared.accuracy.reasons == accuracy
    assert compared.speed.reasons == speed
    assert compared.accuracy.word == ("not comparable" if accuracy else "tie")


def test_what_failed_is_not_measured(tmp_path: Path) -> None:
    """The reason names the side, the outcome and its cause."""
    b = make_folder(tmp_path / "b", [], failed=((make_trial(), make_outcome("out_of_memory", "8 GiB are full")),))
    (compared,) = _compare(make_folder(tmp_path / "a", [make_record(make_trial())]), b)
    assert compared.accuracy.reasons == ("not measured in B: out of memory: 8 GiB are full",) == compared.speed.reasons


def test_warnings_and_missing_seeds_are_remarks(tmp_path: Path) -> None:
    """They are remarks beside the verdict."""
    warnings = (MeasurementWarning(name="unstable", reason="rounds lie 9 % apart"),)
    b = make_folder(tmp_path / "b", [make_record(make_trial(), warnings=warnings)],
                    failed=((make_trial(seed=1), make_outcome()),))  # fmt: skip
    (compared,) = _compare(make_folder(tmp_path / "a", [make_record(make_trial())]), b)
    assert compared.remarks == ("warnings in B: unstable", "B: 1 succeeded, 1 failed")


def _compare_analyses(tmp_path: Path, before: FakeAnalysis, after: FakeAnalysis) -> ComparedPair:
    trial = make_trial()
    a, b = make_record(trial, map=before.map), make_record(trial, map=after.map)
    return _compare_one(tmp_path, [a], [b], analyses=({trial.trial_id: before}, {trial.trial_id: after}))


@pytest.mark.parametrize(("after", "word"), [(0.50, "better"), (0.30, "worse"), (0.405, "tie")])
def test_detections_decide_image_by_image(tmp_path: Path, after: float, word: str) -> None:
    """What all models find hard cancels: a difference of 0.1 is real although images vary by 0.05; 0.005 is a tie."""
    compared = _compare_analyses(tmp_path, _fake_analysis(0.4, stream=1), _fake_analysis(after, stream=2)).accuracy
    assert compared.word == word
    assert compared.interval is not None
    assert compared.interval.value == pytest.approx(after - 0.4)
    assert compared.interval.low < after - 0.4 < compared.interval.high
    assert compared.basis == "a paired bootstrap over images"


def test_the_same_detections_are_a_tie(tmp_path: Path) -> None:
    """As when a commit is compared with itself."""
    compared = _compare_analyses(tmp_path, _fake_analysis(0.4), _fake_analysis(0.4)).accuracy
    assert (compared.word, compared.p) == ("tie", 1.0)


def test_other_labels_are_other_data(tmp_path: Path) -> None:
    """Detections that were evaluated on other labels are never paired, even if the dataset's fingerprint is equal."""
    compared = _compare_analyses(tmp_path, _fake_analysis(0.4), _fake_analysis(0.5, fingerprint="other")).accuracy
    assert compared.reasons == ("different data: the stored labels differ",)


def test_many_pairs_raise_the_bar(tmp_path: Path) -> None:
    """By Holm's correction, a difference that is real alone (p about 0.02) is a tie among ten pairs."""
    trials = [make_trial(h={"weight_decay": index / 10}) for index in range(10)]
    trials = [replace(trial, trial_id=f"t{index}") for index, trial in enumerate(trials)]
    values = [0.433, *[0.4] * 9]
    after = {trial.trial_id: _fake_analysis(value, stream=2) for trial, value in zip(trials, values, strict=True)}
    before = {trial.trial_id: _fake_analysis(0.4, stream=1) for trial in trials}
    folders = [make_folder(tmp_path / name, [make_record(trial, map=side[trial.trial_id].map) for trial in trials])
               for name, side in (("a", before), ("b", after))]  # fmt: skip
    many = _compare(folders[0], folders[1], (before, after))
    assert {row.accuracy.word for row in many} == {"tie"}
    alone = _compare_analyses(tmp_path / "alone", before["t0"], after["t0"])
    assert alone.accuracy.word == "better"


def test_seeds_decide_where_there_are_no_detections(tmp_path: Path) -> None:
    """With two seeds or more on each side, a difference beyond their spread is real, and one within it is a tie."""

    def several(root: str, *values: float) -> list[Record]:
        return [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate(values)]

    a = several("a", 0.40, 0.41, 0.42)
    better = _compare_one(tmp_path / "1", a, several("b", 0.50, 0.51, 0.52)).accuracy
    assert better.word == "better"
    assert better.basis == "Welch's t-interval over seeds (no stored detections in A and B)"
    tie = _compare_one(tmp_path / "2", a, several("b", 0.38, 0.46)).accuracy
    assert tie.word == "tie"
    single = _compare_one(tmp_path / "3", a, several("b", 0.6)).accuracy
    assert single.reasons == ("no stored detections in A and B, one seed",)


def test_welch_gives_the_intervals_of_the_textbook() -> None:
    """Against numbers worked out by hand: t of 2 degrees of freedom is 4.303; without spread there is no width."""
    compared = statistics.welch((0.50, 0.52, 0.54), (0.40, 0.42, 0.44))
    assert compared.value == pytest.approx(0.1)
    reach = 2.776 * (2 * 0.02**2 / 3) ** 0.5  # four degrees of freedom: equal variances
    assert (compared.low, compared.high) == pytest.approx((0.1 - reach, 0.1 + reach))
    uneven = statistics.welch((0.5, 0.6, 0.7), (0.4, 0.4, 0.4))
    assert uneven.high - uneven.value == pytest.approx(4.303 * 0.1 / 3**0.5)
    flat = statistics.welch((0.5, 0.5), (0.4, 0.4))
    assert flat.low == flat.high == pytest.approx(0.1)


def _compare_timings(
    tmp_path: Path, before: float, after: float, *, drift: float = 0.0, count: int = 1
) -> ComparedPair:
    trials = [make_trial(seed=seed) for seed in range(count)]
    sides = []
    for name, seconds in (("a", before), ("b", after)):
        folder = make_folder(tmp_path / name, [make_record(trial, latency_s=seconds) for trial in trials])
        for trial in trials:
            _write_timings(folder, trial, seconds, drift=drift)
        sides.append(folder)
    (compared,) = _compare(sides[0], sides[1])
    return compared


@pytest.mark.parametrize(("after", "word"), [(0.016, "better"), (0.026, "worse"), (0.0205, "tie")])
def test_raw_timings_decide_speed(tmp_path: Path, after: float, word: str) -> None:
    """Faster is better; a difference that two processes on a fit machine may have is a tie; seeds count together."""
    for count in (1, 2):
        compared = _compare_timings(tmp_path / str(count), 0.02, after, count=count).speed
        assert compared.word == word
        assert compared.interval is not None
        assert compared.interval.value == pytest.approx(after / 0.02, rel=0.02)


def test_drift_of_rounds_is_not_averaged_away(tmp_path: Path) -> None:
    """The rounds of two seeds stay separate: 15 % slower is a tie if the rounds of a measurement lie 18 % apart."""
    compared = _compare_timings(tmp_path, 0.02, 0.023, drift=0.1, count=2).speed
    assert compared.word == "tie"
    assert compared.drift is not None
    assert compared.drift > 0.15


def test_speed_without_raw_timings(tmp_path: Path) -> None:
    """Equal medians are a tie; other ones are not comparable, and the reason names the side without timings."""
    trial = make_trial()
    a = make_folder(tmp_path / "a", [make_record(trial, latency_s=0.02)])
    _write_timings(a, trial, 0.02)
    (compared,) = _compare(a, make_folder(tmp_path / "b", [make_record(trial, latency_s=0.03)]))
    assert compared.speed.reasons == ("no raw timings in B",)


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
def test_gates_limit_the_measured_change(
    tmp_path: Path, *, metric: str, change: float, relative: bool, after: dict[str, Any], broken: bool
) -> None:
    """A gate is broken by a change in the direction of its sign beyond its limit, whatever the verdict."""
    trial = make_trial()
    compared = _compare_one(tmp_path, [make_record(trial, map=0.5, latency_s=0.02)],
                 [make_record(trial, **{"map": 0.5, "latency_s": 0.02, **after})])  # fmt: skip
    (result,) = check_gates([compared], [_gate(metric, change, relative=relative)])
    assert result.broken is broken
    assert not result.reasons


def test_a_gate_that_cannot_be_checked_is_broken(tmp_path: Path) -> None:
    """A row that B lacks, that another machine measured, or that has no number breaks it; extra rows of B do not."""
    gates = [_gate("map", -0.01), _gate("latency", 0.1, relative=True), _gate("train_speed", -0.1, relative=True)]
    a = [make_record(make_trial()), make_record(make_trial(MOBILE))]
    b = [make_record(make_trial(), torch="2.16"), make_record(make_trial(FASTER))]
    compared = _compare(make_folder(tmp_path / "a", a), make_folder(tmp_path / "b", b))
    results = {
        (result.gate.metric, result.row.pair.label): result for result in check_gates(compared, gates) if result.row
    }
    assert {key: (result.broken, result.reasons) for key, result in results.items()} == {
        ("map", RETINA): (False, ()),
        ("map", MOBILE): (True, ("only in A",)),
        ("latency", RETINA): (True, ("different environment: torch 2.15 / 2.16",)),
        ("latency", MOBILE): (True, ("only in A",)),
    }
    (nothing,) = check_gates(_compare(make_folder(tmp_path / "c", []), make_folder(tmp_path / "d", b)), gates[:1])
    assert (nothing.broken, nothing.row) == (True, None)
    (unknown,) = check_gates([_compare_one(tmp_path / "e", a[:1], a[:1])], gates[2:])
    assert (unknown.broken, unknown.reasons) == (True, ("nothing to compare: A has no train_speed",))


def test_the_spread_over_seeds_is_a_remark_beside_the_verdict(tmp_path: Path) -> None:
    """With one seed the spread is unknown; with several, a remark says if the difference is within it."""
    row = _compare_one(tmp_path / "one", [make_record(make_trial(), map=0.5)], [make_record(make_trial(), map=0.4)])
    assert any(remark.startswith("one seed in A and B") for remark in row.remarks)
    a = [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate((0.5, 0.6, 0.4))]
    b = [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate((0.48, 0.58, 0.38))]
    several = _compare_one(tmp_path / "several", a, b)
    assert "the difference of mAP is within twice its standard error by seeds (± 0.082)" in several.remarks


def test_a_variant_that_the_reference_could_not_run_breaks_no_gate(tmp_path: Path) -> None:
    """A variant that A's machine cannot run is not checked; one that only B's cannot run breaks the gate."""
    made = make_record(make_trial())
    cannot = replace(made, variants=(record.Variant(name="compile", problem="no compiler"),))
    fields = {field: getattr(made.measurements, field) for field in record.Inference.__slots__}
    can = replace(made, variants=(record.Variant(name="compile", metrics=made.metrics,
                                                 measurements=record.Inference(**fields)),))  # fmt: skip
    for number, (a, b, broken) in enumerate(((cannot, cannot, [False]), (can, cannot, [False, True]))):
        root = tmp_path / str(number)
        compared = _compare(make_folder(root / "a", [a]), make_folder(root / "b", [b]))
        results = check_gates(compared, [_gate("map", -0.01)])
        assert sorted(row.broken for row in results) == broken
