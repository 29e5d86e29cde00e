"""A worker process does its part, runs nothing else, and is gone when its parent is, however that ended."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.executors.environment import available_cores
from harness.workers import map_in_processes, without_main
from tests.faults.runs import wait_for

IMAGES = 400


def _square(number: int) -> int:
    return number * number


def test_results_come_in_order() -> None:
    """However many items a process takes at a time; the main module of this process is what it was."""
    main = sys.modules["__main__"]
    before = main.__spec__, getattr(main, "__file__", None)
    assert list(map_in_processes(_square, range(100), processes=2, at_once=7)) == [n * n for n in range(100)]
    assert (main.__spec__, getattr(main, "__file__", None)) == before


def test_the_main_module_comes_back_whatever_happens() -> None:
    """An exception while processes start must not leave this process without its main module's name."""
    main = sys.modules["__main__"]
    before = main.__spec__
    with pytest.raises(OSError, match="no"), without_main():
        raise OSError("no")
    assert main.__spec__ is before


def test_a_killed_worker_is_told() -> None:
    """Not waited for."""
    with pytest.raises(BrokenProcessPool):
        list(map_in_processes(_kill_itself, range(4), processes=2))


def _kill_itself(_number: int) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _suite_of_many_images(folder: Path, image: bytes) -> Path:
    """Write a suite of more images than one process scans alone: one file under many names."""
    first = folder / "first.jpg"
    first.write_bytes(image)
    for split in ("train", "val"):
        (folder / split).mkdir()
        for number in range(IMAGES):
            os.link(first, folder / split / f"{number:03}.jpg")
        box = {"category_id": 1, "bbox": [5, 5, 9, 9], "area": 81, "iscrowd": 0}
        content = {
            "images": [{"id": n, "file_name": f"{n:03}.jpg"} for n in range(IMAGES)],
            "annotations": [{"id": n + 1, "image_id": n, **box} for n in range(IMAGES)],
            "categories": [{"id": 1, "name": "bolt"}],
        }
        (folder / f"{split}.json").write_text(json.dumps(content))
    splits = ", ".join(f"{split}: {{images: {split}, annotations: {split}.json}}" for split in ("train", "val"))
    suite = folder / "many.yaml"
    suite.write_text(
        f"suite: many\ndatasets:\n  many: {{format: coco, {splits}}}\n"
        "architectures: [{name: fasterrcnn_mobilenet_v3_large_fpn, weights: none}]\n"
    )
    return suite


def _jpeg(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def _alive(mark: str) -> list[int]:
    """The processes with this in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended, or is somebody else's
            if f"MARK={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


@pytest.mark.skipif(available_cores() < 2, reason="one process scans alone here")
@pytest.mark.parametrize("command", ["data check", "validate", "plan", "run"])
def test_nothing_is_left_of_a_killed_command(command: str, tmp_path: Path) -> None:
    """`kill -9` while processes scan images: within ten seconds all are gone, and nobody holds the output."""
    image = _jpeg(2000, 2000)[:-1000]  # without its end, each is decoded: the scan takes minutes
    suite = _suite_of_many_images(tmp_path, image)
    mark = f"{command}{os.getpid()}"
    words = (*command.split(), str(suite), *(("--results", str(tmp_path / "r")) if command in {"plan", "run"} else ()))
    with subprocess.Popen(
        (sys.executable, "-m", "harness", *words),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "MARK": mark},
    ) as process:
        wait_for(lambda: len(_alive(mark)) >= 4, "this process, two workers and multiprocessing's own")
        assert process.poll() is None
        process.kill()
        killed_at = time.monotonic()
        process.communicate(timeout=10)  # to the end of what is printed
        wait_for(
            lambda: not _alive(mark), "the end of the workers", seconds=max(0.1, killed_at + 10 - time.monotonic())
        )


def test_a_script_without_a_main_guard_is_run_once(tmp_path: Path) -> None:
    """Its worker processes do not run it again, which would plan the suite once more in each of them."""
    suite = _suite_of_many_images(tmp_path, _jpeg(50, 40))
    suite.write_text(suite.read_text().replace("format: coco", "format: coco, on_bad_data: skip"))
    script = tmp_path / "script.py"
    script.write_text(
        f"import harness\nfrom harness.errors import SuiteError\nprint('BEGIN')\n"
        f"try:\n    harness.plan({str(suite)!r})\n"
        "except SuiteError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        (sys.executable, str(script)), capture_output=True, text=True, timeout=120, check=False, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("BEGIN") == 1
    assert "empty_split" in done.stdout, done.stdout  # as all of its images are one: the scan came to its end


@pytest.fixture
def command(tmp_path: Path) -> tuple[str, ...]:
    """A module that says what it was given, and then works for long."""
    (tmp_path / "works.py").write_text(
        "import sys, time\nassert __name__ == '__main__'\nprint(sys.argv[1:], flush=True)\n"
        "time.sleep(float(sys.argv[1]))\n"
    )
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    return ("env", f"PYTHONPATH={path}", sys.executable, "-m", "harness.workers", "works")


def test_a_command_of_ours_ends_with_whoever_started_it(command: tuple[str, ...]) -> None:
    """Its standard input is a pipe that nobody writes to: when it closes, the other end's process is gone."""
    with subprocess.Popen(
        (*command, "600"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == b"['600']\n"
        process.stdin.close()
        assert process.wait(timeout=10) == 1


def test_a_command_that_is_started_by_hand_goes_on(command: tuple[str, ...]) -> None:
    """From a terminal or a script, whose input ends or is a pipe of somebody else's."""
    done = subprocess.run((*command, "0.5"), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"['0.5']\n")
    done = subprocess.run((*command, "0.5"), input=b"", capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"['0.5']\n")
