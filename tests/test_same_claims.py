"""The page, `recommend` and `compare` say the same about the same results, whatever these are."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import harness
from harness import api
from harness.analysis import suite as suite_analysis
from harness.analysis.detections import cache, ground_truth
from harness.formatting import points, short_name
from harness.store import record, tables
from tests.report.made import agreeing, drawn_detections, drawn_labels, write
from tests.report.pages import first_screens, page_of, pairs
from tests.store.make import make_folder, make_outcome, make_record, make_trial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from harness import Advice
    from harness.analysis.suite import SuiteAnalysis
    from harness.store.arrays import StoredDetections
    from harness.store.paths import SuiteFolder
    from harness.store.record import Record
    from harness.suite.trial import Trial
    from tests.conftest import Command

SUITES, PARTS = 200, 10
NAMES = ("first", "second", "third", "fourth")
TRUTH = drawn_labels(np.random.default_rng(0), images=30, classes=2, crowds=0.0)
QUALITIES = (0.0, 0.2, 0.5, 0.6, 0.8, 0.9, 0.95)
_WORDS = ("- **Ship {}:** ", "- **Best here, but in doubt: {}:** ", "- **Nothing to ship yet:** the best, {}, has ")


@dataclasses.dataclass(frozen=True)
class Row:
    """A made row: its trials, those that succeeded with their records and detections, the others without."""

    trials: tuple[Trial, ...]
    records: tuple[tuple[Record, StoredDetections | None], ...]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep in memory what is otherwise read again from files, and write without waiting for the disk."""
    known: dict[str, Any] = {}
    monkeypatch.setattr(os, "fsync", lambda _file: None)
    monkeypatch.setattr(cache._Job, "read", lambda job: known.get(job.cached.name))
    monkeypatch.setattr(cache, "_write", lambda path, analysis: known.update({path.name: analysis}))
    monkeypatch.setattr(ground_truth, "read_ground_truth", functools.cache(tables.read_ground_truth))
    analysed = functools.cache(suite_analysis.analyse_suite)
    monkeypatch.setattr(suite_analysis, "analyse_suite", lambda folder, **_: analysed(folder))


@functools.cache
def _found(stream: int) -> StoredDetections:
    rng = np.random.default_rng((stream, 9))
    return drawn_detections(rng, TRUTH, each=6, hits=QUALITIES[stream % len(QUALITIES)], shift=1.5)


@functools.cache
def _metrics(stream: int) -> record.Metrics:
    return agreeing(make_record(make_trial()), TRUTH, _found(stream)).metrics


def _draw_row(rng: np.random.Generator, name: str, seeds: int, failing: float) -> Row:
    """Draw a row: mostly sound and like the others; some have other data, another protocol, machine, and so on."""

    def now_and_then(usual: Any, *others: Any, often: float = 0.05) -> Any:
        return others[rng.integers(len(others))] if rng.random() < often else usual

    trial = make_trial(name, max_images=now_and_then(None, 4, often=0.02))
    protocol = dataclasses.replace(
        trial.protocol,
        score_threshold=now_and_then(0.001, 0.3),
        deployment_score_threshold=now_and_then(0.05, 0.3),
    )
    dataset = dataclasses.replace(trial.dataset, fingerprint=now_and_then("f", "e") * 64)
    stream, latency = int(rng.integers(40)), float(rng.choice((0.01, 0.02, 0.05)) * rng.uniform(0.9, 1.1))
    stored, split = now_and_then(True, False), now_and_then("val", "test")
    trials, records = [], []
    for seed in range(seeds):
        one = dataclasses.replace(
            trial, protocol=protocol, dataset=dataset, seed=seed, trial_id=f"{name}-{trial.max_images}-{seed}"
        )
        trials.append(one)
        if now_and_then(True, False, often=failing):
            own = stream + seed * len(QUALITIES)
            made = make_record(one, latency_s=latency * rng.uniform(0.98, 1.02), cpu=now_and_then("A", "B"))
            values = dataclasses.replace(_metrics(own), split=split)
            if now_and_then(False, True, often=0.03):
                values = dataclasses.replace(values, map=0.9)
            records.append((dataclasses.replace(made, metrics=values), _found(own) if stored else None))
    return Row(tuple(trials), tuple(records))


def _write(root: Path, rows: Sequence[Row]) -> SuiteFolder:
    records = [one for row in rows for one in row.records]
    succeeded = {made.trial.trial_id for made, _ in records}
    failed = [trial for row in rows for trial in row.trials if trial.trial_id not in succeeded]
    folder = make_folder(root, [made for made, _ in records], failed=tuple((trial, make_outcome()) for trial in failed))
    for made, stored in records:
        if stored is not None:
            write(folder, made, TRUTH, stored)
    return folder


def _named(row: Row, name: str) -> Row:
    """Return the row under another architecture's name, so that two of them are a pair of two folders."""

    def renamed(trial: Trial) -> Trial:
        return dataclasses.replace(trial, architecture=dataclasses.replace(trial.architecture, name=name))

    records = tuple((dataclasses.replace(made, trial=renamed(made.trial)), stored) for made, stored in row.records)
    return Row(tuple(map(renamed, row.trials)), records)


def _check_answer(lines: list[str], advice: Advice) -> str:
    """Check that the first line names what `recommend` chooses, in words as strong; return these words."""
    if advice.chosen is None:
        assert not lines[0].startswith(tuple(words.split("{")[0] for words in _WORDS))
        return "nothing"
    names = [short_name(advice.label, length) for length in (40, 24)]
    (words,) = [words for words in _WORDS if lines[0].startswith(tuple(map(words.format, names)))]
    assert (words == _WORDS[0]) == advice.ships
    return words


def _check_pair(tmp_path: Path, rows: dict[str, Row], page: str, suite: SuiteAnalysis) -> tuple[str, str]:
    """Check that `compare` gives the verdicts of the page's only pair, and return them."""
    found = pairs(page)
    against, first = (found[0]["against"], found[0]["architecture"]) if found else suite.frame["architecture"]
    sides = [_write(tmp_path / name, [_named(rows[name], "both")]).path for name in (against, first)]
    (compared,) = harness.compare(*sides).rows
    words = compared.accuracy.word, compared.speed.word
    ends = compared.accuracy.interval
    if found:
        assert ends is not None
        assert words == (found[0]["accuracy"], found[0]["speed"])
        assert found[0]["mAP [95 %]"] == f"{points(ends.value)} [{points(ends.low)} to {points(ends.high)}]"
        return words
    assert words[0] == "not comparable"
    assert all(set(dataset.apart) <= set(compared.accuracy.reasons) for dataset in suite.datasets)
    return words


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.slow) for part in range(1, PARTS))])
@pytest.mark.usefixtures("quick")
def test_the_page_and_the_commands_agree(harness_command: Command, tmp_path: Path, part: int) -> None:
    """On what to ship and whether to, on the exit code, and on each verdict of a pair."""
    answers: Counter[str] = Counter()
    verdicts: Counter[tuple[str, str]] = Counter()
    for number in range(part, SUITES, PARTS):
        rng = np.random.default_rng((number, 14))
        names = NAMES[: rng.choice((1, 2, 2, 2, 3, 4))]
        seeds, failing = int(rng.integers(1, 4)), float(rng.choice((0.0, 0.1, 0.5)))
        rows = {name: _draw_row(rng, name, seeds, failing) for name in names}
        folder = _write(tmp_path / f"{number}" / "suite", list(rows.values()))
        suite = suite_analysis.analyse_suite(folder)
        page = page_of(folder, suite)
        advices = api.recommend(folder.path)
        screens = first_screens(page)
        assert list(screens) == [advice.dataset for advice in advices]
        for lines, advice in zip(screens.values(), advices, strict=True):
            answers[_check_answer(lines, advice)] += 1
        code = harness_command("recommend", folder.path).returncode
        assert code == (0 if all("**Ship" in lines[0] for lines in screens.values()) else 1)
        if len(rows) == 2:
            verdicts[_check_pair(tmp_path / f"{number}", rows, page, suite)] += 1
    assert set(answers) == {*_WORDS, "nothing"}
    assert {"less accurate", "not separated", "not comparable"} <= {word for word, _ in verdicts}
    assert {"not raced", "not comparable"} <= {word for _, word in verdicts}
