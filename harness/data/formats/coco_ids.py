"""The ids of a COCO file: their numbers, where each one stands among others, and which occur before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_ID = 2**62
NO_ID = -(2**63)
LooseId = int | float | str
_MAX_DIGITS = 30
_WHOLE = re.compile(r"([+-]?[0-9]+)(?:\.0*)?")
_DENSE = 20  # ids are dense if their range is at most so many times their number


class Ids:
    """Gives ids their numbers: their own if they are whole (1, "1" and 1.0 are one id), otherwise made-up ones."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def number(self, value: LooseId) -> int:
        """Return the number of an id."""
        if type(value) is int and -MAX_ID <= value <= MAX_ID:
            return value
        text = str(value).strip()
        whole = _WHOLE.fullmatch(text)
        if whole and len(text) <= _MAX_DIGITS and abs(int(whole[1])) <= MAX_ID:
            return int(whole[1])
        return self._numbers.setdefault(text, NO_ID + 1 + len(self._numbers))

    def texts(self) -> dict[int, str]:
        """Return the text of each made-up number."""
        return {number: text for text, number in self._numbers.items()}


def positions_of(wanted_ids: NDArray[np.int64], ids: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the position of each wanted id in `ids`, and whether it is there."""
    if not len(ids) or not len(wanted_ids):
        return np.zeros(len(wanted_ids), dtype=np.int64), np.zeros(len(wanted_ids), dtype=np.bool_)
    lowest, highest = int(ids.min()), int(ids.max())
    if highest - lowest < _DENSE * (len(ids) + 1000):  # a lookup table, if the ids are close together
        table = np.full(highest - lowest + 1, -1, dtype=np.int64)
        table[ids - lowest] = np.arange(len(ids))
        positions = table[np.clip(wanted_ids, lowest, highest) - lowest]
    else:
        order = np.argsort(ids, kind="stable")
        positions = order[np.minimum(np.searchsorted(ids[order], wanted_ids), len(ids) - 1)]
    return positions, ids[positions] == wanted_ids


def is_repeated(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return True for each value that occurs earlier in the array."""
    if (values[1:] > values[:-1]).all():
        return np.zeros(len(values), dtype=np.bool_)
    repeated = np.ones(len(values), dtype=np.bool_)
    repeated[np.unique(values, return_index=True)[1]] = False
    return repeated
