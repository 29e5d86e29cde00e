"""Say what a file is that cannot be read as an image, and what to do about it.

Looks at its first bytes, as what is called `a.jpg` need not be a JPEG.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from PIL import TiffImagePlugin, features

if TYPE_CHECKING:
    from typing import BinaryIO

_HEAD, _MAGIC = 2**16, 2**10  # bytes: enough for a JPEG's frame header; for what shows the kind of a file
_CONVERT = "convert it to JPEG or PNG"
_AGAIN = "download or copy it again"
RAW_PHOTO = f"a camera's RAW photo: {_CONVERT}"

# A pattern of the first bytes, what they are the beginning of, and what to do. The first that fits counts.
_KINDS: tuple[tuple[bytes, str], ...] = (
    (rb"version https://git-lfs", "a Git LFS pointer, not the image itself: run git lfs pull"),
    (rb"(?:\.\./)*(?:\.git|/)?/?annex/objects/", "a git-annex pointer, not the image itself: run git annex get"),
    (rb"....ftyp(?:....){0,10}?avi[fs]", f"AVIF that cannot be decoded: {_AGAIN}, or {_CONVERT}"),
    (rb"....ftyp(?:....){0,10}?(?:he[iv]|mif1|msf1)", f"HEIC: {_CONVERT}"),
    (rb"....ftypcrx |II\*\0....CR|FUJIFILMCCD-RAW|II(?:RO|RS|U\0)|MMOR|\0MRM|FOVb", RAW_PHOTO),
    (rb"....ftyp|....moov|RIFF....AVI |\x1a\x45\xdf\xa3|\0\0\x01[\xb3\xba]|FLV", "a video: save its frames as images"),
    (rb"\0\0\0\x0cjP  |\xff\x4f\xff\x51", f"JPEG 2000: {_CONVERT}"),
    (rb"\0\0\0\x0cJXL |\xff\x0a", f"JPEG XL: {_CONVERT}"),
    (rb"II\xbc", f"JPEG XR: {_CONVERT}"),
    (rb"%PDF-", "a PDF: save its pages as JPEG or PNG"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", f"PostScript: {_CONVERT}"),
    (rb"8BPS", f"a Photoshop file: {_CONVERT}"),
    (rb".{128}DICM", f"DICOM: {_CONVERT}"),
    (rb"v/1\x01|#\?R(?:ADIANCE|GBE)", f"an image of high dynamic range: {_CONVERT}"),
    (
        rb"qoif|BPG\xfb|FLIF|DDS |\0\0[\x01\x02]\0|\x0a[\0-\x05]\x01[\x01\x02\x04\x08]",
        f"an image of a rare format: {_CONVERT}",
    ),
    (rb"\x93NUMPY|\x89HDF|SIMPLE  =", f"an array of numbers: {_CONVERT}"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf|BZh|\xfd7zXZ|\x28\xb5\x2f\xfd", "an archive: unpack it"),
    (rb"\0\x05\x16\x07", "macOS's notes about another file (AppleDouble): delete it, and its entry in the labels"),
    (rb"\s*(?:data:image/|/9j/|iVBORw0KGgo)", "an image in base64: decode it"),
    (rb"(?i:\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*(?:<!doctype svg[^>]*>\s*)?<svg)", f"SVG: {_CONVERT}"),
    (
        rb"(?i:\s*(?:<!--.*?-->\s*)*<(?:!doctype html|html|head|body|script))",
        f"an HTML page, as a failed download leaves it: {_AGAIN}",
    ),
    (rb"\xff\xd8", f"JPEG that cannot be decoded: {_AGAIN}"),
    (rb"\x89PNG", f"PNG that cannot be decoded: {_AGAIN}"),
    (rb"GIF8", f"GIF that cannot be decoded: {_AGAIN}"),
    (rb"RIFF....WEBP", f"WebP that cannot be decoded: {_AGAIN}"),
    (rb"II[*+]\0|MM\0[*+]", f"TIFF that cannot be decoded: {_AGAIN}, or {_CONVERT}"),
    (rb"P[1-7fFyY]\s", f"PNM that cannot be decoded: {_AGAIN}, or {_CONVERT}"),
    (rb"BM....\0\0\0\0", f"BMP that cannot be decoded: {_AGAIN}, or {_CONVERT}"),
)
_LOSSLESS = {0xC3, 0xC7, 0xCB, 0xCF, 0xF7}  # markers of frames that are coded without loss, which libjpeg does not read
_NO_FRAME = {0xC4, 0xC8, 0xCC}
_EIGHT_BITS = 8


def describe_file(path: str) -> str:
    """Say what a file is and what to do: `HEIC: convert it to JPEG or PNG`.

    Raises:
        OSError: it cannot be read at all.
    """
    with open(path, "rb") as stream:
        head = stream.read(_HEAD)
        if head.startswith(b"\xff\xd8"):
            return _jpeg(head) or _kind(head)
        if head[:4] in {b"II*\0", b"MM\0*"}:
            return _tiff(stream, head) or _kind(head)
    return _kind(head)


def _kind(head: bytes) -> str:
    head = head[:_MAGIC].removeprefix(b"\xef\xbb\xbf")
    if not head:
        return f"an empty file: {_AGAIN}"
    if not head.strip(b"\0"):
        return f"nothing but zero bytes, as an interrupted copy leaves: {_AGAIN}"
    for pattern, text in _KINDS:
        if re.match(pattern, head, re.DOTALL):
            if text.startswith("AVIF") and not features.check("avif"):
                return f"AVIF, which this installation of Pillow cannot read: {_CONVERT}, or install Pillow from PyPI"
            return text
    beginning = head[:200].decode("utf-8", errors="ignore").strip()
    if beginning and re.sub(r"\s", "", beginning).isprintable():
        return f"text, no image ({beginning[:40]!r}): {_AGAIN}"
    return f"no image of a known kind; its first bytes are {head[:8].hex(' ')}: {_AGAIN}, or {_CONVERT}"


def _jpeg(head: bytes) -> str | None:
    """Return what is unusual about a JPEG's coding, which its frame header states; None if nothing is."""
    at = 2
    while head[at : at + 1] == b"\xff" and len(head) > at + 4:
        marker = head[at + 1]
        if marker in _LOSSLESS:
            return f"a lossless JPEG, which Pillow does not read: {_CONVERT}"
        if marker & 0xF0 == 0xC0 and marker not in _NO_FRAME:  # noqa: PLR2004 - the markers of frames
            bits = head[at + 4]
            return None if bits == _EIGHT_BITS else f"a JPEG with {bits} bits a channel: save it with 8"
        at += 2 + int.from_bytes(head[at + 2 : at + 4])
    return None


def _tiff(stream: BinaryIO, head: bytes) -> str | None:
    """Return what the samples of a TIFF are; None if its header is damaged or they are nothing unusual."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(head[:8])
        stream.seek(tags.next)
        tags.load(stream)
        bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
        samples = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    except Exception:  # noqa: BLE001 - whatever Pillow raises about a damaged header
        return None
    if set(bits) <= {1, _EIGHT_BITS} and samples <= 4:  # noqa: PLR2004 - RGBA or CMYK
        return None
    of_bits = "/".join(map(str, dict.fromkeys(bits)))
    return (
        f"a TIFF of {samples} × {of_bits} bits a pixel, which Pillow does not read: save it with 8 bits, or {_CONVERT}"
    )
