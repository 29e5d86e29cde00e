"""Checks of variants: other ways to run the same weights, each a result with its reason where it cannot be done."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from harness.errors import UnsupportedVariant
from harness.trial.battery.detecting import MAX_DETECTIONS
from harness.trial.deploy import registry
from harness.trial.deploy.base import Weights

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.suite.schema import VariantName
    from harness.trial.battery.subject import Session

_THRESHOLD = 0.001  # that accuracy is measured at


def runs_as(variant: VariantName) -> Callable[[Session], str]:
    """The check that the weights run as a variant, and then detect the same."""
    return functools.partial(_runs, variant)


def _runs(variant: VariantName, session: Session) -> str:
    subject = session.subject
    path = session.facts.get("weights")
    if path is None:
        raise UnsupportedVariant("there is no file of weights to build it from")
    weights = Weights(
        checkpoint=path, row=subject.row, precision=subject.precision, tf32=False, device=subject.device, threads=1
    )
    deployment = registry.load(
        variant, weights, subject.images(2), score_threshold=_THRESHOLD, detections=MAX_DETECTIONS
    )
    return deployment.how
