"""Parts of a network that compute the same faster: subclasses of a library's modules, which can take their place."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

Parts = Iterator[tuple[nn.Module, type[nn.Module]]]  # a part of a network, and the class that computes it faster

_SUBCLASSES: dict[tuple[type[nn.Module], type[nn.Module]], type[nn.Module]] = {}


def subclass(faster: type[nn.Module], original: type[nn.Module]) -> type[nn.Module]:
    """A module of the original's kind and name that computes as `faster` does; the same one each time.

    One that does so already is returned.
    """
    if issubclass(original, faster):
        return original
    if (faster, original) not in _SUBCLASSES:
        _SUBCLASSES[faster, original] = type(original.__name__, (faster, original), {})
    return _SUBCLASSES[faster, original]
