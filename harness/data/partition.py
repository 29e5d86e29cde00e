"""Divide one labelled folder into train, val and test, reproducibly.

The split of an image follows from a hash in [0, 1) of the seed and of its name (or of its group's): below `val` it goes
to val, below `val + test` to test, otherwise to train. So it depends neither on other images nor on their order.

With `stratify` the result is then balanced. Among the images that have the same rarest class, a split whose number of
images differs from its fraction by more than one image and by more than the standard deviation of chance gains or loses
the images whose hash is nearest the border. Only this step lets images that are added later move an earlier one. (A
rule that never moves one would have to look at each image alone, and could not balance.)
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from harness.data.annotations import Annotations
    from harness.suite.schema import SplitRule


_MIN_EXPECTED = 0.5  # images; a split that expects at least so many of a class gets one, however the hashes fall


def divide(
    annotations: Annotations, rule: SplitRule, groups: Mapping[str, NDArray[np.intp]]
) -> dict[str, NDArray[np.intp]]:
    """Divide the images; return the numbers of each split's images, ascending.

    `test` is only returned if the rule gives it a fraction. `groups` is what `group` returned. A split is empty only
    where there are fewer groups than splits.
    """
    names = sorted(groups)
    members = [groups[name] for name in names]
    hashes = np.array([_hash(rule.seed, name) for name in names])
    sizes = np.array([len(rows) for rows in members], dtype=np.float64)
    strata = _strata(annotations, members) if rule.stratify else np.zeros(len(names), dtype=np.int64)
    # Cumulative membership: the images of `test` are those below `val + test` that are not in `val`.
    below = {"val": hashes < rule.val, "test": hashes < rule.val + rule.test}
    for stratum in np.unique(strata) if rule.stratify else ():
        rows = np.flatnonzero(strata == stratum)
        count = 0
        for split, border in (("val", rule.val), ("test", rule.val + rule.test)):
            expected = getattr(rule, split) * sizes[rows].sum()
            min_count = count + (expected >= _MIN_EXPECTED)
            below[split][rows] = _balance(hashes[rows], sizes[rows], border, min_count=min_count)
            count = int(below[split][rows].sum())
    _fill_empty_splits(below, hashes, test=rule.test > 0)
    membership = {"train": ~below["test"], "val": below["val"], "test": below["test"] & ~below["val"]}
    return {
        split: np.sort(np.concatenate([np.zeros(0, dtype=np.intp), *(members[row] for row in np.flatnonzero(mask))]))
        for split, mask in membership.items()
        if split != "test" or rule.test
    }


def group(file_names: Sequence[str], group_by: str | None) -> tuple[dict[str, NDArray[np.intp]], list[int]]:
    """Group the images by what the regular expression matches in the file name or, failing that, in the whole path.

    Returns:
        The numbers of each group's images, and of the images that the expression does not match or of which it matches
        no text: each of these forms a group of its own.
    """
    if group_by is None:
        return {name: np.array([row]) for row, name in enumerate(file_names)}, []
    expression = re.compile(group_by)
    groups: defaultdict[str, list[int]] = defaultdict(list)
    alone = []
    for row, name in enumerate(file_names):
        match = expression.search(posixpath.basename(name)) or expression.search(name)
        parts = [part or "" for part in (match.groups() or (match[0],))] if match else []
        if not any(parts):
            alone.append(row)
        groups["\0".join(parts) if any(parts) else f"\0\0{name}"].append(row)
    return {key: np.array(rows) for key, rows in groups.items()}, alone


def _hash(seed: int, name: str) -> float:
    """Hash the seed and the name to a number that is uniform in [0, 1)."""
    digest = hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:7], "big") / 2**56


def _strata(annotations: Annotations, members: Sequence[NDArray[np.intp]]) -> NDArray[np.int64]:
    """Return for each group that class among its boxes that the fewest images have; −1 for a group without boxes."""
    owners = np.repeat(np.arange(len(annotations)), np.diff(annotations.offsets))
    present = np.zeros((len(annotations), len(annotations.class_names)), dtype=np.bool_)
    present[owners, annotations.labels] = True
    frequency_rank = np.argsort(np.argsort(present.sum(axis=0), kind="stable"))
    rarest = []
    for rows in members:
        classes = np.flatnonzero(present[rows].any(axis=0))
        rarest.append(int(classes[np.argmin(frequency_rank[classes])]) if len(classes) else -1)
    return np.array(rarest, dtype=np.int64)


def _balance(
    hashes: NDArray[np.float64], sizes: NDArray[np.float64], border: float, *, min_count: int
) -> NDArray[np.bool_]:
    """Return a mask of the groups below the border, with groups near it added or removed until their number fits.

    The tolerance is one image, or the standard deviation of the number of images below the border if each group were
    drawn independently, whichever is larger. At least `min_count` groups stay below and at least one stays above.
    """
    order = np.argsort(hashes, kind="stable")
    target = border * sizes.sum()
    tolerance = max(1.0, float(np.sqrt(border * (1 - border) * (sizes**2).sum())))
    count = int((hashes < border).sum())
    images = np.concatenate(([0.0], np.cumsum(sizes[order])))  # number of images in the first n groups
    while images[count] > target + tolerance and abs(images[count - 1] - target) < abs(images[count] - target):
        count -= 1
    while images[count] < target - tolerance and abs(images[count + 1] - target) < abs(images[count] - target):
        count += 1
    count = max(min_count, min(count, len(hashes) - 1)) if min_count < len(hashes) else count
    mask = np.zeros(len(hashes), dtype=np.bool_)
    mask[order[:count]] = True
    return mask


def _fill_empty_splits(below: dict[str, NDArray[np.bool_]], hashes: NDArray[np.float64], *, test: bool) -> None:
    """Give every split of a small dataset an image: the highest hash goes to train, the lowest to val."""
    order = np.argsort(hashes, kind="stable").tolist()
    if len(order) < 2 + test:
        return
    below["test"][order[-1]] = below["val"][order[-1]] = False
    below["test"][order[0]] = below["val"][order[0]] = True
    if test and not (below["test"] & ~below["val"]).any():
        middle = order[1:-1]
        moved = next((row for row in middle if not below["val"][row]), middle[-1])
        below["test"][moved], below["val"][moved] = True, False
