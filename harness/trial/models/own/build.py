"""Call the user's function that builds a network, and explain what is wrong with it."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from harness import foreign
from harness.errors import HarnessError, TrialError
from harness.suite import user_code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_WANTED = "define it as def build(*, num_classes, image_size) with an argument more for each option under model"


def built(path: str, arguments: Mapping[str, Any]) -> nn.Module:
    """The network that the function at an import path builds.

    Args:
        path: `module:NAME` or the absolute `file.py:NAME`; modules are searched for on `sys.path` as it is.
        arguments: what it is called with, by name.

    Raises:
        TrialError: it cannot be imported or called, raises an exception, or returns no network; the text says which.
    """
    function = _function(path)
    signature = _signature(function)
    if signature is not None:
        try:
            signature.bind(**arguments)
        except TypeError as error:
            named = ", ".join(f"{name}=…" for name in arguments)
            raise TrialError(f"{path}: cannot be called as build({named}): {error}; {_WANTED}") from None
    try:
        module = function(**arguments)
    except (HarnessError, MemoryError):
        raise
    except (Exception, SystemExit) as error:
        shown = ", ".join(f"{name}={foreign.shown(value)}" for name, value in arguments.items())
        raise TrialError(f"{path}: build({shown}) raised {foreign.described(error)}") from error
    if not isinstance(module, nn.Module):
        raise TrialError(
            f"{path}: returned a {type(module).__name__}, expected a torch.nn.Module that follows torchvision's "
            "convention: a dict of losses in training, a list of dicts of boxes, scores and labels in evaluation"
        )
    return module


def takes_weights(path: str) -> bool:
    """Whether the function has an argument of the name `weights`; one that takes any name has not.

    Raises:
        TrialError: it cannot be imported.
    """
    signature = _signature(_function(path))
    return signature is not None and "weights" in signature.parameters


def _function(path: str) -> Callable[..., Any]:
    try:
        function = user_code.load_attribute(path, Path.cwd())
    except ImportError as error:
        raise TrialError(f"{path}: {error}") from error
    if not callable(function):
        raise TrialError(f"{path}: is a {type(function).__name__}, which cannot be called; {_WANTED}")
    return function  # type: ignore[no-any-return]


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """Its arguments; None where python does not know them, as of some functions written in C."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return None
