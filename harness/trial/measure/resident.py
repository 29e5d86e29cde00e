"""The pages of mapped files that a process has in its memory, such as the code of torch's libraries.

A fork leaves them out, so a forked process has less resident memory than a new one, until it touches what that has
touched. For the peaks of both to be alike it is made to.
"""

from __future__ import annotations

import ctypes
import logging
import mmap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

_PROC = Path("/proc/self")
_ENTRY_BYTES = 8  # of a page in pagemap: Documentation/admin-guide/mm/pagemap.rst of Linux
_PRESENT = np.uint64(63)  # the bit that says that the page is in memory

FilePages = tuple[tuple[int, "NDArray[np.int64]"], ...]  # for each mapping its address, and the offsets of the pages


def resident_file_pages() -> FilePages:
    """The pages of files that this process has in memory; none where the system does not tell."""
    found = []
    try:
        with (_PROC / "pagemap").open("rb", buffering=0) as pagemap:
            for line in (_PROC / "maps").read_text().splitlines():
                addresses, permissions, _, _, inode, *_ = line.split()
                start, end = (int(address, 16) for address in addresses.split("-"))
                if inode == "0" or permissions[0] != "r":
                    continue
                pagemap.seek(start // mmap.PAGESIZE * _ENTRY_BYTES)
                entries = np.frombuffer(pagemap.read((end - start) // mmap.PAGESIZE * _ENTRY_BYTES), dtype=np.uint64)
                found.append((start, np.flatnonzero(entries >> _PRESENT).astype(np.int64) * mmap.PAGESIZE))
    except OSError as error:
        log.warning("%s: %s: the memory peaks of forked processes leave out pages of files", error.filename, error)
        return ()
    return tuple((start, offsets) for start, offsets in found if len(offsets))


def make_resident(pages: FilePages) -> None:
    """Touch pages of files that are mapped at the same addresses in this process, which is a fork."""
    for start, offsets in pages:
        mapped = memoryview((ctypes.c_ubyte * (int(offsets[-1]) + 1)).from_address(start))
        np.frombuffer(mapped, dtype=np.uint8)[offsets].max()
