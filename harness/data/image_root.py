"""Name a split's images relative to the folder in which they lie, whatever their annotations call them."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING

from harness.data.image_names import plain_name
from harness.data.near_labels import guess_folder
from harness.data.problems import Findings, Place
from harness.data.references import resolve, sample_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from harness.data.image_folder import ImageFolder
    from harness.data.raw import RawAnnotations

_SAMPLE = 20


def find_folder(
    raw: RawAnnotations,
    annotations: Path,
    split: str,
    folder_of: Callable[[Path], ImageFolder],
    findings: Findings,
) -> tuple[RawAnnotations, Path, Path | None]:
    """Find the folder of the images, and name them relative to it.

    A leading folder of all names (`UI/2021-08-23/`, `C:/Users/me/`, `https://…/`) that is not there is taken off them,
    with a warning.

    Args:
        raw: the annotations that name the images.
        annotations: the file or folder of the annotations.
        split: the split that they belong to, or `all`.
        folder_of: returns a folder in which images can be looked up.
        findings: receives the warning.

    Returns:
        The annotations with names below the folder; the folder; and one that rivals it (see `guess_folder`).
    """
    root, rival = guess_folder(annotations, (*sample_names(raw), *raw.label_names), split, inside=raw.images)
    found = _normalize_names(resolve(raw, root))
    folder = "" if raw.spellings or raw.label_names else _common_folder(found.names)
    if not folder or _holds_any(folder_of(root), found.names):
        return found, root, rival
    shorter = replace(found, names=tuple(image.removeprefix(folder) for image in found.names))
    other, rival = guess_folder(annotations, shorter.names, split, inside=raw.images)
    if not _holds_any(folder_of(other), shorter.names):
        return found, root, None
    detail = f"{folder} is not there; without it, images are found in {other}"
    findings.add("absent_folder", Place(file=str(annotations), detail=detail))
    return shorter, other, rival


def _holds_any(folder: ImageFolder, names: Sequence[str]) -> bool:
    """Return whether a folder has one of a sample of images."""
    return any(folder.find(name).path for name in names[:: max(1, len(names) // _SAMPLE)])


def _common_folder(names: Sequence[str]) -> str:
    """Return the folder that all of some plain names begin with, with its slash; an empty text if there is none."""
    if not names or "/" not in names[0] or len(set(map(posixpath.isabs, names))) > 1:
        return ""
    if any(name.startswith("../") for name in names):  # a path that leads out of the folder is refused
        return ""
    folder = posixpath.commonpath([posixpath.dirname(name) for name in names])
    return f"{folder}/" if folder else ""


def _normalize_names(raw: RawAnnotations) -> RawAnnotations:
    r"""Normalise the image names, so that `./a.jpg` and `a.jpg`, `x\a.jpg` and `x/a.jpg` are the same image."""
    if not any("./" in name or "//" in name or "\\" in name for name in raw.names):
        return raw
    return replace(raw, names=tuple(map(plain_name, raw.names)))
