"""The page states the answer first, reports whatever a run left, and depends on the records alone."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from harness import api
from harness.store import files, paths, record, results
from harness.store.job import OUTCOME
from harness.store.record import MeasurementWarning
from tests.conftest import ROOT
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


def _three() -> list[object]:
    return [
        make_record(make_trial(FASTER), map=0.412, latency_s=0.040),
        make_record(make_trial(MOBILE), map=0.381, latency_s=0.020),
        make_record(make_trial(RETINA), map=0.350, latency_s=0.030),
    ]


def test_the_answer_comes_first(tmp_path: Path) -> None:
    """What to ship, which rows are faster, the steps of the front, and how certain that is stand before any table."""
    text = api.report(make_folder(tmp_path, _three()).path).read_text()  # type: ignore[arg-type]
    answer = text[: text.index("| architecture")]
    assert "3 of 3 trials measured" in answer
    assert f"**Ship {FASTER}:** 0.412 mAP at 40.0 ms (p95 40.0) in " in answer
    assert f"**{MOBILE}** is 2.0× faster for −0.031 mAP." in answer
    assert f"fastest first: {MOBILE}; then {FASTER}, +0.031 mAP for 2.0× the latency." in answer
    assert "n=1" in answer


def test_all_columns_are_there(tmp_path: Path) -> None:
    """Every number has a column with its unit, and every row is in every table."""
    text = api.report(make_folder(tmp_path, _three()).path).read_text()  # type: ignore[arg-type]
    for column in (
        "architecture", "mAP", "mAP50", "mAP75", "latency median ms", "p95 ms", "throughput img/s", "outcome",
        "backbone", "stages", "weights", "image size", "parameters M", "GFLOPs", "training img/s",
        "peak memory training MiB", "peak memory inference MiB", "wall time",
    ):  # fmt: skip
        assert re.search(rf"\| +{re.escape(column)} +\|", text) or f"| {column} " in text, column
    assert text.count(f"| {RETINA}") == 5
    assert "mobilenet_v3_large" in text
    tables = [block for block in text.split("\n\n") if block.startswith("| architecture")]
    for table in tables:
        assert len({len(line) for line in table.splitlines()}) == 1


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    """The page and the plot are equal, except for the time of writing."""
    folder = make_folder(tmp_path, _three())  # type: ignore[arg-type]
    first = api.report(folder.path).read_text(), next(folder.plots.iterdir()).read_bytes()
    second = api.report(folder.path).read_text(), next(folder.plots.iterdir()).read_bytes()
    assert re.sub(r"Written .*", "", first[0]) == re.sub(r"Written .*", "", second[0])
    assert first[1] == second[1]


def test_failures_have_their_reason_and_log(tmp_path: Path) -> None:
    """A killed trial has a row, and a line with a link to its log; pending trials are counted."""
    folder = make_folder(
        tmp_path,
        [make_record(make_trial())],
        failed=((make_trial(FASTER), make_outcome()),),
        left=(make_trial(MOBILE),),
    )
    text = api.report(folder.path).read_text()
    assert "1 of 3 trials measured, **1 failed**, 1 left" in text
    assert "killed by signal 9 (SIGKILL)" in text
    (link,) = re.findall(r"\(<(.+log\.txt)>\)", text)
    assert (tmp_path / link).is_file()
    assert text.count("not run yet") == 1
    assert max(len(line) for line in text.splitlines() if line.startswith("|")) < 150


def test_subsets_are_marked_and_never_replace_full_trials(tmp_path: Path) -> None:
    """A subset of higher mAP is not recommended if there is a full trial, and its row says not comparable."""
    subset = make_record(make_trial(FASTER, max_images=4), map=0.9, latency_s=0.001,
                         warnings=(MeasurementWarning(name="subset", reason="only the first 4 images"),))  # fmt: skip
    text = api.report(make_folder(tmp_path, [subset, make_record(make_trial(), map=0.3)]).path).read_text()
    assert f"**Ship {RETINA}:** 0.300 mAP" in text
    assert f"{RETINA} alone: nothing else is faster or more accurate" in text
    assert "succeeded, not comparable" in text
    alone = api.report(make_folder(tmp_path / "alone", [subset]).path).read_text()
    assert f"**Most accurate (not comparable) {FASTER}, subset:** 0.900 mAP" in alone


def test_seeds_show_their_spread_and_two_machines_a_banner(tmp_path: Path) -> None:
    """± is the std over seeds; a banner says that records are from two environments."""
    records = [make_record(make_trial(seed=seed), map=0.4 + seed / 10, device_name=f"GPU {seed}") for seed in (0, 1)]
    text = api.report(make_folder(tmp_path, records).path).read_text()
    assert "0.450 ± 0.071" in text
    assert "over 2 seeds" in text
    banner = text.index("> **Not one ranking:** these trials ran in different environments (device name GPU 0 / GPU 1)")
    assert banner < text.index("| architecture")


def test_speeds_of_two_machines_are_not_ranked(tmp_path: Path) -> None:
    """No row is called faster or is on a front, and there is no ratio; accuracy is still ranked."""
    records = [make_record(make_trial(FASTER), map=0.4, device_name="A"),
               make_record(make_trial(RETINA), map=0.3, latency_s=0.01, device_name="B")]  # fmt: skip
    text = api.report(make_folder(tmp_path, records).path).read_text()
    assert "their speeds cannot be compared" in text
    assert "× faster" not in text
    assert "★" not in text
    assert f"**Ship {FASTER}:** 0.400 mAP" in text


def test_a_detector_that_learnt_nothing_is_not_recommended(tmp_path: Path) -> None:
    """Not even if it is the best one."""
    text = api.report(make_folder(tmp_path, [make_record(make_trial(), map=0.002)]).path).read_text()
    assert "**Nothing to ship yet:**" in text
    assert "**Ship" not in text


def test_trials_outside_the_suite_are_left_out_and_counted(tmp_path: Path) -> None:
    """A seed that was removed from the suite changes no mean, and its old failures are not reported."""
    kept, old = (make_record(make_trial(seed=seed), map=value) for seed, value in ((0, 0.4), (1, 0.8)))
    folder = make_folder(tmp_path, [kept, old], failed=((make_trial(FASTER), make_outcome()),))
    files.replace(folder.plan, results.encode_plan(results.SuitePlan(suite_file=None, trials=(kept.trial,))))
    text = api.report(folder.path).read_text()
    assert "1 of 1 trials measured." in text
    assert "2 more lie in trials/" in text
    assert "0.400" in text
    assert "±" not in text
    assert "killed by" not in text
    folder.plan.unlink()
    assert "2 of 3 trials measured, **1 failed**" in api.report(folder.path).read_text()


def test_an_unreadable_record_is_reported_as_unreadable(tmp_path: Path) -> None:
    """And not as succeeded, although its attempt succeeded."""
    made = make_record(make_trial())
    folder = make_folder(tmp_path, [made])
    trial = folder.trial(made.trial.trial_id)
    trial.record.write_bytes(b"{")
    files.commit(trial.attempts()[0].outcome, record.encode(OUTCOME, make_outcome("succeeded", "")))
    assert "**unreadable, 1 trial:** " in api.report(folder.path).read_text()


def test_the_page_says_that_a_split_has_no_boxes(tmp_path: Path) -> None:
    """Then speed is measured and accuracy is not, which differs from an unmeasured trial."""
    text = api.report(make_folder(tmp_path, [make_record(make_trial(), map=None)]).path).read_text()
    assert "The evaluated split has no boxes" in text


def test_hostile_names_are_escaped(tmp_path: Path) -> None:
    """Pipes, tags and newlines from data neither break a table nor become active."""
    name = "a|b<script>`x`"
    reason = "boom |\n<script>alert(1)</script> [x](javascript:y)"
    failed = ((make_trial(FASTER, dataset="d"), make_outcome(reason=reason)),)
    folder = make_folder(tmp_path, [make_record(make_trial(dataset="d"))], failed=failed)
    text = api.report(folder.path).read_text()
    assert "<script>" not in text
    assert "[x](javascript" not in text
    from harness.report.markup import escape

    assert escape(name) == r"a\|b&lt;script&gt;\`x\`"
    assert escape("a\nb") == "a b"


def test_a_page_without_accuracy_or_without_results_can_be_written(tmp_path: Path) -> None:
    """A split without boxes has no mAP, and pending trials have no numbers."""
    assert "–" in api.report(make_folder(tmp_path / "a", [make_record(make_trial(), map=None)]).path).read_text()
    assert (
        "0 of 1 trials measured, 1 left"
        in api.report(make_folder(tmp_path / "b", [], left=(make_trial(),)).path).read_text()
    )


def test_the_committed_example_is_what_its_records_say(tmp_path: Path) -> None:
    """Writing the report again gives the same pages and pictures, except for the time of writing."""
    example = paths.SuiteFolder(ROOT / "results" / "examples" / "quickstart")
    again = paths.SuiteFolder(tmp_path / "quickstart")
    shutil.copytree(example.path / "trials", again.path / "trials")
    shutil.copy(example.plan, again.plan)
    api.report(again.path)
    for made, committed in ((again.report, example.report), (again.page, example.page)):
        texts = [re.sub(r"Written [-\d: ]+ UTC", "", path.read_text()) for path in (made, committed)]
        assert texts[0] == texts[1], committed.name
    assert {path.name: path.read_bytes() for path in again.plots.iterdir()} == {
        path.name: path.read_bytes() for path in example.plots.iterdir()
    }
