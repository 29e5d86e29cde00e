"""Whatever a trial's process does, it ends in the right row of the table, in bounded time and disk, leaving nothing."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.processes.watch import Clock
from harness.store.job import Attempt
from harness.store.paths import TrialFolder
from tests.clock import SteppedClock
from tests.conftest import FAST, Command
from tests.executors.scripted import Scripts, scripts
from tests.faults.runs import start, trials_of

DATASET = """
import os, time, torch
class Parts(torch.utils.data.Dataset):
    def __len__(self):
        return 2
    def __getitem__(self, index):
        {}
        return torch.rand(3, 64, 64), {{"boxes": torch.tensor([[4., 4., 30., 30.]]), "labels": torch.tensor([1])}}
"""


@pytest.fixture
def scripted(tmp_path: Path) -> Callable[..., tuple[Attempt, Path]]:
    """Supervise a script in the place of a trial: how its attempt ended, and its log."""

    def run(code: str) -> tuple[Attempt, Path]:
        result, folder = scripts(tmp_path).run(code)
        return result.attempt, folder.log

    return run


def _suite(tiny_suite: Callable[..., Path], folder: Path, line: str, limits: str = "") -> Path:
    """One trial on a user's Dataset that does `line` at each item."""
    (folder / "parts.py").write_text(DATASET.format(line))
    split = "{dataset: 'parts:Parts'}"
    return tiny_suite(
        datasets=f"  parts: {{format: python, classes: [a], train: {split}, val: {split}}}\n",
        rest=f"hyperparameters: {{epochs: 1, batch_size: 2, loader_workers: 1}}\n{FAST}{limits}",
    )


def test_a_hung_trial_shows_its_stacks_and_is_tried_once_more(tiny_suite: Callable[..., Path], tmp_path: Path) -> None:
    """No progress in a loader's process: `hung`, with the line that hangs in the log; twice, then it is given up."""
    suite = _suite(tiny_suite, tmp_path, "time.sleep(600)  # HANGS HERE", "limits: {hang_minutes: 0.12}\n")
    results = tmp_path / "results"
    output = (run := start(suite, results)).output(timeout=300)
    assert run.returncode == 1, output
    assert output.count("no progress for") == 2
    assert not trials_of(results)
    (trial,) = (results / "tiny" / "trials").iterdir()
    line = 1 + (tmp_path / "parts.py").read_text().splitlines().index("        time.sleep(600)  # HANGS HERE")
    for number in (1, 2):
        log = (trial / "attempts" / str(number) / "log.txt").read_text()
        assert f'parts.py", line {line} in __getitem__' in log
        assert "harness/trial/inputs/loader.py" in log
    page = (results / "tiny" / "report.md").read_text()
    assert "**hung, 1 trial:** no progress for" in page
    assert "in stage model; its stacks are at the log's end" in page


def test_a_trial_past_its_hours_is_timed_out(tmp_path: Path) -> None:
    """However much progress it makes; it is asked to leave a checkpoint first, and not tried again."""
    code = """
import signal
signal.signal(signal.SIGTERM, lambda *_: (print('CHECKPOINT', flush=True), sys.exit(143)))
step = '{"event": "step", "stage": "train", "epoch": 2, "epochs": 3, "step": 3, "steps": 9, '
while True:
    open(folder + '/events.jsonl', 'a').write(step + '"loss": 0.5, "images_per_s": 1.0}\\n')
    time.sleep(0.1)
"""
    events = tmp_path / "trial" / "attempts" / "1" / "events.jsonl"
    clock = SteppedClock()

    def sleep(seconds: float) -> None:
        """Let minutes pass in a moment, once the trial trains."""
        time.sleep(0.02)
        clock.sleep(seconds if events.is_file() and events.stat().st_size else 0.02)

    scripted = Scripts(trial=TrialFolder(tmp_path / "trial"), poll_s=60)
    result, folder = scripted.run(code, hang_s=7200, total_s=1800, clock=Clock(now=clock.now, sleep=sleep))
    attempt = result.attempt
    assert (attempt.outcome, attempt.cause, attempt.retryable) == ("timed_out", "time", False)
    assert attempt.reason is not None
    assert attempt.reason.startswith("reached limits.trial_hours, at epoch 2, step 3 of 9")
    assert "CHECKPOINT" in folder.log.read_text()


def _join(group: Path) -> None:
    """Take this process into the control group."""
    group.write_text(str(os.getpid()))


@pytest.fixture
def small_memory() -> Iterator[Callable[[], object]]:
    """What a process calls to have 1.5 GB for itself and its children; the kernel kills whoever takes more."""
    version1, version2 = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    first = (version1 / "memory.limit_in_bytes").exists()
    group = (version1 if first else version2) / f"harness-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text("1500000000")
        if not first:
            (group / "memory.swap.max").write_text("0")
    except OSError as error:
        if group.is_dir():
            group.rmdir()
        pytest.skip(f"may not limit memory here: {error}")
    yield functools.partial(_join, group / "cgroup.procs")
    for _ in range(50):
        try:
            group.rmdir()
        except OSError:
            time.sleep(0.1)
        else:
            return


def test_a_trial_that_takes_all_memory_is_killed_and_told(
    tiny_suite: Callable[..., Path], tmp_path: Path, small_memory: Callable[[], object]
) -> None:
    """The kernel kills it: failed, killed by signal 9, likely out of host memory; tried once more, then given up."""
    line = "self.__dict__.setdefault('all', []).append(torch.ones(100_000_000)) or self.__getitem__(index)"
    suite = _suite(tiny_suite, tmp_path, line).read_text().replace("loader_workers: 1", "loader_workers: 0")
    (tmp_path / "tiny.yaml").write_text(suite)
    results = tmp_path / "results"
    run = start(tmp_path / "tiny.yaml", results, prepare=small_memory, preflight=True)
    output = run.output(timeout=120)
    assert run.returncode == 1, output
    assert output.count("killed by signal 9 (SIGKILL); likely out of host memory") == 2
    assert "**failed, 1 trial:** killed by signal 9" in (results / "tiny" / "report.md").read_text()


def test_a_child_that_leaves_nothing_fails_once_more(scripted: Callable[..., tuple[Attempt, Path]]) -> None:
    """Exit code 0 without a record is no success."""
    attempt, _ = scripted("print('bye')")
    assert (attempt.outcome, attempt.cause, attempt.retryable) == ("failed", "exception", True)
    assert attempt.reason == "exited with code 0 and left no outcome: bye"


def test_a_gigabyte_of_output_stays_small(scripted: Callable[..., tuple[Attempt, Path]]) -> None:
    """The log keeps its first megabytes and its last, and says how much lies between; at no time is it larger."""
    code = """
print('FIRST')
block = 'x' * 999_999
largest = 0
for _ in range(1000):
    print(block)
    largest = max(largest, os.path.getsize(folder + '/log.txt'))
print('LARGEST', largest)
sys.exit('LAST')
"""
    attempt, log = scripted(code)
    assert attempt.reason == "exited with code 1 and left no outcome: LAST"
    text = log.read_text()
    assert len(text) < 10 * 2**20
    assert text.startswith("FIRST\n")
    assert "bytes are left out here ...]" in text
    assert int(text.partition("LARGEST ")[2].split()[0]) < 10 * 2**20


def test_grandchildren_do_not_stay(scripted: Callable[..., tuple[Attempt, Path]]) -> None:
    """Neither one in the group, nor one that left it for a session of its own, nor that one's child."""
    code = """
import subprocess
plain = subprocess.Popen(('sleep', '600'))
away = subprocess.Popen(('sh', '-c', 'sleep 600 & echo $!; wait'), start_new_session=True, stdout=subprocess.PIPE)
print(plain.pid, away.pid, away.stdout.readline().decode().strip(), flush=True)
"""
    _, log = scripted(code)
    pids = [int(pid) for pid in log.read_text().split()]
    assert len(pids) == 3
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_what_cannot_work_fails_in_the_preflight(
    harness_command: Command, tiny_suite: Callable[..., Path], tmp_path: Path
) -> None:
    """Before any trial: the broken configuration fails for all its seeds, the other goes on; then nothing repeats."""
    suite = _suite(tiny_suite, tmp_path, "raise KeyError('left_out')")
    text = suite.read_text().replace(
        "architectures:",
        "  shapes: {format: synthetic, train: {images: 4}, val: {images: 3}, size: 64}\narchitectures:",
    )
    suite.write_text(f"{text}seeds: [0, 1]\n")
    results = tmp_path / "results"

    def run(*options: str) -> tuple[int, str]:
        done = harness_command("run", suite, "--results", results, *options)
        return done.returncode, done.stdout + done.stderr

    code, output = run("--fail-fast")
    assert code == 1, output
    assert "3 not tried" in output or "2 not tried" in output, output
    assert "starts; log:" not in output

    code, output = run("--budget", "0.01s")
    assert code == 1, output
    assert "not started, because they would not have been done in time:\n  shapes-" in output
    assert "2 trials left: about" in output

    code, output = run("--select", "*-s0-*")
    assert code == 1, output
    assert "1 of 2 trials measured, 1 failed" in output
    assert "preflight" not in output  # both are known
    failed = [p for p in results.glob("tiny/trials/parts-*/attempts/*/outcome.json") if "left_out" in p.read_text()]
    assert len(failed) == 2
    page = (results / "tiny" / "report.md").read_text()
    assert "1 of 4 trials measured, **2 failed**, 1 left" in page
