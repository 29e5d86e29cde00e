"""What every row of the catalogue holds, whatever family it belongs to.

Rows are data. How a row becomes a network is the business of its family, the module that `family` names. Fields that
only one family needs belong to a subclass of `Architecture` beside that family's rows.
"""

from __future__ import annotations

import importlib.util
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How the published weights were trained: what a suite's hyperparameters are unless it sets them.

    Attributes:
        lr: the learning rate that belongs to `batch_size` images a step.
        milestones: the epochs, of `epochs`, after which a multistep schedule lowers the rate.
        nesterov: whether SGD's momentum is Nesterov's.
        norm_weight_decay: the weight decay of norms and biases; None: as all others.
        warmup_steps: `epoch` is torchvision's rule, at most 1,000 and at most the first epoch's.
        max_warmup_epochs: how many epochs the warm-up lasts at most; None: as long as it says. Steps that belong to
            118,000 images would be the whole training on a small data set.
        clip_grad_norm: None: gradients are not clipped.
        backbone_lr_factor: of the backbone's learning rate to the others'; None: 1.
        ema: the decay of the moving average of the weights; None: there is none.
        augmentation: the name of a preset (`harness.suite.presets`).
        source: where these values come from: an address or a citation.
    """

    lr: float
    batch_size: int = 16
    epochs: int = 26
    milestones: tuple[int, ...] = (16, 22)
    optimizer: Literal["sgd", "adamw"] = "sgd"
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    norm_weight_decay: float | None = None
    schedule: Literal["multistep", "cosine", "constant"] = "multistep"
    warmup_steps: int | Literal["epoch"] = "epoch"
    max_warmup_epochs: float | None = None
    clip_grad_norm: float | None = None
    backbone_lr_factor: float | None = None
    ema: float | None = None
    augmentation: Literal["flip", "ssd", "lsj", "multiscale"] = "flip"
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class HubFile:
    """A published file of Hugging Face's hub; `harness fetch` brings it to the hub's cache on this machine.

    Attributes:
        repo: owner and name; where the name ends in `.*`, any repository whose name begins so.
        revision: a branch, a tag or a commit.
        file: the file that holds the weights; its `config.json` is beside it.
    """

    repo: str
    revision: str = "main"
    file: str = "model.safetensors"


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageFile:
    """A published file inside a package of the Python package index, where pip puts it.

    Attributes:
        package: the distribution's name.
        file: its path among the installed packages.
        sha256: of its content.
        version: the package's version that has this content.
    """

    package: str
    file: str
    sha256: str
    version: str = ""


Published = str | HubFile | PackageFile  # a text is the name of a file in torch hub's cache
# Of an option; what only a user's own network takes is among it.
Value = bool | int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | tuple[tuple[float, ...], ...]
_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """An argument of the builder that a suite may set under `model`: a whole number from 0, or of another kind.

    Attributes:
        name: the argument's name.
        kind: `count`, a whole number; `channels`, three numbers of a red, a green and a blue channel; `numbers`, one or
            more positive numbers; `levels`, for each of `levels` feature maps one or more positive numbers, everywhere
            as many; `name`, a text; `plain`, a flag, a number, a text, or a list of numbers or texts.
        minimum: of a count, the smallest value that the builder takes.
        maximum: the largest value that the builder takes, or None if any value goes.
        multiple: what a count is a multiple of.
        above_zero: whether channels must be above 0.
        levels: the number of feature maps.
        pretrained_only: whether it has no effect unless the weights are published ones.
        folders: of a name, whether it is a repository of Hugging Face's hub or a folder with its files.
    """

    name: str
    kind: Literal["count", "channels", "numbers", "levels", "name", "plain"] = "count"
    minimum: int = 0
    maximum: int | None = None
    multiple: int = 1
    above_zero: bool = False
    levels: int = 0
    pretrained_only: bool = False
    folders: bool = False

    def read(self, value: object) -> Value:
        """The value of a suite file as a trial holds it.

        Raises:
            ValueError: it is none of this option's; the text says what is allowed.
        """
        if self.kind == "count":
            return self._count(value)
        if self.kind == "name":
            if not isinstance(value, str) or not value.strip():
                raise ValueError("takes a name")
            return value
        if self.kind == "plain":
            return _plain(value)
        if self.kind == "levels":
            if isinstance(value, list) and len(value) == self.levels:
                sizes = tuple(_positive(level if isinstance(level, list) else [level]) for level in value)
                if all(sizes) and len({len(level) for level in sizes}) == 1:
                    return sizes
            raise ValueError(
                f"takes a list of {self.levels} entries, one for each feature map from the finest to the coarsest: "
                "each a number > 0 or a list of such, everywhere as many"
            )
        numbers = _positive(value) if self.kind == "numbers" or self.above_zero else _numbers(value)
        if self.kind == "channels" and len(numbers) != _CHANNELS:
            raise ValueError(f"takes three numbers{' > 0' if self.above_zero else ''}, for red, green and blue")
        if not numbers:
            raise ValueError("takes a list of numbers > 0")
        return numbers

    def _count(self, value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < self.minimum or value % self.multiple:
            what = "an integer" if self.multiple == 1 else f"a multiple of {self.multiple}"
            raise ValueError(f"takes {what} ≥ {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            raise ValueError(f"takes at most {self.maximum}")
        return value


def _plain(value: object) -> Value:
    """A value that any function may take.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list) and value:
        numbers = [one for one in value if isinstance(one, int | float) and not isinstance(one, bool)]
        texts = [one for one in value if isinstance(one, str)]
        if len(texts) == len(value):
            return tuple(texts)
        if len(numbers) == len(value):
            whole = [number for number in numbers if isinstance(number, int)]
            return tuple(whole) if len(whole) == len(value) else tuple(map(float, numbers))
    raise ValueError("takes a flag, a number, a text, or a list of numbers or of texts")


def _numbers(value: object) -> tuple[float, ...]:
    """The numbers of a list; none if it is no list of finite numbers."""
    if not isinstance(value, list) or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in value):
        return ()
    numbers = tuple(map(float, value))
    return numbers if all(map(math.isfinite, numbers)) else ()


def _positive(value: object) -> tuple[float, ...]:
    numbers = _numbers(value)
    return numbers if all(number > 0 for number in numbers) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """One row of the catalogue.

    Attributes:
        name: how suites, folders and reports call it: letters, digits, `_`, `.` and `-`.
        family: the module that builds it (`harness.trial.models.base.Family`), as `package.module`, or as `file.py`
            relative to the file that defines the row. It is imported in the processes of trials only.
        backbone: the backbone's name, for the report.
        stages: 1 or 2.
        queries: of a transformer that detects as many objects at most; None for others.
        parameters: number of parameters of the published weights; with other classes a few less or more.
        gflops: billions of multiplications with their additions for an image of the native size, as published.
        recipe: where hyperparameters come from that a suite leaves open.
        image_size: the native size, which a suite takes that sets none: the shorter and the longer side in pixels.
        resize: what happens to an image. `shorter_side`: its shorter side gets the first size, unless the longer one
            would exceed the second. `square`: both sides get the size, whatever its shape. `letterbox`: its longer side
            gets the size, and it is padded to a square.
        fixed_size: whether it takes its native size alone.
        size_multiple: both sizes must be multiples of it.
        min_batch: the number of images that training must process at once.
        fp16: whether it trains and runs in fp16; some overflow.
        needs_masks: whether it trains from masks beside boxes.
        published_map: COCO val2017 mAP of the published weights, from 0 to 1; None where nothing is published.
        published_source: where that number comes from: an address or a citation.
        published_files: each word that a suite may write under `weights` for a published file, beside `none` and a
            path, with that file.
        weights_folders: whether it also starts from a folder, `config.json` beside `model.safetensors`.
        code_license: the licence of the code that builds it, as an SPDX identifier.
        weights_license: the licence of the published weights, likewise; empty where nothing is published.
        extra: the extra of this package that installs what it needs (`pip install 'detection-harness[EXTRA]'`).
        packages: the packages that it needs beyond this program's own, as they are imported.
        options: what a suite may set under `model`.
    """

    name: str
    family: str
    backbone: str
    stages: int
    parameters: int
    recipe: Recipe
    queries: int | None = None
    gflops: float | None = None
    image_size: tuple[int, int] = (800, 1333)
    resize: Literal["shorter_side", "square", "letterbox"] = "shorter_side"
    fixed_size: bool = False
    size_multiple: int = 1
    min_batch: int = 1
    fp16: bool = True
    needs_masks: bool = False
    published_map: float | None = None
    published_source: str = ""
    published_files: Mapping[str, Published] = field(default_factory=dict)
    weights_folders: bool = False
    code_license: str = ""
    weights_license: str = ""
    extra: str | None = None
    packages: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"name {self.name!r}: expected letters, digits, '_', '.' and '-' (it names folders)")

    def find_option(self, name: str) -> Option | None:
        """What a suite may set under `model` by this name; None if nothing."""
        return next((option for option in self.options if option.name == name), None)

    def unfit_size(self, low: int, high: int) -> str | None:
        """Say why it does not take an image size, the shorter and the longer side in pixels; None if it does."""
        native, longer = self.image_size
        if low > high:
            return f"min {low} is larger than max {high}"
        if self.fixed_size and (low, high) != self.image_size:
            only = str(native) if native == longer else f"{{min: {native}, max: {longer}}}"
            return f"{self.name} takes {only} alone; remove image_size"
        if self.resize != "shorter_side" and low != high:
            return f"{self.name} takes a square; write one number, such as image_size: {native}"
        if low % self.size_multiple or high % self.size_multiple:
            return f"{self.name} takes multiples of {self.size_multiple}, such as {native}; got {low} and {high}"
        return None

    def weights_words(self) -> tuple[str, ...]:
        """What a suite may write under `weights` beside a path."""
        return (*self.published_files, "none")

    def weights_unless_set(self) -> str:
        """The weights of a suite that sets none."""
        return "default"

    def published_file(self, word: str, backbone: str | None = None) -> Published:  # noqa: ARG002 - for those that can
        """The published file that a word stands for.

        Args:
            word: one of `published_files`.
            backbone: the value of the option `backbone`, for rows that have it and whose suite sets it. A row whose
                file depends on it overrides this.
        """
        return self.published_files[word]

    def needed_file(self, word: str, backbone: str | None = None) -> Published | None:
        """The published file that a suite with these weights needs; None if it needs none.

        Args:
            word: what the suite gives as its `weights`.
            backbone: the value of the option `backbone`, for rows that have it and whose suite sets it.
        """
        return self.published_file(word, backbone) if word in self.published_files else None

    def missing_package(self) -> str | None:
        """Say which package is not installed that this row needs, and the command that installs it; None if none."""
        missing = [name for name in self.packages if not _is_installed(name)]
        if not missing:
            return None
        what = f"'detection-harness[{self.extra}]'" if self.extra else " ".join(missing)
        return f"{self.name} needs {' and '.join(missing)}, which this Python lacks: pip install {what}"


def _is_installed(name: str) -> bool:
    """Whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False
