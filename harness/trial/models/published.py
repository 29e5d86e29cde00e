"""Published files wherever they come from: Hugging Face's hub (`harness.trial.models.hub`) or an installed package.

Files in torch hub's cache are their family's business, for only it knows where they come from.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from harness.errors import WeightsError
from harness.suite.catalog.architecture import HubFile, PackageFile
from harness.suite.catalog.published import described, install_command, location
from harness.trial.models import hub

if TYPE_CHECKING:
    from pathlib import Path


def require(file: HubFile | PackageFile, architecture: str) -> Path:
    """The file, which must be on this machine already: nothing is downloaded.

    Args:
        architecture: whose weights they are, for the error.

    Raises:
        WeightsError: it is not there, or a package has another file in its place; says what to do.
    """
    return hub.require(file, architecture) if isinstance(file, HubFile) else _of_package(file, architecture)


def fetch(file: HubFile | PackageFile, architecture: str) -> Path:
    """The file, downloaded to the hub's cache unless it is there already; packages are the user's to install.

    Raises:
        WeightsError: it cannot be had; says why and what to do.
    """
    return hub.fetch(file, architecture) if isinstance(file, HubFile) else _of_package(file, architecture)


def _of_package(file: PackageFile, architecture: str) -> Path:
    """The file that a package has, compared with the one that the catalogue means.

    Raises:
        WeightsError: it is not there, or is another one.
    """
    path = location(file)
    install = install_command(file)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise WeightsError(
            f"weights of {architecture}: {described(file)} is not installed: {install} (nothing is downloaded in its "
            "place)"
        ) from None
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror}") from None
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise WeightsError(
            f"{path}: is another file than the package {file.package} is known to have (sha256 {found[:12]}…, expected "
            f"{file.sha256[:12]}…): {install} --force-reinstall --no-deps"
        )
    return path
