"""Shared by all tests: small data sets on disk, small suites, and the skip of GPU tests where there is no GPU."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

if TYPE_CHECKING:
    from harness.executors.base import Executor

# A spinning OpenMP pool slows torch's small operations a hundredfold on a shared machine.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# As a trial's process has it: without, MKL gives other bits from run to run.
os.environ.setdefault("MKL_CBWR", "AUTO,STRICT")

# The workers of a test run measure beside each other, whatever that makes of their numbers: none waits for another.
os.environ["HARNESS_DEVICE_LOCKS"] = tempfile.mkdtemp(prefix="harness-locks-")

ROOT = Path(__file__).parents[1]
# A detector of three convolutions: a trial of it takes a second, most of it outside of training.
TOY = (
    f"  - name: {ROOT}/tests/examples/toy_architecture.py:TOY\n    weights: none\n"
    "    image_size: {min: 64, max: 64}\n    model: {channels: 8}\n"
)
FORK_SERVER = "tests.executors.fork_server:ForkServerExecutor"
# Where it must be one of torchvision's: everything as small as they allow.
TINY_MODEL = (
    "    weights: none\n    image_size: {min: 64, max: 64}\n"
    "    model: {rpn_post_nms_top_n_train: 30, rpn_post_nms_top_n_test: 20, box_batch_size_per_image: 8}\n"
)
TINY_RCNN = f"  - name: fasterrcnn_mobilenet_v3_large_fpn\n{TINY_MODEL}"
FAST = "protocol: {level: quick, rounds: 1, latency_images: 20, throughput_batch_size: 1}\n"
TINY_HEAD = f"hyperparameters: {{epochs: 1, batch_size: 2, lr: 1e-4}}\n{FAST}"


# Started first, or one worker would still have them before it when the others are done.
LONG_FILES = (
    "test_ray.py",
    "test_kill.py",
    "test_every_row.py",
    "test_suites.py",
    "test_build.py",
    "test_measure.py",
    "test_loop.py",
    "test_children.py",
    "test_fuzz.py",
    "test_check.py",
    "test_average_precision.py",
)
# Started last: a process in which OpenVINO has run does not survive forks, by which other tests start loaders.
LAST_FILES = ("trial/deploy/test_registry.py", "test_openvino.py", "test_suppression.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {end: n for n, end in enumerate((*LONG_FILES, "", *LAST_FILES))}  # each file ends in an empty text

    def place(item: pytest.Item) -> int:
        return next(order[end] for end in (*LAST_FILES, *LONG_FILES, "") if str(item.path).endswith(end))

    items.sort(key=place)
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if marked:
        import torch

        if not torch.cuda.is_available():
            for item in marked:
                item.add_marker(pytest.mark.skip(reason="no CUDA device here"))


def pytest_collection_finish() -> None:
    gc.freeze()  # as a trial's process does it


def pytest_sessionfinish() -> None:
    gc.unfreeze()


@dataclass(frozen=True)
class Completed:
    """How a command ended, as `subprocess.CompletedProcess` says it."""

    returncode: int
    stdout: str
    stderr: str


Command = Callable[..., Completed]


@pytest.fixture
def harness_command() -> Command:
    """Run `harness …` in this process, and return what it printed; what is no error of ours is raised.

    Options: `cwd`, and `env` for further environment variables. A process that the command starts writes past what is
    captured here, as do log messages: tests of those take `harness_process`. What it starts is forked from a process
    that has imported torch; where the real executor is the point, name it with `--executor local`.
    """
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}

    def run(*arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> Completed:
        from harness.cli import main
        from harness.processes import child
        from tests.executors.forked import served

        words = [str(argument) for argument in arguments]
        if words[:1] in (["run"], ["measure"], ["race"]) and "--executor" not in words:
            words += ["--executor", FORK_SERVER]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["harness", *words])
            patch.setattr(child, "subprocess", served())
            for name, value in {"CI": "true", **(env or {})}.items():
                patch.setenv(name, value)
            if cwd is not None:
                patch.chdir(cwd)
            time.tzset()
            try:
                result = CliRunner().invoke(main, words, prog_name="harness", catch_exceptions=False)
            finally:
                for number, handler in handlers.items():
                    signal.signal(number, handler)
        time.tzset()
        return Completed(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def harness_process() -> Command:
    """Run `python -m harness …` in a process of its own, as a user does, and return what it printed."""

    def run(*arguments: str | Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> Completed:
        done = subprocess.run(
            (sys.executable, "-m", "harness", *map(str, arguments)),
            capture_output=True,
            text=True,
            env={**os.environ, "CI": "true", **(env or {})},
            cwd=cwd,
            timeout=600,  # or a command that hangs would hold up all tests
            check=False,
        )
        return Completed(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def fast_executor() -> Executor:
    """Where trials run as processes of their own, but forked from one that has imported torch already."""
    from tests.executors.fork_server import ForkServerExecutor

    return ForkServerExecutor()


@pytest.fixture
def tiny_suite(tmp_path: Path) -> Callable[..., Path]:
    """Write a suite of synthetic images and the toy detector; keyword arguments replace whole blocks."""

    def write(
        name: str = "tiny",
        *,
        datasets: str = "  shapes: {format: synthetic, train: {images: 4}, val: {images: 3}, size: 64, classes: 2}\n",
        architectures: str = TOY,
        rest: str = TINY_HEAD,
    ) -> Path:
        path = tmp_path / f"{name}.yaml"
        path.write_text(f"suite: {name}\ndatasets:\n{datasets}architectures:\n{architectures}{rest}")
        return path

    return write


@pytest.fixture
def coco_folder(tmp_path: Path) -> Path:
    """JPEGs and COCO JSON: category ids with gaps, annotation ids from 0, an image without boxes, a crowd."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 5), ("val", 4), ("test", 3)):
        folder = tmp_path / "data" / split
        folder.mkdir(parents=True)
        images: list[dict[str, Any]] = []
        annotations: list[dict[str, Any]] = []
        for index in range(count):
            width, height = 96 + 8 * index, 80
            pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{index:03d}.jpg", quality=90)
            images.append({"id": 100 + 7 * index, "file_name": f"{index:03d}.jpg", "width": width, "height": height})
            if index == 1:
                continue
            for box in range(2):
                crowd = int(index == 2 and box == 1)
                annotations.append(
                    {
                        "id": len(annotations),
                        "image_id": 100 + 7 * index,
                        "category_id": (3, 90)[box],
                        "bbox": [5 + 10 * box, 8, 40, 30.5],
                        "area": 1220.0,
                        "iscrowd": crowd,
                        "segmentation": {"counts": [1, 2], "size": [1, 2]} if crowd else [[1.0, 2, 3, 4, 5, 6]],
                    }
                )
        content = {
            "info": {},
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 90, "name": "nut"}, {"id": 3, "name": "bolt"}],
        }
        (tmp_path / "data" / f"{split}.json").write_text(json.dumps(content))
    return tmp_path / "data"
