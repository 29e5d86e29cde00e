"""One immutable cell of a suite: everything that can change a number."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass

from harness.suite.catalog.registry import OwnArchitecture  # noqa: TC001 - pydantic reads the annotations
from harness.suite.schema import Dataset, Hyperparameters, ImageSize, Protocol  # noqa: TC001 - pydantic reads the annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDataset:
    """A dataset as a trial names it: `fingerprint` is a sha256 over its labels and image files, wherever they lie."""

    name: str
    fingerprint: str
    source: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialArchitecture:
    """An architecture as a trial builds it.

    Attributes:
        name: the name of its row.
        weights_sha256: set where `weights` is a file.
        own: where the row comes from, unless it comes with the harness.
    """

    name: str
    weights: str
    weights_sha256: str | None
    image_size: ImageSize
    model: Mapping[str, int]
    own: OwnArchitecture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One immutable cell of a suite: everything that can change a number, and nothing left to a default.

    `trial_id` is a readable slug and a hash over all of the rest but the suite's name and where files lie. `limit` is
    the rehearsal's number of images of each split, or None.
    """

    trial_id: str
    suite: str
    dataset: TrialDataset
    architecture: TrialArchitecture
    hyperparameters: Hyperparameters
    seed: int
    protocol: Protocol
    max_images: int | None
