"""Published files of Hugging Face's hub and of installed packages: find one on this machine, or fetch it.

Files in torch hub's cache are their family's business, for only it knows where they come from.
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile, PackageFile
from harness.suite.catalog.published import described, hub_folder, location

if TYPE_CHECKING:
    from pathlib import Path

_CONFIGURATION = "config.json"  # beside the weights; what builds the network may need it


def require(file: HubFile | PackageFile) -> Path:
    """The file, which must be on this machine already: nothing is downloaded.

    Raises:
        WeightsError: it is not there, or a package has another file in its place; says what to do.
    """
    path = location(file)
    if isinstance(file, PackageFile):
        _check_package(file, path)
    elif not path.is_file():
        raise WeightsError(
            f"the weights {described(file)} are not in {hub_folder()}: run `harness fetch SUITE` where there is "
            "internet, or set `weights: none` (random) or `weights: PATH` (a file of yours)"
        )
    return path


def fetch(file: HubFile | PackageFile) -> Path:
    """The file, downloaded to the hub's cache unless it is there already; packages are the user's to install.

    Raises:
        WeightsError: it cannot be had; says why and what to do.
    """
    if isinstance(file, HubFile) and not location(file).is_file():
        _download(file)
    return require(file)


def _check_package(file: PackageFile, path: Path) -> None:
    """Compare a package's file with the one that the catalogue means.

    Raises:
        WeightsError: it is not there, or is another one.
    """
    install = f"pip install '{file.package}{f'=={file.version}' if file.version else ''}'"
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(
            f"the weights {described(file)} are not installed: {install} (nothing is downloaded in its place)"
        ) from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise WeightsError(
            f"{path}: is another file than the package {file.package} is known to have (sha256 {found[:12]}…, expected "
            f"{file.sha256[:12]}…): {install} --force-reinstall --no-deps"
        )


def _download(file: HubFile) -> None:
    """Bring a file of the hub, and the configuration beside it, to the hub's cache.

    Raises:
        WeightsError: huggingface_hub is not installed, or the file cannot be had.
    """
    try:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils import disable_progress_bars
    except ImportError:
        raise WeightsError(
            f"{described(file)} is on Hugging Face's hub, and its client is not installed: pip install huggingface_hub"
        ) from None
    if not sys.stderr.isatty():
        disable_progress_bars()
    print(f"fetching {described(file)} to {hub_folder()}", flush=True)
    try:
        for name in (_CONFIGURATION, file.file):
            hf_hub_download(file.repo, name, revision=file.revision, cache_dir=hub_folder())
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - its client raises its own, its transport's, and the system's
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise WeightsError(
            f"{described(file)} cannot be had from Hugging Face's hub ({reason}): run `harness fetch SUITE` where "
            f"there is internet, and copy {hub_folder()} to this machine"
        ) from None
