"""Checks of keeping: weights come back from their file as they were, and begin a training with other classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.errors import UnsupportedVariant, WeightsError
from harness.trial.battery.detecting import MAX_DETECTIONS, SEEN, detections_of
from harness.trial.battery.subject import CheckFailedError
from harness.trial.models import checkpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from harness.trial.battery.subject import Session


def comes_back(session: Session) -> str:
    """Saved and loaded, the detector has the same weights, the same frozen parts and the same detections."""
    subject, detector = session.subject, session.checked()
    path = subject.folder / "weights.pt"
    checkpoint.save(path, detector, subject.architecture, subject.class_names)
    session.facts["weights"] = path
    loaded, names = checkpoint.load_detector(path, subject.row)
    loaded.module.to(subject.device)
    if names != subject.class_names:
        raise CheckFailedError("the names of the classes come back otherwise")
    if checkpoint.state_sha256(loaded.module) != checkpoint.state_sha256(detector.module):
        raise CheckFailedError("the weights come back otherwise than they were saved")
    frozen = [[p.requires_grad for p in one.module.parameters()] for one in (detector, loaded)]
    if frozen[0] != frozen[1]:
        raise CheckFailedError("other parameters are frozen than before: `structure` must say which")
    images = subject.images(SEEN)
    found = []
    for one in (detector, loaded):
        one.set_postprocessing(score_threshold=0.0, detections=MAX_DETECTIONS)
        found.append([detections_of(session, one, [image])[0] for image in images])
    if not all(_equal(*pair) for pair in zip(*found, strict=True)):
        if subject.device.type != "cpu":
            raise UnsupportedVariant("on this device the same weights detect with other bits")
        raise CheckFailedError(
            "the same weights detect something else once they are loaded: what else the network depends on must be a "
            "buffer of it, or (of a family) in `structure`; built without weights, it may have other norms"
        )
    return f"identical detections in {SEEN} images"


def begins_with_other_classes(session: Session) -> str:
    """A file of weights begins a training: with as many classes its head is kept, with others replaced."""
    subject = session.subject
    path = session.facts.get("weights")
    if path is None:
        raise CheckFailedError("there is no file of weights to begin with")
    heads = []
    for classes in (subject.classes, subject.classes + 2):
        try:
            detector, head = subject.build(5, classes=classes, weights=str(path))
        except WeightsError as error:
            raise UnsupportedVariant(f"weights: FILE with {classes} classes: {error}") from None
        heads.append(head)
    wrong = [head for head, expected in zip(heads, ("kept", "replaced"), strict=True) if head != expected]
    if wrong:
        raise CheckFailedError(f"the class heads are {' and '.join(heads)}, expected kept and replaced")
    detector.set_postprocessing(score_threshold=0.0, detections=MAX_DETECTIONS)
    for found in detections_of(session, detector, subject.images(1)):
        if len(found["labels"]) and int(found["labels"].max()) > subject.classes + 2:
            raise CheckFailedError(f"{subject.classes + 2} classes, and a label {int(found['labels'].max())}")
    return f"kept for {subject.classes} classes, replaced for {subject.classes + 2}"


def _equal(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    return all(torch.equal(first[key], second[key]) for key in ("boxes", "scores", "labels"))
