"""Rows stand together only where data, split and protocol are equal, and speeds where the machine is too."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import pytest

from harness.analysis import comparable
from harness.analysis.frame import configuration_frame, trial_frame
from harness.store.record import AS_TRAINED, Record, Variant
from harness.store.results import TrialState
from harness.suite.schema import Protocol
from harness.suite.trial import TrialDataset
from tests.store.make import make_record, make_trial

if TYPE_CHECKING:
    import pandas as pd


def _states(*records: Record) -> dict[str, TrialState]:
    return {
        one.trial.trial_id: TrialState(
            trial=one.trial, record=one, attempts=(), preflight=None, running=None, log=None, problem=None, planned=True
        )
        for one in records
    }


def _grouped(kind: comparable.Kind, *records: Record) -> tuple[list[list[str]], pd.DataFrame]:
    states = _states(*records)
    rows = configuration_frame(trial_frame(states.values()))
    groups = comparable.groups(rows, states, kind)
    return [[str(rows.loc[index, "architecture"]) for index in group] for group in groups], rows


def _record(name: str, map: float, split: str = "val", **changes: Any) -> Record:
    env = changes.pop("env", {})
    made = make_record(make_trial(name, **changes), map=map, **env)
    return dataclasses.replace(made, metrics=dataclasses.replace(made.metrics, split=split))


def _data(fingerprint: str) -> TrialDataset:
    return dataclasses.replace(make_trial().dataset, fingerprint=fingerprint * 64)


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"split": "test"}, "different data: split val / split test"),
        ({"protocol": Protocol(level="quick", score_threshold=0.3)}, "different protocol: score_threshold 0.001 / 0.3"),
        ({"protocol": Protocol(level="quick", detections=300)}, "different protocol: detections 100 / 300"),
    ],
)
def test_other_conditions_are_another_table_with_the_reason(other: dict[str, Any], reason: str) -> None:
    """Split, score threshold and detections an image decide what an accuracy is."""
    records = _record("a", 0.5), _record("b", 0.4), _record("c", 0.3, **other)
    groups, _ = _grouped("accuracy", *records)
    assert groups == [["a", "b"], ["c"]]
    states = _states(*records).values()
    assert comparable.different([(state, AS_TRAINED) for state in states], "accuracy") == (reason,)


def test_other_labels_are_other_data() -> None:
    """Two fingerprints of one dataset."""
    first = make_record(dataclasses.replace(make_trial("a"), dataset=_data("f")), map=0.5)
    second = make_record(dataclasses.replace(make_trial("b"), dataset=_data("e")), map=0.4)
    assert _grouped("accuracy", first, second)[0] == [["a"], ["b"]]


def test_another_machine_separates_speeds_alone() -> None:
    """Accuracies stand in one table; a field that an older record lacks is no difference."""
    records = _record("a", 0.5), _record("b", 0.4, env={"cpu": "another CPU"}), _record("c", 0.3, env={"governor": "x"})
    assert _grouped("accuracy", *records)[0] == [["a", "b", "c"]]
    assert _grouped("latency", *records)[0] == [["a", "c"], ["b"]]


def test_a_row_that_is_not_measured_stands_with_its_protocol() -> None:
    """Beside the first row that asks for the same."""
    records = [_record("a", 0.5), _record("c", 0.3, protocol=Protocol(level="quick", score_threshold=0.3))]
    states = _states(*records)
    waiting = make_trial("d", protocol=Protocol(level="quick", score_threshold=0.3))
    states[waiting.trial_id] = dataclasses.replace(next(iter(states.values())), trial=waiting, record=None, attempts=())
    rows = configuration_frame(trial_frame(states.values()))
    groups = comparable.groups(rows, states, "accuracy")
    assert [[rows.loc[index, "architecture"] for index in group] for group in groups] == [["a"], ["c", "d"]]


def test_tables_are_named_by_what_distinguishes_them() -> None:
    """`split val` and `split test`; nothing where there is one table."""
    first, second = _states(_record("a", 0.5)), _states(_record("b", 0.4, split="test"))
    groups = [[(state, AS_TRAINED) for state in one.values()] for one in (first, second)]
    assert [comparable.conditions(groups, number) for number in (0, 1)] == ["split val", "split test"]
    assert comparable.conditions(groups[:1], 0) == ""


def test_a_variant_that_cannot_run_stands_with_its_model() -> None:
    """On the machine of its own configuration, also where that is not the first row there."""
    variant = Variant(name="compile", problem="no compiler")
    records = [
        _record("a", 0.5),
        _record("b", 0.4, env={"cpu": "another CPU"}),
        dataclasses.replace(_record("c", 0.3, env={"cpu": "another CPU"}), variants=(variant,)),
    ]
    assert _grouped("latency", *records)[0] == [["a"], ["b", "c", "c"]]
