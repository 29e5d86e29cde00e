"""What the name of an image in an annotation file means, wherever the tool that wrote it ran.

Does not look at any folder; `harness.data.image_folder` does.
"""

from __future__ import annotations

import posixpath
import re
import unicodedata


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

    macOS writes `é` as two characters (NFD), everything else as one (NFC).
    """
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name.lower())


def mismatch(name: str, other: str) -> str:
    """Return the code of the warning about a file that is found by another name; that one may lack the suffix."""
    composed, other = (unicodedata.normalize("NFC", text) for text in (name, other))
    return "name_unicode_mismatch" if composed.startswith(other) else "name_case_mismatch"
