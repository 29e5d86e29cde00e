"""A detector of one's own goes through everything that a built-in one does, with two files beside the suite."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import harness
from harness import remeasure
from harness.errors import WeightsError
from harness.store import files, paths, record
from harness.store.job import JOB, Job
from harness.suite.catalog.registry import load_row
from harness.suite.expand import plan_trials
from harness.suite.load import load_suite
from harness.suite.recipe import resolve
from harness.suite.schema import ImageSize, SyntheticDataset, SyntheticImages, VariantName
from harness.suite.trial import TrialArchitecture, TrialDataset
from harness.trial.deploy import base, registry
from harness.trial.deploy.agreement import agreement, detect_each
from harness.trial.deploy.eager import eager
from harness.trial.evaluate.coco import accuracy
from harness.trial.evaluate.detect import evaluate
from harness.trial.inputs.dataset import open_dataset
from harness.trial.inputs.loader import EpochBatches, TrainingSet, training_loader
from harness.trial.models import checkpoint
from harness.trial.models.base import Detector
from harness.trial.models.registry import family_of
from harness.trial.train.loop import finetune
from harness.trial.train.validate import Validation
from tests.conftest import ROOT, Command
from tests.executors.attempt import attempt
from tests.executors.fork_server import fork_from

HERE = Path(__file__).parent
CPU = torch.device("cpu")
SIZE = ImageSize(min=64, max=64)
ROW = load_row("toy_architecture.py:TOY", HERE)
ARCHITECTURE = (
    "  - {name: 'toy_architecture.py:TOY', weights: none, image_size: {min: 64, max: 64}, model: {channels: 8}}\n"
)
MEASURED = (
    "protocol: {level: quick, rounds: 1, latency_images: 20, throughput_batch_size: 2, variants: [channels_last]}\n"
)


def _detector(classes: int = 2) -> Detector:
    torch.manual_seed(0)
    detector, _ = family_of(ROW).build(ROW, weights="none", classes=classes, image_size=SIZE, options={"channels": 8})
    return detector


def _save(folder: Path, detector: Detector) -> Path:
    choice = TrialArchitecture(
        name="toy", weights="none", weights_sha256=None, image_size=SIZE, model={"channels": 8}, own=None
    )
    checkpoint.save(folder / "weights.pt", detector, choice, ("disc", "ring"))
    return folder / "weights.pt"


def _images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(3, *size, generator=generator) for size in ((64, 64), (48, 90), (100, 64))]


@pytest.fixture
def toy_suite(tmp_path: Path, tiny_suite: Callable[..., Path]) -> Callable[..., Path]:
    """Write a suite that names the toy, with the toy's two files beside it."""
    for name in ("toy_architecture.py", "toy_family.py"):
        shutil.copy(HERE / name, tmp_path)
    return lambda rest: tiny_suite(architectures=ARCHITECTURE, rest=rest)


def test_it_runs_to_a_report(harness_command: Command, toy_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Preflight, training, evaluation, phases and a variant end in a record and a page, as for a built-in detector."""
    suite = toy_suite(f"hyperparameters: {{epochs: 2, batch_size: 2, optimizer: adamw}}\n{MEASURED}")
    results = tmp_path / "results"
    done = harness_command("run", suite, "--results", results)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = results.glob("*/trials/*/record.json")
    content = json.loads(path.read_text())
    assert path.parent.name.startswith("shapes-toy-s0-")
    assert content["measurements"]["phases_s"]["forward"]["n"] == 3
    assert set(content["measurements"]["epochs"][0]["loss_parts"]) == {"loss_centre", "loss_offset", "loss_size"}
    assert content["model"]["parameters"] == sum(p.numel() for p in _detector().module.parameters())
    (variant,) = content["variants"]
    assert (variant["name"], variant["problem"]) == ("channels_last", None)
    assert (path.parent / "attempts" / "2").is_dir()  # the first one was the preflight
    page = (results / "tiny" / "report.md").read_text()
    assert "1 of 1 trials measured" in page
    assert "three convolutions" in page

    target = remeasure.checkpoint(path.parent / content["model"]["checkpoint"], suite, None)
    assert target.trial.architecture.own is not None  # found in the suite: the weights name no code

    weights = path.parent / content["model"]["checkpoint"]
    with pytest.raises(WeightsError, match="give its import path as `architecture`"):
        harness.load_detector(weights)
    detector = harness.load_detector(weights, architecture=f"{ROOT}/tests/examples/toy_architecture.py:TOY")
    (found,) = detector.detect([torch.rand(3, 64, 64)])
    assert set(found) == {"boxes", "scores", "labels"}
    assert len(detector.class_names) == 2


def test_planning_imports_no_torch(toy_suite: Callable[..., Path]) -> None:
    """A row that leaves torch to its family's module costs the parent process nothing."""
    suite = toy_suite("seeds: [0]\n")
    code = (
        f"import sys; from harness.suite.load import load_suite; load_suite(__import__('pathlib').Path({str(suite)!r}))"
    )
    done = subprocess.run(
        (sys.executable, "-c", f"{code}; print('torch' in sys.modules)"), capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_killed_training_ends_with_the_same_bits(toy_suite: Callable[..., Path], tmp_path: Path) -> None:
    """Killed once a checkpoint is there, and resumed: the same weights as without the kill."""
    suite = toy_suite(f"hyperparameters: {{epochs: 40, batch_size: 2, optimizer: adamw}}\n{MEASURED}")
    (trial,) = plan_trials(load_suite(suite), {"shapes": "f"}, max_images=None)
    trial = replace(trial, protocol=replace(trial.protocol, variants=()))

    def run(folder: paths.TrialFolder, *, kill: bool = False) -> None:
        place = folder.next_attempt()
        job = Job(
            trial=trial,
            number=place.number,
            device="cpu",
            threads=1,
            import_folder=str(suite.parent),
            checkpoint_s=0.05,
        )
        files.commit(place.job, record.encode(JOB, job))
        process = fork_from(attempt, str(place.path))
        while kill and process.is_alive():
            if any(folder.checkpoints.glob("training-*.state")):
                assert process.pid is not None
                os.kill(process.pid, signal.SIGKILL)
                kill = False
            time.sleep(0.005)
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}, place.log.read_text()

    whole, killed = paths.TrialFolder(tmp_path / "whole"), paths.TrialFolder(tmp_path / "killed")
    run(whole)
    run(killed, kill=True)
    assert not killed.record.exists()
    run(killed)
    expected, resumed = (
        record.decode(record.RECORD, folder.record.read_bytes(), str(folder.record)) for folder in (whole, killed)
    )
    assert [warning.name for warning in resumed.warnings if warning.name == "resumed"]
    assert resumed.model.state_sha256 == expected.model.state_sha256
    assert resumed.metrics == expected.metrics


@pytest.mark.parametrize(
    "variant",
    ["eager-bf16", "eager-fp16", "channels_last", pytest.param("compile", marks=pytest.mark.slow), "onnxruntime"],
)
def test_a_variant_detects_what_the_weights_detect(tmp_path: Path, variant: VariantName) -> None:
    """At sizes other than those that it was built with, too."""
    path = _save(tmp_path, _detector())
    weights = base.Weights(checkpoint=path, row=ROW, precision="fp32", tf32=False, device=CPU, threads=1)
    plain, other = (
        registry.load(name, weights, _images(), score_threshold=0.001, detections=50)
        for name in ("eager-fp32", variant)
    )
    images = [torch.rand(3, 70, 80, generator=torch.Generator().manual_seed(2))]
    for deployment in (plain, other):
        deployment.set_threshold(0.001, 50)
    expected, detected = detect_each(plain, images), detect_each(other, images)
    assert len(expected[0].scores) == len(detected[0].scores) == 50
    if variant not in {"eager-bf16", "eager-fp16"}:  # random weights' scores are too alike for half precision to order
        assert agreement(expected, detected, max_score_difference=0.05) >= 0.9


def test_weights_load_only_with_the_row_they_belong_to(tmp_path: Path) -> None:
    """A file of weights names no code to run: without the row there is one message, and no import."""
    path = _save(tmp_path, _detector())
    detector, class_names = checkpoint.load_detector(path, ROW)
    assert class_names == ("disc", "ring")
    assert checkpoint.state_sha256(detector.module) == checkpoint.state_sha256(_detector().module)
    with pytest.raises(WeightsError, match="is a toy, which this version does not know"):
        checkpoint.load(path)
    with pytest.raises(WeightsError, match=r"does not fit Sequential"):
        family_of(ROW).build(ROW, weights=str(path), classes=5, image_size=SIZE, options={"channels": 8})


def test_it_learns() -> None:
    """From a mAP of almost nothing to one of use, on a few shapes."""
    source = SyntheticDataset(
        format="synthetic", train=SyntheticImages(images=24), val=SyntheticImages(images=8), size=64, classes=2
    )
    data = open_dataset(
        TrialDataset(name="shapes", fingerprint="f", source=source), max_images=None, import_folder=HERE
    ).splits
    detector = _detector()

    def map_50() -> float:
        deployment = eager(detector, device=CPU, precision="fp32")
        deployment.set_threshold(0.001, 100)
        truths, detections = evaluate(deployment.detect, [data["val"][index] for index in range(8)])
        return accuracy(truths, detections, class_names=data["val"].class_names, split="val").map_50 or 0.0

    before = map_50()
    h = resolve(ROW, {"epochs": 15, "batch_size": 4, "lr": 0.005, "optimizer": "adamw"})
    batches = EpochBatches(24, 4, seed=0)
    training = finetune(
        detector,
        training_loader(TrainingSet(data["train"], h.augmentation, 0), batches, 0),
        batches,
        h,
        device=CPU,
        on_step=lambda *_: None,
        validate=Validation,
    )
    assert training.epochs[-1].loss < training.epochs[0].loss / 2
    assert map_50() > before + 0.1


def test_phases_of_the_toy_are_its_own(tmp_path: Path) -> None:
    """Each detect marks two borders within the context, and none outside of it."""
    detector = _detector()
    marks: list[str] = []
    with torch.inference_mode():
        with detector.mark_phases(lambda: marks.append("border")):
            detector.detect(_images()[:1])
        detector.detect(_images()[:1])
    assert marks == ["border", "border"]
