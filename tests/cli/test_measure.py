"""`harness measure` and `harness doctor`, as a user calls them."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.errors import WeightsError
from harness.executors.base import Executor
from tests.conftest import TOY, Command
from tests.executors import forked

SUITE = (
    "suite: tiny\ndatasets:\n"
    "  shapes: {format: synthetic, train: {images: 4}, val: {images: 3}, size: 64, classes: 2}\n"
    "  more: {format: synthetic, train: {images: 4}, val: {images: 3}, size: 64, classes: 3}\n"
    f"architectures:\n{TOY}"
    "hyperparameters: {epochs: 1, batch_size: 2, lr: 1e-4}\n"
    "protocol: {level: quick, rounds: 1, throughput_batch_size: 2, variants: [eager-fp32, eager-fp16, onnxruntime]}\n"
    "cost: {per_gpu_hour: 2.5, currency: EUR}\n"
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, fast_executor: Executor) -> tuple[Path, Path]:
    """A suite file and the results folder of its first dataset's trial, with two variants."""
    root = tmp_path_factory.mktemp("measured")
    suite = root / "tiny.yaml"
    suite.write_text(SUITE)
    summary = harness.run(suite, results=root / "results", select="shapes*", preflight=False, executor=fast_executor)
    assert summary.succeeded == 1, summary
    return suite, root / "results"


def _trial(results: Path) -> Path:
    (folder,) = (results / "tiny" / "trials").glob("shapes-*")
    return folder


def _record(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "record.json").read_text())
    return found


def test_every_variant_is_a_row_with_its_own_accuracy_and_speed(trained: tuple[Path, Path]) -> None:
    """In the record, the files and the page; what the trial was trained as is not measured twice."""
    folder = _trial(trained[1])
    found = _record(folder)
    assert [variant["name"] for variant in found["variants"]] == ["eager-fp16", "onnxruntime"]
    for variant in found["variants"]:
        assert variant["problem"] is None
        assert variant["metrics"]["images"] == 3
        assert variant["measurements"]["latency_s"]["n"] == 20
        assert (folder / f"detections.{variant['name']}.parquet").is_file()
    assert found["variants"][1]["metrics"]["map"] == pytest.approx(found["metrics"]["map"], abs=0.005)
    assert (folder / found["variants"][1]["file"]).is_file()
    assert found["measurements"]["throughput_batch_size"] == 2
    assert found["variants"][1]["measurements"]["throughput_batch_size"] == 1
    assert [at["score_threshold"] for at in found["measurements"]["latency_by_threshold"]] == [0.001, 0.05, 0.3]
    assert found["measurements"]["memory"]["worst_case_image"] is not None
    page = (trained[1] / "tiny" / "report.md").read_text()
    for text in ("toy, onnxruntime", "deployed in other ways", "EUR per million images",
                 "### Latency by score threshold", "post-processing ms"):  # fmt: skip
        assert text in page


def test_the_phases_are_told_and_sum_or_are_flagged(trained: tuple[Path, Path]) -> None:
    """On a real model: within 10 % of the median latency, or the row says that they are not."""
    found = _record(_trial(trained[1]))
    phases = found["measurements"]["phases_s"]
    total = sum(phases[name]["median"] for name in ("transform", "forward", "postprocess"))
    apart = abs(total / found["measurements"]["latency_s"]["median"] - 1)
    flagged = any("phases sum" in warning["reason"] for warning in found["warnings"])
    assert (apart > 0.10) == flagged


def test_a_trial_is_measured_again_beside_its_record(harness_command: Command, trained: tuple[Path, Path]) -> None:
    """By the start of its id: the record stays, the new one has no training and samples of its own."""
    folder = _trial(trained[1])
    before = (folder / "record.json").read_bytes()
    done = harness_command("measure", "shapes-toy", "--results", trained[1], "--variants", "channels_last")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "eager (fp32)" in done.stdout
    assert "channels_last" in done.stdout
    assert "latency against the trial's record:" in done.stdout
    again = _record(folder / "measurements" / "1")
    assert again["measurements"]["training_s"] is None
    assert again["metrics"] == json.loads(before)["metrics"]
    assert again["model"]["state_sha256"] == json.loads(before)["model"]["state_sha256"]
    assert (folder / "measurements" / "1" / "samples.parquet").is_file()
    assert (folder / "record.json").read_bytes() == before
    shown = harness_command("report", trained[1] / "tiny")
    assert shown.returncode == 0


def test_weights_of_no_trial_are_measured_on_the_images_of_a_suite(
    harness_command: Command, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """Copied elsewhere they need to be told which; images of other classes are refused in words."""
    weights = Path(shutil.copy(_trial(trained[1]) / "checkpoints" / "weights.pt", tmp_path / "mine.pt"))
    alone = harness_command("measure", weights)
    assert alone.returncode == 2
    assert "belongs to no trial; name the images to measure on with --suite FILE" in alone.stderr
    many = harness_command("measure", weights, "--suite", trained[0])
    assert many.returncode == 2
    assert "has the datasets shapes, more: name one with --dataset" in many.stderr
    other = harness_command("measure", weights, "--suite", trained[0], "--dataset", "more", "--variants", "")
    assert other.returncode == 1
    assert "detects disc, " in other.stderr
    assert "Traceback" not in other.stderr
    out = tmp_path / "elsewhere"
    chosen = ("--suite", trained[0], "--dataset", "shapes", "--variants", "", "--out", out)
    done = harness_command("measure", weights, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(list(out.glob("measurements/*/record.json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nothing",), "no such trial in"),
        (("/dev/zero",), "is a pipe or a device; give a file of weights"),
        (("shapes", "--variants", "tensorrt"), "'tensorrt' is not one of eager-fp32"),
        (("shapes", "--suite", "x.yaml"), "is no file; --suite is for a checkpoint"),
        (("shapes", "--protocol", "slow"), "'slow' is not one of"),
    ],
)
def test_a_wrong_command_is_told_in_words(
    harness_command: Command, trained: tuple[Path, Path], arguments: tuple[str, ...], said: str
) -> None:
    """With exit code 2, and nothing measured."""
    done = harness_command("measure", *arguments, "--results", trained[1])
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_no_checkpoint_is_told_in_words(
    harness_command: Command, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """Text, or another program's weights."""
    path = tmp_path / "weights.pt"
    path.write_text("no weights")
    done = harness_command("measure", path, "--suite", trained[0], "--dataset", "shapes")
    assert done.returncode == 2
    assert "does not load as tensors alone" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("how", ["flipped", "replaced"])
def test_other_weights_than_the_records_are_not_measured(
    how: str, harness_command: Command, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """Damaged on the disk, or another training's: told in a sentence, and no number comes of it."""
    results = Path(shutil.copytree(trained[1], tmp_path / "results"))
    folder = _trial(results)
    measured = set(folder.glob("measurements/*/record.json"))
    weights = folder / "checkpoints" / "weights.pt"
    if how == "flipped":
        content = bytearray(weights.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 1000] = bytes(1000)
        weights.write_bytes(content)
        said = f"{weights}: is damaged (a checksum in it does not fit"
    else:
        record = _record(folder)
        record["model"]["state_sha256"] = "0" * 64
        (folder / "record.json").write_text(json.dumps(record))
        said = f"{weights}: is not the file that {folder / 'record.json'} was made with"
    for target in ("shapes-toy", weights):
        done = harness_command("measure", target, "--results", results, "--variants", "")
        assert done.returncode == 1, done.stdout + done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    with pytest.raises(WeightsError, match=re.escape(said)):
        harness.load_detector(weights, architecture="tests.examples.toy_architecture:TOY")
    assert set(folder.glob("measurements/*/record.json")) == measured


def test_doctor_passes_its_exit_code_on() -> None:
    """A device that is not there exits with 3 and is named; tests/trial/test_doctor.py holds what is found on one."""
    refused = forked.BackgroundCommand("doctor", "--device", "cuda:99")
    assert "cuda:99" in refused.output()
    assert refused.returncode == 3


def test_a_variant_whose_process_dies_costs_its_own_row(trained: tuple[Path, Path]) -> None:
    """Killed as the kernel does it when memory is short: the rest is measured, and the row says what happened."""
    options = ("--variants", "eager-fp16,channels_last")
    run = forked.BackgroundCommand("measure", "shapes-toy", "--results", str(trained[1]), *options)
    killed = False
    while run.poll() is None and not killed:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if b"harness.trial.variants" in path.read_bytes() and b"eager-fp16" in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)
                    killed = True
        time.sleep(0.05)
    said = run.output()
    assert killed
    assert run.returncode == 0, said
    assert "eager-fp16: cannot: its process was killed by SIGKILL" in said
    again = _record(max((_trial(trained[1]) / "measurements").iterdir(), key=lambda path: int(path.name)))
    assert [variant["problem"] is None for variant in again["variants"]] == [False, True]
    assert again["metrics"]["map"] is not None
