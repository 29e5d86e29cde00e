"""The names under which a trial's and a dataset's fields are hashed.

A trial's id and a dataset's fingerprint are hashes over JSON, so the names of the keys are part of them. A field that
is renamed keeps its first name in the hash, so that existing suites keep their ids and their results. Owns only these
names; `harness.suite.expand` and `harness.data.open` decide what is hashed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_NAMES = {
    "max_images": "limit",  # of a trial; `limit` until version 0.2
    "max_objects": "most_objects",  # of a synthetic dataset; `most_objects` until version 0.2
}


def with_first_names(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content with renamed top-level keys under their first names, ready to be hashed."""
    return {_FIRST_NAMES.get(key, key): value for key, value in content.items()}
