"""Keep what was read of image headers, so that the next process that opens a dataset need not open each image."""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any

from harness.data.images import ImageInfo

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

log = logging.getLogger(__name__)

_VERSION = 1  # of the file's layout and of what the scan finds
_KEPT = ("length", "width", "height", "orientation", "problem", "truncated")  # what a scan of headers tells


class HeaderCache:
    """The properties of image files, in a file of JSON that appears whole or not at all.

    An entry holds for the file that it was read from: its path, inode, length, and the times of its last change. A
    file that cannot be read back is read as an empty one.

    Args:
        file: where they are kept.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._entries = self._read()
        self._unknown: dict[str, list[int]] = {}

    def known(self, paths: Sequence[str]) -> dict[str, ImageInfo]:
        """What is known of these files as they are now; of the others, how they are now is noted for `add`."""
        found: dict[str, ImageInfo] = {}
        for path in paths:
            state = _state_of(path)
            entry = self._entries.get(path)
            if state is None:
                continue
            if entry is not None and entry[0] == state:
                found[path] = ImageInfo(**dict(zip(_KEPT, entry[1], strict=True)))
            else:
                self._unknown[path] = state
        return found

    def add(self, path: str, info: ImageInfo) -> None:
        """Keep what was read of a sound file, unless it has changed since `known` was asked for it.

        A problem is not kept: a disk or a network that failed once says nothing about the file.
        """
        state = self._unknown.get(path)
        if state is not None and info.problem is None and state == _state_of(path):
            self._entries[path] = [state, [getattr(info, name) for name in _KEPT]]

    def save(self) -> None:
        """Write the file, if anything is new; where that fails, the next process reads the headers again."""
        if not self._unknown:
            return
        made = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            made.write_text(json.dumps({"version": _VERSION, "images": self._entries}), encoding="utf-8")
            made.replace(self._file)
        except (OSError, TypeError, ValueError) as error:
            log.warning("%s: %s: image headers are not kept", self._file, error)

    def _read(self) -> dict[str, list[list[Any]]]:
        try:
            content = json.loads(self._file.read_text(encoding="utf-8"))
            return dict(content["images"]) if content["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _state_of(path: str) -> list[int] | None:
    """What tells a file from another one in its place; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
