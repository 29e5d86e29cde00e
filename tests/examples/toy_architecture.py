"""The row of a toy detector, as a user would write one. It leaves torch to its family, so that reading it is quick."""

from __future__ import annotations

from harness.suite.catalog.architecture import Architecture, Option, Recipe

TOY = Architecture(
    name="toy",
    family="toy_family.py",
    backbone="three convolutions",
    stages=1,
    parameters=25_000,
    recipe=Recipe(lr=0.05, batch_size=4, epochs=20, milestones=(15,)),
    options=(Option(name="channels", maximum=256),),
)
