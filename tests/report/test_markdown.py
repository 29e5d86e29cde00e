"""The page states the answer first, reports whatever a run left, and depends on the records alone."""

from __future__ import annotations

import dataclasses
import html
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from harness import api
from harness.analysis import suite as suite_analysis
from harness.analysis.race.read import RaceTimes
from harness.store import files, paths, record, results
from harness.store.job import OUTCOME
from harness.store.race import Entrant
from harness.store.record import MeasurementWarning
from harness.suite.expand import configuration_key
from harness.suite.schema import ImageSize
from tests.conftest import ROOT
from tests.report.doubtful import AS_GOOD, DOUBTFUL, GOOD, POOR, TRUTH, contradicting, drawn
from tests.report.made import drawn_detections, drawn_labels, make_detected
from tests.report.pages import first_screens, main_tables, page_of, pairs, sections
from tests.store.make import make_folder, make_outcome, make_record, make_trial
from tests.store.make_race import make_race, write_end, write_race

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.store.arrays import StoredDetections
    from harness.store.paths import RaceFolder, SuiteFolder
    from harness.store.record import Record

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


def _three() -> list[Record]:
    return [
        make_record(make_trial(FASTER), map=0.412, latency_s=0.040),
        make_record(make_trial(MOBILE), map=0.381, latency_s=0.020),
        make_record(make_trial(RETINA), map=0.350, latency_s=0.030),
    ]


def _detected(root: Path, *found: tuple[str, StoredDetections, float]) -> SuiteFolder:
    """Write a folder of rows with these detections and latencies."""
    rows = [(make_record(make_trial(name), latency_s=seconds), stored) for name, stored, seconds in found]
    return make_detected(root, TRUTH, rows)


def _raced(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], *, spread: float) -> None:
    """Let a race of five blocks have measured these architectures, with such a spread of their ratio over blocks."""
    blocks = spread * np.outer((1, -1, 2, -2, 0), [(-1) ** number for number in range(len(seconds))])
    times = RaceTimes(
        number=1,
        entrants=tuple(
            Entrant(label=name, configuration=configuration_key(make_trial(name)), variant="as trained", trial_ids=())
            for name in seconds
        ),
        seconds=np.array([*seconds.values()]) * np.exp(blocks),
        p95_s=np.array([*seconds.values()]) * np.exp(blocks) * 1.5,
        failed={},
        environment=make_record(make_trial()).environment,
    )
    monkeypatch.setattr(suite_analysis, "read_times", lambda _folder, _dataset, _rows: times)


def test_the_answer_comes_first(tmp_path: Path) -> None:
    """What to ship, what a faster one costs, and how certain that is stand before any table."""
    folder = _detected(tmp_path, (FASTER, GOOD, 0.04), (MOBILE, drawn(5, 0.5), 0.02), (RETINA, POOR, 0.03))
    text = page_of(folder)
    answer = text[: text.index("| architecture")]
    assert "3 of 3 trials measured" in answer
    (lines,) = first_screens(text).values()
    interval = r"0\.\d{3} \[0\.\d{3}–0\.\d{3}\]"
    assert re.fullmatch(
        rf"- \*\*Ship {FASTER}:\*\* mAP {interval}, 40\.0 ms \(p95 40\.0\), 1,024 MiB; "
        r"one seed: holds for these weights\.",
        lines[0],
    ), lines[0]
    assert re.fullmatch(
        rf"- \*\*{MOBILE}:\*\* 2\.00× the speed, by medians; mAP −0\.\d+ \[−0\.\d+ to −0\.\d+\], less accurate\.",
        lines[1],
    ), lines[1]
    assert lines[-1].startswith("- **How sure:** 40 val images, 1 seed each; 95 % intervals over images alone")


def test_all_columns_are_there(tmp_path: Path) -> None:
    """Every number has a column with its unit, and every row is in every table."""
    text = api.report(make_folder(tmp_path, _three()).path).read_text()
    for column in (
        "architecture", "mAP [95 %]", "rank", "latency ms", "p95 ms", "img/s (batch)", "memory MiB", "parameters M",
        "GFLOPs", "epochs", "images seen", "learning rate", "image size", "seeds", "outcome", "mAP50", "mAP75",
        "backbone", "stages", "weights", "training img/s", "peak memory training MiB", "peak memory inference MiB",
        "wall time",
    ):  # fmt: skip
        assert re.search(rf"\| +{re.escape(column)} +\|", text) or f"| {column} " in text, column
    assert text.count(f"| {RETINA}") == 6
    assert "mobilenet_v3_large" in text
    blocks = [block for block in text.split("\n\n") if block.startswith("| architecture")]
    for table in blocks:
        assert len({len(line) for line in table.splitlines()}) == 1


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    """The page and the plot are equal, except for the time of writing."""
    folder = make_folder(tmp_path, _three())
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


def test_subsets_are_marked_and_never_replace_full_trials(tmp_path: Path) -> None:
    """A subset of higher mAP is not recommended if there is a full trial, and its row says not comparable."""
    subset = make_record(make_trial(FASTER, max_images=4), map=0.9, latency_s=0.001,
                         warnings=(MeasurementWarning(name="subset", reason="only the first 4 images"),))  # fmt: skip
    text = page_of(make_detected(tmp_path / "both", TRUTH, [(subset, GOOD), (make_record(make_trial()), POOR)]))
    (lines,) = first_screens(text).values()
    assert lines[0].startswith(f"- **Ship {RETINA}:** mAP 0.1")
    assert FASTER not in "\n".join(lines)
    assert "succeeded, not comparable" in text
    alone = page_of(make_folder(tmp_path / "alone", [subset]))
    assert f"**Most accurate (not comparable) {FASTER}, subset:** mAP 0.900" in alone


@pytest.mark.parametrize("name", DOUBTFUL)
def test_what_stands_against_an_answer_is_on_the_first_screen(tmp_path: Path, name: str) -> None:
    """And nothing is called the one to ship: neither on failed seeds or rows, nor on what does not compare."""
    doubtful = DOUBTFUL[name]
    text = page_of(doubtful.make(tmp_path / "made"))
    screens = first_screens(text)
    assert len(screens) == doubtful.tables
    for lines in screens.values():
        assert "**Ship" not in "\n".join(lines)
        assert doubtful.page in "\n".join(lines)
        assert lines[0].startswith(("- **Best here, but in doubt: ", "- **Nothing to ship yet:** "))
    assert doubtful.advice in html.unescape(text)


@pytest.mark.parametrize("name", ["score thresholds", "detections an image", "val beside test", "fingerprints"])
def test_rows_that_do_not_compare_have_tables_of_their_own(tmp_path: Path, name: str) -> None:
    """Each with the reason in a banner, and with what distinguishes it in its heading; no pair is compared."""
    text = page_of(DOUBTFUL[name].make(tmp_path / "made"))
    reason = DOUBTFUL[name].advice
    found = sections(text)
    for title, value in zip(found, reason.split(": ")[1].split(" / "), strict=True):
        assert value in title
        assert "> **Not one ranking:** " in found[title]
        assert f"({reason})" in found[title].split("- **")[0]
        ((row,),) = main_tables(found[title])
        assert row["rank"] == "1 a"
    assert not pairs(text)


def test_a_record_that_contradicts_its_detections_never_wins(tmp_path: Path) -> None:
    """It is left out with both numbers, under Warnings; a difference of rounding is none."""
    text = page_of(contradicting(tmp_path / "wrong"))
    (lines,) = first_screens(text).values()
    assert FASTER not in "\n".join(lines)
    (warning,) = [line for line in text.split("## Warnings")[1].splitlines() if "left out of every comparison" in line]
    numbers = re.findall(r"0\.\d{3}", warning.split("its record")[1])
    assert float(numbers[0]) - float(numbers[1]) == pytest.approx(0.1)
    for by in (2e-6, -2e-6):
        assert "left out of every comparison" in page_of(contradicting(tmp_path / f"{by}", by))
    assert "## Warnings" not in page_of(contradicting(tmp_path / "rounded", 5e-7))


def test_seeds_show_their_spread_and_two_machines_a_reason(tmp_path: Path) -> None:
    """± is the standard deviation over seeds; what differs between the machines of one row's seeds is said."""
    seeds = [(make_record(make_trial(seed=seed), latency_s=0.02 + seed / 100, device_name=f"GPU {seed}"), stored)
             for seed, stored in enumerate((GOOD, AS_GOOD))]  # fmt: skip
    text = page_of(make_detected(tmp_path, TRUTH, seeds))
    ((row,),) = main_tables(text)
    assert (row["seeds"], row["latency ms"]) == ("2", "25.0")
    assert "(different environment: device name GPU 0 / GPU 1)" in text
    assert "| ± over seeds |" in text
    assert "7.1" in text  # ms: of 20 and 30


def test_speeds_of_two_machines_are_not_ranked(tmp_path: Path) -> None:
    """Accuracy is ranked in one; the main table has a part for each machine, with the reason, and no ratio."""
    records = [make_record(make_trial(FASTER), device_name="A"),
               make_record(make_trial(RETINA), latency_s=0.01, device_name="B")]  # fmt: skip
    text = page_of(make_detected(tmp_path, TRUTH, list(zip(records, (GOOD, POOR), strict=True))))
    (lines,) = first_screens(text).values()
    assert lines[0].startswith(f"- **Ship {FASTER}:** mAP 0.4")
    assert "- **Speed:** not all ran in one environment by one protocol; each of these has its own table." in lines
    assert "**Speeds that compare, 1 of 2** (apart from the others: different environment: device name A / B)" in text
    assert [[row["rank"] for row in table] for table in main_tables(text)] == [["1 a"], ["2 b"]]
    (pair,) = pairs(text)
    assert (pair["accuracy"], pair["times as fast [95 %]"], pair["speed"]) == ("less accurate", "–", "not comparable")


def test_latencies_of_two_protocols_are_not_ranked(tmp_path: Path) -> None:
    """They are like those of two machines, though accuracies compare."""
    trial = make_trial(RETINA)
    other = dataclasses.replace(trial, protocol=dataclasses.replace(trial.protocol, deployment_score_threshold=0.3))
    rows = [(make_record(make_trial(FASTER)), GOOD), (make_record(other, latency_s=0.01), POOR)]
    text = page_of(make_detected(tmp_path, TRUTH, rows))
    assert len(main_tables(text)) == 2
    assert "different protocol: deployment_score_threshold 0.05 / 0.3" in text
    (pair,) = pairs(text)
    assert (pair["accuracy"], pair["speed"]) == ("less accurate", "not comparable")


def test_without_a_race_nobody_is_called_faster(tmp_path: Path) -> None:
    """Not by the largest ratio of medians: the page says that these are of one process each. No star is filled."""
    text = page_of(_detected(tmp_path, (FASTER, GOOD, 0.4), (MOBILE, AS_GOOD, 0.2), (RETINA, POOR, 0.001)))
    (lines,) = first_screens(text).values()
    assert "- **Speed:** by medians of one process each; without `harness race` no row is called faster." in lines
    assert f"**Ship {MOBILE}:**" in lines[0]
    assert "; the fastest by medians of 2 not separated" in lines[0]
    rest = text.replace("no row is called faster", "").replace("the fastest by medians", "")
    rest = re.sub(r"Sources of the recipes: .*", "", rest)  # whose addresses name Faster R-CNN
    assert not re.search(r"\b(fast|slow)(er|est)\b", rest)
    assert {pair["speed"] for pair in pairs(text)} == {"not raced"}
    assert "★" not in text
    assert "☆" in text


@pytest.mark.parametrize(("spread", "word"), [(0.02, "faster"), (1.0, "not separated")])
def test_a_race_decides_who_is_faster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spread: float, word: str
) -> None:
    """By its interval, which excludes 1 beside "faster" and holds it beside "not separated"; only then a star fills."""
    folder = _detected(tmp_path, (FASTER, GOOD, 0.04), (RETINA, POOR, 0.02))
    _raced(monkeypatch, {FASTER: 0.04, RETINA: 0.02}, spread=spread)
    text = page_of(folder)
    (pair,) = pairs(text)
    value, low, high = map(float, re.findall(r"[\d.]+", pair["times as fast [95 %]"]))
    assert pair["speed"] == word
    assert (low <= 1 <= high) == (word == "not separated")
    assert low < value < high
    assert ("★ is on the Pareto front, and separated" in text) == (word == "faster")
    (lines,) = first_screens(text).values()
    assert "- **Speed:** raced in 5 blocks of fresh processes." in lines


def _raced_in_files(folder: SuiteFolder, *names: str, seconds: Sequence[Sequence[float]]) -> RaceFolder:
    """Write a race of these architectures' only trials."""
    entrants = [
        Entrant(
            label=name,
            configuration=configuration_key(make_trial(name)),
            variant="as trained",
            trial_ids=(make_trial(name).trial_id,),
        )
        for name in names
    ]
    return write_race(folder, make_race(*entrants, blocks=5), seconds)


def test_rows_that_did_not_race_are_compared_by_their_own_medians(tmp_path: Path) -> None:
    """The race ran at a slower hour, over two of its five blocks so far; its rows show its latency and its p95."""
    folder = _detected(tmp_path, (FASTER, GOOD, 0.04), (RETINA, AS_GOOD, 0.03), (MOBILE, POOR, 0.02))
    _raced_in_files(folder, FASTER, RETINA, seconds=[[0.08, 0.06], [0.08, 0.0602], [0.08]])
    text = page_of(folder)
    (lines,) = first_screens(text).values()
    assert re.match(
        rf"- \*\*Ship {RETINA}:\*\* mAP .*, 60\.1 ms \(p95 60\.1\), .* in the race of 2 not separated;", lines[0]
    )
    assert lines[1].startswith(f"- **{MOBILE}:** 1.50× the speed, by medians; ")
    assert (
        "- **Speed:** 2 of 3 rows raced in 2 blocks of fresh processes; the others by medians of one process each."
        in lines
    )
    (table,) = main_tables(text)
    assert [(row["latency ms"], row["p95 ms"]) for row in table] == [
        ("80.0", "80.0"),
        ("60.1", "60.1"),
        ("20.0", "20.0"),
    ]
    words = {(pair["architecture"], pair["against"]): pair["times as fast [95 %]"] for pair in pairs(text)}
    assert words[MOBILE, FASTER] == "2.00×"


def test_the_fastest_of_a_race_may_be_so_by_chance(tmp_path: Path) -> None:
    """Then the line says it."""
    folder = _detected(tmp_path, (FASTER, GOOD, 0.04), (RETINA, AS_GOOD, 0.03))
    _raced_in_files(folder, FASTER, RETINA, seconds=[[0.04, 0.05], [0.05, 0.03], [0.05, 0.04]])
    (lines,) = first_screens(page_of(folder)).values()
    assert lines[0].startswith(f"- **Ship {RETINA}:** ")
    assert "; the fastest in the race, but within chance, of 2 not separated" in lines[0]
    (advice,) = api.recommend(folder.path)
    by = "the fastest, in their race but within chance, of 2 whose map is not separated from the best"
    assert advice.remarks[0] == by


def test_a_row_that_failed_in_the_race_is_in_doubt(tmp_path: Path) -> None:
    """With the reason under the warnings; it is not called the one to ship."""
    folder = _detected(tmp_path, (FASTER, GOOD, 0.04), (RETINA, AS_GOOD, 0.03), (MOBILE, drawn(7, 0.9), 0.02))
    place = _raced_in_files(folder, FASTER, RETINA, MOBILE, seconds=[[0.04, 0.03], [0.04, 0.03], [0.04, 0.03]])
    write_end(place, 1, 3, "failed", "no memory")
    text = page_of(folder)
    (lines,) = first_screens(text).values()
    assert lines[0].startswith(f"- **Best here, but in doubt: {MOBILE}:** ")
    assert "- **In doubt:** it failed in the race." in lines
    assert f"\n- {MOBILE} on shapes: left the race: no memory\n" in text
    assert "2 of 3 rows raced in 3 blocks of fresh processes; [1 row failed in it](#warnings);" in text
    (advice,) = api.recommend(folder.path)
    assert not advice.ships


def test_one_row_alone_is_ahead_of_nobody(tmp_path: Path) -> None:
    """No star, nor a word on neighbours."""
    text = page_of(_detected(tmp_path, (FASTER, GOOD, 0.04)))
    assert "Pareto front by" not in text
    assert "☆" not in text


def test_rows_that_found_the_same_leave_nothing_to_be_seen(tmp_path: Path) -> None:
    """Their difference is 0 and certain: it says nothing about which difference could have been seen."""
    text = page_of(_detected(tmp_path, (FASTER, GOOD, 0.04), (RETINA, GOOD, 0.02)))
    assert "would be seen 4 times in 5" not in text
    assert "What this could show" not in text
    three = page_of(_detected(tmp_path / "3", (FASTER, GOOD, 0.04), (RETINA, GOOD, 0.02), (MOBILE, POOR, 0.02)))
    two = page_of(_detected(tmp_path / "2", (FASTER, GOOD, 0.04), (MOBILE, POOR, 0.02)))
    (seen,) = set(re.findall(r"a difference of (0\.\d+) would", three))
    assert float(seen) > 0
    assert f"a difference of {seen} would" in two


@pytest.mark.parametrize("seeds", [2, 3])
def test_what_halves_the_smallest_difference_counts_that_spread_is_known_better(tmp_path: Path, seeds: int) -> None:
    """Of few seeds, twice as many do more than halve the error of the error; the number is the first that is enough."""
    found = [
        (make_record(make_trial(name, seed=seed)), drawn(10 * number + seed, 0.9 - 0.02 * (seed % 2)))
        for number, name in enumerate((FASTER, RETINA))
        for seed in range(seeds)
    ]
    folder = make_detected(tmp_path, TRUTH, found)
    (dataset,) = suite_analysis.analyse_suite(folder).datasets
    pair = dataset.significance.pair(*dataset.rows.index)
    assert pair is not None
    error = pair.difference.error
    (enough,) = map(int, re.findall(r"Half of that takes about (?:[\d,]+ images or )?(\d+) seeds", page_of(folder)))
    seen = [error.with_more(seeds=number / seeds).detectable for number in (enough, enough - 1, seeds)]
    assert seen[0] <= seen[2] / 2 < seen[1]


def test_two_seeds_and_one_may_show_nothing(tmp_path: Path) -> None:
    """No difference of two mAPs is above 1, and no interval of one goes beyond."""
    found = [(make_record(make_trial(MOBILE, seed=seed)), drawn(seed + 2, 0.5)) for seed in (0, 1)]
    text = page_of(make_detected(tmp_path, TRUTH, [(make_record(make_trial(FASTER)), GOOD), *found]))
    assert "; with so few seeds or images no difference could be relied on to be seen;" in text
    assert "**What this could show:** no difference, however large" in text
    (pair,) = pairs(text)
    assert "[−1.000 to +1.000]" in pair["mAP [95 %]"]


def test_one_image_is_told_in_english(tmp_path: Path) -> None:
    """And chance over images is not known."""
    truth = drawn_labels(np.random.default_rng(3), images=1, crowds=0.0)
    found = [
        (make_record(make_trial(name)), drawn_detections(np.random.default_rng(1), truth)) for name in (FASTER, RETINA)
    ]
    text = page_of(make_detected(tmp_path, truth, found))
    assert "**How sure:** 1 val image, 1 seed each;" in text
    assert "it is not known how certain the accuracy of 2 rows is" in text


@pytest.mark.parametrize("hits", [0.9, 0.8, 0.7, 0.5, 0.3])
def test_an_interval_beside_a_verdict_says_the_same(tmp_path: Path, hits: float) -> None:
    """Beside "not separated" it holds 0, else it does not; ± is the standard deviation over seeds, and nothing else."""
    rows = [
        (make_record(make_trial(name, seed=seed)), drawn(10 * number + seed, quality))
        for number, (name, quality) in enumerate(((FASTER, 0.9), (MOBILE, hits), (RETINA, 0.6)))
        for seed in (0, 1)
    ]
    text = page_of(make_detected(tmp_path, TRUTH, rows))
    compared = pairs(text)
    assert len(compared) >= 2
    for pair in compared:
        value, low, high = (float(end.replace("−", "-")) for end in re.findall(r"[−+]?0\.\d+", pair["mAP [95 %]"]))
        assert low <= value <= high
        # to the three digits shown
        assert (low <= 0 <= high) or pair["accuracy"] == ("more accurate" if value > 0 else "less accurate")
        assert not low < 0 < high or pair["accuracy"] == "not separated"
    named = text.replace("± over seeds", "").replace("± is the standard deviation over seeds", "")
    assert "±" not in named
    ((first, *_),) = main_tables(text)
    assert re.fullmatch(r"0\.\d{3} \[0\.\d{3}–0\.\d{3}\]( ‡)?", first["mAP [95 %]"])


def _budget(name: str, *, lr: float, epochs: int, size: int) -> Record:
    trial = make_trial(name, h={"lr": lr})
    architecture = dataclasses.replace(trial.architecture, image_size=ImageSize(min=size, max=size))
    made = make_record(dataclasses.replace(trial, architecture=architecture))
    passed = tuple(
        record.Epoch(epoch=k, lr=lr, loss=1.0, loss_parts={}, wall_s=1.0, val_map=None, val_map_50=None)
        for k in range(1, epochs + 1)
    )
    return dataclasses.replace(made, measurements=dataclasses.replace(made.measurements, epochs=passed))


def test_other_budgets_are_on_the_first_screen(tmp_path: Path) -> None:
    """Epochs, learning rates and image sizes that differ, and beside each row's numbers; not where all are equal."""
    rows = [(_budget(FASTER, lr=0.02, epochs=3, size=64), GOOD), (_budget(RETINA, lr=0.01, epochs=8, size=96), POOR)]
    text = page_of(make_detected(tmp_path / "other", TRUTH, rows))
    (lines,) = first_screens(text).values()
    assert "- **Budgets differ:** epochs 3 to 8; learning rates 0.01 to 0.02; image sizes 64/64 and 96/96." in lines
    ((first, second),) = main_tables(text)
    columns = ("epochs", "learning rate", "image size")
    assert [tuple(row[name] for name in columns) for row in (first, second)] == [
        ("3", "0.02", "64/64"), ("8", "0.01", "96/96"),
    ]  # fmt: skip
    equal = [(_budget(name, lr=0.01, epochs=3, size=64), stored) for name, stored in ((FASTER, GOOD), (RETINA, POOR))]
    assert "Budgets differ" not in page_of(make_detected(tmp_path / "equal", TRUTH, equal))


def test_the_choice_on_the_images_that_score_it_is_said(tmp_path: Path) -> None:
    """Where there was something to choose from."""
    said = "chosen on the images that score it, so the best looks a little too good"
    assert said in "\n".join(*first_screens(page_of(DOUBTFUL["two machines"].make(tmp_path / "two"))).values())
    assert said not in page_of(_detected(tmp_path / "one", (FASTER, GOOD, 0.02)))


_SMALL = drawn_labels(np.random.default_rng(1), images=12, crowds=0.0)


def _many(count: int) -> list[tuple[Record, StoredDetections]]:
    """Make rows of long names that tie in accuracy or do not, with other budgets and with warnings."""
    warnings = (MeasurementWarning(name="unstable", reason="rounds lie 9 % apart"),)
    qualities = [drawn_detections(np.random.default_rng((stream, 3)), _SMALL, hits=hits, shift=1.0, each=6)
                 for stream, hits in enumerate((0.9, 0.9, 0.85, 0.1))]  # fmt: skip
    rows = []
    for number in range(count):
        made = _budget(f"{number} {'a_b-c' * 60}", lr=(number + 1) / 1234, epochs=1 + number % 4, size=64 + number % 9)
        latency = record.distribution([[0.02 + number / 1e4] * 20])
        measured = dataclasses.replace(made.measurements, latency_s=latency)
        trial = dataclasses.replace(made.trial, trial_id=f"t{number}")
        changed = dataclasses.replace(made, trial=trial, measurements=measured, warnings=warnings)
        rows.append((changed, qualities[number % 4]))
    return rows


def _on_machines(made: Record, number: int) -> Record:
    environment = dataclasses.replace(made.environment, cpu=f"{'c' * 99}{number}")
    return dataclasses.replace(made, environment=environment)


@pytest.mark.parametrize("case", [pytest.param("many", marks=pytest.mark.slow), "many machines", "many failed"])
def test_the_first_screen_of_two_hundred_rows_is_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    """At most eight lines and 900 characters, with long names, ties, other budgets, failed rows and warnings."""
    monkeypatch.setattr(os, "fsync", lambda _file: None)  # takes most of the time of 200 records
    found = _many({"many": 200, "many machines": 30, "many failed": 20}[case])
    failed = tuple((make_trial(f"{number}"), make_outcome()) for number in range(180)) if case == "many failed" else ()
    if case == "many machines":
        found = [(_on_machines(made, number % 3), stored) for number, (made, stored) in enumerate(found)]
    (lines,) = first_screens(page_of(make_detected(tmp_path, _SMALL, found, failed=failed))).values()
    text = "\n".join(lines)
    assert len(lines) <= 8
    assert len(text) <= 900, text
    for start in ("Not separated", "In doubt", "Speed", "How sure", "Budgets differ"):
        assert f"- **{start}" in text, start
    assert re.search(r"and \d+ more; what it would take is said below\.", text)


def test_a_detector_that_learnt_nothing_is_not_recommended(tmp_path: Path) -> None:
    """Not even if it is the best one."""
    text = page_of(make_folder(tmp_path, [make_record(make_trial(), map=0.002)]))
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
    assert main_tables(text)[0][0]["seeds"] == "1"
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


def test_operations_that_could_not_be_counted_are_a_dash(tmp_path: Path) -> None:
    """Of a network that the counter of torch cannot follow."""
    made = make_record(make_trial())
    uncounted = dataclasses.replace(made, model=dataclasses.replace(made.model, flops=None))
    page = api.report(make_folder(tmp_path, [uncounted]).path).read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {made.trial.architecture.name} |")][:1]
    assert [cell.strip() for cell in row.split("|")][9] == "–"


@pytest.mark.parametrize("name", ["quickstart", pytest.param("families", marks=pytest.mark.slow)])
def test_a_committed_example_is_what_its_records_say(tmp_path: Path, name: str) -> None:
    """Writing the report again gives the same pages and pictures, except for the time of writing."""
    example = paths.SuiteFolder(ROOT / "results" / "examples" / name)
    again = paths.SuiteFolder(tmp_path / name)
    for folder in ("trials", "races"):
        shutil.copytree(example.path / folder, again.path / folder)
    shutil.copy(example.plan, again.plan)
    api.report(again.path)
    for made, committed in ((again.report, example.report), (again.page, example.page)):
        texts = [re.sub(r"Written [-\d: ]+ UTC", "", path.read_text()) for path in (made, committed)]
        assert texts[0] == texts[1], committed.name
    assert {path.name: path.read_bytes() for path in again.plots.iterdir()} == {
        path.name: path.read_bytes() for path in example.plots.iterdir()
    }
