"""The files of published weights that a suite starts from, and where they are kept on this machine."""

from __future__ import annotations

import os
import sysconfig
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING

from harness.suite.catalog.architecture import HubFile, PackageFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.suite.catalog.architecture import Architecture, Published
    from harness.suite.trial import TrialArchitecture


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedFile:
    """A file that an architecture starts from.

    Attributes:
        architecture: the name of a built-in one, or the import path of the user's own.
        word: what the suite gives as its `weights`: default, backbone or none.
        file: the published file.
        backbone: the backbone that the suite names; None if it names none.
    """

    architecture: str
    word: str
    file: Published
    backbone: str | None = None

    @property
    def name(self) -> str:
        """What to call it in a sentence."""
        return described(self.file)

    @property
    def path(self) -> Path:
        """Where it is, or will be once it is fetched."""
        return location(self.file)


def published_files(architectures: Iterable[tuple[Architecture, TrialArchitecture]]) -> tuple[PublishedFile, ...]:
    """Each published file that is started from, once.

    Args:
        architectures: each row, with what a trial makes of it.
    """
    files = (_of_choice(row, choice) for row, choice in architectures)
    return tuple(dict.fromkeys(file for file in files if file is not None))


def _of_choice(row: Architecture, choice: TrialArchitecture) -> PublishedFile | None:
    backbone = choice.model.get("backbone")
    name = backbone if isinstance(backbone, str) else None
    file = row.needed_file(choice.weights, name)
    if file is None:
        return None
    architecture = choice.own.path if choice.own else choice.name
    return PublishedFile(architecture=architecture, word=choice.weights, file=file, backbone=name)


def described(file: Published) -> str:
    """The file in a few words: its name, with where it comes from."""
    if isinstance(file, HubFile):
        return f"{file.repo}/{file.file}"
    return f"{Path(file.file).name} of the package {file.package}" if isinstance(file, PackageFile) else file


def absent(files: Iterable[Published], fetch: str) -> Iterator[str]:
    """Say of files that are not on this machine how they get there, in one line for each place.

    Args:
        files: the files.
        fetch: the command that downloads what can be downloaded.
    """
    of_folders: dict[Path, list[str]] = {}
    for file in files:
        if isinstance(file, PackageFile):
            yield f"not installed: {described(file)}; {install_command(file)}"
        else:
            folder = hub_folder() if isinstance(file, HubFile) else cache_folder()
            of_folders.setdefault(folder, []).append(described(file))
    for folder, names in of_folders.items():
        yield f"not in {folder} yet: {', '.join(names)}; {fetch} gets them now"


def install_command(file: PackageFile) -> str:
    """What installs the package with this file."""
    return f"pip install '{file.package}{f'=={file.version}' if file.version else ''}'"


def location(file: Published) -> Path:
    """Where a published file is on this machine, or will be once it is fetched or its package is installed."""
    if isinstance(file, HubFile):
        return _hub_location(file)
    if isinstance(file, PackageFile):
        try:
            return Path(str(distribution(file.package).locate_file(file.file)))
        except PackageNotFoundError:
            return Path(sysconfig.get_path("purelib")) / file.file
    return cache_folder() / file


def cache_folder() -> Path:
    """The folder of published weights: the one that `torch.hub.get_dir` gives, without importing torch."""
    home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    return Path(home).expanduser() / "hub" / "checkpoints"


def hub_folder() -> Path:
    """The cache of Hugging Face's hub: the folder that `huggingface_hub.constants.HF_HUB_CACHE` names."""
    own = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(own or Path(home) / "hub").expanduser()


def _hub_location(file: HubFile) -> Path:
    """Where the hub's cache has a file: in the snapshot of the commit that the revision stands for."""
    folder = hub_folder() / f"models--{file.repo.replace('/', '--')}"
    if file.repo.endswith(".*"):
        there = (found / "snapshots" for found in sorted(hub_folder().glob(folder.name)))
        return next((path for snapshots in there for path in snapshots.glob(f"*/{file.file}")), folder / file.file)
    try:
        commit = (folder / "refs" / file.revision).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        commit = file.revision
    return folder / "snapshots" / commit / file.file
