"""Which rows race, of records whose accuracy and latency a test sets."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.analysis.accuracy import Difference
from harness.analysis.error import Error
from harness.analysis.frame import configuration_frame, trial_frame
from harness.analysis.race.entrants import entrants
from harness.analysis.significance import Pair, Significance
from harness.store.record import Record
from harness.store.results import TrialState
from harness.suite.schema import Protocol
from tests.store.make import make_record, make_trial

if TYPE_CHECKING:
    import pandas as pd


def frame(*records: Record) -> pd.DataFrame:
    """The rows of these records."""
    states = [
        TrialState(
            trial=one.trial, record=one, attempts=(), preflight=None, running=None, log=None, problem=None, planned=True
        )
        for one in records
    ]
    return configuration_frame(trial_frame(states))


def record(name: str, map: float | None, latency_s: float, **changes: Any) -> Record:
    return make_record(make_trial(name, **changes), map=map, latency_s=latency_s)


def significance(rows: pd.DataFrame, *separated: tuple[str, str]) -> Significance:
    """Of the pairs, only those named are compared, and separated."""
    index = {label: position for position, label in rows["label"].items()}
    error = Error(images=1e-6, seeds=None, image_degrees=99)
    difference = Difference(value=0.1, low=0.05, high=0.15, inflation=0.0, p=0.0, error=error)
    pairs = {(index[first], index[second]): Pair(difference=difference, adjusted_p=0.0) for first, second in separated}
    return Significance(estimates={}, ranks={}, letters={}, pairs=pairs)


def labels(rows: pd.DataFrame, significant: Significance, **options: Any) -> list[str]:
    return [entrant.label for entrant in entrants(rows, significant, **options)]


def test_the_front_races_and_what_ties_with_it() -> None:
    """A slower row that is less accurate races only if that may be chance; the most accurate one comes first."""
    rows = frame(record("a", 0.5, 0.09), record("b", 0.4, 0.05), record("c", 0.39, 0.06), record("d", 0.1, 0.07))
    assert labels(rows, significance(rows, ("b", "d"))) == ["a", "b", "c"]
    assert labels(rows, significance(rows, ("b", "c"), ("b", "d"))) == ["a", "b"]
    assert labels(rows, significance(rows, ("b", "d")), everything=True) == ["a", "b", "c", "d"]


def test_rows_are_chosen_by_label_or_architecture() -> None:
    """Those alone, whether or not it can matter."""
    rows = frame(record("a", 0.5, 0.01), record("b", 0.1, 0.05), record("b", 0.2, 0.05, h={"lr": 0.1}))
    assert labels(rows, significance(rows), names=("b",)) == ["b (lr 0.1)", "b (lr 0.01)"]
    assert labels(rows, significance(rows), names=("a", "b (lr 0.1)")) == ["a", "b (lr 0.1)"]


def test_an_entrant_has_the_measured_seeds_of_its_row() -> None:
    """One configuration, as the records name it; what failed or is of a subset does not race."""
    first, second = record("a", 0.5, 0.02), record("a", 0.4, 0.02, seed=1)
    rows = frame(first, second, record("b", 0.3, 0.01), record("c", None, 0.01), record("d", 0.9, 0.01, max_images=4))
    chosen = entrants(rows, significance(rows))
    assert [entrant.label for entrant in chosen] == ["a", "b"]
    assert chosen[0].trial_ids == (first.trial.trial_id, second.trial.trial_id)
    assert chosen[0].variant == "as trained"


def test_other_images_and_other_protocols_do_not_race() -> None:
    """Against the most accurate row; other variants in the protocol are no other protocol."""
    other = record("b", 0.4, 0.01)
    other = replace(other, trial=replace(other.trial, dataset=replace(other.trial.dataset, fingerprint="0" * 64)))
    rows = frame(
        record("a", 0.5, 0.09),
        other,
        record("c", 0.3, 0.02, protocol=Protocol(level="standard")),
        record("d", 0.2, 0.01, protocol=Protocol(level="quick", variants=("compile",))),
    )
    assert labels(rows, significance(rows), everything=True) == ["a", "d"]


def test_at_most_twelve_race_unasked() -> None:
    """The front before what ties with it; all of them on request."""
    front = [record(f"front{number:02d}", 0.2 + number / 100, 0.01 + number / 1000) for number in range(10)]
    others = [record(f"other{number:02d}", 0.19, 0.05 + number / 1000) for number in range(10)]
    rows = frame(*front, *others)
    chosen = labels(rows, significance(rows))
    assert len(chosen) == 12
    assert sum(label.startswith("front") for label in chosen) == 10
    assert len(labels(rows, significance(rows), everything=True)) == 20


def test_without_a_measured_row_nobody_races() -> None:
    """An empty frame, and one of failures alone."""
    rows = frame(record("a", None, 0.01))
    assert entrants(rows, significance(rows)) == ()
    assert entrants(rows, significance(rows), everything=True) == ()
