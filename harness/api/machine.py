"""What readies a machine for a run: the pretrained weights in its cache, and whether it is fit to measure on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.arguments import check_device
from harness.executors.environment import available_cores, child_environment
from harness.processes.child import run_module
from harness.suite.catalog.published import published_files
from harness.suite.load import Suite, load_suite

if TYPE_CHECKING:
    from harness.suite.catalog.published import PublishedFile


def fetch(suite: str | Path) -> bool:
    """Download every pretrained file that a suite needs; what is downloaded is printed, line by line.

    Returns:
        Whether all of them are in the cache now.

    Raises:
        SuiteError: the suite file is wrong.
    """
    arguments = [
        f"{file.architecture}={file.word}{f'={file.backbone}' if file.backbone else ''}"
        for file in wanted_weights(suite)
    ]
    if not arguments:
        return True
    return _run("harness.trial.models.fetch", *arguments) == 0


def doctor(device: str = "auto") -> int:
    """Print whether this machine is fit to measure on; takes a minute or two.

    Returns:
        0: it is fit; 1: it is not; 3: the device is not there.

    Raises:
        UsageError: this is no name of a device.
    """
    check_device(device)
    return _run("harness.trial.doctor", device, str(available_cores()))


def wanted_weights(suite: str | Path | Suite) -> tuple[PublishedFile, ...]:
    """Each published file of weights that a suite starts from, with its place in the cache.

    Raises:
        SuiteError: the suite file is wrong.
    """
    loaded = suite if isinstance(suite, Suite) else load_suite(Path(suite))
    return published_files((setting.row, setting.architecture) for setting in loaded.settings)


def _run(module: str, *arguments: str) -> int:
    """Run a module that prints to this process' terminal, in that terminal's encoding; returns its exit code."""
    encoding = {"PYTHONIOENCODING": os.environ.get("PYTHONIOENCODING", "")}
    environment = child_environment(available_cores()) | encoding
    return run_module(module, *arguments, environment=environment).exit_code
