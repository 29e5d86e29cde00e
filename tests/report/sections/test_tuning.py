"""The page shows what tuning cost and found, says whether budgets were equal, and keeps searches out of its rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import api
from harness.analysis.searches import search_summaries
from harness.analysis.suite import analyse_suite
from harness.report.sections import tuning
from harness.store import files, results
from harness.store.paths import SuiteFolder
from harness.store.record import Record
from harness.store.results import SuitePlan, read_results
from harness.suite.search import Search, SearchStep, Tuned
from harness.suite.trial import Trial
from tests.store.make import make_folder, make_outcome, make_record, make_trial

SEARCH = Search(trials=2, over={"lr": [1e-4, 1e-2, "log"], "schedule": ["cosine", "constant"]}, epochs=3)
FASTER, RETINA = "fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn"
SCORES = {(FASTER, 0.001): 0.2, (FASTER, 0.002): 0.4, (RETINA, 0.003): 0.3}


def _step(architecture: str, number: int, lr: float) -> Trial:
    step = SearchStep(chain=architecture, number=number, values={"lr": lr, "schedule": "cosine"}, metric="map")
    return make_trial(architecture, h={"epochs": 3, "lr": lr}, search=step)


def _tuned(architecture: str, lr: float) -> Record:
    tuned = Tuned(
        chain=architecture,
        values={"lr": lr},
        trial_id="x",
        metric="map",
        score=0.4,
        epochs=3,
        n_succeeded=2,
        n_failed=0,
    )
    trial = make_trial(architecture, h={"epochs": 9, "lr": lr}, tuned=tuned)
    return make_record(replace(trial, trial_id=f"{trial.trial_id}-tuned"), map=0.6)


def _folder(tmp_path: Path, *, last: float | None) -> SuiteFolder:
    """Two architectures tuned by two trials each; the last one has this score, or failed."""
    records = [make_record(_step(name, 1 + (lr == 0.002), lr), map=score) for (name, lr), score in SCORES.items()]
    fourth = _step(RETINA, 2, 0.004)
    records += [make_record(fourth, map=last)] if last is not None else []
    failed = ((fourth, make_outcome()),) if last is None else ()
    folder = make_folder(tmp_path / "r", [*records, _tuned(FASTER, 0.002), _tuned(RETINA, 0.003)], failed=failed)
    trials = results.read_plan(folder).trials
    files.replace(folder.plan, results.encode_plan(SuitePlan(suite_file="s.yaml", trials=trials, search=SEARCH)))
    return folder


def _page(folder: SuiteFolder) -> str:
    api.report(folder.path, bootstrap=False)
    return folder.report.read_text()


def test_equal_budgets_are_shown_as_equal(tmp_path: Path) -> None:
    """With what each search cost and found; its trials are in no row."""
    folder = _folder(tmp_path, last=0.1)
    page = _page(folder)
    section = page.partition("## How hyperparameters were tuned")[2].partition("\n## ")[0]
    assert "**Equal tuning budgets:** each row was tuned before its seeds ran, by 2 trials of 3 epochs." in section
    assert "lr in \\[0.0001, 0.01, log\\], schedule in \\[cosine, constant\\], by Optuna's TPE, seed 0" in section
    faster, retina = (line.split("|") for line in section.splitlines() if "resnet50" in line)
    assert [cell.strip() for cell in faster[3:]] == [
        "lr 0.002, schedule cosine", "2 of 2", "0", "0", "3", "3 min 00 s", "0.200", "0.400", "",
    ]  # fmt: skip
    assert [cell.strip() for cell in retina[10:]] == ["0.300", ""]
    assert "6 of 6 trials measured" in page


def test_a_search_is_in_no_row(tmp_path: Path) -> None:
    """Neither of the page, nor of the frames, nor of a comparison of two folders, nor of a recommendation."""
    folder = _folder(tmp_path, last=0.9)
    suite = analyse_suite(folder, bootstrap=False)
    assert set(suite.frame["map"]) == {0.6}
    assert len(suite.states) == 6
    assert set(api.load_results(folder.path).rows["map"]) == {0.6}
    assert len(api.compare(folder.path, folder.path).rows) == 2
    (advice,) = api.recommend(folder.path)
    assert "0.9" not in str(advice)


def test_unequal_budgets_are_named(tmp_path: Path) -> None:
    """Who had less, and why."""
    folder = _folder(tmp_path, last=None)
    page = _page(folder)
    assert (
        "**Unequal tuning budgets:** retinanet_resnet50_fpn on shapes had 1 of 2 trials of 3 epochs (1 failed). "
        "The others had 2 trials of 3 epochs." in page
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"n_succeeded": 0, "n_failed": 1, "scores": (None, None), "values": None}, "**Tuning has not ended.**"),
        (
            {"n_succeeded": 0, "n_failed": 2, "scores": (None, None), "values": None},
            "its seeds run with the values",
        ),
        ({"epochs": None}, "of the suite's budget"),
    ],
)
def test_what_has_not_ended_or_found_nothing_is_told(changes: dict[str, Any], told: str, tmp_path: Path) -> None:
    """In the sentence before the table; a length that the suite's budget sets is no number of epochs."""
    summaries = search_summaries(read_results(_folder(tmp_path, last=0.1)))
    text = "\n".join(tuning.section([replace(one, **changes) for one in summaries], None))
    assert told in text


def test_a_search_in_which_all_score_the_same_has_decided_nothing(tmp_path: Path) -> None:
    """So it is said beside the values, and of that search alone."""
    section = _page(_folder(tmp_path, last=0.3)).partition("## How hyperparameters were tuned")[2]
    faster, retina = (" ".join(line.split()) for line in section.splitlines() if "resnet50" in line)
    assert "| lr 0.003, schedule cosine (decided nothing: all scores are equal) | 2 of 2 |" in retina
    assert "| lr 0.002, schedule cosine | 2 of 2 |" in faster


def test_without_a_search_there_is_no_section(tmp_path: Path) -> None:
    """The page of a suite that tunes nothing says nothing of it."""
    folder = make_folder(tmp_path / "r", [make_record(make_trial())])
    assert "tuned" not in _page(folder)
