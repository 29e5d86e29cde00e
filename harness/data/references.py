"""Find the images that annotations name by an id, or by an address on the server of a labelling tool."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness.data.formats.files import images_under
from harness.data.image_names import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.data.raw import RawAnnotations

_SAMPLE = 5  # images
_MAX_NAMES = 39


def sample_names(raw: RawAnnotations) -> Sequence[str]:
    """Return names of images by which their folder can be guessed."""
    if raw.spellings is None:
        return raw.names
    sample = raw.names[:: max(1, len(raw.names) // _SAMPLE)]
    return [name for reference in sample for name in raw.spellings(reference)][:_MAX_NAMES]


def resolve(raw: RawAnnotations, root: Path) -> RawAnnotations:
    """Replace each id or address by the path of its image below `root`, and by its last spelling if there is none.

    A path that differs from the file's in upper and lower case alone keeps its own, so that this is told as for any
    other name. Where several files fit equally well, none is taken. Addresses whose folders are there keep as many of
    them as each other: a folder that is absent is not left out to find a file of the same name elsewhere.
    """
    if raw.spellings is None:
        return raw
    index = _Index(list(images_under(root)) if os.path.isdir(root) else [], root.name)
    named = [raw.spellings(name) for name in raw.names]
    found = [{name: path for name in names if (path := index.find(name))} for names in named]
    # How many leading folders are taken off, the fewest that leave a folder which is there; None if none is there.
    taken = [
        _folders_taken(names, name) for names, paths in zip(named, found, strict=True) for name in paths if "/" in name
    ]
    fewest = min(taken, default=None)
    chosen = (
        next(
            (
                path
                for name, path in paths.items()
                if fewest is None or _is_upload(names) or _folders_taken(names, name) == fewest
            ),
            names[-1] if fewest is None or _is_upload(names) else _with_folders_taken(names, fewest),
        )
        for names, paths in zip(named, found, strict=True)
    )
    return replace(raw, names=tuple(chosen), spellings=None)


def _folders_taken(spellings: Sequence[str], name: str) -> int:
    """Return how many of the folders of the longest spelling `name` lacks."""
    return spellings[0].count("/") - name.count("/")


def _with_folders_taken(spellings: Sequence[str], number: int) -> str:
    """Return the spelling without so many leading folders, for a file that is not there."""
    return next((name for name in spellings if _folders_taken(spellings, name) == number), spellings[-1])


def _is_upload(spellings: Sequence[str]) -> bool:
    """Return whether a labelling tool keeps the file in its own folder of uploads, which nobody else has."""
    return "data/upload/" in spellings[0]


class _Index:
    """Image files by what annotations may call them; as there may be millions, a table is made when it is needed."""

    def __init__(self, paths: Sequence[str], folder: str) -> None:
        """Hold paths below a folder, and the name of that folder, which may stand before them in an address."""
        self._paths = paths
        self._folder = f"{folder}/"

    def find(self, name: str) -> str | None:
        """Return the path of the file that is called `name`, with the letter case of `name`; None if there is none."""
        inner = name.removeprefix(self._folder)
        return self._find(name) or (self._find(inner) if inner != name else None)

    def _find(self, name: str) -> str | None:
        if name in self._exact:
            return name
        if name in self._by_stem:
            return self._by_stem[name]
        key = folded(name)
        if key in self._by_folded:
            return name
        if key in self._by_folded_stem:
            return name + os.path.splitext(self._by_folded_stem[key])[1]
        return self._by_name.get(key) or self._by_upload.get(key)

    @cached_property
    def _exact(self) -> frozenset[str]:
        return frozenset(self._paths)

    @cached_property
    def _by_stem(self) -> dict[str, str]:
        return _unique(self._paths, _without_suffix)

    @cached_property
    def _by_folded(self) -> dict[str, str]:
        return _unique(self._paths, folded)

    @cached_property
    def _by_folded_stem(self) -> dict[str, str]:
        return _unique(self._paths, lambda path: folded(_without_suffix(path)))

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return _unique(self._paths, lambda path: folded(_without_suffix(os.path.basename(path))))

    @cached_property
    def _by_upload(self) -> dict[str, str]:
        return _unique(self._paths, lambda path: folded(_as_uploaded(os.path.basename(path))))


def _unique(paths: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
    """Return the paths by their keys, without those that share one."""
    found: dict[str, str] = {}
    shared = set()
    for path in paths:
        if found.setdefault(key(path), path) != path:
            shared.add(key(path))
    return {name: path for name, path in found.items() if name not in shared}


def _without_suffix(path: str) -> str:
    return os.path.splitext(path)[0]


def _as_uploaded(name: str) -> str:
    """Return the name that a server stores for an uploaded file: without spaces and special characters."""
    return re.sub(r"[^-\w.]", "", name.replace(" ", "_"))
