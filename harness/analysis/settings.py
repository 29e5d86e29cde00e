"""The settings of trials in words, and which of them distinguish the trials of one architecture."""

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


def image_size(trial: Trial) -> str:
    """Return the shorter side and the maximum of the longer side, in pixels: `800/1333`."""
    return f"{trial.architecture.image_size.min}/{trial.architecture.image_size.max}"


def weights_name(trial: Trial) -> str:
    """Return the suite's word for the weights (`default`, …), or a file's name with the start of its hash."""
    choice = trial.architecture
    return f"{Path(choice.weights).name} {choice.weights_sha256[:8]}" if choice.weights_sha256 else choice.weights


def code_hash(trial: Trial) -> str | None:
    """Return the start of the hash over the code of a user's own architecture; None for a built-in one."""
    own = trial.architecture.own
    return own.sha256[:8] if own else None


def distinguishing_settings(states: tuple[TrialState, ...]) -> dict[str, str]:
    """Return, by trial id, the settings in which trials of one architecture on one dataset differ.

    The text reads `lr 0.01, image_size.min 480`; it is empty if all trials of the architecture have equal settings.
    """
    settings = {
        state.trial.trial_id: flatten(
            {
                **TRIAL.dump_python(state.trial, mode="json")["hyperparameters"],
                "model": dict(state.trial.architecture.model),
                "image_size": image_size(state.trial),
                "weights": weights_name(state.trial),
                "code": code_hash(state.trial),
                "protocol": asdict(state.trial.protocol),
                "data": state.trial.dataset.fingerprint[:8],
            }
        )
        for state in states
    }
    values: dict[tuple[str, str, str], set[str]] = {}
    for state in states:
        group = (state.trial.dataset.name, state.trial.architecture.name)
        for key, value in settings[state.trial.trial_id].items():
            values.setdefault((*group, key), set()).add(json.dumps(value))
    return {
        state.trial.trial_id: ", ".join(
            f"{key} {format_setting(value)}"
            for key, value in settings[state.trial.trial_id].items()
            if len(values[state.trial.dataset.name, state.trial.architecture.name, key]) > 1
        )
        for state in states
    }


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested settings into one level with keys such as `image_size.min`."""
    flattened: dict[str, Any] = {}
    for key, value in content.items():
        nested = isinstance(value, Mapping)
        flattened.update(flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": value})
    return flattened


def format_setting(value: object) -> str:
    """Format a setting as a person writes it: 0.01 instead of 0.010000000000000002."""
    return f"{value:g}" if isinstance(value, float) else str(value)
