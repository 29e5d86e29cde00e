"""Which numbers compare at all: they need equal data, split and protocol, and speeds an equal environment as well.

The page, `recommend` and `compare` all ask here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from harness.analysis import environments
from harness.analysis.frame import result_of_variant
from harness.formatting import counted

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

    import pandas as pd

    from harness.store.results import TrialState
    from harness.suite.trial import Trial

Kind = Literal["accuracy", "latency", "throughput", "memory", "training"]
# The fields of the protocol that each kind of number depends on.
_PROTOCOL: dict[Kind, tuple[str, ...]] = {
    "accuracy": ("score_threshold", "detections"),
    "latency": (
        "level", "rounds", "warmup", "latency_images", "latency_s", "deployment_score_threshold", "detections", "tf32",
    ),
    "throughput": ("level", "rounds", "throughput_s", "deployment_score_threshold", "detections", "tf32"),
    "memory": ("deployment_score_threshold", "detections", "tf32"),
    "training": ("tf32",),
}  # fmt: skip


def different(measured: Sequence[tuple[TrialState, str]], kind: Kind) -> tuple[str, ...]:
    """Return the reasons why numbers of this kind do not compare, such as `different data: split val / test`.

    Args:
        measured: the measured trials, each with the variant whose number is meant.
        kind: what kind of number it is.
    """
    if not measured:
        return ()
    data = [_data(state, variant) for state, variant in measured]
    reasons = [f"different data: {' / '.join(values)}" for values in _distinct(data) if len(values) > 1]
    protocols = [_protocol(state.trial, kind) for state, _ in measured]
    reasons += [
        f"different protocol: {name} {' / '.join(values)}"
        for name, values in zip(_PROTOCOL[kind], _distinct(protocols), strict=True)
        if len(values) > 1
    ]
    if kind != "accuracy":
        used = [state.record.environment for state, _ in measured if state.record]
        reasons += [f"different environment: {text}" for text in environments.differences(used)]
    return tuple(reasons)


def conditions(groups: Sequence[Sequence[tuple[TrialState, str]]], number: int) -> str:
    """Say what distinguishes one group of measured trials from the others, such as `split val, score_threshold 0.3`.

    Empty if there is one group; its number if nothing is measured in one of them.
    """
    if len(groups) < 2:  # noqa: PLR2004 - nothing to be distinguished from
        return ""
    everything = [one for group in groups for one in group]
    texts = []
    for values, own in zip(_distinct(_described(everything)), _distinct(_described(groups[number])), strict=False):
        texts += [" / ".join(own)] if len(values) > 1 else []
    return ", ".join(texts) or f"table {number + 1}"


def _described(measured: Sequence[tuple[TrialState, str]]) -> list[tuple[str, ...]]:
    names = _PROTOCOL["accuracy"]
    return [
        (
            *_data(state, variant),
            *(f"{name} {value}" for name, value in zip(names, _protocol(state.trial, "accuracy"), strict=True)),
        )
        for state, variant in measured
    ]


def groups(rows: pd.DataFrame, states: Mapping[str, TrialState], kind: Kind) -> tuple[tuple[Hashable, ...], ...]:
    """Return the rows whose numbers of this kind compare with each other, as tuples of their indices in order.

    A row that is not measured, or only on a subset of the images, joins the group of its configuration's other rows,
    else the first one of its dataset's labels and its protocol.

    Args:
        rows: rows of `frame.configuration_frame`.
        states: the trials by their id.
        kind: what kind of number it is.
    """
    found: list[tuple[list[Hashable], list[tuple[TrialState, str]]]] = []
    known = rows["map"].notna() & ~rows["subset"]
    for index, row in rows[known].iterrows():
        measured = [(states[trial_id], row["variant"]) for trial_id in row["trial_ids"]]
        for indices, first in found:
            if not different([*first, *measured], kind):
                indices.append(index)
                break
        else:
            found.append(([index], measured))
    by_configuration = {rows.loc[index, "configuration"]: indices for indices, _ in found for index in indices}
    for index, row in rows[~known].iterrows():
        asked = _asked(row, states, kind)
        matching = (indices for indices, first in found if first and asked == _asked_of(first[0][0].trial, kind))
        home = by_configuration.get(row["configuration"]) or next(matching, None)
        if home is not None:
            home.append(index)
        else:
            found.append(([index], [(states[row["all_trial_ids"][0]], row["variant"])]))
    places = {index: place for place, index in enumerate(rows.index)}
    return tuple(tuple(sorted(indices, key=places.__getitem__)) for indices, _ in found)


def mixed(rows: pd.DataFrame, states: Mapping[str, TrialState], kind: Kind) -> frozenset[Hashable]:
    """Return the rows whose own seeds do not compare in numbers of this kind, so that their mean is nobody's number."""
    seeds = zip(rows.index, rows["trial_ids"], rows["variant"], rows["subset"], strict=True)
    return frozenset(
        index
        for index, trial_ids, variant, subset in seeds
        if not subset and different([(states[trial_id], variant) for trial_id in trial_ids], kind)
    )


def _asked(row: pd.Series, states: Mapping[str, TrialState], kind: Kind) -> tuple[str, ...]:
    return _asked_of(states[row["all_trial_ids"][0]].trial, kind)


def _asked_of(trial: Trial, kind: Kind) -> tuple[str, ...]:
    """Return what is known of a trial's conditions before it is measured."""
    return (trial.dataset.fingerprint, *_protocol(trial, kind))


def _data(state: TrialState, variant: str) -> tuple[str, ...]:
    result = result_of_variant(state.record, variant)
    assert result is not None
    assert result.metrics is not None
    images = counted(result.metrics.images, "image")
    return f"fingerprint {state.trial.dataset.fingerprint[:8]}", f"split {result.metrics.split}", images


def _protocol(trial: Trial, kind: Kind) -> tuple[str, ...]:
    return tuple(str(getattr(trial.protocol, name)) for name in _PROTOCOL[kind])


def _distinct(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return the distinct values of each column, in order."""
    return [tuple(dict.fromkeys(column)) for column in zip(*rows, strict=True)]
