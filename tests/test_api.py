"""The Python API: what `import harness` costs, what each function gives, and how it says that it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pytest

import harness
from harness.errors import SuiteError, UsageError, WeightsError
from harness.executors.base import Executor
from tests.conftest import ROOT, TINY_HEAD, TOY
from tests.store.make import make_folder, make_record, make_trial

EXAMPLE = ROOT / "results" / "examples" / "quickstart"
FASTER, RETINA = "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
HEAVY = {
    "torch",
    "torchvision",
    "pandas",
    "numpy",
    "pydantic",
    "pydantic_core",
    "yaml",
    "PIL",
    "pyarrow",
    "rich",
    "click",
}


def _modules_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(' '.join(sys.modules))"
    done = subprocess.run((sys.executable, "-c", script), capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_the_import_loads_no_library() -> None:
    """Nor any room but the errors and how they are shown; how long it takes is measured in tests/perf."""
    modules = _modules_after("import harness")
    assert not modules & HEAVY
    ours = {name for name in modules if name.startswith("harness")}
    assert ours == {"harness", "harness.errors", "harness.formatting", "harness.version"}


def test_a_plan_loads_neither_torch_nor_pandas(tiny_suite: Callable[..., Path]) -> None:
    """Both take seconds, which a plan does not need."""
    modules = _modules_after(f"import harness\nharness.plan({str(tiny_suite())!r})")
    assert "pydantic" in modules
    assert not modules & {"torch", "torchvision", "pandas", "matplotlib"}


def test_every_name_of_the_package_is_there() -> None:
    """Each of `__all__`, as completion lists them; another name is an AttributeError."""
    for name in harness.__all__:
        assert getattr(harness, name) is not None
    assert set(dir(harness)) == set(harness.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        harness.nothing  # type: ignore[attr-defined]  # noqa: B018


@pytest.mark.slow
def test_an_architecture_is_checked() -> None:
    """A result for each check, as `harness check-architecture` prints them."""
    network = ROOT / "tests" / "trial" / "models" / "own" / "networks.py"
    results = harness.check_architecture(f"{network}:build", image_size=64)
    assert all(isinstance(result, harness.CheckResult) for result in results)
    outcomes = {result.name: result.outcome for result in results}
    assert outcomes["builds"] == "passed"
    assert "failed" not in outcomes.values()


def test_report_stays_the_function_when_its_room_is_imported() -> None:
    """Function and subpackage have one name; whichever is used first, both work."""
    code = (
        "import harness\nfirst = harness.report\n"
        "from harness.report import write\nimport harness.report.markup\n"
        "assert harness.report is first and callable(first) and callable(write.write)\n"
        "from harness import report\nassert report is first"
    )
    assert "harness.report.write" in _modules_after(code)


def test_the_package_says_that_it_is_typed() -> None:
    """Beside the code, where type checkers look for it."""
    assert (Path(harness.__file__).parent / "py.typed").is_file()


def test_a_plan_says_what_is_there(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """From text or a path; nothing is written."""
    suite = tiny_suite()
    for given in (suite, str(suite)):
        plan = harness.plan(given, results=tmp_path / "results")
        assert [trial.trial_id for trial in plan.pending] == [trial.trial_id for trial in plan.trials]
    assert plan.folder.path == tmp_path / "results" / "tiny"
    subset = harness.plan(suite, max_images=2, device="cpu")
    assert subset.trials[0].trial_id != plan.trials[0].trial_id
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "gpu"}, "none of auto, cpu, cuda, cuda:N"),
        ({"max_images": 0}, "max_images: expected a whole number from 1 on, got 0"),
        ({"select": "nothing*"}, "matches none of the suite's trials"),
        ({"max_images": "2"}, "max_images: expected a whole number from 1 on, got '2'"),
        ({"max_images": 1.5}, "max_images: expected a whole number from 1 on, got 1.5"),
        ({"executor": "moon"}, "moon"),
        ({"executor": None}, "executor: expected a name or an executor, got None"),
        ({"until": "07:00"}, "until: expected a datetime, got '07:00'"),
        ({"observers": object()}, "observers: expected a list or a tuple of observers, got object"),
    ],
)
def test_wrong_arguments_of_a_run_are_told(
    tiny_suite: Callable[..., Path], tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    """Before anything is written."""
    with pytest.raises(UsageError, match=message):
        harness.run(tiny_suite(), results=tmp_path / "results", **arguments)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    "arguments", [{"select": "*"}, {"max_images": 1}, {"device": "cuda"}, {"results": "elsewhere"}]
)
def test_what_belongs_to_the_plan_is_not_given_again(
    tiny_suite: Callable[..., Path], tmp_path: Path, arguments: dict[str, Any]
) -> None:
    """A run of a plan that was told something else would do neither."""
    plan = harness.plan(tiny_suite(), results=tmp_path / "results", device="cpu")
    with pytest.raises(UsageError, match=f"{next(iter(arguments))}: belongs to the plan"):
        harness.run(plan, **arguments)


def test_a_wrong_suite_names_every_problem(tmp_path: Path) -> None:
    """As the commands do, with lines."""
    path = tmp_path / "s.yaml"
    path.write_text("suite: x\ndatasets: {a: {format: vos}}\narchitectures: [nope]\n")
    with pytest.raises(SuiteError) as wrong:
        harness.plan(path)
    assert len(wrong.value.problems) == 2
    with pytest.raises(SuiteError):
        harness.fetch(path)


def test_a_report_goes_where_it_is_asked_for(tmp_path: Path) -> None:
    """The page in the folder, exports in files named by text or path."""
    folder = make_folder(tmp_path / "made", [make_record(make_trial())])
    exports: dict[str, str | Path | BinaryIO] = {"csv": str(tmp_path / "rows.csv"), "latex": tmp_path / "rows.tex"}
    page = harness.report(str(folder.path), bootstrap=False, exports=exports)
    assert page == folder.report
    assert RETINA in page.read_text()
    assert (tmp_path / "rows.csv").read_text().startswith("dataset,label,")
    assert "toprule" in (tmp_path / "rows.tex").read_text()
    with pytest.raises(UsageError, match="exports: xlsx: the formats are csv, parquet, json, latex"):
        harness.report(folder.path, exports={"xlsx": tmp_path / "rows.xlsx"})


def test_two_results_are_compared(tmp_path: Path) -> None:
    """A verdict for each row, and gates in the words of `--fail-on`."""
    a = make_folder(tmp_path / "a", [make_record(make_trial(), map=0.5, latency_s=0.02)])
    b = make_folder(tmp_path / "b", [make_record(make_trial(), map=0.5, latency_s=0.04)])
    comparison = harness.compare(a.path, str(b.path), gates=("map:-0.01", "latency:+10%"))
    (row,) = comparison.rows
    assert (row.pair.label, row.accuracy.word, row.speed.word) == (RETINA, "not comparable", "not raced")
    assert [gate.broken for gate in comparison.gates] == [False, True]
    assert not comparison.passed
    assert list(comparison.datasets) == ["shapes"]
    with pytest.raises(UsageError, match="no limit with a sign"):
        harness.compare(a.path, b.path, gates="map")
    with pytest.raises(UsageError, match="gates: expected a text or several, got 3"):
        harness.compare(a.path, b.path, gates=3)  # type: ignore[arg-type]


def test_a_detector_is_recommended(tmp_path: Path) -> None:
    """The best within the limits, as a row and as a sentence; None where no row is."""
    records = [make_record(make_trial(FASTER), map=0.4, latency_s=0.02), make_record(make_trial(), latency_s=0.04)]
    folder = make_folder(tmp_path, records)
    (advice,) = harness.recommend(str(folder.path), max_latency_s=0.03)
    assert advice.chosen is not None
    assert (advice.label, advice.chosen["map"]) == (FASTER, 0.4)
    assert advice.ships  # alone within the limit
    assert str(advice).startswith(f"shapes: ship {FASTER}: map 0.400 at 20.0 ms")
    assert advice.lost == ((RETINA, "40.0 ms is over 30.0 ms"),)
    (advice,) = harness.recommend(folder.path, min_metric=0.9)
    assert (advice.chosen, advice.label, advice.ships) == (None, None, False)
    (advice,) = harness.recommend(folder.path)
    assert (advice.label, advice.ships) == (RETINA, False)
    assert advice.remarks[-1] == "it is not known how certain the accuracy of 2 rows is"
    (advice,) = harness.recommend(make_folder(tmp_path / "no boxes", [make_record(make_trial(), map=None)]).path)
    assert str(advice) == "shapes: nothing to ship: no row is measured on all images and keeps to the limits"
    assert advice.lost == ((RETINA, "no accuracy: the evaluated split has no boxes"),)
    with pytest.raises(UsageError, match="metric: 'mAP' is not one of map, map_50, map_75"):
        harness.recommend(folder.path, metric="mAP")
    with pytest.raises(UsageError, match="max_latency_s: expected a number from 0 on, got '30ms'"):
        harness.recommend(folder.path, max_latency_s="30ms")  # type: ignore[arg-type]


def test_results_are_frames(tmp_path: Path) -> None:
    """Of the committed example: a row a trial, a row a configuration, every detection and every timing, in SI units."""
    results = harness.load_results(shutil.copytree(EXAMPLE, tmp_path / "quickstart"))
    assert len(results.trials) == len(results.states) == 9
    assert results.rows["n"].tolist() == [3, 3, 3]
    best = results.rows.iloc[0]
    of_best = results.trials[results.trials["trial_id"].isin(best["trial_ids"])]
    assert best["map"] == pytest.approx(of_best["map"].mean())
    assert list(results.detections) == ["trial_id", "variant", "image", "class", "score", "x1", "y1", "x2", "y2"]
    assert set(results.detections["trial_id"]) == set(results.trials["trial_id"])
    assert results.detections["score"].between(0, 1).all()
    assert {"trial_id", "variant", "pass", "repeat", "round", "image", "images", "seconds"} <= set(results.timings)
    passes = results.timings[results.timings["pass"].astype(str).eq("latency")]
    last = passes[passes["repeat"] == passes.groupby("trial_id", observed=True)["repeat"].transform("max")]
    medians = last.groupby("trial_id", observed=True)["seconds"].median()
    for trial_id, latency in results.trials.set_index("trial_id")["latency_median_s"].items():
        assert medians[trial_id] == pytest.approx(latency)


def test_results_without_raw_files_are_empty_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """With their columns; a file that cannot be read is left out with a warning."""
    folder = make_folder(tmp_path, [make_record(make_trial())])
    empty = harness.load_results(folder.path)
    assert len(empty.trials) == 1
    assert empty.detections.empty
    assert "score" in empty.detections
    assert empty.timings.empty
    folder.trial(make_trial().trial_id).samples.write_bytes(b"torn")
    assert harness.load_results(folder.path).timings.empty
    assert "its rows are left out" in caplog.text


@pytest.mark.parametrize(
    "read", [harness.report, harness.recommend, harness.load_results, lambda path: harness.compare(path, path)]
)
def test_a_folder_without_results_is_told(tmp_path: Path, read: Callable[[Path], object]) -> None:
    """With the suites that lie below it, which is what a person mostly meant."""
    make_folder(tmp_path / "made", [make_record(make_trial())])
    with pytest.raises(UsageError, match="it holds the suites made: give one of them"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "no such trial in"),
        ({"device": "gpu"}, "none of auto, cpu, cuda, cuda:N"),
        ({"protocol": "slow"}, "protocol: 'slow' is not one of quick, standard, publish"),
        ({"variants": ("tensorrt",)}, "variants: 'tensorrt' is not one of eager-fp32"),
        ({"precision": "int8"}, "precision: 'int8' is not one of fp32, bf16, fp16"),
        ({"variants": "tensorrt"}, "variants: 'tensorrt' is not one of eager-fp32"),
        ({"dataset": "shapes"}, "--dataset shapes: names a dataset of a suite; give --suite as well"),
    ],
)
def test_wrong_arguments_of_a_measurement_are_told(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    """Before anything is started."""
    with pytest.raises(UsageError, match=message):
        harness.measure("nothing", results=tmp_path, **arguments)


def test_weights_that_are_not_there_are_told(tmp_path: Path) -> None:
    """With where a trial's are."""
    with pytest.raises(UsageError, match=r"gone.pt: no such file; a trial's weights are in results/<suite>/trials"):
        harness.load_detector(tmp_path / "gone.pt")
    (tmp_path / "suite.yaml").write_text("suite: x\n")
    with pytest.raises(WeightsError, match="does not load as tensors alone"):
        harness.load_detector(tmp_path / "suite.yaml")


def test_a_suite_runs_and_its_winner_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fast_executor: Executor
) -> None:
    """Run, go on, measure again and use the model, all from Python."""
    import torch

    monkeypatch.chdir(tmp_path)
    Path("tiny.yaml").write_text(
        "suite: tiny\ndatasets:\n"
        "  shapes: {format: synthetic, train: {images: 4}, val: {images: 3}, size: 64, classes: 2}\n"
        f"architectures:\n{TOY}{TINY_HEAD}"
    )
    summary = harness.run("tiny.yaml", device="cpu", preflight=False, executor=fast_executor)
    assert (summary.succeeded, summary.failed, summary.not_started) == (1, 0, 0)
    assert summary.report == Path("results/tiny/report.md")
    plan = harness.plan("tiny.yaml", device="cpu")
    late = datetime.now() + timedelta(seconds=1)  # noqa: DTZ005 - a time without a zone is local
    again = harness.run(plan, until=late)
    assert (again.succeeded, again.given_up, again.skipped_for_time) == (1, 0, ())

    results = harness.load_results("results/tiny")
    (trial_id,) = results.trials["trial_id"]
    measurement = harness.measure(trial_id, device="cpu", variants=(), executor=fast_executor)
    assert measurement.record is not None, measurement.reason
    assert measurement.record.metrics.map == results.trials["map"][0]
    assert measurement.recorded is not None
    assert measurement.latency_ratio() is not None
    assert measurement.environment_differences() == ()

    weights = Path("results/tiny/trials", trial_id, "checkpoints", "weights.pt")
    detector = harness.load_detector(os.fspath(weights), architecture=f"{ROOT}/tests/examples/toy_architecture.py:TOY")
    assert len(detector.class_names) == 2
    with torch.inference_mode():
        (found,) = detector.detect([torch.rand(3, 64, 64)])
    assert set(found) == {"boxes", "scores", "labels"}
    assert not detector.model.training
