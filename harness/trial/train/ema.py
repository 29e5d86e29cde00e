"""The exponential moving average of the weights: what is validated, kept and deployed with `ema`.

Training goes on with the weights as the optimizer leaves them. Owns the average; `harness.trial.train.step` says when
it is updated, and `harness.trial.train.loop` when it takes the weights' place.
"""

from __future__ import annotations

import contextlib
import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from harness.trial.train.resume import State

_WARMUP_UPDATES = 2000


class WeightAverage:
    """The average of a module's weights over its training steps, on the module's device.

    Averaged are the parameters that train and the buffers of a floating-point type, running statistics of BatchNorm
    among them: statistics of the last weights would not fit averaged ones, and the sources below average them too.
    What does not train is left alone, and so are counters: they are those of training.

    After update t the average has moved by 1 − d(t) of the way to the weights, d(t) = decay · (1 − exp(−t / 2000)), so
    that it follows them closely at first: as YOLOX (Ge et al. 2021, arXiv:2107.08430) and RT-DETR (Zhao et al. 2024,
    arXiv:2304.08069) have it in their code.

    Args:
        module: the network; it and its tensors stay the same objects.
        decay: of a long training, below 1.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay, self._updates = decay, 0
        named: dict[str, Any] = module.state_dict(keep_vars=True)
        unique = {id(tensor): name for name, tensor in reversed(named.items())}  # of shared weights, the first name
        self._live = {name: tensor for name, tensor in named.items() if unique[id(tensor)] == name and _moves(tensor)}
        self._mean = {name: tensor.detach().clone() for name, tensor in self._live.items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take in the weights after a step; does not wait for the device."""
        self._updates += 1
        decay = self._decay * (1 - math.exp(-self._updates / _WARMUP_UPDATES))
        torch._foreach_lerp_(list(self._mean.values()), list(self._live.values()), 1 - decay)

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the context the module has the averaged weights; afterwards its own again, to the bit."""
        self.swap()
        try:
            yield
        finally:
            self.swap()

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the module's weights and the average."""
        for name, live in self._live.items():
            kept = live.detach().clone()
            live.copy_(self._mean[name])
            self._mean[name] = kept

    def state(self) -> State:
        """What the next update depends on, beside the weights."""
        return {"updates": self._updates, "mean": dict(self._mean)}

    def restore(self, state: State) -> None:
        """Continue from what `state` returned."""
        missing = set(self._mean) ^ set(state["mean"])
        if missing:
            raise KeyError(min(missing))
        self._updates = state["updates"]
        for name, mean in self._mean.items():
            mean.copy_(state["mean"][name])


def _moves(tensor: Tensor) -> bool:
    """Whether a tensor of a state dict changes in training and has an average."""
    return tensor.requires_grad if isinstance(tensor, nn.Parameter) else tensor.is_floating_point()
