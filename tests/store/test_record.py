"""A record says everything, comes back as it was, and a damaged one is an error that names its place."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.data.stats import SplitStatistics, Spread
from harness.store import files, record, results
from harness.store.job import JOB, OUTCOME, Job
from harness.store.migrate import migrate
from tests.conftest import ROOT
from tests.store.make import make_attempt, make_folder, make_outcome, make_record, make_trial


def test_a_record_comes_back_as_it_was() -> None:
    """Encoded and decoded it is equal, and encoding is repeatable."""
    made = make_record(make_trial())
    data = record.encode(record.RECORD, made)
    assert record.decode(record.RECORD, data, "x") == made
    assert record.encode(record.RECORD, made) == data
    assert json.loads(data)["trial"]["dataset"]["source"]["format"] == "synthetic"


def test_a_record_torn_at_any_place_is_an_error_with_its_file() -> None:
    """Whatever byte it ends at: RecordError, never a half-read record."""
    data = record.encode(record.RECORD, make_record(make_trial()))
    for end in range(0, len(data) - 2, 7):
        with pytest.raises(record.RecordError, match=r"record\.json: cannot be read"):
            record.decode(record.RECORD, data[:end], "record.json")


def _numbers(document: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where each number of a JSON document lies."""
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            yield from _numbers(value, (*place, key))
    elif isinstance(document, int | float) and not isinstance(document, bool):
        yield place


def test_a_number_that_cannot_be_is_an_error_that_names_it() -> None:
    """Every one of a real trial's results: negative, beyond all measure, not a number, or given as text."""
    (path,) = (ROOT / "results" / "examples" / "quickstart" / "trials").glob("*retinanet*-s0-*/record.json")
    kept = json.dumps(migrate("record", json.loads(path.read_bytes())))
    measured = ("metrics", "measurements", "model")
    places = [place for place in _numbers(json.loads(kept)) if place[0] in measured]
    kinds = {tuple("*" if isinstance(key, int) else key for key in place): place for place in places}
    assert len(kinds) > 50
    for place in kinds.values():
        a_loss = place[-1] == "loss" or "loss_parts" in place  # any that is finite was trained with
        for wrong in (float("nan"), "0.5", *(() if a_loss else (1e308, -0.02))):
            document = json.loads(kept)
            inner = document
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = wrong
            with pytest.raises(record.RecordError, match=r"cannot be read: .*" + re.escape(".".join(map(str, place)))):
                record.decode(record.RECORD, json.dumps(document).encode(), "record.json")


@pytest.mark.parametrize("place", [("latency_s", "median"), ("throughput_images_per_s",)])
def test_no_detector_takes_no_time(place: tuple[str, ...]) -> None:
    """A latency of 0 would be infinitely fast; it is refused where it is read."""
    document = json.loads(record.encode(record.RECORD, make_record(make_trial())))
    inner = document["measurements"]
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = 0
    with pytest.raises(record.RecordError, match=place[0]):
        record.decode(record.RECORD, json.dumps(document).encode(), "record.json")


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        (("metrics", "split"), "train", "metrics.split"),
        (("metrics", "split"), "test", "data.splits does not have the evaluated split, test"),
        (("variants", 1, "name"), "compile", "two variants have the same name"),
        (("variants", 1, "name"), "as trained", "two variants have the same name"),
        (("variants", 1, "name"), "../../x", "variants.1.name"),
        (("model", "parameters"), 10**30, "model.parameters"),
        (("environment", "memory_bytes"), -1, "environment.memory_bytes"),
        (("attempts", 0, "wall_s"), 1e308, "attempts.0.wall_s"),
        (("attempts", 0, "started_at"), "yesterday", "attempts.0.started_at"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(place: tuple[Any, ...], value: object, said: str) -> None:
    """The page would end in the middle, or count a row twice."""
    spread = Spread(min=1, median=1, max=1)
    split = SplitStatistics(
        images=2, images_without_boxes=0, boxes=2, crowds=0, boxes_per_class={"disc": 2}, box_sizes={"small": 2},
        boxes_per_image=spread, image_width=spread, image_height=spread,
    )  # fmt: skip
    variants = tuple(record.Variant(name=name, problem="no") for name in ("compile", "onnxruntime"))
    made = replace(make_record(make_trial()), data=record.Data(splits={"val": split}), variants=variants)
    document = json.loads(record.encode(record.RECORD, made))
    assert record.decode(record.RECORD, json.dumps(document).encode(), "x") == made
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    with pytest.raises(record.RecordError, match=re.escape(said)):
        record.decode(record.RECORD, json.dumps(document).encode(), "record.json")


def test_a_folder_tells_done_failed_left_and_damaged(tmp_path: Path) -> None:
    """Each trial in the plan's order, with its record, its last outcome or its problem; and one that no plan names."""
    done, damaged = make_record(make_trial(seed=0)), make_record(make_trial(seed=1))
    failed, left, stray = make_trial(seed=2), make_trial(seed=3), make_record(make_trial(seed=4))
    folder = make_folder(tmp_path, [done, damaged], failed=((failed, make_outcome()),), left=(left,))
    folder.trial(damaged.trial.trial_id).record.write_bytes(b'{"schema_version": 1,')
    other = folder.trial(stray.trial.trial_id)
    other.next_attempt()
    other.record.write_bytes(record.encode(record.RECORD, stray))

    states = results.read_results(folder)
    assert [state.trial.seed for state in states] == [0, 1, 2, 3, 4]
    by_seed = {state.trial.seed: state for state in states}
    assert by_seed[0].record == done
    assert by_seed[1].record is None
    assert "cannot be read" in (by_seed[1].problem or "")
    assert by_seed[2].last == make_attempt("failed", make_outcome().reason)
    assert by_seed[2].log is not None
    assert by_seed[3].record is None
    assert by_seed[3].last is None
    assert (by_seed[4].record, by_seed[4].planned) == (stray, False)


def test_what_waits_or_runs_again_has_not_failed(tmp_path: Path) -> None:
    """A failure that a good rehearsal followed, or that another attempt was begun after, is none to report."""
    mended, again = make_trial(seed=0), make_trial(seed=1)
    folder = make_folder(tmp_path, [], failed=((mended, make_outcome()), (again, make_outcome())))
    assert [state.failed for state in results.read_results(folder)] == [True, True]
    for trial, outcome in ((mended, make_outcome("preflight_passed", "")), (again, None)):
        attempt = folder.trial(trial.trial_id).next_attempt()
        job = Job(trial=trial, number=2, device="cpu", threads=2, import_folder="/")
        files.commit(attempt.job, record.encode(JOB, job))
        if outcome is not None:
            files.commit(attempt.outcome, record.encode(OUTCOME, outcome))
    first, second = results.read_results(folder)
    assert not first.failed
    assert first.last is None
    assert not second.failed
    assert second.running is not None
