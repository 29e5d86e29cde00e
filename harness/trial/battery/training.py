"""Checks of training: building, losses, gradients, batches without boxes and of one image, and equal bits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn

from harness.errors import UnsupportedVariant
from harness.formatting import counted
from harness.trial.battery.subject import CheckFailedError, on_device
from harness.trial.models import checkpoint
from harness.trial.precision import autocast
from harness.trial.train.resume import States

if TYPE_CHECKING:
    from harness.trial.battery.subject import Session
    from harness.trial.inputs.loader import Batch

_SHOWN = 4  # names of parameters in a message


def builds(session: Session) -> str:
    """A detector for the asked number of classes, whose network is a module in training mode."""
    session.detector, head = session.subject.build(0)
    module = session.detector.module
    if not isinstance(module, nn.Module):
        raise CheckFailedError(f"its `module` is a {type(module).__name__}, expected a torch.nn.Module")
    if not module.training:
        raise CheckFailedError("its network is in evaluation mode; the family's build returns it in training mode")
    return f"{type(module).__name__}, class head {head}"


def has_parameters(session: Session) -> str:
    """Something to train, all of it in the groups that the optimizer gets, and nothing twice."""
    detector = session.checked()
    total = sum(parameter.numel() for parameter in detector.module.parameters())
    trainable = {id(p): name for name, p in detector.module.named_parameters() if p.requires_grad}
    if not trainable:
        raise CheckFailedError("no parameter requires gradients, so there is nothing to train")
    groups = detector.parameter_groups(session.subject.hyperparameters)
    grouped = [id(parameter) for group in groups for parameter in group["params"]]
    if len(set(grouped)) < len(grouped):
        raise CheckFailedError("parameter_groups names a parameter twice")
    left_out = [name for key, name in trainable.items() if key not in set(grouped)]
    if left_out:
        raise CheckFailedError(f"parameter_groups leaves out {_named(left_out)}, which require gradients")
    count = sum(p.numel() for p in detector.module.parameters() if p.requires_grad)
    return f"{total:,}, {count:,} of them trained"


def losses_are_finite(session: Session) -> str:
    """Each part of the loss is one finite number, for images with and without boxes in one batch."""
    parts = _losses(session, session.subject.mixed())
    return ", ".join(f"{name} {float(value):.3g}" for name, value in parts.items())


def gradients_reach(session: Session) -> str:
    """The loss of a batch with boxes reaches every parameter that is trained, with finite gradients."""
    module = session.checked().module
    _backward(session, session.subject.mixed())
    trained = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    unreached = [name for name, parameter in trained.items() if parameter.grad is None]
    infinite = [name for name, p in trained.items() if p.grad is not None and not bool(torch.isfinite(p.grad).all())]
    module.zero_grad(set_to_none=True)
    if infinite:
        raise CheckFailedError(f"gradients are not finite: {_named(infinite)}")
    if unreached:
        raise CheckFailedError(
            f"no gradient reaches {counted(len(unreached), 'parameter')} of {len(trained)}: {_named(unreached)}; "
            "detached, or unused: freeze them (requires_grad_(False)) if that is meant"
        )
    return f"all {len(trained)} tensors"


def takes_images_without_boxes(session: Session) -> str:
    """A batch in which no image has a box gives a finite loss that can be followed backwards."""
    parts = _backward(session, session.subject.batch([0] * session.subject.smallest_batch))
    session.checked().module.zero_grad(set_to_none=True)
    return f"loss {sum(parts.values()):.3g}"


def takes_a_single_image(session: Session) -> str:
    """A batch of one image, as the last of an epoch may be."""
    least = session.subject.row.min_batch
    if least > 1:
        raise UnsupportedVariant(f"trains on at least {least} images at once, so smaller batches are refused")
    parts = _backward(session, session.subject.batch([2]))
    session.checked().module.zero_grad(set_to_none=True)
    return f"loss {sum(parts.values()):.3g}"


def is_reproducible(session: Session) -> str:
    """Two trainings from one seed have an equal loss and equal bits after a step.

    The loss is compared too, because the first step of Adam keeps only the signs of the gradients.
    """
    results = set()
    for _ in range(2):
        detector, _ = session.subject.build(0)
        torch.manual_seed(1)
        losses = session.subject.train_step(detector).step(session.subject.mixed(), "the first step") or {}
        results.add((tuple(losses.values()), checkpoint.state_sha256(detector.module)))
    if len(results) > 1:
        if session.subject.device.type != "cpu":
            raise UnsupportedVariant("equal seeds give other bits on this device")
        raise CheckFailedError(
            "the same seed gives another loss or other weights in one step: it draws from a generator that "
            "torch.manual_seed does not set, or depends on what ran before"
        )
    return "an equal loss, and equal bits after a step"


def resumes(session: Session) -> str:
    """A training that goes on from its checkpoint file, in a detector built anew, ends in the same bits."""
    subject, detector = session.subject, session.checked()
    states = States(folder=subject.folder / "states", trial_id="check")
    step = subject.train_step(detector)
    step.step(subject.mixed(1), "the first step")
    states.save(step.state(), steps=1)
    losses = step.step(subject.mixed(2), "the second step")
    expected = losses, checkpoint.state_sha256(detector.module)
    other, _ = subject.build(99)
    again = subject.train_step(other)
    state = states.newest()
    states.remove()
    if state is None:
        raise CheckFailedError("the checkpoint of the training does not read back")
    again.restore(state)
    losses = again.step(subject.mixed(2), "the second step, resumed")
    if (losses, checkpoint.state_sha256(other.module)) != expected:
        if subject.device.type != "cpu":
            raise UnsupportedVariant("on this device a resumed training has other bits")
        raise CheckFailedError(
            "a resumed training has another loss or other weights: something that training depends on is no "
            "parameter and no buffer of the network, nor (of a family) in `structure`"
        )
    return "equal bits, resumed after a step"


def _losses(session: Session, batch: Batch) -> dict[str, Tensor]:
    """The parts of the loss of a batch.

    Raises:
        CheckFailedError: it is not a mapping of finite numbers.
    """
    subject, detector = session.subject, session.checked()
    detector.module.train()
    images, targets = on_device(batch, subject.device)
    with autocast(subject.device, subject.precision):
        parts = detector.losses(images, targets)
    if not isinstance(cast("object", parts), Mapping) or not parts:
        raise CheckFailedError(f"losses gives a {type(parts).__name__}, expected a dict of the loss' parts by name")
    for name, value in parts.items():
        if not isinstance(cast("object", value), Tensor) or value.ndim:
            raise CheckFailedError(f"the loss {name} is not a tensor with one number")
        if not bool(torch.isfinite(value)):
            raise CheckFailedError(f"the loss {name} is {float(value)}")
    return dict(parts)


def _backward(session: Session, batch: Batch) -> dict[str, float]:
    """Run a batch forwards and backwards; returns the parts of the loss."""
    module = session.checked().module
    module.zero_grad(set_to_none=True)
    parts = _losses(session, batch)
    total = sum(parts.values(), start=torch.zeros((), device=session.subject.device))
    if not total.requires_grad:
        raise CheckFailedError("the loss does not depend on any trained parameter, so there is nothing to follow back")
    torch.autograd.backward(total)
    return {name: float(value.detach()) for name, value in parts.items()}


def _named(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
