"""Pixels are scaled by their real depth, only the picture itself is read, and the faster decoder changes nothing."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from harness.data import pixels
from harness.data.images import scan_image
from harness.data.pixels import decode_file, read_pixels
from harness.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SIZE = (61, 37)
GREYS = np.array([[0, 16, 255, 256], [1000, 2048, 4000, 4095]], dtype=np.uint16)  # 12 bits


def _tiff(path: Path, data: bytes, tags: dict[int, int | tuple[int, ...] | bytes], *, order: str = "<") -> None:
    """Write a TIFF of one strip, 4 × 2 pixels; `tags` are added to the necessary ones or replace them."""
    entries: dict[int, int | tuple[int, ...] | bytes] = {
        256: 4,
        257: 2,
        258: 16,
        259: 1,
        262: 1,
        273: 8,
        277: 1,
        278: 2,
        279: len(data),
        **tags,
    }
    start = 8 + len(data) + len(data) % 2
    extra_at = start + 2 + 12 * len(entries) + 4
    rows, extra = b"", b""
    for tag, value in sorted(entries.items()):
        values = value if isinstance(value, tuple) else (value,)
        packed = value if isinstance(value, bytes) else b"".join(struct.pack(f"{order}H", number) for number in values)
        kind, count = (2, len(packed)) if isinstance(value, bytes) else (3, len(values))
        field = packed.ljust(4, b"\0")
        if len(packed) > 4:
            field, extra = struct.pack(f"{order}I", extra_at + len(extra)), extra + packed + b"\0" * (len(packed) % 2)
        rows += struct.pack(f"{order}HHI", tag, kind, count) + field
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    table = struct.pack(f"{order}H", len(entries)) + rows + bytes(4)
    path.write_bytes(head + data + b"\0" * (len(data) % 2) + table + extra)


def _packed(values: np.ndarray) -> bytes:
    """Twelve bits a value, each row filled up to whole bytes."""
    rows = ("".join(f"{value:012b}" for value in row) for row in values.tolist())
    return b"".join(int(row, 2).to_bytes(len(row) // 8, "big") for row in rows)


def _grey(path: Path) -> list[list[int]]:
    assert scan_image(str(path), decode=False).problem is None
    pixels = read_pixels(str(path))
    assert (pixels[..., :1] == pixels).all()
    grey: list[list[int]] = pixels[..., 0].tolist()
    return grey


@pytest.mark.parametrize("compressed", [False, True])
def test_twelve_bits_of_tiff_are_scaled_by_their_depth(compressed: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """The largest of 12 bits is white, not a sixteenth of it."""
    data = _packed(GREYS)
    path = tmp_path / "a.tif"
    _tiff(path, zlib.compress(data) if compressed else data, {258: 12, 259: 8 if compressed else 1})
    assert _grey(path) == (GREYS >> 4).tolist()


@pytest.mark.parametrize(
    ("tags", "bits"),
    [
        ({}, 16),
        ({281: 65535}, 16),
        ({281: 3000}, 16),
        ({281: 4095}, 12),
        ({281: 1023}, 10),
        ({281: 16383}, 14),
        ({270: b'<?xml version="1.0"?><OME><Pixels SignificantBits="12" Type="uint16"/></OME>\0'}, 12),
        ({270: b'<?xml version="1.0"?><OME><Pixels SignificantBits="16" Type="uint16"/></OME>\0'}, 16),
    ],
)
@pytest.mark.parametrize("order", ["<", ">"])
def test_words_of_16_bits_are_scaled_by_the_declared_depth(
    order: str, tags: dict[int, int | tuple[int, ...] | bytes], bits: int, tmp_path: Path
) -> None:
    """Cameras of 10, 12 and 14 bits say so by the largest value, microscopes in OME-XML; a statistic is nothing."""
    values = GREYS << (bits - 12) if bits > 12 else GREYS >> (12 - bits)
    path = tmp_path / "a.tif"
    _tiff(path, values.astype(f"{order}u2").tobytes(), tags, order=order)
    assert _grey(path) == (GREYS >> 4).tolist()


def test_white_may_be_zero(tmp_path: Path) -> None:
    """In 16 bits as in 8."""
    for bits, values in ((16, GREYS << 4), (8, GREYS >> 4)):
        _tiff(tmp_path / "a.tif", values.astype(f"<u{bits // 8}").tobytes(), {258: bits, 262: 0})
        assert _grey(tmp_path / "a.tif") == (255 - (GREYS >> 4)).tolist()


@pytest.mark.parametrize("largest", [255, 1023, 65535])
def test_pgm_is_scaled_by_its_largest_value(largest: int, tmp_path: Path) -> None:
    """Its header says how many greys there are."""
    path = tmp_path / "a.pgm"
    values = np.array([[0, largest // 4, largest // 2, largest]])
    path.write_bytes(f"P5 4 1 {largest}\n".encode() + values.astype(">u2" if largest > 255 else "u1").tobytes())
    assert np.abs(np.array(_grey(path)) - values * 255 / largest).max() <= 1


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({258: 14}, "a TIFF of 1 × 14 bits a pixel, which Pillow does not read: save it with 8 bits"),
        ({258: (12, 12, 12), 277: 3, 262: 2}, "a TIFF of 3 × 12 bits a pixel, which Pillow does not read: "),
        ({258: (16,) * 5, 277: 5}, "a TIFF of 5 × 16 bits a pixel, which Pillow does not read: "),
        (
            {258: (16, 16, 16), 277: 3, 262: 2, 281: (4095,) * 3},
            "its colours have 12 bits in words of 16; save",
        ),
        ({50706: (1, 4)}, "a camera's RAW photo: convert it to JPEG or PNG"),
        ({254: 1}, "a camera's RAW photo: "),
        ({339: 2}, "its pixels (signed or 32-bit integers) have no fixed range; save it with 8 or 16 bits"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(
    tags: dict[int, int | tuple[int, ...] | bytes], expected: str, tmp_path: Path
) -> None:
    """Depths that Pillow lacks, and RAW photos, of which it would read the preview."""
    path = tmp_path / "a.tif"
    _tiff(path, bytes(80), tags)
    for decode in (False, True):
        assert (scan_image(str(path), decode=decode).problem or "read").startswith(expected)


def test_the_first_picture_of_several_is_read(tmp_path: Path) -> None:
    """Of MPO, of moving photos with a video behind the picture, of animations and of pages; none is called cut."""
    rng = np.random.default_rng(0)
    first, second = (Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)) for _ in range(2))
    alone = io.BytesIO()
    first.save(alone, "JPEG", quality=90)
    path = tmp_path / "a"
    path.write_bytes(alone.getvalue())
    expected = read_pixels(str(path))
    stereo = io.BytesIO()
    first.save(stereo, "MPO", save_all=True, append_images=[second], quality=90)
    video = rng.integers(0, 255, 200_000, dtype=np.uint8).tobytes()
    for data in (stereo.getvalue(), stereo.getvalue()[:-900], alone.getvalue() + video + b"\xff\xda\0"):
        path.write_bytes(data)
        assert np.array_equal(read_pixels(str(path)), expected)
        for decode in (False, True):
            info = scan_image(str(path), decode=decode)
            assert (info.problem, info.truncated, info.width, info.height) == (None, False, 50, 40)
    for kind in ("TIFF", "WEBP", "PNG", "AVIF"):
        black, white = Image.new("RGB", (50, 40)), Image.new("RGB", (50, 40), "white")
        black.save(path, kind, save_all=True, append_images=[white])
        assert read_pixels(str(path)).max() < 9


def _picture(mode: str = "RGB") -> Image.Image:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 255, (9, 15, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(_SIZE).convert(mode)


def _by_pillow(path: Path) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path).convert("RGB"))


@pytest.mark.parametrize("quality", [30, 95, 100])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_in_colour_has_pillows_bits(tmp_path: Path, quality: int, subsampling: int, progressive: bool) -> None:  # noqa: FBT001 - pytest gives it by name
    """Of every subsampling, baseline and progressive; and the faster decoder is the one that read it."""
    path = tmp_path / "a.jpg"
    _picture().save(path, quality=quality, subsampling=subsampling, progressive=progressive)
    assert pixels._sound_jpeg(path.read_bytes()) is not None
    assert np.array_equal(read_pixels(str(path)), _by_pillow(path))


@pytest.mark.parametrize("how", [{"keep_rgb": True}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_a_jpeg_of_another_coding_has_pillows_bits(tmp_path: Path, how: dict[str, Any]) -> None:
    """RGB as it is, restarts, and tables of its own."""
    path = tmp_path / "a.jpg"
    _picture().save(path, **how)
    assert pixels._sound_jpeg(path.read_bytes()) is not None
    assert np.array_equal(read_pixels(str(path)), _by_pillow(path))


def test_a_grey_jpeg_has_three_equal_channels(tmp_path: Path) -> None:
    """As Pillow converts it."""
    path = tmp_path / "a.jpg"
    _picture("L").save(path)
    assert pixels._sound_jpeg(path.read_bytes()) is not None
    assert np.array_equal(read_pixels(str(path)), _by_pillow(path))


def test_a_jpeg_of_four_inks_is_left_to_pillow(tmp_path: Path) -> None:
    """CMYK is converted by Pillow's rule."""
    path = tmp_path / "a.jpg"
    _picture("CMYK").save(path)
    assert pixels._sound_jpeg(path.read_bytes()) is None
    assert np.array_equal(read_pixels(str(path)), _by_pillow(path))


@pytest.mark.parametrize("thorough", [False, True])
def test_damaged_jpegs_are_read_or_refused_alike(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    thorough: bool,  # noqa: FBT001 - pytest gives it by name
) -> None:
    """With bytes changed anywhere, or cut: the same pixels, or the same error, as without the faster decoder."""
    rng = np.random.default_rng(1)
    stream = io.BytesIO()
    _picture().save(stream, "JPEG", quality=90)
    whole, path, refused, sound = stream.getvalue(), tmp_path / "a.jpg", 0, 0
    for number in range(400):
        data = bytearray(whole)
        for place in rng.integers(2, len(data) - 2, rng.integers(1, 4)):
            data[place] = rng.integers(0, 256)
        if number % 5 == 0:
            data = data[: rng.integers(100, len(data))] + (b"\xff\xd9" if number % 2 else b"")
        path.write_bytes(data)
        faster = _outcome(path, thorough=thorough)
        with monkeypatch.context() as without:
            without.setattr(pixels, "_sound_jpeg", lambda _data: None)
            expected = _outcome(path, thorough=thorough)
        assert faster == expected, number
        refused += isinstance(expected, str)
        sound += expected == _outcome(path, thorough=thorough) and not isinstance(expected, str)
    assert refused > 20
    assert sound > 20


def _outcome(path: Path, *, thorough: bool) -> object:
    try:
        read_pixels(str(path))
    except DataError as error:
        return str(error)
    found, truncated = decode_file(str(path), thorough=thorough)
    return found.tobytes(), truncated
