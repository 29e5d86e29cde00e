"""Find the folder that image names are relative to, where the labels do not say it: near them, as tools lay it out."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.data.image_folder import ImageFolder
from harness.data.image_names import folded, split_from_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

IMAGE_FOLDERS = {"images", "image", "imgs", "img", "jpegimages", "data", "pictures", "photos"}
LABEL_FOLDERS = {"annotations", "annotation", "annots", "anns", "ann", "labels", "label", "xmls", "xml", "json"}
_SAMPLE = 20  # images


def guess_folder(
    annotations: Path, names: Sequence[str], split: str, inside: Path | None = None
) -> tuple[Path, Path | None]:
    """Find the folder that image names are relative to: the one that holds most of a sample.

    Folders below the labels' own come first: what lies above them may be of another dataset, and counts only where it
    holds more than twice as much of the sample.

    Args:
        annotations: the file or folder of the annotations.
        names: the images' names.
        split: the split that they belong to, or `all`.
        inside: search in this folder alone, and only if it has none of the images itself.

    Returns:
        The folder; and another one that has different files of the same names, if there is one. Images that lie beside
        their labels have no rival.
    """
    base = annotations if os.path.isdir(annotations) else annotations.parent
    first = inside or base
    sample = names[:: max(1, len(names) // _SAMPLE)]
    stem = annotations.stem.removeprefix("instances_").removesuffix("-annotations-bbox")
    words = {folded(stem), folded(base.name)}
    wanted = split_from_name(annotations.stem) if split == "all" else split
    levels: list[list[_Candidate]] = []
    seen: set[Path] = set()
    for place in [inside] if inside else near(base):
        folders = [folder for folder in _candidates([place], wanted, words) if folder not in seen]
        seen.update(folders)
        levels.append([_look_into(folder, sample) for folder in folders])
    if inside and levels[0][0].present:
        return inside, None
    most = max((candidate.present for level in levels for candidate in level), default=0)
    level = next(level for level in levels if 2 * max((candidate.present for candidate in level), default=0) >= most)
    best = max(level, key=lambda candidate: candidate.present)  # the first of equal ones
    if best.folder == first or not best.present:
        return first, None
    rivals = (other.folder for other in level if 2 * other.present >= best.present and _differ(other.paths, best.paths))
    return best.folder, next(rivals, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A folder in which a sample of images was looked for.

    Attributes:
        folder: the folder.
        paths: the file of each image, or None.
        present: how many are there, with those of which it is unknown which of two files is meant.
    """

    folder: Path
    paths: Sequence[str | None]
    present: int


def _look_into(folder: Path, sample: Sequence[str]) -> _Candidate:
    images = ImageFolder(folder)
    paths = [images.find(name).path for name in sample]
    present = sum(bool(path or images.with_stem(name)) for path, name in zip(paths, sample, strict=True))
    return _Candidate(folder=folder, paths=paths, present=present)


def near(base: Path) -> list[Path]:
    """Return the folders around the labels that may hold images, or folders of them: its own one and those above it.

    Labels in `annotations/train` belong to images in `images/train`, two folders up.
    """
    below_labels = folded(base.parent.name) in LABEL_FOLDERS
    return [base, base.parent, base.parent.parent] if below_labels else [base, base.parent]


def _candidates(around: Sequence[Path], split: str | None, words: set[str]) -> dict[Path, None]:
    """Return folders called after images, split or labels: `data`, `images/train`, `train/images`, `val2017`."""

    def of_images(name: str) -> bool:
        return folded(name) in IMAGE_FOLDERS

    def of_split(name: str) -> bool:
        return folded(name) in words or (split is not None and split_from_name(name) == split)

    plain = [*around, *_folders(around, of_images)]
    own = list(_folders(plain, of_split))
    return dict.fromkeys([*plain, *own, *_folders(own, of_images)])


def _folders(parents: Sequence[Path], wanted: Callable[[str], bool]) -> Iterator[Path]:
    for parent in parents:
        try:
            with os.scandir(parent) as entries:
                yield from sorted(parent / entry.name for entry in entries if wanted(entry.name) and entry.is_dir())
        except OSError:
            continue


def _differ(paths: Sequence[str | None], others: Sequence[str | None]) -> bool:
    """Return whether two files that have one name differ."""
    return any(path and other and not same_content(path, other) for path, other in zip(paths, others, strict=True))


def same_content(path: str, other: str) -> bool:
    """Return whether two paths lead to one file, or to files with the same bytes."""
    try:
        if os.path.samefile(path, other) or not (os.path.isfile(path) and os.path.isfile(other)):
            return True
        with open(path, "rb") as stream, open(other, "rb") as second:
            same_size = os.fstat(stream.fileno()).st_size == os.fstat(second.fileno()).st_size
            return same_size and stream.read() == second.read()
    except OSError:
        return True  # whatever it is, reading it as an image tells it
