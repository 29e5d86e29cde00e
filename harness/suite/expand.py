"""From a suite to its trials: the product of datasets, settings and seeds, each with its id.

Owns the order (one seed of everything first, so that a night cut short still compares all) and the identity of a trial.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from harness.errors import SuiteError
from harness.suite.identity import with_first_names
from harness.suite.trial import Trial, TrialDataset

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.suite.load import Setting, Suite

TRIAL = TypeAdapter(Trial)
_HASH_DIGITS = 8
_READABLE = 150  # characters: a folder's name ends at 255 bytes
# Keys of the protocol that came later: unset they leave no trace, so that older trials keep their ids.
_LATER: dict[str, Any] = {"variants": []}


def plan_trials(suite: Suite, fingerprints: Mapping[str, str], *, max_images: int | None) -> tuple[Trial, ...]:
    """Every trial of the suite, in the order they are to run.

    Args:
        fingerprints: of each dataset, by name.
        limit: a rehearsal's number of images of each split; part of a trial's identity.

    Raises:
        SuiteError: two trials are the same.
    """
    trials = tuple(
        _trial(suite, TrialDataset(name=name, fingerprint=fingerprints[name], source=source), setting, seed, max_images)
        for seed in suite.seeds
        for name, source in suite.datasets
        for setting in suite.settings
    )
    twice = [trial_id for trial_id, count in Counter(trial.trial_id for trial in trials).items() if count > 1]
    if twice:
        raise SuiteError(
            (
                f"{suite.path}: the same trial is asked for more than once: {', '.join(twice)}; "
                "remove the repeated architecture or sweep value",
            )
        )
    return trials


def configuration(trial: Trial) -> str:
    """What trials that differ in nothing but the seed have in common, as text."""
    content = _identity(trial)
    del content["seed"]
    return json.dumps(content, sort_keys=True)


def _identity(trial: Trial) -> dict[str, Any]:
    """All of a trial that can change a number."""
    content = with_first_names(TRIAL.dump_python(trial, mode="json"))
    del content["trial_id"], content["suite"], content["dataset"]["source"]
    for key, unset in _LATER.items():
        if content["protocol"][key] == unset:
            del content["protocol"][key]
    if content["architecture"]["own"] is None:  # it came later than many trials
        del content["architecture"]["own"]
    else:
        del content["architecture"]["own"]["path"]  # the name and the digest tell it from others
    return content


def _trial(suite: Suite, dataset: TrialDataset, setting: Setting, seed: int, max_images: int | None) -> Trial:
    unnamed = Trial(
        trial_id="",
        suite=suite.name,
        dataset=dataset,
        architecture=setting.architecture,
        hyperparameters=setting.hyperparameters,
        seed=seed,
        protocol=suite.protocol,
        max_images=max_images,
    )
    content = _identity(unnamed)
    if setting.architecture.weights_sha256:
        del content["architecture"]["weights"]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_HASH_DIGITS]
    swept = [f"{key}{_short(value)}" for key, value in setting.swept]
    subset = [f"limit{max_images}"] if max_images else []
    readable = "-".join((dataset.name, setting.architecture.name, *swept))[:_READABLE]
    slug = "-".join((readable, *subset, f"s{seed}", digest))
    return replace(unnamed, trial_id=slug)


def _short(value: object) -> str:
    text = json.dumps(value)
    return "".join(character if character.isalnum() or character in "._" else "_" for character in text).strip("_")
