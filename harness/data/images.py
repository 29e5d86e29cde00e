"""Image files: looked at, and read as pixels.

The one rule of orientation, for training, checking and showing alike: a picture is turned upright as its EXIF entry
says, and sizes and boxes are those of the upright picture. A JPEG that ends early is read as far as it goes.
"""

from __future__ import annotations

import hashlib
import io
import multiprocessing
import os
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import ExifTags, Image

from harness.errors import DataError, MachineError

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
_TURNS_ITSELF = {"TIFF"}  # Pillow's reader turns these when it reads them
# Pillow knows more, and starts other programs for some of them.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM")
_SIDEWAYS = {5, 6, 7, 8}  # EXIF orientations that swap width and height
_NO_RANGE = {"I": "32-bit integers", "F": "32-bit floats"}  # Pillow's modes
_NOT_AN_IMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    TypeError,  # what Pillow's readers of mangled headers let through
    AttributeError,
    LookupError,
    MemoryError,
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)
_END = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82", "MPO": b"\xff\xd9"}  # what a whole file ends with
_TAIL = 2**12
_PADDING = b"\0" * 8  # what libjpeg wants to have read ahead of a picture's last bits
_FEW = 200  # images that are looked at sooner than worker processes start
_FLAT = 2.0  # standard deviation of grey levels below which a picture has no look of its own
_HASH_SIDE, _HASH_WAVES, _LOOK_SIDE = 32, 8, 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PerceptualHash:
    """What two pictures have in common that differ in size, quality or light alone.

    Attributes:
        bits: a perceptual hash: which of the 63 slowest cosines of the picture are above their median.
        thumbnail: float32 [16, 16], grey, in standard deviations from its mean.
    """

    bits: int
    thumbnail: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What an image file is.

    Attributes:
        length: of the file, in bytes.
        width: in pixels, upright; 0 if unreadable.
        height: likewise.
        orientation: EXIF's, 1 to 8.
        problem: why it cannot be read.
        cut: a JPEG whose last part is missing.
        digest: of the pixels, where they were decoded.
        look: what they look like, where they were decoded; None for a flat picture.
    """

    length: int = 0
    width: int = 0
    height: int = 0
    orientation: int = 1
    problem: str | None = None
    cut: bool = False
    digest: bytes | None = None
    look: PerceptualHash | None = None


def look_at(
    paths: Sequence[str], *, decode: bool, workers: int, progress: Callable[[int, int], None]
) -> list[ImageInfo]:
    """Look at every file, in order; with many of them in processes of their own.

    Args:
        decode: read the pixels too, not only the header.
        workers: how many processes at most.
        progress: told how many are done, of how many.
    """
    pictures: list[ImageInfo] = []
    for picture in _looked_at(paths, decode=decode, workers=workers):
        pictures.append(picture)
        if len(pictures) % 50 == 0 or len(pictures) == len(paths):
            progress(len(pictures), len(paths))
    return pictures


def _looked_at(paths: Sequence[str], *, decode: bool, workers: int) -> Iterator[ImageInfo]:
    examine = partial(look, decode=decode)
    if workers < 2 or len(paths) < _FEW:  # noqa: PLR2004 - one process is this one
        yield from map(examine, paths)
        return
    # Not forked: a progress bar's thread may hold a lock that the copy would wait for in vain.
    with ProcessPoolExecutor(workers, multiprocessing.get_context("spawn")) as pool:
        try:
            yield from pool.map(examine, paths, chunksize=25)
        except BrokenProcessPool:
            raise MachineError(
                "a process that looks at images was killed, likely for want of memory; free some, or look for an image "
                "of enormous size"
            ) from None


def look(path: str, *, decode: bool) -> ImageInfo:
    """Look at one file. The header is enough, unless pixels are asked for or the file seems to end early."""
    try:
        if not os.path.isfile(path):
            return ImageInfo(problem="no file, but a folder or a device" if os.path.exists(path) else "no such file")
        with _bombs_refused(), open(path, "rb") as stream, Image.open(stream, formats=_FORMATS) as image:
            size = os.fstat(stream.fileno()).st_size
            if image.mode in _NO_RANGE:
                problem = f"its pixels ({_NO_RANGE[image.mode]}) have no fixed range; save it with 8 or 16 bits"
                return ImageInfo(length=size, problem=problem)
            orientation = _orientation(image)
            sideways = orientation in _SIDEWAYS and image.format not in _TURNS_ITSELF
            width, height = reversed(image.size) if sideways else image.size
            picture = ImageInfo(length=size, width=width, height=height, orientation=orientation)
            stream.seek(max(0, size - _TAIL))
            end = _END.get(image.format or "")
            if not decode and end and stream.read().rstrip(b"\0").endswith(end):
                return picture
        with _bombs_refused():
            pixels, cut = _decoded(path, thorough=decode)
    except _NOT_AN_IMAGE as error:
        return ImageInfo(problem=_said(error))
    height, width = pixels.shape[:2]
    picture = replace(picture, width=width, height=height, cut=cut)
    if not decode:
        return picture
    digest = hashlib.blake2b(pixels.tobytes(), key=f"{width} {height}".encode(), digest_size=16).digest()
    return replace(picture, digest=digest, look=_look_of(pixels))


def read_pixels(path: str) -> NDArray[np.uint8]:
    """One image as uint8 [H, W, 3], RGB, upright.

    Raises:
        DataError: it is no image.
    """
    try:
        with _bombs_refused():
            return _decoded(path, thorough=False)[0]
    except _NOT_AN_IMAGE as error:
        raise DataError(f"{path}: cannot be read as an image: {_said(error)}") from None


def _decoded(path: str, *, thorough: bool) -> tuple[NDArray[np.uint8], bool]:
    """Pixels, and whether the last part of them is missing.

    libjpeg fills up in silence what an end marker cuts short. Without that marker Pillow raises for want of data, while
    a whole picture decodes; `thorough` tries that, for a JPEG of one scan (of several, the end marker is needed).
    """
    if not os.path.isfile(path):  # a pipe would never end
        raise FileNotFoundError("no such file")
    with open(path, "rb") as stream:
        data = stream.read()
    if not data.startswith(b"\xff\xd8"):
        return _pixels(data), False
    scan, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")
    if end < scan:  # an end before the last scan is that of a thumbnail
        return _pixels(data + b"\xff\xd9"), True
    single = data.count(b"\xff\xda") == 1
    try:
        return _pixels(data[:end] + _PADDING if thorough and single else data), False
    except OSError:
        return _pixels(data + b"\xff\xd9"), True


def _pixels(data: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        upright: Image.Image = image
        turn = None if image.format in _TURNS_ITSELF else _TURNS.get(_orientation(image))
        if turn is not None:
            upright = image.transpose(turn)
        return np.asarray(_rgb(upright))


@contextmanager
def _bombs_refused() -> Iterator[None]:
    """A picture of absurd size is an error, not a warning: it would take all memory. Odd metadata is neither."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def _orientation(image: Image.Image) -> int:
    """From the header alone: Pillow's own PNG method would decode the picture first."""
    try:
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except _NOT_AN_IMAGE:
        return 1  # mangled metadata of a picture that is fine
    return value if value in _TURNS else 1


def _rgb(image: Image.Image) -> Image.Image:
    """Eight bits a channel. Sixteen are scaled: Pillow's own conversion would cut everything bright to white."""
    if image.mode.startswith("I;16"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in _NO_RANGE:
        raise ValueError(f"its pixels ({_NO_RANGE[image.mode]}) have no fixed range; save it with 8 or 16 bits")
    return image.convert("RGB")


def _look_of(pixels: NDArray[np.uint8]) -> PerceptualHash | None:
    """None for a flat picture, which looks like any other."""
    grey = Image.fromarray(pixels).convert("L")
    cells = np.asarray(grey.resize((_HASH_SIDE, _HASH_SIDE), Image.Resampling.BOX), dtype=np.float64)
    if cells.std() < _FLAT:
        return None
    slow = (_COSINES @ cells @ _COSINES.T).ravel()[1:]
    bits = int.from_bytes(np.packbits(slow > np.median(slow)).tobytes(), "big")
    small = np.asarray(grey.resize((_LOOK_SIDE, _LOOK_SIDE), Image.Resampling.BOX), dtype=np.float64)
    return PerceptualHash(
        bits=bits, thumbnail=((small - small.mean()) / max(float(small.std()), _FLAT)).astype(np.float32)
    )


def _cosines() -> NDArray[np.float64]:
    """The first rows of the discrete cosine transform (DCT-II): float64 [8, 32]."""
    waves, places = np.arange(_HASH_WAVES)[:, None], np.arange(_HASH_SIDE)[None, :]
    return np.cos(np.pi * waves * (2 * places + 1) / (2 * _HASH_SIDE))


_COSINES = _cosines()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
