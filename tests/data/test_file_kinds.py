"""What cannot be read as an image is named for what it is, whatever its suffix, with what to do."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from harness.data.images import scan_image
from harness.data.pixels import read_pixels
from harness.errors import DataError


def _box(brands: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(brands), b"ftyp") + brands + b"\0\0\0\x08free"


def _saved(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8)).save(stream, kind)
    return stream.getvalue()


FILES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "an empty file: download or copy it again"),
    "zeros": (bytes(5000), "nothing but zero bytes, as an interrupted copy leaves: "),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n",
        "a Git LFS pointer, not the image itself: run git lfs pull",
    ),
    "annex": (b"/annex/objects/SHA256E-s9--ab.jpg\n", "a git-annex pointer, not the image itself: run git annex get"),
    "heic": (_box(b"heic\0\0\0\0mif1heic"), "HEIC: convert it to JPEG or PNG"),
    "heif": (_box(b"mif1\0\0\0\0mif1heix"), "HEIC: convert it to JPEG or PNG"),
    "heic sequence": (_box(b"msf1\0\0\0\0hevc"), "HEIC: "),
    "avif": (_box(b"avif\0\0\0\0avifmif1"), "AVIF that cannot be decoded"),
    "cr3": (_box(b"crx \0\0\0\x01crx isom"), "a camera's RAW photo: convert it"),
    "cr2": (b"II*\0\x10\0\0\0CR\x02\0" + bytes(40), "a camera's RAW photo: "),
    "raf": (b"FUJIFILMCCD-RAW 0201", "a camera's RAW photo: "),
    "mp4": (_box(b"isom\0\0\x02\0isomiso2mp41"), "a video: save its frames as images"),
    "avi": (b"RIFF\x24\0\0\0AVI LIST", "a video: "),
    "jp2": (b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 ", "JPEG 2000: convert it to JPEG or PNG"),
    "j2k": (b"\xff\x4f\xff\x51\0\x2f\0\0", "JPEG 2000: "),
    "jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL: convert it to JPEG or PNG"),
    "jxl codestream": (b"\xff\x0a\xfa\x1f", "JPEG XL: "),
    "jxr": (b"II\xbc\x01\x08\0\0\0", "JPEG XR: "),
    "pdf": (b"%PDF-1.7\n%\xe2\xe3", "a PDF: save its pages as JPEG or PNG"),
    "psd": (b"8BPS\0\x01", "a Photoshop file: "),
    "dicom": (bytes(128) + b"DICM\x02\0", "DICOM: "),
    "exr": (b"v/1\x01\x02\0\0\0", "an image of high dynamic range: "),
    "npy": (b"\x93NUMPY\x01\0", "an array of numbers: "),
    "zip": (b"PK\x03\x04\x14\0", "an archive: unpack it"),
    "apple": (b"\0\x05\x16\x07\0\x02\0\0Mac OS X", "macOS's notes about another file (AppleDouble): delete it"),
    "html": (b"\xef\xbb\xbf\n<!DOCTYPE html><html><head>", "an HTML page, as a failed download leaves it: "),
    "svg": (b'<?xml version="1.0"?>\n<svg xmlns="x">', "SVG: "),
    "base64": (b"data:image/jpeg;base64,/9j/4AAQ", "an image in base64: decode it"),
    "text": (b"404: Not Found\n", "text, no image ('404: Not Found'): "),
    "json": (b'{"error": "expired"}', 'text, no image (\'{"error": "expired"}\'): '),
    "unknown": (b"\x07\x01\xfe\x99\0\0", "no image of a known kind; its first bytes are 07 01 fe 99 00 00: "),
    "png cut in its header": (_saved("PNG")[:20], "PNG that cannot be decoded"),
    "png cut": (_saved("PNG")[:900], "PNG that cannot be decoded (image file is truncated"),
    "gif cut": (_saved("GIF")[:8], "GIF that cannot be decoded"),
    "tiff cut": (_saved("TIFF")[:60], "TIFF that cannot be decoded"),
    "webp cut": (_saved("WEBP")[:200], "WebP that cannot be decoded"),
    "avif cut": (_saved("AVIF")[:300], "AVIF that cannot be decoded"),
    "jpeg cut in its header": (_saved("JPEG")[:30], "JPEG that cannot be decoded"),
    "jpeg of 12 bits": (
        b"\xff\xd8\xff\xc1\0\x0b\x0c\0\x08\0\x08\x01\x01\x11\0",
        "a JPEG with 12 bits a channel: save it with 8",
    ),
    "jpeg-ls": (
        b"\xff\xd8\xff\xf7\0\x0b\x08\0\x08\0\x08\x01\x01\x11\0",
        "a lossless JPEG, which Pillow does not read",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_files_are_named_for_what_they_are(name: str, tmp_path: Path) -> None:
    """The check of headers and of pixels, and the reading in a trial, say the same, in words and not in Python's."""
    content, expected = FILES[name]
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    for decode in (False, True):
        problem = scan_image(str(path), decode=decode).problem or "read"
        assert problem.startswith(expected)
        assert ": " in problem
        assert not re.search(r"<_io|object at|b'|\bPIL\b|Error", problem)
    with pytest.raises(DataError, match=re.escape(f"{path}: cannot be read as an image: {expected}")):
        read_pixels(str(path))
