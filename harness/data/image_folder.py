"""A folder of images: the file of a name as annotations give it, in whatever case, and never one outside."""

from __future__ import annotations

import os
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.data.formats.reading import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_MAX_FOLDERS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a named image is. Without a path, `code` says why; with one, `code` may be a warning."""

    path: str | None
    code: str | None = None
    detail: str = ""


class ImageFolder:
    """Finds images below one folder, and nothing outside it; each listing is read once."""

    def __init__(self, root: Path, within: Path | None = None) -> None:
        """`within` is the folder that links may not leave, if it is not `root` itself."""
        self._root = os.path.abspath(root)
        self._real = os.path.realpath(within or root)
        self._listings: dict[str, _Listing | None] = {}

    def find(self, name: str) -> Found:
        """The file of a name as annotations give it."""
        plain = posixpath.normpath(name)
        escape = self._escape(name, plain)
        if escape:
            return Found(path=None, code="path_escapes_root", detail=escape)
        folder, _, last = plain.rpartition("/")
        listing = self._listing(folder) if plain.count("/") < _MAX_FOLDERS and _encodable(name) else None
        entry = listing.find(last) if listing else None
        if listing is None or entry is None:
            return Found(
                path=None, code="missing_image", detail=f"no such image: {os.path.join(self._root, plain)[:300]}"
            )
        path = os.path.join(listing.path, entry)
        if listing.links[entry] or listing.linked:
            if not self._inside(path):
                return Found(path=None, code="path_escapes_root", detail=f"a link out of {self._root}")
            if not os.path.exists(path):
                return Found(path=None, code="missing_image", detail=f"{path} is a link to nothing")
        if entry.startswith(last) and listing.as_named:
            return Found(path=path)
        detail = f"the file is {os.path.relpath(path, self._root)}"
        return Found(path=path, code="name_case_mismatch", detail=detail)

    def _escape(self, name: str, plain: str) -> str | None:
        """Why a name leads out of the folder, by its text alone."""
        if "\\" in name:
            return "backslashes"
        if posixpath.isabs(name) or re.match(r"[A-Za-z]:/", name):
            return "an absolute path"
        return f"leaves {self._root}" if plain.split("/", maxsplit=1)[0] == ".." else None

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self._real or real.startswith(os.path.join(self._real, ""))

    def _listing(self, folder: str) -> _Listing | None:
        if folder not in self._listings:
            self._listings[folder] = self._read(folder)
        return self._listings[folder]

    def _read(self, folder: str) -> _Listing | None:
        if not folder:
            return _Listing.of(self._root, linked=not self._inside(self._root), as_named=True)
        parent, _, last = folder.rpartition("/")
        above = self._listing(parent)
        entry = above.find(last) if above else None
        if above is None or entry is None:
            return None
        linked, as_named = above.linked or above.links[entry], above.as_named and entry == last
        return _Listing.of(os.path.join(above.path, entry), linked=linked, as_named=as_named)


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class _Listing:
    path: str
    links: dict[str, bool]
    lowered: dict[str, str]
    linked: bool  # some folder on the way is a link
    as_named: bool  # every folder on the way is written as it was asked for

    @classmethod
    def of(cls, path: str, *, linked: bool, as_named: bool) -> _Listing | None:
        try:
            with os.scandir(path) as entries:
                links = {entry.name: entry.is_symlink() for entry in entries}
        except (OSError, ValueError):
            return None
        lowered = {name.lower(): name for name in sorted(links, reverse=True)}
        for name in sorted(links):  # a name without its suffix finds the image
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES:
                lowered.setdefault(stem.lower(), name)
        return cls(path, links, lowered, linked, as_named)

    def find(self, name: str) -> str | None:
        return name if name in self.links else self.lowered.get(name.lower())


def guess_folder(annotations: Path, names: Sequence[str], split: str) -> Path:
    """The folder that image names are relative to: of those around the labels the one that has the most of them."""
    base = annotations if os.path.isdir(annotations) else annotations.parent
    words = [split, "valid", annotations.stem.removeprefix("instances_"), base.name]
    around = [base, base.parent]
    candidates = [
        *(near / inner for near in around for inner in ("", "images", "JPEGImages", "img", "imgs")),
        *(near / inner / word for near in around for inner in ("", "images") for word in words),
    ]
    sample = names[:: max(1, len(names) // 20)]
    present = {
        folder: sum(ImageFolder(folder).find(name).path is not None for name in sample)
        for folder in dict.fromkeys(candidates)
        if os.path.isdir(folder)
    }
    best = max(present, key=present.__getitem__, default=base)  # of equals the first
    return best if present.get(best) else base
