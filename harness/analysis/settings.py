"""What trials are set to, in words: what tells those of one architecture apart."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.suite.expand import TRIAL

if TYPE_CHECKING:
    from harness.store.results import TrialState
    from harness.suite.trial import Trial


def size(trial: Trial) -> str:
    """The shorter side and at most the longer, in pixels."""
    return f"{trial.architecture.image_size.min}/{trial.architecture.image_size.max}"


def weights(trial: Trial) -> str:
    """The word, or a file's name with the start of its hash."""
    choice = trial.architecture
    return f"{Path(choice.weights).name} {choice.weights_sha256[:8]}" if choice.weights_sha256 else choice.weights


def code(trial: Trial) -> str | None:
    """The start of the hash over the code of an architecture of the user's own; None for a built-in one."""
    own = trial.architecture.own
    return own.sha256[:8] if own else None


def settings(states: tuple[TrialState, ...]) -> dict[str, str]:
    """What tells apart trials of one architecture on one dataset: `lr 0.01, image_size.min 480`, often nothing."""
    own = {
        state.trial.trial_id: flat(
            {
                **TRIAL.dump_python(state.trial, mode="json")["hyperparameters"],
                "model": dict(state.trial.architecture.model),
                "image_size": size(state.trial),
                "weights": weights(state.trial),
                "code": code(state.trial),
                "protocol": asdict(state.trial.protocol),
                "data": state.trial.dataset.fingerprint[:8],
            }
        )
        for state in states
    }
    values: dict[tuple[str, str, str], set[str]] = {}
    for state in states:
        group = (state.trial.dataset.name, state.trial.architecture.name)
        for key, value in own[state.trial.trial_id].items():
            values.setdefault((*group, key), set()).add(json.dumps(value))
    return {
        state.trial.trial_id: ", ".join(
            f"{key} {short(value)}"
            for key, value in own[state.trial.trial_id].items()
            if len(values[state.trial.dataset.name, state.trial.architecture.name, key]) > 1
        )
        for state in states
    }


def flat(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings as one level: `image_size.min`."""
    found: dict[str, Any] = {}
    for key, value in content.items():
        found.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return found


def short(value: object) -> str:
    """A setting as a person writes it."""
    return f"{value:g}" if isinstance(value, float) else str(value)
