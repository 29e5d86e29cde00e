"""Checks of whole commands, each in processes of its own, as a user runs them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.gpu import verdicts
from tests.gpu.verdicts import Check

VARIANTS = "[eager-fp32, eager-bf16, eager-fp16, channels_last, compile, onnxruntime]"
_DEATH_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the commands run: on which device, in which empty folder, with drawn images of which side."""

    device: str
    folder: Path
    side: int

    def command(self, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `harness …`, and return how it ended and what it printed."""
        return subprocess.run(
            (sys.executable, "-m", "harness", *words), capture_output=True, text=True, check=False, cwd=self.folder,
            timeout=900, env=_environment(env),
        )  # fmt: skip

    def suite(self, name: str, *, images: int, rest: str) -> Path:
        """Write a suite of one small detector on drawn images."""
        path = self.folder / f"{name}.yaml"
        head = f"""\
            suite: {name}
            datasets:
              shapes: {{format: synthetic, train: {{images: {images}}}, val: {{images: 8}}, size: {self.side}}}
            architectures:
              - name: fasterrcnn_mobilenet_v3_large_fpn
                weights: none
                image_size: {{min: {self.side}, max: {self.side}}}
            """
        path.write_text(textwrap.dedent(head) + textwrap.dedent(rest))
        return path

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records of a suite's trials."""
        paths = (self.folder / "results" / name / "trials").glob("*/record.json")
        return [json.loads(path.read_text()) for path in sorted(paths)]

    def run(self, suite: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Run a suite without a preflight and without a race."""
        return self.command("run", str(suite), "--device", self.device, "--no-preflight", "--no-race", *more)


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    return {**os.environ, "CI": "true", "PYTHONPATH": str(ROOT), **(more or {})}


def doctor(place: Place) -> list[Check]:
    """`harness doctor`."""
    return verdicts.doctor(place.command("doctor", "--device", place.device).stdout)


def marked_tests(place: Place) -> list[Check]:
    """The tests marked `gpu`, in one process."""
    if place.device == "cpu":
        return [verdicts.impossible("tests marked gpu", "they need a CUDA device")]
    done = subprocess.run(
        (sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "tests/trial"),
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=900, env=_environment(None),
    )  # fmt: skip
    return [verdicts.marked_tests(done.returncode, done.stdout)]


def kill_and_resume(place: Place) -> list[Check]:
    """Kill a trial with signal 9 once it has a checkpoint; the runner, or the next run, goes on from there."""
    suite = place.suite(
        "killed",
        images=32,
        rest="""\
            hyperparameters: {epochs: 12, batch_size: 4, lr: 1e-4, loader_workers: 2}
            limits: {checkpoint_minutes: 0.01}
            protocol: {level: quick, rounds: 1}
            """,
    )
    words = ("run", str(suite), "--device", place.device, "--no-preflight", "--no-race")
    with subprocess.Popen(
        (sys.executable, "-m", "harness", *words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=place.folder,
        env=_environment(None), text=True,
    ) as runner:  # fmt: skip
        killed = _kill_once_saved(place.folder / "results" / "killed", runner)
        output, _ = runner.communicate(timeout=900)
    if not killed:
        return [verdicts.holds("kill −9 and resume", "it ended before it could be killed", "killed", output[-500:])]
    done = place.run(suite)
    record = next(iter(place.records("killed")), None)
    return [verdicts.resumed(done.returncode, record)]


def _kill_once_saved(results: Path, runner: subprocess.Popen[str]) -> bool:
    while runner.poll() is None:
        if any(results.glob("trials/*/checkpoints/*.state")):
            for pid in _trial_processes(runner.pid):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    return True
        time.sleep(0.2)
    return False


def _trial_processes(runner: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == runner and b"harness.trial" in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def no_device(place: Place) -> list[Check]:
    """A trial whose process sees no GPU says so."""
    suite = place.suite("blind", images=4, rest="hyperparameters: {epochs: 1, lr: 1e-4}\n")
    words = ("run", str(suite), "--device", "cuda:0", "--no-preflight", "--no-race")
    done = place.command(*words, env={"CUDA_VISIBLE_DEVICES": ""})
    return [verdicts.missing_device(done.returncode, done.stderr)]


def all_variants(place: Place) -> list[Check]:
    """One trial with every variant."""
    suite = place.suite(
        "variants",
        images=16,
        rest=f"""\
            hyperparameters: {{epochs: 2, batch_size: 4, lr: 1e-3}}
            protocol: {{level: quick, variants: {VARIANTS}}}
            """,
    )
    done = place.run(suite)
    records = place.records("variants")
    if not records:
        return [verdicts.holds("variants: the trial", done.returncode, 0, (done.stdout + done.stderr)[-1000:])]
    return verdicts.variants(records[0], device=place.device)


_BUSY = """
import sys, torch
block = torch.rand(2048, 2048, device=sys.argv[1])
print("on", flush=True)
while True:
    block = (block @ block).clamp(-1, 1)
    if block.device.type == "cuda":
        torch.cuda.synchronize()
"""


def another_beside(place: Place) -> list[Check]:
    """The same again beside a second program on the device."""
    suite = place.suite(
        "beside", images=8, rest="hyperparameters: {epochs: 1, batch_size: 4, lr: 1e-3}\nprotocol: quick\n"
    )
    with subprocess.Popen((sys.executable, "-c", _BUSY, place.device), stdout=subprocess.PIPE, text=True) as busy:
        try:
            assert busy.stdout is not None
            busy.stdout.readline()
            done = place.run(suite)
        finally:
            busy.kill()
    records = place.records("beside")
    if not records:
        return [verdicts.holds("another program beside", done.returncode, 0, (done.stdout + done.stderr)[-1000:])]
    return [verdicts.beside(records[0])]


def out_of_memory(place: Place) -> list[Check]:
    """Under a capped fraction of the device's memory a trial ends accumulated, and leaves nothing behind."""
    name = "out of memory → accumulated"
    if place.device == "cpu":
        return [verdicts.impossible(name, "the memory of a CPU cannot be capped")]
    done = subprocess.run(
        (sys.executable, "-m", "tests.gpu.capped", place.device, str(place.folder), str(place.side)),
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=900, env=_environment(None),
    )  # fmt: skip
    if done.returncode:
        return [verdicts.holds(name, done.returncode, 0, done.stderr[-1000:])]
    return [Check(**check) for check in json.loads(done.stdout.splitlines()[-1])]


def small_shared_memory(place: Place) -> list[Check]:
    """A trial with eight loader processes under a /dev/shm of 64 MB."""
    name = "loaders under a /dev/shm of 64 MB"
    mount = "mount -t tmpfs -o size=64m tmpfs /dev/shm"
    tried = None
    if shutil.which("unshare"):
        tried = subprocess.run(("unshare", "-m", "sh", "-c", mount), capture_output=True, text=True, check=False)
    if tried is None or tried.returncode:
        return [
            verdicts.impossible(name, "no mount namespace of its own: run as root, or in a container of --shm-size=64m")
        ]
    suite = place.suite(
        "small",
        images=64,
        rest="hyperparameters: {epochs: 1, batch_size: 32, lr: 1e-4, loader_workers: 8}\nprotocol: quick\n",
    )
    text = suite.read_text().replace(f"size: {place.side}", f"size: {max(place.side, 480)}")
    suite.write_text(text)
    words = ("run", str(suite), "--device", place.device, "--no-race")
    done = subprocess.run(
        ("unshare", "-m", "sh", "-c", f'{mount} && exec "$0" -m harness "$@"', sys.executable, *words),
        capture_output=True, text=True, check=False, cwd=place.folder, timeout=900, env=_environment(None),
    )  # fmt: skip
    records = place.records("small")
    names = sorted({warning["name"] for record in records for warning in record["warnings"]})
    passed = done.returncode == 0 and "fewer_workers" in names
    detail = "" if passed else (done.stdout + done.stderr)[-1000:]
    return [Check(name=name, value=names, bound="it succeeds, with fewer_workers", passed=passed, detail=detail)]


def checks(place: Place) -> Iterator[tuple[str, Any]]:
    """Each check of commands by its name, in an order that shows soon what is wrong."""
    for check in (
        doctor, marked_tests, no_device, kill_and_resume, out_of_memory, all_variants, another_beside,
        small_shared_memory,
    ):  # fmt: skip
        yield check.__name__, lambda check=check: check(place)
