"""Divide one labelled folder into train, val and test, so that it stays divided the same way.

An image's place follows from a hash of the seed and its name, or of its group's: below `val` it is validated on, below
`val + test` tested on, else trained on. So it neither depends on the others nor on their order. With `stratify` this is
corrected where chance was unkind: among the images that share their rarest class, a split that is off its share by
more than one image and more than the standard deviation of chance gets or gives those whose hash is nearest the border.
Only there can images that are added later move an earlier one. (A rule under which they never could would have to look
at each image alone, and could not even anything out.)
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from harness.data.formats.reading import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.suite.schema import SplitRule


_ENOUGH = 0.5  # images: a share that rounds to one gets one, so that no split lacks a class for want of luck


def divide(annotations: Annotations, rule: SplitRule) -> dict[str, NDArray[np.intp]]:
    """Image numbers of each split, ascending; `test` only where the rule gives it a share."""
    groups = _groups(annotations.file_names, rule.group_by)
    names = sorted(groups)
    members = [groups[name] for name in names]
    hashes = np.array([_hash(rule.seed, name) for name in names])
    sizes = np.array([len(rows) for rows in members], dtype=np.float64)
    strata = _strata(annotations, members) if rule.stratify else np.zeros(len(names), dtype=np.int64)
    below = {"val": hashes < rule.val, "test": hashes < rule.val + rule.test}
    for stratum in np.unique(strata) if rule.stratify else ():
        inside = np.flatnonzero(strata == stratum)
        count = 0
        for split, border in (("val", rule.val), ("test", rule.val + rule.test)):
            share = getattr(rule, split) * sizes[inside].sum()
            below[split][inside] = _evened(hashes[inside], sizes[inside], border, min_count=count + (share >= _ENOUGH))
            count = int(below[split][inside].sum())
    _fill(below, hashes, test=rule.test > 0)
    where = {"train": ~below["test"], "val": below["val"], "test": below["test"] & ~below["val"]}
    return {
        split: np.sort(np.concatenate([np.zeros(0, dtype=np.intp), *(members[row] for row in np.flatnonzero(mine))]))
        for split, mine in where.items()
        if split != "test" or rule.test
    }


def _groups(file_names: Sequence[str], group_by: str | None) -> dict[str, NDArray[np.intp]]:
    """Rows by what the expression finds in the file name, or else in the whole path; where it finds nothing, alone.

    Raises:
        UnreadableError: it finds nothing anywhere.
    """
    if group_by is None:
        return {name: np.array([row]) for row, name in enumerate(file_names)}
    expression, groups = re.compile(group_by), defaultdict(list)
    for row, name in enumerate(file_names):
        found = expression.search(posixpath.basename(name)) or expression.search(name)
        text = "\0".join(part or "" for part in (found.groups() or (found[0],))) if found else f"\0\0{name}"
        groups[text].append(row)
    if file_names and all(text.startswith("\0\0") for text in groups):
        raise UnreadableError(f"group_by: {group_by!r} finds nothing in any name, not in {file_names[0]!r} either")
    return {text: np.array(rows) for text, rows in groups.items()}


def _hash(seed: int, name: str) -> float:
    """Uniform in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _strata(annotations: Annotations, members: Sequence[NDArray[np.intp]]) -> NDArray[np.int64]:
    """Of each group the rarest class among its boxes, rarest over all images; −1 without boxes."""
    owners = np.repeat(np.arange(len(annotations)), np.diff(annotations.offsets))
    present = np.zeros((len(annotations), len(annotations.class_names)), dtype=np.bool_)
    present[owners, annotations.labels] = True
    commonness = np.argsort(np.argsort(present.sum(axis=0), kind="stable"))
    found = []
    for rows in members:
        classes = np.flatnonzero(present[rows].any(axis=0))
        found.append(int(classes[np.argmin(commonness[classes])]) if len(classes) else -1)
    return np.array(found, dtype=np.int64)


def _evened(
    hashes: NDArray[np.float64], sizes: NDArray[np.float64], border: float, *, min_count: int
) -> NDArray[np.bool_]:
    """Those below the border; where they are too few or too many, the nearest ones are added or taken away.

    The slack is the standard deviation of the sum of sizes that independent draws below the border have; but it never
    leaves fewer than `min_count` below, nor none above.
    """
    order = np.argsort(hashes, kind="stable")
    wanted = border * sizes.sum()
    slack = max(1.0, float(np.sqrt(border * (1 - border) * (sizes**2).sum())))
    count = int((hashes < border).sum())
    upto = np.concatenate(([0.0], np.cumsum(sizes[order])))
    while upto[count] > wanted + slack and abs(upto[count - 1] - wanted) < abs(upto[count] - wanted):
        count -= 1
    while upto[count] < wanted - slack and abs(upto[count + 1] - wanted) < abs(upto[count] - wanted):
        count += 1
    count = max(min_count, min(count, len(hashes) - 1)) if min_count < len(hashes) else count
    chosen = np.zeros(len(hashes), dtype=np.bool_)
    chosen[order[:count]] = True
    return chosen


def _fill(below: dict[str, NDArray[np.bool_]], hashes: NDArray[np.float64], *, test: bool) -> None:
    """No split of a handful of images stays empty for want of luck: train has the highest hash, val the lowest."""
    order = np.argsort(hashes, kind="stable").tolist()
    if len(order) < 2 + test:
        return
    below["test"][order[-1]] = below["val"][order[-1]] = False
    below["test"][order[0]] = below["val"][order[0]] = True
    if test and not (below["test"] & ~below["val"]).any():
        middle = order[1:-1]
        chosen = next((row for row in middle if not below["val"][row]), middle[-1])
        below["test"][chosen], below["val"][chosen] = True, False
