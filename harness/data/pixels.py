"""Read the pixels of image files: which kinds of files, upright, and in 8 bits a channel.

Training, checking and showing share one rule of orientation: an image is turned upright as its EXIF entry says, and
sizes and boxes are those of the upright image. A JPEG that ends early is read as far as it goes. Of a file with several
pictures the first one is read.
"""

from __future__ import annotations

import io
import os
import re
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import simplejpeg
from PIL import ExifTags, Image, TiffImagePlugin, UnidentifiedImageError

from harness.data.file_kinds import RAW_PHOTO, describe_file
from harness.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import BinaryIO

    from numpy.typing import NDArray

NOT_AN_IMAGE = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    OverflowError,
    TypeError,  # this and the next three escape from Pillow when a header is mangled
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,  # of the AVIF decoder
    Image.DecompressionBombWarning,
    Image.DecompressionBombError,
)
TURNED_BY_PILLOW = {"TIFF"}  # Pillow's reader turns these when it reads them
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow supports more formats, and starts other programs for some of them. MPO is opened as JPEG.
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF", "GIF", "PPM", "AVIF")
_WITHOUT_INKS = ("RGB", "L")  # modes of a JPEG
_NO_RANGE = {"I": "signed or 32-bit integers", "F": "32-bit floats"}  # Pillow's modes
_WORDS_OF_PNM = ("I", "PPM")  # mode and format of a PGM of 16 bits, whose range Pillow makes 0 to 65535
_WHITE_IS_ZERO = 0
_PADDING = b"\0" * 8  # libjpeg reads this far beyond an image's last bits
_MARKER = re.compile(rb"\xff([^\0\1\xd0-\xd7\xff])")  # of JPEG, but restarts and stuffed bytes inside a scan
_START_OF_SCAN, _END_OF_IMAGE = b"\xda", b"\xd9"
_SUBFILE_TYPE, _MAX_SAMPLE_VALUE, _DNG_VERSION = 254, 281, 50706  # tags of TIFF that Pillow has no names for
_PREVIEW = 1  # the bit of a page's subfile type that says that it is a small version of another page
_CAMERA_DEPTHS = {2**bits - 1: bits for bits in (10, 12, 14)}  # by the largest value
_OME_DEPTH = re.compile(r'<OME.*?SignificantBits="(\d+)"', re.DOTALL)
_BYTE, _WORD = 8, 16  # bits


class _UnsuitableError(ValueError):
    """An image that can be opened but must not be read; the message says why, and what to do."""


def read_pixels(path: str, *, whole: bool = False) -> NDArray[np.uint8]:
    """Read one image as uint8 [H, W, 3], RGB, upright.

    Args:
        path: the file.
        whole: refuse a JPEG of which a part is missing, as a scan of pixels finds it; else it is read as far as it goes
            and filled.

    Raises:
        DataError: the file cannot be read as an image.
    """
    try:
        with refuse_decompression_bombs():
            pixels, truncated = decode_file(path, thorough=whole)
    except NOT_AN_IMAGE as error:
        raise DataError(f"{path}: cannot be read as an image: {describe_error(path, error)}") from None
    if truncated and whole:
        raise DataError(f"{path}: cannot be read as a whole image: the JPEG ends early; get the original again")
    return pixels


@contextmanager
def open_image(stream: BinaryIO) -> Iterator[Image.Image]:
    """Open an image of which the pixels have a known range.

    Raises:
        One of NOT_AN_IMAGE, for `describe_error`.
    """
    with Image.open(stream, formats=_FORMATS) as image:
        tags = _tags(image)
        if _DNG_VERSION in tags or tags.get(_SUBFILE_TYPE, 0) & _PREVIEW:
            raise _UnsuitableError(RAW_PHOTO)
        if image.mode in _NO_RANGE and (image.mode, image.format) != _WORDS_OF_PNM:
            raise _UnsuitableError(
                f"its pixels ({_NO_RANGE[image.mode]}) have no fixed range; save it with 8 or 16 bits"
            )
        if _depth(tags) < _WORD == max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (0,))) and len(image.getbands()) > 1:
            raise _UnsuitableError(
                f"its colours have {_depth(tags)} bits in words of 16; save it with 8 or all 16 bits"
            )
        yield image


def decode_file(path: str, *, thorough: bool) -> tuple[NDArray[np.uint8], bool]:
    """Return the pixels, and whether the last part of them is missing.

    Where data are missing before the end marker, libjpeg fills the rest without an error. Without that marker Pillow
    raises an error if data are missing, and still decodes a complete image. With `thorough` this is tried, for a JPEG
    with a single scan; one with several scans needs its end marker.

    Raises:
        One of NOT_AN_IMAGE, for `describe_error`.
    """
    if not os.path.isfile(path):  # a pipe would never end
        raise FileNotFoundError("no such file")
    with open(path, "rb") as stream:
        data = stream.read()
    if not data.startswith(b"\xff\xd8"):
        return _pixels(data), False
    sound = _sound_jpeg(data)
    if sound is not None:
        return sound, False
    end, scans = _end_of_jpeg(data)
    if end is None:
        return _pixels(data + b"\xff\xd9"), True
    try:
        return _pixels(data[: end - 2] + _PADDING if thorough and scans == 1 else data), False
    except OSError:
        return _pixels(data + b"\xff\xd9"), True


def _sound_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Return the pixels of a JPEG without any defect, in a third of Pillow's time; None for any other.

    Both use libjpeg-turbo and give the same bits.

    Raises:
        One of NOT_AN_IMAGE, for `describe_error`.
    """
    if not data.endswith(b"\xff\xd9"):
        return None
    with open_image(io.BytesIO(data)) as image:
        turn = _TURNS.get(orientation_of(image))
        if image.format != "JPEG" or image.mode not in _WITHOUT_INKS:
            return None
    try:
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, strict=True)
    except ValueError:  # also for what libjpeg only warns of
        return None
    return pixels if turn is None else np.asarray(Image.fromarray(pixels).transpose(turn))


def _end_of_jpeg(data: bytes) -> tuple[int | None, int]:
    """Return where the first picture of a JPEG ends, None if it does not, and its number of scans.

    Behind it there may be more: the other pictures of an MPO, the video of a phone's moving photo.
    """
    at, scans = 2, 0
    while (match := _MARKER.search(data, at)) and match[1] != _END_OF_IMAGE:
        scans += match[1] == _START_OF_SCAN
        at = match.end() + int.from_bytes(data[match.end() : match.end() + 2])
    if match:
        return match.end(), scans
    scan, end = data.rfind(b"\xff\xda"), data.rfind(b"\xff\xd9")  # the way was lost in damaged data
    return (end + 2 if end > scan else None), data.count(b"\xff\xda")


def _pixels(data: bytes) -> NDArray[np.uint8]:
    with open_image(io.BytesIO(data)) as image:
        upright: Image.Image = image
        turn = None if image.format in TURNED_BY_PILLOW else _TURNS.get(orientation_of(image))
        if turn is not None:
            upright = image.transpose(turn)
        return np.asarray(_rgb(upright, _tags(image)))


def orientation_of(image: Image.Image) -> int:
    """Read the EXIF orientation from the header; Pillow's own method for PNG would decode the pixels first."""
    try:
        value = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except NOT_AN_IMAGE:
        return 1  # the metadata is mangled, but the image may be fine
    return int(value) if value in _TURNS else 1


def _rgb(image: Image.Image, tags: Mapping[int, Any]) -> Image.Image:
    """Convert to RGB with 8 bits a channel; more bits are scaled, as Pillow's own conversion clips them to white."""
    if image.mode.startswith("I"):  # 16 bits; `open_image` refuses others
        values = np.asarray(image) >> (_depth(tags) - _BYTE)
        grey = np.minimum(values, 255).astype(np.uint8)
        if tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == _WHITE_IS_ZERO:  # Pillow turns only 8 bits around
            grey = 255 - grey
        image = Image.fromarray(grey)
    return image.convert("RGB")


def has_words(image: Image.Image) -> bool:
    """Return whether an image has 16 bits a pixel, and does not declare that fewer of them are used."""
    return image.mode.startswith("I") and _depth(_tags(image)) == _WORD


def _tags(image: Image.Image) -> Mapping[int, Any]:
    return image.tag_v2 if isinstance(image, TiffImagePlugin.TiffImageFile) else {}


def _depth(tags: Mapping[int, Any]) -> int:
    """Return how many bits of a word of 16 hold a pixel's value: fewer where a TIFF has 12 bits, or declares so.

    A PNG's sBIT does not count, as its values are scaled to 16 bits by definition. The largest value that a TIFF states
    is a mere statistic, unless it is exactly that of a camera's 10, 12 or 14 bits.
    """
    bits = int(tags.get(TiffImagePlugin.BITSPERSAMPLE, (_WORD,))[0])
    if bits != _WORD:
        return bits
    declared = _OME_DEPTH.search(str(tags.get(TiffImagePlugin.IMAGEDESCRIPTION, "")))
    bits = int(declared[1]) if declared else _CAMERA_DEPTHS.get(np.max(tags.get(_MAX_SAMPLE_VALUE, 0)), _WORD)
    return bits if _BYTE < bits <= _WORD else _WORD


def describe_error(path: str, error: BaseException) -> str:
    """Say why a file cannot be read as an image, and what to do, in words and not in those of a program."""
    if isinstance(error, _UnsuitableError | Image.DecompressionBombWarning | Image.DecompressionBombError):
        return str(error)
    if isinstance(error, FileNotFoundError):
        return error.strerror or str(error)
    try:
        what, _, remedy = describe_file(path).partition(": ")
    except OSError as reason:
        return reason.strerror or "it cannot be read"
    text = "" if isinstance(error, UnidentifiedImageError) else str(error)
    return f"{what} ({text}): {remedy}" if re.fullmatch(r"[\w ,.:;%()-]+", text) else f"{what}: {remedy}"


@contextmanager
def refuse_decompression_bombs() -> Iterator[None]:
    """Turn Pillow's warning about an enormous image into an error, as it would fill the memory; silence the others."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield
