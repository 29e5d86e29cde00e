"""How stored JSON documents of older versions become what this version reads, and which versions it knows.

    1   version 0.1: records without variants, phases, thresholds or energy; the plan a bare list of trials
    2   version 0.2: the names before the words of the field (`flags`, `sd`, `limit`, `rehearsal`, …)
    3   the present one

A stored file is never rewritten: it is migrated in memory, before it is validated. Each step is a pure function from
one version's document to the next one's; what is not shaped as expected passes unchanged, for the validation to refuse.
Until version 2 only records said their version; the other documents without one are taken for version 2, which reads
version 1's too. Owns renamed keys and values alone; what a document means is decided by `record`, `job` and `results`,
file names by `paths`, columns by `tables`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter

SCHEMA_VERSION = 3

T = TypeVar("T")
Kind = Literal["record", "plan", "job", "outcome", "preflight", "variant", "race", "block"]
Document = dict[str, Any]
_Change = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredKind(Generic[T]):
    """A kind of stored document: its name, which selects its migrations, and the type that it is read into."""

    name: Kind
    adapter: TypeAdapter[T]


class NewerVersionError(ValueError):
    """A document was written by a newer version of this program; `version` is the one that it names."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"was written with schema version {version}, but this version of harness reads up to {SCHEMA_VERSION}"
        )
        self.version = version


def migrate(kind: Kind, document: Any) -> Document:
    """The document as the present version writes it, `schema_version` included.

    Raises:
        NewerVersionError: a newer version of the program wrote it.
        TypeError: it is no document of any version.
    """
    if isinstance(document, list) and kind == "plan":  # as version 0.1 wrote it
        document = {"suite_file": None, "trials": document}
    if not isinstance(document, dict):
        raise TypeError(f"expected a JSON object, got {type(document).__name__}")
    version = document.get("schema_version", 2)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise TypeError(f"schema_version: expected a positive integer, got {version!r}")
    if version > SCHEMA_VERSION:
        raise NewerVersionError(version)
    if version < SCHEMA_VERSION:
        document = _FROM_2[kind](document)
    return {"schema_version": SCHEMA_VERSION} | {
        key: value for key, value in document.items() if key != "schema_version"
    }


def _unchanged(document: Any) -> Any:
    return document


def _trial(trial: Any) -> Any:
    return _changed(_renamed(trial, {"limit": "max_images"}), dataset=lambda dataset: _changed(dataset, source=_source))


def _source(source: Any) -> Any:
    if isinstance(source, dict) and source.get("format") == "synthetic":
        return _renamed(source, {"most_objects": "max_objects"})
    return source


def _distribution(distribution: Any) -> Any:
    return _renamed(distribution, {"sd": "std"})


def _measurements(measurements: Any) -> Any:
    """Of a trial and of a variant alike."""
    return _changed(
        _renamed(measurements, {"data_wait_share": "data_wait_fraction"}),
        latency_s=_distribution,
        phases_s=lambda phases: _each_value(phases, _distribution),
        latency_by_threshold=lambda rows: _each(rows, lambda row: _changed(row, latency_s=_distribution)),
    )


def _warning(warning: Any) -> Any:
    return _changed(warning, name=lambda name: "subset" if name == "rehearsal" else name)


def _outcome(outcome: Any) -> Any:
    return _changed(outcome, outcome=lambda name: "preflight_passed" if name == "rehearsed" else name)


def _variant(variant: Any) -> Any:
    renamed = _renamed(variant, {"flags": "warnings"})
    return _changed(renamed, measurements=_measurements, warnings=lambda rows: _each(rows, _warning))


def _split(statistics: Any) -> Any:
    def spread(values: Any) -> Any:
        return _renamed(values, {"least": "min", "most": "max"})

    return _changed(statistics, boxes_per_image=spread, image_width=spread, image_height=spread)


def _record(record: Any) -> Any:
    return _changed(
        _renamed(record, {"flags": "warnings"}),
        trial=_trial,
        measurements=_measurements,
        warnings=lambda rows: _each(rows, _warning),
        variants=lambda rows: _each(rows, _variant),
        attempts=lambda rows: _each(rows, _outcome),
        data=lambda data: _changed(data, splits=lambda splits: _each_value(splits, _split)),
    )


def _plan(plan: Any) -> Any:
    return _changed(plan, trials=lambda trials: _each(trials, _trial))


def _job(job: Any) -> Any:
    return _changed(_renamed(job, {"rehearsal": "preflight"}), trial=_trial)


# From version 1 to 2 fields were added and none renamed: what is missing is read as not measured, and needs no step.
_FROM_2: Mapping[Kind, _Change] = {
    "record": _record,
    "plan": _plan,
    "job": _job,
    "outcome": _outcome,
    "preflight": _unchanged,
    "variant": _variant,
    "race": _unchanged,  # newer than version 2
    "block": _unchanged,
}


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """A mapping with these keys renamed; anything else as it is."""
    return {names.get(key, key): inner for key, inner in value.items()} if isinstance(value, dict) else value


def _changed(value: Any, **changes: _Change) -> Any:
    """A mapping whose values under these keys have been changed; anything else as it is."""
    if not isinstance(value, dict):
        return value
    return {key: changes[key](inner) if key in changes else inner for key, inner in value.items()}


def _each(values: Any, change: _Change) -> Any:
    """A list with each item changed; anything else as it is."""
    return [change(value) for value in values] if isinstance(values, list) else values


def _each_value(values: Any, change: _Change) -> Any:
    """A mapping with each value changed; anything else as it is."""
    return {key: change(value) for key, value in values.items()} if isinstance(values, dict) else values
