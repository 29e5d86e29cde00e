"""How soon the program is there: the import of the package, and the help of the command, in fresh processes."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

pytestmark = pytest.mark.bench

ROUNDS = 15


def _seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run((sys.executable, *arguments), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def _against_plain_python(benchmark: BenchmarkFixture, *arguments: str) -> float:
    """The shortest time of a command less that of a Python that does nothing; both are started in turn."""
    plain: list[float] = []
    benchmark.pedantic(
        lambda: _seconds(*arguments), setup=lambda: plain.append(_seconds("-c", "pass")), rounds=ROUNDS, warmup_rounds=1
    )
    assert benchmark.stats is not None
    least: float = benchmark.stats.stats.min
    benchmark.extra_info["said"] = (
        f"{1e3 * (least - min(plain)):.0f} ms above plain Python's {1e3 * min(plain):.0f} ms (best of {ROUNDS})"
    )
    return least - min(plain)


def test_import(benchmark: BenchmarkFixture) -> None:
    """`import harness` takes at most 60 ms."""
    assert _against_plain_python(benchmark, "-c", "import harness") <= 0.060


def test_help(benchmark: BenchmarkFixture) -> None:
    """`harness --help` appears within 0.2 s of a Python that does nothing."""
    assert _against_plain_python(benchmark, "-m", "harness", "--help") <= 0.200
