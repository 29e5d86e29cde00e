"""Let a detector's faster parts take the place of the library's while it trains, and put those back.

In training alone: what is evaluated, measured, saved and exported is the library's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import nn

    from harness.trial.models.base import Detector


class Speedups:
    """The speed-ups of one detector, on its device.

    Args:
        wanted: `speedups` of the hyperparameters.
    """

    def __init__(self, detector: Detector, wanted: Literal["auto", "none"] | tuple[str, ...]) -> None:
        self._detector, self._wanted = detector, wanted
        self._replaced: list[tuple[nn.Module, type[nn.Module], set[str]]] = []

    @property
    def names(self) -> tuple[str, ...]:
        """Those that are wanted and that the network has parts for."""
        return tuple(self._parts())

    def put_in(self) -> None:
        """Let the network's parts compute the faster way, with the values that they have now."""
        self.take_out()
        for parts in self._parts().values():
            for part, faster in parts:
                self._replaced.append((part, type(part), set(vars(part))))
                part.__class__ = faster

    def take_out(self) -> None:
        """Let every part be the library's own again."""
        for part, original, attributes in self._replaced:
            part.__class__ = original
            for name in vars(part).keys() - attributes:  # what the faster class kept from pass to pass
                del part.__dict__[name]
        self._replaced = []

    def _parts(self) -> dict[str, list[tuple[nn.Module, type[nn.Module]]]]:
        found = {name: list(parts) for name, parts in self._detector.faster_parts().items()}
        wanted = found if self._wanted == "auto" else () if self._wanted == "none" else self._wanted
        return {name: parts for name, parts in found.items() if parts and name in wanted}
