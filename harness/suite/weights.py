"""The user's own weights, a file or a folder, told apart by what is in them."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = "config.json"
_FOLDER_FILES = (_CONFIG, "*.safetensors", "*.safetensors.index.json")
_REPOSITORY = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")  # of Hugging Face's hub: its owner, its name
PIXELS = "preprocessor_config.json"  # what a network's pixels are normalised with


def is_folder(path: Path) -> bool:
    """Whether it is a folder of weights as transformers writes it, with the network's configuration."""
    return (path / _CONFIG).is_file()


def hub_or_folder(name: str, *bases: Path) -> str:
    """What a name of a network stands for: the absolute path of a folder, or a repository of Hugging Face's hub.

    Args:
        name: a folder's path is taken before a repository of that name, as transformers does.
        bases: the folders that a relative path is tried in.

    Raises:
        ValueError: it can be neither.
    """
    for base in bases:
        folder = base / name
        try:
            if is_folder(folder):
                return str(folder.resolve())
        except OSError:  # the name is too long, or a folder may not be entered
            continue
    if not _REPOSITORY.fullmatch(name):
        raise ValueError(
            "takes a repository of Hugging Face's hub, such as microsoft/resnet-18, or a folder with config.json"
        )
    return name


def digest(path: Path, *more: str) -> str:
    """The sha256 of a file of weights; of a folder's, that of their names and hashes.

    Args:
        more: names of further files that count where the folder has them.

    Raises:
        OSError: it cannot be read.
    """
    if not is_folder(path):
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted({file for pattern in (*_FOLDER_FILES, *more) for file in path.glob(pattern)}):
        with file.open("rb") as stream:
            whole.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()
