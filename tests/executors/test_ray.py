"""A suite on a Ray cluster ends whole, whatever is killed or stands still meanwhile: workers, a node, the runner."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UsageError
from harness.executors.ray import RayExecutor
from harness.executors.slots import Slot
from harness.store import record
from harness.store.paths import SuiteFolder
from harness.store.results import read_results
from tests.conftest import ROOT
from tests.faults.runs import wait_for

pytest.importorskip("ray")
WORKER = "ray::Worker"


class Cluster:
    """A head without a place for trials, and two nodes with two fake GPUs each, all on this machine."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster as RayCluster

        self._made = RayCluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        self.address: str = self._made.address
        self.nodes: list[Any] = [self.add(), self.add()]

    def add(self) -> Any:
        return self._made.add_node(num_cpus=2, num_gpus=2)

    def kill(self, node: Any) -> None:
        self._made.remove_node(node, allow_graceful=False)

    def close(self) -> None:
        shutdown: Any = self._made.shutdown
        shutdown()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.close()


@pytest.fixture
def suite(tmp_path: Path) -> Callable[[int, str], Path]:
    def write(trials: int, rest: str = "") -> Path:
        path = tmp_path / "s.yaml"
        path.write_text(
            "suite: many\n"
            "datasets: {shapes: {format: synthetic, train: {images: 4}, val: {images: 2}, size: 64, classes: 2}}\n"
            f"architectures: [{{name: retinanet_resnet50_fpn, weights: none}}]\nseeds: {list(range(trials))}\n{rest}"
        )
        return path

    return write


def _drive(cluster: Cluster, suite: Path, results: Path, seconds: float) -> subprocess.Popen[bytes]:
    arguments = (cluster.address, str(suite), str(results), str(seconds))
    with (results.parent / "driver.log").open("ab") as log:
        return subprocess.Popen(
            (sys.executable, "-m", "tests.executors.ray_driver", *arguments),
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            start_new_session=True,
        )


def _pids(words: str) -> list[int]:
    """The processes whose command line holds these words."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            if words in path.read_text(errors="replace").replace("\0", " "):
                found.append(int(path.parent.name))
    return found


def _kill(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def _n_records(results: Path) -> int:
    return len(list(results.glob("many/trials/*/record.json")))


def _check_whole(results: Path, trials: int) -> None:
    """Each trial has one valid record, no two attempts of it succeeded, and nothing of it runs."""
    states = read_results(SuiteFolder(results / "many"))
    assert len(states) == trials
    for state in states:
        assert state.record is not None, (state.trial.trial_id, state.attempts)
        assert state.record.trial == state.trial
        ended = Counter(attempt.outcome for attempt in state.attempts)
        assert ended["succeeded"] <= 1, (state.trial.trial_id, ended)  # none where it was killed just after the record
    wait_for(lambda: not _pids(str(results)), "the processes of trials to end")


def test_places_are_those_of_the_cluster(cluster: Cluster) -> None:
    """A GPU each; on the CPU as many as asked for, with the cores divided; no cluster is one sentence."""
    executor = RayExecutor(address=cluster.address)
    assert executor.slots("auto", 1) == (Slot(device="cuda:0", threads=1),) * 4
    assert executor.slots("cpu", 2) == (Slot(device="cpu", threads=2),) * 2
    assert executor.slots("cpu", 1) == (Slot(device="cpu", threads=2),)  # no node has four
    _disconnect()
    with pytest.raises(UsageError, match="--ray-address 127.0.0.1:1: "):
        RayExecutor(address="127.0.0.1:1").slots("auto", 1)


def _disconnect() -> None:
    import ray

    ray.shutdown()


def test_all_records_are_there_whatever_is_killed(cluster: Cluster, suite: Callable[..., Path], tmp_path: Path) -> None:
    """Thirty trials while twenty workers, a node and (twice) the runner are killed: none runs twice, none is lost."""
    results, path = tmp_path / "r", suite(30)
    driver = _drive(cluster, path, results, 1.0)
    killed, drivers, gone = 0, 0, False
    deadline = time.monotonic() + 600  # of a machine that is busy
    try:
        while driver.poll() is None or driver.returncode == -signal.SIGKILL:
            assert time.monotonic() < deadline, (killed, drivers, _n_records(results))
            time.sleep(0.4)
            done = _n_records(results)
            if driver.returncode == -signal.SIGKILL:
                driver = _drive(cluster, path, results, 1.0)
            elif drivers < 2 and done >= 6 * (drivers + 1):
                drivers += _kill(driver.pid)
                driver.wait()
            elif not gone and done >= 9:
                cluster.kill(cluster.nodes[0])
                cluster.add()
                gone = True
            elif killed < 20:
                workers = _pids(WORKER)
                if len(workers) > 1:
                    killed += _kill(workers[killed % len(workers)])
    finally:
        _kill(driver.pid)
        driver.wait()
    assert driver.returncode == 0, (tmp_path / "driver.log").read_text()[-3000:]
    assert (killed >= 20, drivers, gone) == (True, 2, True)
    _check_whole(results, 30)


def test_a_runner_that_comes_back_finds_what_still_runs(
    cluster: Cluster, suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Trials go on without it, and are not begun again: one attempt each."""
    results, path = tmp_path / "r", suite(2)
    driver = _drive(cluster, path, results, 15.0)
    try:
        wait_for(lambda: len(list(results.glob("many/trials/*/attempts/1/events.jsonl"))) == 2, "both to run")
        _kill(driver.pid)
        driver.wait()
        driver = _drive(cluster, path, results, 15.0)
        assert driver.wait(timeout=300) == 0
    finally:
        _kill(driver.pid)
        driver.wait()
    _check_whole(results, 2)
    assert len(list(results.glob("many/trials/*/attempts/*"))) == 2


def test_a_node_that_stands_still_is_survived(cluster: Cluster, suite: Callable[..., Path], tmp_path: Path) -> None:
    """Its trials are noticed as lost, long before they would count as hung, and run elsewhere; no record changes.

    That takes half a minute; how long a slow machine then needs for the trials themselves is not asserted.
    """
    results, path = tmp_path / "r", suite(4)
    driver = _drive(cluster, path, results, 3.0)
    frozen: list[int] = []
    try:
        wait_for(lambda: len(list(results.glob("many/trials/*/attempts/1/events.jsonl"))) == 4, "all to run")
        raylet = cluster.nodes[0].all_processes["raylet"][0].process.pid
        frozen = [raylet, *_descendants(raylet)]
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        assert driver.wait(timeout=300) == 0, (tmp_path / "driver.log").read_text()[-3000:]
    finally:
        for pid in frozen:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        _kill(driver.pid)
        driver.wait()
    before = {path: path.read_bytes() for path in results.glob("many/trials/*/record.json")}
    wait_for(lambda: not _pids(str(results)), "what woke up to end")
    assert before == {path: path.read_bytes() for path in results.glob("many/trials/*/record.json")}
    _check_whole(results, 4)
    for path in before:
        record.decode(record.RECORD, path.read_bytes(), str(path))


def _descendants(pid: int) -> list[int]:
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *_descendants(child)]
    return found
