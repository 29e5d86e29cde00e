"""A labelled image for tests: a white object in its box, and a crowd region."""

from __future__ import annotations

import torch

from harness.trial.inputs.item import Item


def marked() -> Item:
    """A black image with one white object, and its box; a crowd beside it."""
    image = torch.zeros(3, 60, 80)
    image[:, 20:40, 10:30] = 1.0
    return Item(
        name="x",
        image=image,
        boxes=torch.tensor([[10.0, 20.0, 30.0, 40.0], [50.0, 0.0, 70.0, 20.0]]),
        labels=torch.tensor([1, 1]),
        crowds=torch.tensor([False, True]),
        areas=torch.tensor([400.0, 400.0]),
    )
