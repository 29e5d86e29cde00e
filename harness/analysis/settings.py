"""The settings of trials in words, and which of them distinguish the trials of one architecture."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.suite.expand import TRIAL
from harness.suite.validators import WEIGHTS_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.suite.trial import Trial


def image_size(trial: Trial) -> str:
    """Return the shorter side and the maximum of the longer side, in pixels: `800/1333`."""
    return f"{trial.architecture.image_size.min}/{trial.architecture.image_size.max}"


def weights_name(trial: Trial) -> str:
    """Return the suite's word for the weights (`default`, …), or a file's name with the start of its hash."""
    choice = trial.architecture
    return f"{Path(choice.weights).name} {choice.weights_sha256[:8]}" if choice.weights_sha256 else choice.weights


def model_options(trial: Trial) -> dict[str, Any]:
    """Return the options of the architecture; of a backbone in a folder its name, for the weights tell its content."""
    choice = trial.architecture
    of_folder = choice.weights_sha256 is not None and choice.weights in WEIGHTS_WORDS
    return {**choice.model, **({"backbone": Path(str(choice.model["backbone"])).name} if of_folder else {})}


def code_hash(trial: Trial) -> str | None:
    """Return the start of the hash over the code of a user's own architecture; None for a built-in one."""
    own = trial.architecture.own
    return own.sha256[:8] if own else None


def distinguishing_settings(trials: Iterable[Trial]) -> dict[str, str]:
    """Return, by trial id, the settings in which trials of one architecture on one dataset differ.

    The text reads `lr 0.01, image_size.min 480`; it is empty if all trials of the architecture have equal settings. A
    setting that only some of them have, such as an option of the model, is one in which they differ. What a search
    tuned is no setting: it follows from the others.
    """
    groups: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for trial in trials:
        group = groups.setdefault((trial.dataset.name, trial.architecture.name), {})
        tuned = trial.tuned.values if trial.tuned is not None else ()
        every = _settings(trial)
        group[trial.trial_id] = {key: value for key, value in every.items() if key.partition(".")[0] not in tuned}
    texts = {}
    for group in groups.values():
        keys = dict.fromkeys(key for settings in group.values() for key in settings)
        differing = [key for key in keys if len({json.dumps(settings.get(key)) for settings in group.values()}) > 1]
        if "budget" in differing:  # these follow from it
            differing = [key for key in differing if key not in ("epochs", "milestones")]
        for trial_id, settings in group.items():
            texts[trial_id] = settings_text({key: settings[key] for key in differing if key in settings})
    return texts


def settings_text(settings: Mapping[str, Any]) -> str:
    """Return settings as `lr 0.01, image_size.min 480`."""
    return ", ".join(f"{key} {format_setting(value)}" for key, value in settings.items())


def _settings(trial: Trial) -> dict[str, Any]:
    budget = trial.hyperparameters.budget
    return flatten(
        {
            **TRIAL.dump_python(trial, mode="json")["hyperparameters"],
            "budget": budget.words() if budget is not None else None,
            "model": model_options(trial),
            "image_size": image_size(trial),
            "weights": weights_name(trial),
            "code": code_hash(trial),
            "protocol": asdict(trial.protocol),
            "data": trial.dataset.fingerprint[:8],
        }
    )


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
