"""What readies a machine for a run: the pretrained weights in its cache, and whether it is fit to measure on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from harness.api.arguments import check_device
from harness.executors.environment import available_cores, child_environment
from harness.suite.catalog.torchvision import BY_NAME
from harness.suite.load import Suite, load_suite


def fetch(suite: str | Path) -> bool:
    """Download every pretrained file that a suite needs; what is downloaded is printed, line by line.

    Returns:
        Whether all of them are in the cache now.

    Raises:
        SuiteError: the suite file is wrong.
    """
    wanted = wanted_weights(suite)
    arguments = [f"{name}={word}" for name, word, _ in wanted]
    if not arguments:
        return True
    done = subprocess.run((sys.executable, "-m", "harness.trial.models.torchvision.weights", *arguments), check=False)
    return done.returncode == 0


def doctor(device: str = "auto") -> int:
    """Print whether this machine is fit to measure on; takes a minute or two.

    Returns:
        0: it is fit; 1: it is not; 3: the device is not there.

    Raises:
        UsageError: this is no name of a device.
    """
    check_device(device)
    threads = available_cores()
    done = subprocess.run(
        (sys.executable, "-P", "-m", "harness.trial.doctor", device, str(threads)),
        env=child_environment(threads),
        start_new_session=True,  # its processes are told from others by their session
        check=False,
    )
    return done.returncode


def wanted_weights(suite: str | Path | Suite) -> tuple[tuple[str, str, str], ...]:
    """(architecture, default or backbone, file name) of each published file that the suite starts from."""
    loaded = suite if isinstance(suite, Suite) else load_suite(Path(suite))
    wanted = {}
    for setting in loaded.settings:
        row, word = BY_NAME[setting.architecture.name], setting.architecture.weights
        if word in {"default", "backbone"}:
            wanted[row.name, word] = row.weights_file if word == "default" else row.backbone_file
    return tuple((name, word, file) for (name, word), file in wanted.items())


def missing_weights(suite: Suite) -> tuple[Path, tuple[str, ...]]:
    """The folder that pretrained files are downloaded to, and the names of those that the suite needs and it lacks."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    cache = Path(home).expanduser() / "hub" / "checkpoints"  # as torch.hub has it
    return cache, tuple(file for _, _, file in wanted_weights(suite) if not (cache / file).is_file())
