"""Keep a process' output in a file of bounded size: its beginning as it comes, and at the end the last of the rest.

A trial that prints a gigabyte must not fill the disk that the others' records go to.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

_FIRST_BYTES = 8 * 2**20
_LAST_BYTES = 2**20
_CHUNK = 2**16


class Log:
    """Copies `source` to the file `path` in a thread, which sleeps while nothing is printed, until `source` ends."""

    def __init__(self, source: IO[bytes], path: Path) -> None:
        self._source, self._path = source, path
        self._thread = threading.Thread(target=self._drain, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Wait until everything that was printed is in the file, for at most five seconds if somebody still prints."""
        self._thread.join(timeout=5)
        if not self._thread.is_alive():
            self._source.close()

    def _drain(self) -> None:
        """Copy until the end, even with a full disk, which costs the log alone: a full pipe would stop the process."""
        first, left_out = _FIRST_BYTES, 0
        last: deque[bytes] = deque()
        held = 0
        with self._opened() as file:
            while chunk := os.read(self._source.fileno(), _CHUNK):
                if first:
                    self._write(file, chunk[:first])
                    chunk, first = chunk[first:], max(0, first - len(chunk))
                last.append(chunk)
                held += len(chunk)
                while held - len(last[0]) > _LAST_BYTES:
                    left_out += len(last[0])
                    held -= len(last.popleft())
            if left_out:
                self._write(file, f"\n[... {left_out:,} bytes are left out here ...]\n".encode())
            self._write(file, b"".join(last))

    def _opened(self) -> IO[bytes]:
        try:
            return self._path.open("ab", buffering=0)
        except OSError as error:
            log.warning("%s: cannot be written: %s", self._path, error.strerror)
            return Path(os.devnull).open("ab", buffering=0)

    def _write(self, file: IO[bytes], data: bytes) -> None:
        try:
            file.write(data)
        except OSError as error:
            log.warning("%s: cannot be written: %s", self._path, error.strerror)
