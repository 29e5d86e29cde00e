"""libreyolo's networks and losses, without the rest of that library.

Importing `libreyolo.models` runs the code of all its families: it brings OpenCV, which sets environment variables and
needs the system's OpenGL, an HTTP client and 640 modules, in seconds. The networks and losses stand in four files that
need torch alone. So these are imported as they are, while the packages around them stand for their folders only;
afterwards the packages are as they were, and whoever imports libreyolo as a whole gets it, with the same four modules.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from harness.errors import TrialError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PACKAGES = ("data", "models", "models.yolox", "models.yolo9", "training", "utils")  # none of whose code is run
_INSTALL = "pip install 'detection-harness[yolo]'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What is used of libreyolo.

    Attributes:
        yolox: the class of YOLOX networks.
        yolo9: the class of YOLOv9 networks.
        yolo9_loss: the class of YOLOv9's loss, with its assignment.
        yolo9_decoder: the class that makes boxes of YOLOv9's raw outputs.
    """

    yolox: Any
    yolo9: Any
    yolo9_loss: Any
    yolo9_decoder: Any


@functools.cache
def library() -> Library:
    """Import what is used of libreyolo.

    Raises:
        TrialError: it is not installed, or is of a version with other modules.
    """
    try:
        with _bare_packages():
            yolox = importlib.import_module("libreyolo.models.yolox.nn")
            yolo9 = importlib.import_module("libreyolo.models.yolo9.nn")
            loss = importlib.import_module("libreyolo.models.yolo9.loss")
        return Library(
            yolox=yolox.LibreYOLOXModel,
            yolo9=yolo9.LibreYOLO9Model,
            yolo9_loss=loss.YOLO9Loss,
            yolo9_decoder=loss.Vec2Box,
        )
    except (ImportError, AttributeError) as error:
        raise TrialError(f"libreyolo {_version()} cannot be used: {error}; {_INSTALL} installs one that can") from error


def _version() -> str:
    try:
        return version("libreyolo")
    except PackageNotFoundError:
        return "(of no version)"


@contextlib.contextmanager
def _bare_packages() -> Iterator[None]:
    """Within the context, packages of libreyolo that are not imported yet stand for their folders alone."""
    found = importlib.util.find_spec("libreyolo")
    if found is None or not found.submodule_search_locations:
        raise ImportError("there is no package of this name")
    root = Path(found.submodule_search_locations[0])
    bare: list[str] = []
    try:
        for package in _PACKAGES:
            name = f"libreyolo.{package}"
            if name not in sys.modules:
                module = ModuleType(name)
                module.__path__ = [str(root.joinpath(*package.split(".")))]
                sys.modules[name] = module
                bare.append(name)
        if "libreyolo.data" in bare:  # YOLOv9's losses take one name from this package: of poses, not of boxes
            poses = importlib.import_module("libreyolo.data.pose_metadata")
            vars(sys.modules["libreyolo.data"])["default_oks_sigmas"] = poses.default_oks_sigmas
        yield
    finally:
        for name in bare:
            del sys.modules[name]
