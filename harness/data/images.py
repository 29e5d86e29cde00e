"""Scan image files (size, orientation, defects, perceptual hash) and read their pixels.

Training, checking and showing share one rule of orientation: an image is turned upright as its EXIF entry says, and
sizes and boxes are those of the upright image. A JPEG that ends early is read as far as it goes.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image

from harness.errors import DataError, MachineError
from harness.workers import map_in_processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_TURNED_BY_PILLOW = {"TIFF"}  # Pillow's reader turns these when it reads them
# Pillow supports more formats, and starts other programs for some of them.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
_SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_NO_RANGE = {"I": "32-bit integers", "F": "32-bit floats"}  # Pillow's modes
_NOT_AN_IMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    TypeError,  # this and the next three escape from Pillow when a header is mangled
    AttributeError,
    LookupError,
    MemoryError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)
_END_MARKERS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "MPO": b"\xff\xd9"}  # the last bytes of a complete file
_TAIL = 2**12
_PADDING = b"\0" * 8  # libjpeg reads this far beyond an image's last bits
_MIN_IMAGES_FOR_WORKERS = 200  # fewer images are scanned sooner than worker processes start
_FLAT_STD = 2.0  # standard deviation of grey levels below which an image is too uniform for a perceptual hash
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
        digest: a hash of the pixels, if they were decoded.
        perceptual_hash: a hash of the image's appearance, if the pixels were decoded and are not uniform.
    """

    length: int = 0
    width: int = 0
    height: int = 0
    orientation: int = 1
    problem: str | None = None
    truncated: bool = False
    digest: bytes | None = None
    perceptual_hash: PerceptualHash | None = None


def scan_images(
    paths: Sequence[str], *, decode: bool, workers: int, progress: Callable[[int, int], None]
) -> list[ImageInfo]:
    """Scan every file, in order; many files are scanned by worker processes.

    Args:
        paths: the image files.
        decode: read the pixels too, not only the header.
        workers: the largest number of processes.
        progress: called with the number of scanned files and the number of all files.

    Raises:
        MachineError: a worker process was killed.
    """
    infos: list[ImageInfo] = []
    for info in _scan_all(paths, decode=decode, workers=workers):
        infos.append(info)
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
        with _refuse_decompression_bombs(), open(path, "rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            size = os.fstat(stream.fileno()).st_size
            if image.mode in _NO_RANGE:
                problem = f"its pixels ({_NO_RANGE[image.mode]}) have no fixed range; save it with 8 or 16 bits"
                return ImageInfo(length=size, problem=problem)
            orientation = _orientation(image)
            sideways = orientation in _SIDEWAYS and image.format not in _TURNED_BY_PILLOW
            width, height = reversed(image.size) if sideways else image.size
            info = ImageInfo(length=size, width=width, height=height, orientation=orientation)
            stream.seek(max(0, size - _TAIL))
            end = _END_MARKERS.get(image.format or "")
            if not decode and end and stream.read().rstrip(b"\0").endswith(end):
                return info
        with _refuse_decompression_bombs():
            pixels, truncated = _decode(path, thorough=decode)
    except _NOT_AN_IMAGE as error:
        return ImageInfo(problem=_describe_error(error))
    height, width = pixels.shape[:2]
    info = replace(info, width=width, height=height, truncated=truncated)
    if not decode:
        return info
    digest = hashlib.blake2b(pixels.tobytes(), key=f"{width} {height}".encode(), digest_size=16).digest()
    return replace(info, digest=digest, perceptual_hash=_perceptual_hash(pixels))


def read_pixels(path: str) -> NDArray[np.uint8]:
    """Read one image as uint8 [H, W, 3], RGB, upright.

    Raises:
        DataError: the file cannot be read as an image.
    """
    try:
        with _refuse_decompression_bombs():
            return _decode(path, thorough=False)[0]
    except _NOT_AN_IMAGE as error:
        raise DataError(f"{path}: cannot be read as an image: {_describe_error(error)}") from None


def _decode(path: str, *, thorough: bool) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels, and whether the last part of them is missing.

    Where data are missing before the end marker, libjpeg fills the rest without an error. Without that marker Pillow
    raises an error if data are missing, and still decodes a complete image. With `thorough` this is tried, for a JPEG
    with a single scan; one with several scans needs its end marker.
    """
    if not os.path.isfile(path):  # a pipe would never end
        raise FileNotFoundError("no such file")
    with open(path, "rb") as stream:
        data = stream.read()
    if not data.startswith(b"\xff\xd8"):
        return _pixels(data), False
    scan, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    if end < scan:  # an end marker before the last scan belongs to an embedded thumbnail
        return _pixels(data + b"\xff\xd9"), True
    single = data.count(b"\xff\xda") == 1
    try:
        return _pixels(data[:end] + _PADDING if thorough and single else data), False
    except OSError:
        return _pixels(data + b"\xff\xd9"), True


def _pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        upright: Image.Image = image
        turn = None if image.format in _TURNED_BY_PILLOW else _TURNS.get(_orientation(image))
        if turn is not None:
            upright = image.transpose(turn)
        return np.asarray(_rgb(upright))


@contextmanager
def _refuse_decompression_bombs() -> Iterator[None]:
    """Turn Pillow's warning about an enormous image into an error, as it would fill the memory; silence the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _orientation(image: Image.Image) -> int:
    """Read the EXIF orientation from the header; Pillow's own method for PNG would decode the pixels first."""
    try:
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except _NOT_AN_IMAGE:
        return 1  # the metadata is mangled, but the image may be fine
    return value if value in _TURNS else 1


def _rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB with 8 bits a channel. 16 bits are scaled, as Pillow's own conversion would clip them to white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in _NO_RANGE:
        raise ValueError(f"its pixels ({_NO_RANGE[image.mode]}) have no fixed range; save it with 8 or 16 bits")
    return image.convert("RGB")


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


def _describe_error(error: BaseException) -> str:
    return str(error) or type(error).__name__
