"""A trial: one immutable cell of a suite, with everything that can change a result."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass

from harness.suite.catalog.architecture import Value  # noqa: TC001 - pydantic reads the annotations
from harness.suite.catalog.registry import OwnArchitecture  # noqa: TC001 - pydantic reads the annotations
from harness.suite.schema import Dataset, Hyperparameters, ImageSize, Protocol  # noqa: TC001 - pydantic reads the annotations
from harness.suite.search import SearchStep, Tuned  # noqa: TC001 - pydantic reads the annotations


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialDataset:
    """A trial's dataset; `fingerprint` is a sha256 of its labels and image files that does not depend on folders."""

    name: str
    fingerprint: str
    source: Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialArchitecture:
    """An architecture as a trial builds it.

    Attributes:
        name: the name of its row in the catalogue.
        weights: `default`, `backbone`, `none`, or a file or folder.
        weights_sha256: of the user's own weights (`harness.suite.weights`), if they are such; or of the folder that
            the option `backbone` names.
        image_size: the detector's resize.
        model: the architecture's options.
        own: where the row comes from, if it is the user's own.
    """

    name: str
    weights: str
    weights_sha256: str | None
    image_size: ImageSize
    model: Mapping[str, Value]
    own: OwnArchitecture | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One immutable cell of a suite: everything that can change a result, with all defaults filled in.

    `trial_id` is a readable slug and a hash of all other fields except the suite's name and the folders of files.
    `max_images` is the number of images of each split that a subset trial uses, or None for all. `search` is there in
    the trials of a search for hyperparameters, `tuned` in those that run with what it found.
    """

    trial_id: str
    suite: str
    dataset: TrialDataset
    architecture: TrialArchitecture
    hyperparameters: Hyperparameters
    seed: int
    protocol: Protocol
    max_images: int | None
    search: SearchStep | None = None
    tuned: Tuned | None = None
