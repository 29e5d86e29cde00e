"""The page reads well whatever the night left, says the answer first, and is a pure function of the records."""

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
    """What to ship, who is faster and for what, the front's steps, and how sure that is, before any table."""
    text = api.report(make_folder(tmp_path, _three()).path).read_text()  # type: ignore[arg-type]
    answer = text[: text.index("| architecture")]
    assert "3 of 3 trials measured" in answer
    assert f"**Ship {FASTER}:** 0.412 mAP at 40.0 ms (p95 40.0) in " in answer
    assert f"**{MOBILE}** is 2.0× faster for −0.031 mAP." in answer
    assert f"fastest first: {MOBILE}; then {FASTER}, +0.031 mAP for 2.0× the latency." in answer
    assert "n=1" in answer


def test_all_columns_are_there(tmp_path: Path) -> None:
    """Every number that the comparison promises, with its unit, and every row in every table."""
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
    """Page and plot, the time of writing aside."""
    folder = make_folder(tmp_path, _three())  # type: ignore[arg-type]
    first = api.report(folder.path).read_text(), next(folder.plots.iterdir()).read_bytes()
    second = api.report(folder.path).read_text(), next(folder.plots.iterdir()).read_bytes()
    assert re.sub(r"Written .*", "", first[0]) == re.sub(r"Written .*", "", second[0])
    assert first[1] == second[1]


def test_failures_are_told_with_reason_and_log(tmp_path: Path) -> None:
    """A killed trial is a row and a line with a link to its log; what is left is counted."""
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


def test_subsets_are_stamped_and_never_answer_for_real_ones(tmp_path: Path) -> None:
    """A subset's higher mAP wins no sentence while a real trial is there; its row says not comparable."""
    subset = make_record(make_trial(FASTER, max_images=4), map=0.9, latency_s=0.001,
                         warnings=(MeasurementWarning(name="subset", reason="only the first 4 images"),))  # fmt: skip
    text = api.report(make_folder(tmp_path, [subset, make_record(make_trial(), map=0.3)]).path).read_text()
    assert f"**Ship {RETINA}:** 0.300 mAP" in text
    assert f"{RETINA} alone: nothing else is faster or more accurate" in text
    assert "succeeded, not comparable" in text
    alone = api.report(make_folder(tmp_path / "alone", [subset]).path).read_text()
    assert f"**Most accurate (not comparable) {FASTER}, subset:** 0.900 mAP" in alone


def test_seeds_show_their_spread_and_two_machines_a_banner(tmp_path: Path) -> None:
    """± std over seeds; records from two environments never compare in silence."""
    records = [make_record(make_trial(seed=seed), map=0.4 + seed / 10, device_name=f"GPU {seed}") for seed in (0, 1)]
    text = api.report(make_folder(tmp_path, records).path).read_text()
    assert "0.450 ± 0.071" in text
    assert "over 2 seeds" in text
    banner = text.index("> **Not one ranking:** these trials ran in different environments (device name GPU 0 / GPU 1)")
    assert banner < text.index("| architecture")


def test_speeds_of_two_machines_are_not_ranked(tmp_path: Path) -> None:
    """Nothing is called faster, nothing is on a front, no ratio is told; accuracy is."""
    records = [make_record(make_trial(FASTER), map=0.4, device_name="A"),
               make_record(make_trial(RETINA), map=0.3, latency_s=0.01, device_name="B")]  # fmt: skip
    text = api.report(make_folder(tmp_path, records).path).read_text()
    assert "nothing is said of who is faster" in text
    assert "× faster" not in text
    assert "★" not in text
    assert f"**Ship {FASTER}:** 0.400 mAP" in text


def test_what_finds_nothing_is_not_to_be_shipped(tmp_path: Path) -> None:
    """The best of detectors that learnt nothing is no answer."""
    text = api.report(make_folder(tmp_path, [make_record(make_trial(), map=0.002)]).path).read_text()
    assert "**Nothing to ship yet:**" in text
    assert "**Ship" not in text


def test_what_the_suite_no_longer_asks_for_is_left_out_and_counted(tmp_path: Path) -> None:
    """A seed that was taken out of the suite moves no mean, and a failure of old is not told as one of now."""
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


def test_an_unreadable_record_is_called_so(tmp_path: Path) -> None:
    """Its attempt succeeded, but that is not what a reader needs to hear."""
    made = make_record(make_trial())
    folder = make_folder(tmp_path, [made])
    trial = folder.trial(made.trial.trial_id)
    trial.record.write_bytes(b"{")
    files.commit(trial.attempts()[0].outcome, record.encode(OUTCOME, make_outcome("succeeded", "")))
    assert "**unreadable, 1 trial:** " in api.report(folder.path).read_text()


def test_a_split_without_boxes_is_said(tmp_path: Path) -> None:
    """Measured, but with no accuracy: not the same as not measured."""
    text = api.report(make_folder(tmp_path, [make_record(make_trial(), map=None)]).path).read_text()
    assert "The evaluated split has no boxes" in text


def test_hostile_names_do_nothing(tmp_path: Path) -> None:
    """Pipes, tags and newlines from data break no table and run nothing."""
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


def test_no_accuracy_and_nothing_at_all_are_said(tmp_path: Path) -> None:
    """A split without boxes has no mAP; an empty plan has no rows: neither crashes."""
    assert "–" in api.report(make_folder(tmp_path / "a", [make_record(make_trial(), map=None)]).path).read_text()
    assert (
        "0 of 1 trials measured, 1 left"
        in api.report(make_folder(tmp_path / "b", [], left=(make_trial(),)).path).read_text()
    )


def test_the_committed_example_is_what_its_records_say(tmp_path: Path) -> None:
    """Both pages under results/examples and every picture come out of the records again, the time of writing aside."""
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
