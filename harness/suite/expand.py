"""Expand a suite into its trials: the product of datasets, settings and seeds, each with an id.

Owns the order of the trials (one seed of everything first, so that a run that stops early still compares all
architectures) and the identity of a trial.
"""

from __future__ import annotations

import functools
import hashlib
import json
import operator
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from harness.errors import SuiteError
from harness.suite.identity import with_first_names
from harness.suite.trial import Trial, TrialDataset
from harness.suite.validators import WEIGHTS_WORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from harness.suite.load import Setting, Suite

TRIAL = TypeAdapter(Trial)
_HASH_DIGITS = 8
_MAX_READABLE = 150  # characters of a slug's readable part; a folder's name has at most 255 bytes
# Newer keys with their defaults: the defaults are not hashed, so that older trials keep their ids.
_NEWER_KEYS: dict[tuple[str, ...], Any] = {
    ("protocol", "variants"): [],
    ("architecture", "own"): None,
    ("hyperparameters", "plateau_patience"): 2,
    ("hyperparameters", "early_stopping"): None,
    ("hyperparameters", "class_balance"): "none",
    ("hyperparameters", "repeat_threshold"): 0.001,
    ("hyperparameters", "recipe"): "published",
    ("hyperparameters", "budget"): None,
    ("hyperparameters", "norm_weight_decay"): None,
    ("hyperparameters", "backbone_lr_factor"): None,
    ("hyperparameters", "ema"): None,
    ("hyperparameters", "nesterov"): False,
    ("hyperparameters", "max_warmup_epochs"): None,
    ("hyperparameters", "trainable_layers"): None,
    ("hyperparameters", "batch_norm"): None,
    ("hyperparameters", "speedups"): "auto",
    ("hyperparameters", "group_by_orientation"): False,
    ("hyperparameters", "augmentation", "multiscale"): None,
    ("hyperparameters", "augmentation", "zoom_out"): 0.0,
    ("hyperparameters", "augmentation", "vflip"): 0.0,
    ("hyperparameters", "augmentation", "photometric"): 0.0,
    ("hyperparameters", "augmentation", "random_crop"): 0.0,
    ("search",): None,
    ("tuned",): None,
}


def plan_trials(suite: Suite, fingerprints: Mapping[str, str], *, max_images: int | None) -> tuple[Trial, ...]:
    """Return every trial of the suite, in the order in which they should run.

    Args:
        suite: the suite.
        fingerprints: the fingerprint of each dataset, by name.
        max_images: use only the first images of each split, at most so many; part of a trial's identity.

    Raises:
        SuiteError: two trials are the same.
    """
    trials = tuple(
        _trial(suite, TrialDataset(name=name, fingerprint=fingerprints[name], source=source), setting, seed, max_images)
        for seed in suite.seeds
        for name, source in suite.datasets
        for setting in suite.settings
    )
    repeated = [trial_id for trial_id, count in Counter(trial.trial_id for trial in trials).items() if count > 1]
    if repeated:
        raise SuiteError(
            (
                f"{suite.path}: the same trial occurs more than once: {', '.join(repeated)}; "
                "remove the repeated architecture or sweep value",
            )
        )
    return trials


def configuration_key(trial: Trial) -> str:
    """Return a text that is equal for trials that differ only in their seed."""
    content = _identity(trial)
    del content["seed"]
    return json.dumps(content, sort_keys=True)


def _identity(trial: Trial) -> dict[str, Any]:
    """Return everything about a trial that can change a result."""
    content = with_first_names(TRIAL.dump_python(trial, mode="json"))
    del content["trial_id"], content["suite"], content["dataset"]["source"]
    for (*parents, key), unset in _NEWER_KEYS.items():
        holder = functools.reduce(operator.getitem, parents, content)
        if holder[key] == unset:
            del holder[key]
    if "own" in content["architecture"]:
        del content["architecture"]["own"]["path"]  # the name and the digest identify it
    if "tuned" in content:  # how well it did says nothing about what is trained
        content["tuned"] = {key: content["tuned"][key] for key in ("chain", "values")}
    return content


def _trial(suite: Suite, dataset: TrialDataset, setting: Setting, seed: int, max_images: int | None) -> Trial:
    trial_without_id = Trial(
        trial_id="",
        suite=suite.name,
        dataset=dataset,
        architecture=setting.architecture,
        hyperparameters=setting.hyperparameters,
        seed=seed,
        protocol=suite.protocol,
        max_images=max_images,
    )
    return named(trial_without_id, setting.swept)


def named(trial: Trial, swept: Iterable[tuple[str, Any]], *, digest: str | None = None) -> Trial:
    """Return the trial with its id.

    Args:
        trial: everything but the id.
        swept: the names and values of the sweep's point, for the readable part.
        digest: what stands in the place of the hash.
    """
    slug = "-".join((*_readable(trial, swept), digest or _digest(trial)))
    return replace(trial, trial_id=slug)


def _readable(trial: Trial, swept: Iterable[tuple[str, Any]]) -> tuple[str, ...]:
    points = [f"{key}{_short(value)}" for key, value in swept]
    readable = "-".join((trial.dataset.name, trial.architecture.name, *points))[:_MAX_READABLE]
    marks = [f"limit{trial.max_images}"] if trial.max_images else []
    marks += [f"search{trial.search.number}"] if trial.search else []
    marks += ["tuned"] if trial.tuned else []
    return (readable, *marks, f"s{trial.seed}")


def _digest(trial: Trial) -> str:
    content = _identity(trial)
    if trial.architecture.weights_sha256:  # the content counts, not where it is
        holder, key = content["architecture"], "weights"
        if trial.architecture.weights in WEIGHTS_WORDS:
            holder, key = holder["model"], "backbone"
        del holder[key]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:_HASH_DIGITS]


def _short(value: object) -> str:
    text = json.dumps(value)
    return "".join(character if character.isalnum() or character in "._" else "_" for character in text).strip("_")
