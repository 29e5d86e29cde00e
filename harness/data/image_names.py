"""What the names of images and of their folders mean, wherever the tool that wrote them ran.

Does not look at any folder; `harness.data.image_folder` does.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata

# fmt: off
_READABLE = frozenset({
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".bmp", ".webp", ".avif", ".tif", ".tiff",
    ".gif", ".ppm", ".pgm", ".pbm", ".pnm",
})
# Photos of which `harness.data.file_kinds` says what to do; passed over, they would be missing without a word.
_UNREADABLE = frozenset({
    ".heic", ".heif", ".hif", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".jpm", ".jxl", ".jxr", ".wdp", ".dcm",
    ".psd", ".tga", ".exr", ".pfm", ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".srw",
    ".orf", ".rw2", ".raf", ".pef", ".x3f", ".3fr", ".iiq", ".erf", ".mrw", ".kdc",
})
# fmt: on
IMAGE_SUFFIXES = _READABLE | _UNREADABLE
_JPEG = {".jpg", ".jpeg", ".jpe", ".jfif"}
_SPLIT_WORDS = re.compile(r"(?:^|[^a-z])(train|training|val|valid|validate|validation|test|testing)(?=$|[^a-z])")
_SPLITS = {"tra": "train", "val": "val", "tes": "test"}


def is_jpeg(suffix: str) -> bool:
    """Return whether a suffix is one of a JPEG."""
    return suffix.lower() in _JPEG


def plain_name(name: str) -> str:
    r"""Return a name with forward slashes: `images/a.jpg` for `images\a.jpg` (Windows) and for `./images/a.jpg`."""
    return posixpath.normpath(name.replace("\\", "/")) if name else name


def is_absolute(name: str) -> bool:
    r"""Return whether a plain name is an absolute path; also one of Windows (`C:\a.jpg`, `\\server\a.jpg`)."""
    return posixpath.isabs(name) or re.match(r"[A-Za-z]:/", name) is not None


def why_outside(name: str) -> str | None:
    """Return the verb of how a plain name leads out of the folder that it is relative to, or None if it does not."""
    if is_absolute(name):
        return "an absolute path, outside of"
    return "leaves" if name.split("/", maxsplit=1)[0] == ".." else None


def folded(name: str) -> str:
    """Return what names have in common that differ in upper and lower case, or in the Unicode form of accents.

    macOS writes an accented letter as two characters (NFD), everything else as one (NFC).
    """
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name.lower())


def mismatch(name: str, other: str) -> str:
    """Return the code of the warning about a file that is found by another name; that one may lack the suffix."""
    composed, other = (unicodedata.normalize("NFC", text) for text in (name, other))
    return "name_unicode_mismatch" if composed.startswith(other) else "name_case_mismatch"


def can_be_read(name: str) -> bool:
    """Return whether an image's suffix is that of a kind of file that the harness reads."""
    return os.path.splitext(name)[1].lower() in _READABLE


def split_from_name(name: str) -> str | None:
    """Return the split that a file or folder is named after: `val` for both `instances_val2017` and `valid`."""
    match = _SPLIT_WORDS.search(name.lower())
    return _SPLITS[match[1][:3]] if match else None
