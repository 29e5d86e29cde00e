"""One folder against another: what is paired, what may be compared, what is called a difference, what a check fails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.analysis.compare import pairing, verdicts
from harness.analysis.compare.gates import RegressionGate, check_gates, parse_gates
from harness.analysis.compare.verdicts import ComparedPair
from harness.store import record
from harness.store.paths import SuiteFolder
from harness.store.record import AS_TRAINED, MeasurementWarning, Record
from harness.store.results import planned_trials, read_results
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
GROUPS = 400


@dataclass(frozen=True)
class FakeAnalysis:
    """The fields of `DetectionAnalysis` that a comparison uses."""

    map: float
    replicates: np.ndarray[Any, np.dtype[np.float64]]
    ground_truth_fingerprint: str = "l"

    @property
    def values(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The mAP at all, at one and at another IoU threshold."""
        return np.full(3, self.map)

    @property
    def inflations(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Of large classes: none."""
        return np.zeros(3)


def _fake_analysis(value: float, *, noise: float = 0.01, stream: int = 0, fingerprint: str = "l") -> FakeAnalysis:
    """Return a model of this mAP, whose standard error over images is 0.05 shared with all models and its own noise."""
    shared = np.random.default_rng(7).normal(0, 0.05, GROUPS)
    deviations = (shared + np.random.default_rng(stream).normal(0, noise, GROUPS)) / (GROUPS - 1) ** 0.5
    return FakeAnalysis(value, np.tile(value + deviations, (3, 1)), fingerprint)


Analyses = dict[str, FakeAnalysis]


def _compare(
    a: SuiteFolder, b: SuiteFolder, analyses: tuple[Analyses, Analyses] | None = None
) -> tuple[ComparedPair, ...]:
    """Compare two folders; `analyses` are of the models as trained, by trial id; by default as the records say."""
    states = [planned_trials(read_results(folder)) for folder in (a, b)]
    found = analyses or [
        {
            state.trial.trial_id: _fake_analysis(state.record.metrics.map, stream=stream)
            for state in side
            if state.record is not None and state.record.metrics.map is not None
        }
        for stream, side in enumerate(states)
    ]
    keyed: Any = tuple({(trial, AS_TRAINED): analysis for trial, analysis in side.items()} for side in found)
    return verdicts.compare(pairing.pair(*map(pairing.rows, states)), keyed)


def _compare_one(tmp_path: Path, a: Sequence[Record], b: Sequence[Record], **options: Any) -> ComparedPair:
    (compared,) = _compare(make_folder(tmp_path / "a", [*a]), make_folder(tmp_path / "b", [*b]), **options)
    return compared


def _gate(text: str) -> RegressionGate:
    (gate,) = parse_gates([text])
    return gate


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
    assert (compared.accuracy.word, compared.speed.word) == ("not separated", "not raced")


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
    assert _compare_one(tmp_path / "1", [subset, real], [real]).accuracy.word == "not separated"
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
    assert compared.accuracy.word == ("not comparable" if accuracy else "not separated")


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


@pytest.mark.parametrize(
    ("after", "word"), [(0.50, "more accurate"), (0.30, "less accurate"), (0.405, "not separated")]
)
def test_detections_decide_image_by_image(tmp_path: Path, after: float, word: str) -> None:
    """What all models find hard cancels: 0.1 is beyond chance although images move each by 0.05; 0.005 is not."""
    compared = _compare_analyses(tmp_path, _fake_analysis(0.4, stream=1), _fake_analysis(after, stream=2)).accuracy
    assert compared.word == word
    assert compared.interval is not None
    assert compared.interval.value == pytest.approx(after - 0.4)
    assert compared.interval.high - compared.interval.low == pytest.approx(2 * 1.966 * 2**0.5 * 0.01, rel=0.1)
    assert compared.basis == "chance over images, so it holds for these weights"


@pytest.mark.parametrize("after", [0.37, 0.42, 0.427, 0.429, 0.44])
def test_a_verdict_and_its_interval_say_the_same(tmp_path: Path, after: float) -> None:
    """The interval beside "not separated" holds 0, also among several pairs; that beside another verdict does not."""
    trials = [make_trial(name) for name in (FASTER, MOBILE, RETINA)]
    values = dict(zip((trial.trial_id for trial in trials), (after, 0.4, 0.5), strict=True))
    before = {trial_id: _fake_analysis(0.4, stream=1) for trial_id in values}
    later = {trial_id: _fake_analysis(value, stream=2) for trial_id, value in values.items()}
    folders = [make_folder(tmp_path / name, [make_record(trial, map=side[trial.trial_id].map) for trial in trials])
               for name, side in (("a", before), ("b", later))]  # fmt: skip
    for row in _compare(folders[0], folders[1], (before, later)):
        assert row.accuracy.interval is not None
        holds_nothing = row.accuracy.interval.low <= 0 <= row.accuracy.interval.high
        assert holds_nothing == (row.accuracy.word == "not separated")


def test_the_same_detections_are_not_separated(tmp_path: Path) -> None:
    """As when a commit is compared with itself."""
    compared = _compare_analyses(tmp_path, _fake_analysis(0.4), _fake_analysis(0.4)).accuracy
    assert (compared.word, compared.p) == ("not separated", 1.0)


def test_other_labels_are_other_data(tmp_path: Path) -> None:
    """Detections that were evaluated on other labels are never paired, even if the dataset's fingerprint is equal."""
    compared = _compare_analyses(tmp_path, _fake_analysis(0.4), _fake_analysis(0.5, fingerprint="other")).accuracy
    assert compared.reasons == ("different data: the stored labels differ",)


def test_many_pairs_raise_the_bar(tmp_path: Path) -> None:
    """By Holm's correction, a difference beyond chance alone (p about 0.02) is not separated among ten pairs."""
    trials = [make_trial(h={"weight_decay": index / 10}) for index in range(10)]
    trials = [replace(trial, trial_id=f"t{index}") for index, trial in enumerate(trials)]
    values = [0.433, *[0.4] * 9]
    after = {trial.trial_id: _fake_analysis(value, stream=2) for trial, value in zip(trials, values, strict=True)}
    before = {trial.trial_id: _fake_analysis(0.4, stream=1) for trial in trials}
    folders = [make_folder(tmp_path / name, [make_record(trial, map=side[trial.trial_id].map) for trial in trials])
               for name, side in (("a", before), ("b", after))]  # fmt: skip
    many = _compare(folders[0], folders[1], (before, after))
    assert {row.accuracy.word for row in many} == {"not separated"}
    alone = _compare_analyses(tmp_path / "alone", before["t0"], after["t0"])
    assert alone.accuracy.word == "more accurate"


def _seeds(*values: float, first: int = 0) -> list[Record]:
    return [make_record(make_trial(seed=seed), map=value) for seed, value in enumerate(values, first)]


@pytest.mark.parametrize("first", [0, 3])
def test_seeds_count_beside_images(tmp_path: Path, first: int) -> None:
    """A mean 0.06 higher is far beyond chance over images (0.01), but a verdict only where seeds vary little.

    Whether the two had the same seeds or other ones.
    """
    steady = _compare_one(tmp_path / "1", _seeds(0.40, 0.41, 0.42), _seeds(0.48, 0.46, 0.47, first=first)).accuracy
    assert (steady.word, steady.basis) == ("more accurate", "chance over images and seeds")
    varying = _compare_one(tmp_path / "2", _seeds(0.34, 0.41, 0.48), _seeds(0.54, 0.40, 0.47, first=first)).accuracy
    assert (varying.word, varying.basis) == ("not separated", "chance over images and seeds")
    assert varying.interval is not None
    assert varying.interval.low < 0 < varying.interval.high


def test_without_detections_nothing_is_said_of_accuracy(tmp_path: Path) -> None:
    """However far the seeds' means lie apart: chance over images is not known. The reason names the side."""
    a, b = _seeds(0.40, 0.41, 0.42), _seeds(0.90, 0.91, 0.92)
    neither = _compare_one(tmp_path / "1", a, b, analyses=({}, {})).accuracy
    assert (neither.word, neither.interval) == ("not comparable", None)
    assert neither.reasons == ("no stored detections in A and B, so chance over images is not known",)
    of_a = {record.trial.trial_id: _fake_analysis(0.41) for record in a}
    one = _compare_one(tmp_path / "2", a, b, analyses=(of_a, dict(list(of_a.items())[:2]))).accuracy
    assert one.reasons == ("no stored detections in B, so chance over images is not known",)


@pytest.mark.parametrize("after", [0.001, 0.02, 0.0205, 0.026, 0.5])
def test_nobody_is_called_faster_without_a_race(tmp_path: Path, after: float) -> None:
    """However far two medians of one process each lie apart, or near, with one seed or several."""
    for count in (1, 3):
        a, b = ([make_record(make_trial(seed=seed), latency_s=s) for seed in range(count)] for s in (0.02, after))
        speed = _compare_one(tmp_path / str(count), a, b).speed
        assert (speed.word, speed.interval) == ("not raced", None)
        assert speed.basis == "medians of one process each: only a race shows who is faster"


@pytest.mark.parametrize(
    ("text", "after", "broken"),
    [
        ("map:-0.01", {"map": 0.49}, False),  # exactly at the limit, floating-point dust aside
        ("map:-0.01", {"map": 0.4899}, True),
        ("map:-0.01", {"map": 0.9}, False),
        ("map_50:-10%", {"map": 0.44}, True),
        ("latency:+10%", {"latency_s": 0.022}, False),
        ("latency:+10%", {"latency_s": 0.0221}, True),
        ("latency:+1ms", {"latency_s": 0.0211}, True),
        ("p95:+1ms", {"latency_s": 0.0209}, False),
        ("latency:+10%", {"latency_s": 0.001}, False),
        ("memory:+1MB", {}, False),
        ("throughput:-10%", {}, False),
    ],
)
def test_gates_limit_the_measured_change(tmp_path: Path, text: str, after: dict[str, Any], *, broken: bool) -> None:
    """A gate is broken by a change in the direction of its sign beyond its limit, whatever the verdict."""
    trial = make_trial()
    compared = _compare_one(tmp_path, [make_record(trial, map=0.5, latency_s=0.02)],
                 [make_record(trial, **{"map": 0.5, "latency_s": 0.02, **after})])  # fmt: skip
    (result,) = check_gates([compared], [_gate(text)])
    assert result.broken is broken
    assert not result.reasons


def test_a_gate_that_cannot_be_checked_is_broken(tmp_path: Path) -> None:
    """A row that B lacks, that another machine measured, or that has no number breaks it; extra rows of B do not."""
    gates = [_gate("map:-0.01"), _gate("latency:+10%"), _gate("train_speed:-10%")]
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
        results = check_gates(compared, [_gate("map:-0.01")])
        assert sorted(row.broken for row in results) == broken
