"""Decide which image a label file belongs to: the one that it is named after, or the one that it names inside.

For formats with one label file an image that also states the image's name. A renamed, copied or augmented file states
the name of another image; both are looked for, and where both are there nothing is guessed.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.data.image_names import folded
from harness.data.near_labels import same_content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.data.image_folder import ImageFolder
    from harness.data.problems import Findings
    from harness.data.raw import RawAnnotations

Rule = Literal["stem", "inside"]


@dataclass(frozen=True, slots=True)
class _Choice:
    """The name of an image, and what is to be told about it."""

    name: str
    code: str | None = None
    detail: str = ""


def settle_names(
    raw: RawAnnotations, folder: ImageFolder, rule: Rule | None, findings: Findings
) -> tuple[RawAnnotations, NDArray[np.bool_]]:
    """Settle the name of each image whose label file has a name of its own.

    Args:
        raw: the annotations, whose names are those inside the label files; empty where there is none.
        folder: the folder of the images.
        rule: the suite's `on_name_conflict`.
        findings: receives an error for each conflict, and a warning for each name inside that leads nowhere.

    Returns:
        The annotations with the names that count; and whether each is known, bool [I].
    """
    known = np.ones(len(raw.names), dtype=np.bool_)
    if not raw.label_names:
        return raw, known
    parents = [os.path.dirname(file) for file in raw.files]
    labels_in = {parent: folder.name_of(parent) for parent in dict.fromkeys(parents)}
    choices = [
        _choose(inside, label, labels_in[parent], folder, rule)
        for inside, label, parent in zip(raw.names, raw.label_names, parents, strict=True)
    ]
    raw = replace(raw, names=tuple(choice.name for choice in choices))
    for row, choice in enumerate(choices):
        if choice.code:
            findings.add(choice.code, raw.image_place(row, choice.detail))
            known[row] = choice.code != "name_conflict"
    return raw, known


def _choose(inside: str, label: str, parent: str, folder: ImageFolder, rule: Rule | None) -> _Choice:
    """Choose between the name inside a label file and `label`, its own path without suffix.

    `parent` is the folder in which the label file lies, relative to that of the images.
    """
    lookup = folder.find(inside)
    agree = lookup.path and folded(label) in {folded(inside), folded(posixpath.splitext(inside)[0])}
    above, last = posixpath.split(inside)
    near = posixpath.join(above, posixpath.basename(label))  # in the folder of the image that is named inside
    beside = folder.with_stem(posixpath.join(parent, posixpath.basename(label)))
    own = beside or (() if agree else folder.with_stem(label) or folder.with_stem(near))
    paths = [path for name in own if (path := folder.find(name).path)]
    if not own or lookup.path in paths or any(_is_copy(path, lookup.path) for path in paths):
        return _Choice(inside or label)
    # The path inside may be that of another machine, or leave out the folders that the label file lies in.
    meant = [name for name in own if folded(last) in _names_of(name)]
    if len(meant) == 1 and (lookup.path is None or not above):
        return _Choice(meant[0])
    sibling = posixpath.join(posixpath.dirname(own[0]), last)
    other = next((name for name in (inside, sibling, last) if last and folder.find(name).path), None)
    refused = other is None and lookup.code == "path_escapes_root"
    if inside and (rule == "inside" or (refused and rule is None)):
        return _Choice(other or inside)
    return _of_two(inside, own, other, rule)


def _is_copy(path: str, other: str | None) -> bool:
    """Return whether two files have one name and one content."""
    return other is not None and os.path.basename(path) == os.path.basename(other) and same_content(path, other)


def _of_two(inside: str, own: Sequence[str], other: str | None, rule: Rule | None) -> _Choice:
    """Choose between the images of a label file's own name and, if it is there, the `other` that it names inside."""
    if rule == "stem" and len(own) == 1:
        return _Choice(own[0])
    told = f"{inside or 'no image'} is named inside"
    if other is None and len(own) == 1:
        return _Choice(own[0], "name_inside_missing", f"{told}, which is not there" if inside else told)
    return _Choice(own[0], "name_conflict", f"{told}; there are {' and '.join([*own, *([other] if other else [])])}")


def _names_of(name: str) -> set[str]:
    """Return the last part of an image's name with and without its suffix, folded."""
    last = folded(os.path.basename(name))
    return {last, posixpath.splitext(last)[0]}
