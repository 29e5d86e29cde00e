"""Find the image file that an annotation names: in any letter case and Unicode form, never outside the image folder."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from harness.data.image_names import IMAGE_SUFFIXES, can_be_read, folded, mismatch, plain_name, why_outside

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FOLDERS = 100  # above an image, in its name


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLookup:
    """The result of looking for a named image.

    Attributes:
        path: the image's file, or None.
        code: without a path, the error code of the reason; with one, None or the code of a warning.
        detail: the explanation that goes with `code`.
    """

    path: str | None
    code: str | None = None
    detail: str = ""


class ImageFolder:
    """Finds images below one folder and never outside it; every folder is listed only once."""

    def __init__(self, root: Path, within: Path | None = None) -> None:
        """Search below `root`; symbolic links may not lead out of `within`, which is `root` by default."""
        self._root = os.path.abspath(root)
        self._real = os.path.realpath(within or root)
        self._listings: dict[str, _Listing | None] = {}
        self._stems: dict[str, dict[str, list[str]]] = {}

    def find(self, name: str) -> ImageLookup:
        """Look for the image that annotations call `name`."""
        plain = plain_name(name)
        outside = why_outside(plain)
        if outside:
            return ImageLookup(path=None, code="path_escapes_root", detail=f"{outside} {self._root}")
        folder, _, last = plain.rpartition("/")
        listing = self._listing(folder) if plain.count("/") < _MAX_FOLDERS and _encodable(name) else None
        entry = listing.find(last) if listing else None
        several = self._with_suffixes(plain) if entry and folded(entry) != folded(last) else []
        if listing is None or entry is None or len(several) > 1:
            said = f"{plain} may be {' or '.join(several)}: write the suffix into its name"
            detail = said if several else self._describe_missing(plain, listing)
            return ImageLookup(path=None, code="missing_image", detail=detail)
        path = os.path.join(listing.path, entry)
        if listing.links[entry] or listing.linked:
            if not self._inside(path):
                return ImageLookup(path=None, code="path_escapes_root", detail=f"a link out of {self._root}")
            if not os.path.exists(path):
                return ImageLookup(path=None, code="missing_image", detail=f"{path} is a link to nothing")
        found = path.removeprefix(os.path.join(self._root, ""))
        if found.startswith(plain):
            return ImageLookup(path=path)
        return ImageLookup(path=path, code=mismatch(found, plain), detail=f"the file is {found}")

    def name_of(self, path: str) -> str:
        """Return the plain name by which a path is looked for; it may lead out of the folder."""
        return plain_name(os.path.relpath(path, self._root))

    def with_stem(self, stem: str) -> tuple[str, ...]:
        """Return the names of the images that are called `stem`, whatever their suffix."""
        folder, _, last = plain_name(stem).rpartition("/")
        if folder not in self._stems:
            refused = why_outside(plain_name(stem)) or folder.count("/") >= _MAX_FOLDERS or not _encodable(folder)
            listing = None if refused else self._listing(folder)
            images = self._stems[folder] = {}
            for name in sorted(listing.links) if listing else ():
                inner, suffix = os.path.splitext(name)
                if suffix.lower() in IMAGE_SUFFIXES:
                    for key in (folded(inner), folded(name)):  # a.jpg.xml is the label file of a.jpg
                        images.setdefault(key, []).append(os.path.join(folder, name))
        return tuple(self._stems[folder].get(folded(last), ()))

    def _with_suffixes(self, stem: str) -> list[str]:
        """Return the images that a name without suffix may mean; not the HEIC that one of them was converted from."""
        return [name for name in self.with_stem(stem) if can_be_read(name)]

    def _describe_missing(self, plain: str, listing: _Listing | None) -> str:
        """Return what to say of an image that is not there, with the file that is like it, if there is one."""
        detail = f"no such image: {os.path.join(self._root, plain)[:300]}"
        other = listing.find(os.path.splitext(plain)[0].rpartition("/")[2]) if listing else None
        if other and os.path.splitext(other)[1].lower() in IMAGE_SUFFIXES:
            return f"{detail}; there is {other}"
        top = self._listing("")
        packed = top.find(plain.replace("/", "\\")) if top and "/" in plain else None
        return f"{detail}; there is a file {packed}: unpack the archive again, into folders" if packed else detail

    def _inside(self, path: str) -> bool:
        real = os.path.realpath(path)
        return real == self._real or real.startswith(os.path.join(self._real, ""))

    def _listing(self, folder: str) -> _Listing | None:
        if folder not in self._listings:
            self._listings[folder] = self._read(folder)
        return self._listings[folder]

    def _read(self, folder: str) -> _Listing | None:
        if not folder:
            return _Listing.of(self._root, linked=not self._inside(self._root))
        parent, _, last = folder.rpartition("/")
        above = self._listing(parent)
        entry = above.find(last) if above else None
        if above is None or entry is None:
            return None
        return _Listing.of(os.path.join(above.path, entry), linked=above.linked or above.links[entry])


def _encodable(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Listing:
    """The entries of one folder: its path, which of them are symbolic links, and whether one leads to the folder."""

    def __init__(self, path: str, links: dict[str, bool], *, linked: bool) -> None:
        self.path = path
        self.links = links
        self.linked = linked

    @classmethod
    def of(cls, path: str, *, linked: bool) -> _Listing | None:
        """List a folder; None if it cannot be listed."""
        try:
            with os.scandir(path) as entries:
                return cls(path, {entry.name: entry.is_symlink() for entry in entries}, linked=linked)
        except (OSError, ValueError):
            return None

    def find(self, name: str) -> str | None:
        """Return the entry that a name means."""
        return name if name in self.links else self._by_folded.get(folded(name))

    @cached_property
    def _by_folded(self) -> dict[str, str]:
        """The entries by their folded names and, as annotations may leave it out, by images' stems."""
        found = {folded(name): name for name in sorted(self.links, reverse=True)}
        for name in sorted(self.links, key=lambda name: (not can_be_read(name), name)):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES:
                found.setdefault(folded(stem), name)
        return found
