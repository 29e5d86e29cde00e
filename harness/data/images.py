"""Scan image files: size, orientation, defects, perceptual hash. `harness.data.pixels` reads them."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Protocol

import numpy as np
from PIL import Image

from harness.data.pixels import (
    NOT_AN_IMAGE,
    TURNED_BY_PILLOW,
    decode_file,
    describe_error,
    has_words,
    open_image,
    orientation_of,
    refuse_decompression_bombs,
)
from harness.errors import MachineError
from harness.workers import map_in_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "MPO": b"\xff\xd9"}  # the last bytes of a complete file
_TAIL = 2**12
_MIN_IMAGES_FOR_WORKERS = 200  # fewer images are scanned sooner than worker processes start
_FLAT_STD = 2.0  # standard deviation of grey levels below which an image is too uniform for a perceptual hash
_BRIGHTER_THAN_12_BITS = 2**4  # of 8 bits, what the values of 12 bits stay below if they are scaled as 16
_HASH_SIDE, _HASH_WAVES, _THUMBNAIL_SIDE = 32, 8, 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerceptualHash:
    """A summary that hardly changes when an image is resized, recompressed or brightened.

    Attributes:
        bits: 63 bits: which of the image's 63 lowest-frequency cosine coefficients are above their median.
        thumbnail: float32 [16, 16], grey levels in standard deviations from their mean.
    """

    bits: int
    thumbnail: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """The properties of an image file.

    Attributes:
        length: the file's size in bytes.
        width: the upright image's width in pixels; 0 if it is unreadable.
        height: the upright image's height in pixels; 0 if it is unreadable.
        orientation: the EXIF orientation, 1 to 8.
        problem: why the file cannot be read, or None.
        truncated: the file is a JPEG whose last part is missing.
        dark: the pixels were decoded, and an image of 16 bits has values of no more than 12.
        digest: a hash of the pixels, if they were decoded.
        perceptual_hash: a hash of the image's appearance, if the pixels were decoded and are not uniform.
    """

    length: int = 0
    width: int = 0
    height: int = 0
    orientation: int = 1
    problem: str | None = None
    truncated: bool = False
    dark: bool = False
    digest: bytes | None = None
    perceptual_hash: PerceptualHash | None = None


class KnownHeaders(Protocol):
    """What is known of image files already (`harness.data.header_cache`)."""

    def known(self, paths: Sequence[str]) -> dict[str, ImageInfo]:
        """The properties of those files that need not be opened."""

    def add(self, path: str, info: ImageInfo) -> None:
        """Keep the properties of a file that was opened."""


def scan_images(
    paths: Sequence[str],
    *,
    decode: bool,
    workers: int,
    progress: Callable[[int, int], None],
    headers: KnownHeaders | None = None,
) -> list[ImageInfo]:
    """Scan every file, in order; many files are scanned by worker processes.

    Args:
        paths: the image files.
        decode: read the pixels too, not only the header.
        workers: the largest number of processes.
        progress: called with the number of scanned files and the number of all files.
        headers: what is known of the files already, if they are not decoded; it learns what is read.

    Raises:
        MachineError: a worker process was killed.
    """
    known = {} if headers is None or decode else headers.known(paths)
    scanned = _scan_all([path for path in paths if path not in known], decode=decode, workers=workers)
    infos: list[ImageInfo] = []
    for path in paths:
        if path in known:
            infos.append(known[path])
        else:
            infos.append(next(scanned))
            if headers is not None:
                headers.add(path, infos[-1])
        if len(infos) % 50 == 0 or len(infos) == len(paths):
            progress(len(infos), len(paths))
    return infos


def _scan_all(paths: Sequence[str], *, decode: bool, workers: int) -> Iterator[ImageInfo]:
    scan = partial(scan_image, decode=decode)
    if workers < 2 or len(paths) < _MIN_IMAGES_FOR_WORKERS:  # noqa: PLR2004 - one process is this one
        yield from map(scan, paths)
        return
    try:
        yield from map_in_processes(scan, paths, processes=workers, at_once=25)
    except BrokenProcessPool:
        raise MachineError(
            "a process that scans images was killed, probably because memory ran out; free some memory, or look for an "
            "image of enormous size"
        ) from None


def scan_image(path: str, *, decode: bool) -> ImageInfo:
    """Scan one file. Only its header is read, unless `decode` is set or the file seems to end early."""
    try:
        if not os.path.isfile(path):
            return ImageInfo(problem="no file, but a folder or a device" if os.path.exists(path) else "no such file")
        with refuse_decompression_bombs(), open(path, "rb") as stream, open_image(stream) as image:
            size = os.fstat(stream.fileno()).st_size
            orientation = orientation_of(image)
            sideways = orientation in _SIDEWAYS and image.format not in TURNED_BY_PILLOW
            width, height = reversed(image.size) if sideways else image.size
            words = has_words(image)
            info = ImageInfo(length=size, width=width, height=height, orientation=orientation)
            stream.seek(max(0, size - _TAIL))
            end = _END_MARKERS.get(image.format or "")
            if not decode and end and stream.read().rstrip(b"\0").endswith(end):
                return info
        with refuse_decompression_bombs():
            pixels, truncated = decode_file(path, thorough=decode)
    except NOT_AN_IMAGE as error:
        return ImageInfo(problem=describe_error(path, error))
    height, width = pixels.shape[:2]
    info = replace(info, width=width, height=height, truncated=truncated)
    if not decode:
        return info
    digest = hashlib.blake2b(pixels.tobytes(), key=f"{width} {height}".encode(), digest_size=16).digest()
    dark = words and bool(pixels.max() < _BRIGHTER_THAN_12_BITS)
    return replace(info, dark=dark, digest=digest, perceptual_hash=_perceptual_hash(pixels))


def _perceptual_hash(pixels: NDArray[np.uint8]) -> PerceptualHash | None:
    """Return the image's perceptual hash, or None for a uniform image, which would resemble every other one."""
    grey = Image.fromarray(pixels).convert("L")
    cells = np.asarray(grey.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX), dtype=np.float64)
    if cells.std() < _FLAT_STD:
        return None
    slow = (_COSINES @ cells @ _COSINES.T).ravel()[1:]
    bits = int.from_bytes(np.packbits(slow > np.median(slow)).tobytes(), "big")
    small = np.asarray(grey.resize((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE), Image.Resampling.BOX), dtype=np.float64)
    return PerceptualHash(
        bits=bits, thumbnail=((small - small.mean()) / max(float(small.std()), _FLAT_STD)).astype(np.float32)
    )


def _cosines() -> NDArray[np.float64]:
    """Return the first rows of the discrete cosine transform (DCT-II): float64 [8, 32]."""
    waves, places = np.arange(_HASH_WAVES)[:, None], np.arange(_HASH_SIDE)[None, :]
    return np.cos(np.pi * waves * (2 * places + 1) / (2 * _HASH_SIDE))


_COSINES = _cosines()
