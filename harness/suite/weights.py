"""The user's own weights, a file or a folder, told apart by what is in them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_CONFIG = "config.json"
_FOLDER_FILES = (_CONFIG, "*.safetensors", "*.safetensors.index.json")


def is_folder(path: Path) -> bool:
    """Whether it is a folder of weights as transformers writes it, with the network's configuration."""
    return (path / _CONFIG).is_file()


def digest(path: Path) -> str:
    """The sha256 of a file of weights; of a folder's, that of their names and hashes.

    Raises:
        OSError: it cannot be read.
    """
    if not is_folder(path):
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    whole = hashlib.sha256()
    for file in sorted({file for pattern in _FOLDER_FILES for file in path.glob(pattern)}):
        with file.open("rb") as stream:
            whole.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return whole.hexdigest()
