"""The arithmetic of the frames: means over seeds, the Pareto front, the settings that distinguish configurations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness import api
from harness.analysis import environments
from harness.analysis.frame import configuration_frame, pareto_front, trial_frame
from harness.store import files, record, results
from harness.store.results import read_results
from harness.suite.catalog.registry import OwnArchitecture
from harness.suite.schema import Cost, ImageSize
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"


def _frame(folder: object) -> pd.DataFrame:
    return configuration_frame(trial_frame(read_results(folder)))  # type: ignore[arg-type]


def test_seeds_become_mean_and_std(tmp_path: Path) -> None:
    """Three seeds are one row: mean, std with n − 1, n, and the outcomes of all, a failed one included."""
    records = [make_record(make_trial(seed=seed), map=value, latency_s=0.02 + seed / 1000)
               for seed, value in enumerate((0.4, 0.5, 0.6))]  # fmt: skip
    row = _frame(make_folder(tmp_path, records, failed=((make_trial(seed=3), make_outcome()),))).iloc[0]
    assert row["map"] == pytest.approx(0.5)
    assert row["map_std"] == pytest.approx(0.1)
    assert row["n"] == 3
    assert row["latency_median_s"] == pytest.approx(0.021)
    assert row["outcomes"] == "3 succeeded, 1 failed"


def test_what_differs_names_a_configuration(tmp_path: Path) -> None:
    """Two learning rates of one architecture are two rows, named by lr alone; another architecture needs no setting."""
    records = [make_record(make_trial(h={"lr": lr})) for lr in (0.01, 0.02)] + [make_record(make_trial(FASTER))]
    frame = _frame(make_folder(tmp_path, records))
    assert list(frame["setting"]) == ["lr 0.01", "lr 0.02", ""]


def test_image_sizes_and_protocols_tell_configurations_apart(tmp_path: Path) -> None:
    """Every setting in which two trials of one architecture differ is in the names of their rows."""
    sizes = [replace(make_trial().architecture, image_size=ImageSize(min=size, max=size)) for size in (64, 96)]
    trials = [replace(make_trial(architecture=RETINA), architecture=size, trial_id=f"t{index}")
              for index, size in enumerate(sizes)]  # fmt: skip
    protocol = replace(trials[1].protocol, throughput_batch_size=2)
    trials.append(replace(trials[1], protocol=protocol, trial_id="t2"))
    names = set(_frame(make_folder(tmp_path, [make_record(trial) for trial in trials]))["setting"])
    assert names == {
        "image_size 64/64, protocol.throughput_batch_size 8",
        "image_size 96/96, protocol.throughput_batch_size 8",
        "image_size 96/96, protocol.throughput_batch_size 2",
    }


def test_failed_and_left_trials_have_rows(tmp_path: Path) -> None:
    """No planned trial is missing from the table."""
    folder = make_folder(tmp_path, [make_record(make_trial())], failed=((make_trial(FASTER), make_outcome("hung")),),
                         left=(make_trial(MOBILE),))  # fmt: skip
    frame = _frame(folder)
    assert list(frame["outcomes"]) == ["succeeded", "hung", "not run yet"]
    assert frame["map"].isna().tolist() == [False, True, True]


def test_an_architecture_of_ones_own_has_rows_like_any(tmp_path: Path) -> None:
    """Its facts come from the record, without its code; another version of the code makes a row that says so."""
    trials = []
    for seed, digest in enumerate(("a" * 64, "b" * 64)):
        own = OwnArchitecture(path="/gone/toy.py:TOY", sha256=digest, backbone="mine", stages=1, parameters=7)
        trial = make_trial("toy", seed=seed)
        trials.append(replace(trial, architecture=replace(trial.architecture, own=own)))
    frame = _frame(make_folder(tmp_path, [make_record(trial) for trial in trials]))
    assert frame["backbone"].tolist() == ["mine", "mine"]
    assert sorted(frame["label"]) == ["toy (code aaaaaaaa)", "toy (code bbbbbbbb)"]


def test_the_front_is_what_nothing_beats() -> None:
    """A row is on the front if no row is both faster and more accurate; of equally fast rows only the better one is."""
    frame = pd.DataFrame({
        "architecture": list("abcdef"),
        "latency_median_s": [0.01, 0.02, 0.03, 0.02, 0.05, float("nan")],
        "map": [0.30, 0.40, 0.35, 0.38, 0.50, 0.9],
    })  # fmt: skip
    assert list(pareto_front(frame)["architecture"]) == ["a", "b", "e"]


def test_an_empty_folder_gives_an_empty_frame(tmp_path: Path) -> None:
    """No trials, no rows, no crash."""
    assert _frame(make_folder(tmp_path, [])).empty


def _variant(name: str, *, map: float | None, latency_s: float = 0.01, how: str = "whole") -> record.Variant:
    """Return a measured variant, or without `map` one that is not supported."""
    if map is None:
        return record.Variant(name=name, problem="no such operator")
    made = make_record(make_trial(), map=map, latency_s=latency_s)
    fields = {field: getattr(made.measurements, field) for field in record.Inference.__slots__}
    return record.Variant(name=name, how=how, metrics=made.metrics, measurements=record.Inference(**fields))


def test_variants_are_rows_of_their_own_over_seeds(tmp_path: Path) -> None:
    """A variant is averaged apart from the model as trained; a variant that only one seed could run says so."""
    records = [
        replace(make_record(make_trial(seed=0), map=0.4), variants=(_variant("onnxruntime", map=0.4),)),
        replace(make_record(make_trial(seed=1), map=0.6), variants=(_variant("onnxruntime", map=None),)),
        make_record(make_trial(MOBILE)),
    ]
    frame = _frame(make_folder(tmp_path, records)).set_index("label")
    assert set(frame.index) == {f"{RETINA}, eager-fp32", f"{RETINA}, onnxruntime", MOBILE}
    plain, variant = frame.loc[f"{RETINA}, eager-fp32"], frame.loc[f"{RETINA}, onnxruntime"]
    assert (plain["map"], plain["n"], plain["latency_n"]) == (pytest.approx(0.5), 2, 40)
    assert (variant["map"], variant["n"], variant["latency_n"]) == (pytest.approx(0.4), 1, 20)
    assert variant["outcomes"] == "1 succeeded, 1 cannot"
    assert ("cannot", "seed 1: no such operator") in variant["warnings"]
    text = api.report(tmp_path).read_text()
    assert "whole; seed 1: no such operator" in text
    assert "2.00×" in text


def test_a_row_names_every_way_in_which_its_seeds_run(tmp_path: Path) -> None:
    """One seed runs entirely in half precision, the other one by autocast: the row names both."""
    records = [
        replace(make_record(make_trial(seed=seed)), variants=(_variant("eager-fp16", map=0.5, how=how),))
        for seed, how in enumerate(("whole model in fp16", "fp16 by autocast"))
    ]
    assert "whole model in fp16; fp16 by autocast" in set(_frame(make_folder(tmp_path, records))["how"])


def test_money_is_hours_of_the_device(tmp_path: Path) -> None:
    """At 3.60 an hour, a million images cost 10.00 at 100 images/s, and a trial of 90 s costs 0.09."""
    folder = make_folder(tmp_path, [make_record(make_trial())])
    plan = replace(results.read_plan(folder), cost=Cost(per_gpu_hour=3.6, currency="EUR"))
    files.replace(folder.plan, results.encode_plan(plan))
    text = api.report(folder.path).read_text()
    row = next(line for line in text[text.index("EUR per million images") :].splitlines() if RETINA in line)
    assert [cell.strip() for cell in row.split("|")[2:4]] == ["10.00", "0.09"]


def test_a_field_that_an_older_record_lacks_is_no_difference() -> None:
    """Except for how threads waited, which can halve a CPU's latency; and the git commit is never a difference."""
    old = make_record(make_trial()).environment
    new = replace(old, governor="performance", git_commit="d" * 40)
    assert environments.differences([old, new]) == ()
    assert environments.differences([old, replace(new, torch="2.16")]) == ("torch 2.15 / 2.16",)
    waiting = replace(new, thread_waiting="PASSIVE 10000")
    assert environments.differences([old, waiting]) == ("thread waiting not recorded / PASSIVE 10000",)
