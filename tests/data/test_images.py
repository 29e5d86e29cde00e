"""Images are found, turned and decoded by one rule, wherever they are used."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from harness.data.images import scan_image
from harness.data.pixels import read_pixels
from harness.errors import DataError


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation: int, tmp_path: Path) -> None:
    """All eight EXIF orientations, as Pillow's own transposition; header and pixels agree on the size."""
    path = tmp_path / "a"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    for kind in ("PNG", "JPEG", "TIFF", "WEBP", "AVIF"):
        Image.fromarray(pixels).save(path, format=kind, exif=exif)
        expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
        assert np.array_equal(read_pixels(str(path)), expected)
        header, whole = scan_image(str(path), decode=False), scan_image(str(path), decode=True)
        assert (header.height, header.width) == expected.shape[:2]
        assert (whole.height, whole.width, whole.orientation) == (header.height, header.width, orientation)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG", "BMP", "WEBP", "GIF", "AVIF"])
def test_every_mode_becomes_rgb(kind: str, tmp_path: Path) -> None:
    """Grey, palette, alpha, CMYK and sixteen bits come out as uint8 [H, W, 3], and are nothing to complain of."""
    path, tried = tmp_path / "a", 0
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"):
        with contextlib.suppress(OSError, ValueError):  # a mode that this kind of file does not have
            Image.new(mode, (8, 6)).save(path, format=kind)
            pixels = read_pixels(str(path))
            assert pixels.shape == (6, 8, 3)
            assert pixels.dtype == np.uint8
            picture = scan_image(str(path), decode=True)
            assert (picture.problem, picture.truncated, picture.width, picture.height) == (None, False, 8, 6)
            tried += 1
    assert tried >= 3


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 30}, {"subsampling": 0}, {"optimize": True}]
)
def test_whole_jpegs_are_not_called_cut(options: dict[str, int], tmp_path: Path) -> None:
    """Of every size and kind, also with bytes behind the end; cut ones are, and are read as far as they go."""
    rng = np.random.default_rng(0)
    path = tmp_path / "a.jpg"
    for height, width in ((1, 1), (7, 9), (16, 16), (33, 65), (120, 200)):
        stream = io.BytesIO()
        pixels = rng.integers(0, 255, (height, width, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(stream, "JPEG", **options)
        for extra in (b"", b"\0" * 40, b"trailer"):
            path.write_bytes(stream.getvalue() + extra)
            assert scan_image(str(path), decode=True).truncated is False
            assert scan_image(str(path), decode=False).truncated is False
    path.write_bytes(stream.getvalue()[: len(stream.getvalue()) // 2])
    for decode in (False, True):
        picture = scan_image(str(path), decode=decode)
        assert (picture.problem, picture.truncated) == (None, True)
    assert read_pixels(str(path)).shape == (120, 200, 3)


def test_mangled_images_are_problems_and_nothing_else(tmp_path: Path) -> None:
    """A thousand pictures with flipped, cut and inserted bytes: seen or refused, never a traceback."""
    rng = np.random.default_rng(0)
    path = tmp_path / "a"
    for kind in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "PPM", "AVIF"):
        stream = io.BytesIO()
        Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(stream, kind)
        for _ in range(130):
            data = bytearray(stream.getvalue())
            for at in rng.integers(0, min(len(data), 300), 3):
                data[at] = rng.integers(0, 256)
            if rng.random() < 0.3:
                del data[int(rng.integers(1, len(data))) :]
            path.write_bytes(data)
            picture = scan_image(str(path), decode=True)
            scan_image(str(path), decode=False)
            if picture.problem is not None:
                continue
            assert picture.digest is not None
            assert read_pixels(str(path)).shape == (picture.height, picture.width, 3)


def test_what_is_no_image_says_so(tmp_path: Path) -> None:
    """A folder, nothing, text."""
    (tmp_path / "text").write_text("no image")
    for path in (tmp_path, tmp_path / "gone", tmp_path / "text"):
        assert scan_image(str(path), decode=False).problem
        with pytest.raises(DataError, match=f"{path}: cannot be read as an image"):
            read_pixels(str(path))
