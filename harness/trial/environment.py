"""The machine that the numbers come from: set what the protocol fixes, and say what is there."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from harness.errors import MachineError
from harness.store.record import Environment
from harness.trial.inputs.loader import TORCHVISION_VERSION
from harness.trial.measure import memory, nvml, ours
from harness.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.suite.schema import Protocol


def choose_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:N as a device that is there.

    Raises:
        MachineError: it is not.
    """
    if name == "auto":
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = torch.device("cuda:0" if name == "cuda" else name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise MachineError(
            f"--device {name}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices; give "
            "--device cpu "
            "or one that is there"
        )
    return device


def prepare(
    device: torch.device, protocol: Protocol, *, threads: int, seed: int, gpu_processes: Sequence[int] = ()
) -> None:
    """Set threads, seeds and numerics by the protocol, not by chance; this makes the first CUDA call of the process.

    Args:
        gpu_processes: the trial's other processes on the GPU, by the driver's ids.
    """
    ours.begin(device, partial(_start, device), others=gpu_processes)
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    torch.backends.cuda.matmul.allow_tf32 = protocol.tf32
    torch.backends.cudnn.allow_tf32 = protocol.tf32
    torch.backends.cudnn.benchmark = False  # image sizes vary: a search for each would be measured
    # So that a resumed training ends with the same bits; on a GPU the deterministic kernels are too slow.
    if device.type != "cuda":
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]


def _start(device: torch.device) -> None:
    """Use the device, so that the driver lists this process on it."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
        torch.zeros(1, device=device)


def describe(device: torch.device, *, cores: int, loader_workers: int) -> Environment:
    """Say where this process runs."""
    cuda = device.type == "cuda"
    properties = torch.cuda.get_device_properties(device) if cuda else None
    card = nvml.gpu(device)
    commit = _git("rev-parse", "HEAD")
    return Environment(
        device=str(device),
        device_name=properties.name if properties else _cpu(),
        device_memory_bytes=properties.total_memory if properties else None,
        driver=card.driver() if card else None,
        cuda=torch.version.cuda if cuda else None,
        cudnn=_cudnn() if cuda else None,
        tf32=torch.backends.cuda.matmul.allow_tf32,
        cudnn_benchmark=torch.backends.cudnn.benchmark,
        deterministic=torch.are_deterministic_algorithms_enabled(),
        cpu=_cpu(),
        cores=cores,
        threads=torch.get_num_threads(),
        loader_workers=loader_workers,
        memory_bytes=_memory(),
        platform=platform.platform(),
        python=platform.python_version(),
        torch=torch.__version__,
        torchvision=TORCHVISION_VERSION,
        torchmetrics=version("torchmetrics"),
        hotcoco=version("hotcoco"),
        harness=__version__,
        git_commit=commit,
        git_dirty=bool(_git("status", "--porcelain", "--untracked-files=no")) if commit else None,
        pci_id=card.pci_id() if card else None,
        power_limit_w=card.power_limit_w() if card else None,
        sm_clock_mhz=card.default_clock("SM") if card else None,
        memory_clock_mhz=card.default_clock("MEM") if card else None,
        logical_cpus=os.cpu_count(),
        governor=governor(),
        thread_waiting=" ".join(filter(None, map(os.environ.get, ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")))) or None,
    )


def governor() -> str | None:
    """What sets the CPU's clock: `performance` holds it up. None where the kernel does not say, as in most guests."""
    return _first(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"), r"(\S+)")


def _cudnn() -> int | None:
    version: int | None = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return version


def _cpu() -> str:
    return _first(Path("/proc/cpuinfo"), r"model name\s*:\s*(.+)") or platform.processor() or platform.machine()


def _memory() -> int | None:
    """Of the machine, or of this container if that is less."""
    kilobytes = _first(Path("/proc/meminfo"), r"MemTotal:\s+(\d+) kB")
    sizes = (int(kilobytes) * 1024 if kilobytes else None, memory.cgroup_limit_bytes())
    return min((size for size in sizes if size is not None), default=None)


def _first(path: Path, pattern: str) -> str | None:
    found = re.search(pattern, path.read_text()) if path.exists() else None
    return found.group(1).strip() if found else None


def _git(*arguments: str) -> str | None:
    """The harness's own commit, where it runs from a checkout."""
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():
        return None
    try:
        done = subprocess.run(("git", *arguments), cwd=folder, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


if __name__ == "__main__":
    visible = (
        [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else ["cpu"]
    )
    sys.stdout.write(" ".join(visible))
