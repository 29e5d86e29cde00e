"""The keys of a suite file as frozen dataclasses, which check the file and describe a trial.

Owns the names, types, ranges and plain defaults of all keys. `harness.suite.load` reads a file with them and fills in
the values that depend on the architecture; `harness.suite.expand` makes the trials.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations
from dataclasses import dataclass, field, replace
from pathlib import Path  # noqa: TC003 - pydantic reads the annotations
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic import AfterValidator, Field

from harness.formatting import counted
from harness.suite import validators
from harness.suite.formats import WITH_A_UNIT_OF_THEIR_OWN, WITH_COLUMNS, WITH_NAMES_INSIDE, FormatName
from harness.suite.search import Search  # noqa: TC001 - pydantic reads the annotations

Positive = Annotated[int, Gt(0)]
Natural = Annotated[int, Ge(0)]
Fraction = Annotated[float, Ge(0), Le(1)]
Above0 = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
Zoom = Annotated[float, Ge(0.1), Le(10)]
ObjectFraction = Annotated[float, Ge(0.05), Le(0.9)]
RepeatThreshold = Annotated[float, Gt(0), Le(1)]
Part = Annotated[float, Gt(0), Lt(1)]
SplitFraction = Annotated[float, Gt(0), Lt(1)]
OnBadData = Literal["stop", "skip"]
OnOutOfMemory = Literal["fail", "accumulate"]
CacheKind = Literal["auto", "ram", "disk", "none"]
Level = Literal["quick", "standard", "publish"]
Precision = Literal["fp32", "bf16", "fp16"]
Speedup = Literal["frozen_norms", "roi_align", "channels_last", "foreground_boxes"]
VariantName = Literal[
    "eager-fp32",
    "eager-bf16",
    "eager-fp16",
    "channels_last",
    "compile",
    "torchscript",
    "onnxruntime",
    "openvino",
    "openvino-int8",
]
Column = Literal["image", "class", "x1", "y1", "x2", "y2", "cx", "cy", "w", "h", "width", "height"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]

_STRICT: dict[str, object] = {"strict": True, "extra": "forbid", "allow_inf_nan": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledImages:
    """Labels (a file, or a folder with one file per image) and the folder that image names are relative to.

    Without `images`, that folder is searched for near the labels.
    """

    __pydantic_config__: ClassVar = _STRICT

    annotations: Annotated[Path, AfterValidator(validators.file_or_folder)]
    images: Annotated[Path, AfterValidator(validators.folder)] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitRule:
    """The fractions of one labelled folder that become `val` and `test`; `harness.data.partition` divides it.

    `group_by` is a regular expression over the file name: images for which it matches the same text stay together.
    A name that it does not match stops the run; with `ungrouped: allow` such an image is a group of its own.
    """

    __pydantic_config__: ClassVar = _STRICT

    val: SplitFraction
    test: Annotated[float, Ge(0), Lt(1)] = 0.0
    seed: Natural = 0
    stratify: bool = True
    group_by: Annotated[str, AfterValidator(validators.pattern)] | None = None
    ungrouped: Literal["stop", "allow"] = "stop"

    def __post_init__(self) -> None:
        if self.ungrouped == "allow" and self.group_by is None:
            raise ValueError("ungrouped says what becomes of names that group_by does not match; add group_by")
        if self.val + self.test >= 1:
            raise ValueError(f"val {self.val:g} and test {self.test:g} leave nothing to train on")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilesDataset:
    """Labelled images on disk: below one `path`, whose layout is detected, or split by split.

    `train`, `val` and `test` (optional) are splits that exist already; `all`, or a `path` without splits, is divided by
    `split`. `classes` sets the classes and their order if the format does not list them, or restricts them if it does.
    `images` is the folder that image names below `path` are relative to; without it, it is searched for. `normalised`
    says that boxes are fractions of their image's sides, in a format that has pixels. `on_name_conflict` says which
    image a label file belongs to if it names another image than the one that it is named after. `corners_from: 0` says
    that the corners of VOC files count pixels from 0, not from 1 as the format defines.
    """

    __pydantic_config__: ClassVar = _STRICT

    format: FormatName
    path: Annotated[Path, AfterValidator(validators.file_or_folder)] | None = None
    images: Annotated[Path, AfterValidator(validators.folder)] | None = None
    all: LabelledImages | None = None
    train: LabelledImages | None = None
    val: LabelledImages | None = None
    test: LabelledImages | None = None
    split: SplitRule | None = None
    classes: Annotated[tuple[str, ...], MinLen(1), AfterValidator(validators.distinct_names)] | None = None
    columns: Mapping[Column, str] | None = None
    normalised: bool = False
    on_name_conflict: Literal["stem", "inside"] | None = None
    corners_from: Literal[0, 1] = 1
    on_bad_data: OnBadData | None = None

    def __post_init__(self) -> None:
        splits = [name for name in ("train", "val", "test") if getattr(self, name) is not None]
        ways = [name for name in ("path", "all") if getattr(self, name) is not None] + splits[:1]
        if len(ways) != 1:
            present = f"got {' and '.join(ways)}" if ways else "got none of them"
            raise ValueError(f"expected one of: path; train and val; all with split; {present}")
        missing = [name for name in ("train", "val") if name not in splits]
        if splits and missing:
            raise ValueError(f"missing {' and '.join(missing)}; a dataset has train and val, or all with split")
        if self.images and not self.path:
            raise ValueError("images belongs to path; beside annotations, each split has its own images")
        if self.all and not self.split:
            raise ValueError("all needs split, which divides it: split: {val: 0.2}")
        if splits and self.split:
            raise ValueError("split divides one labelled folder (all, or path); this dataset already has splits")
        unfit = None if self.format == "auto" else self.unfit_setting(self.format)
        if unfit:
            raise ValueError(unfit)

    def unfit_setting(self, format_name: str) -> str | None:
        """Say which setting does not belong to a format, and what to do; None if all do."""
        if self.columns is not None and format_name not in WITH_COLUMNS:
            return f"columns are for csv and via, and this is {format_name}; remove them"
        if self.normalised and format_name in WITH_A_UNIT_OF_THEIR_OWN:
            return f"normalised is for formats that have pixels, and {format_name} defines its own unit; remove it"
        if self.on_name_conflict and format_name not in WITH_NAMES_INSIDE:
            return f"on_name_conflict is for voc and labelme, and this is {format_name}; remove it"
        if self.corners_from == 0 and format_name != "voc":
            return f"corners_from is for voc, and this is {format_name}; remove it"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSplit:
    """The user's own torch Dataset: `package.module:Class` or `file.py:Class`, and its keyword arguments."""

    __pydantic_config__: ClassVar = _STRICT

    dataset: Annotated[str, AfterValidator(validators.import_path)]
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonDataset:
    """The user's own Dataset classes. `classes` names labels 1, 2, …; label 0 is torchvision's background."""

    __pydantic_config__: ClassVar = _STRICT

    format: Literal["python"]
    classes: Annotated[tuple[str, ...], MinLen(1), AfterValidator(validators.distinct_names)]
    train: PythonSplit
    val: PythonSplit
    test: PythonSplit | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticImages:
    """The number of images to draw for a synthetic split."""

    __pydantic_config__: ClassVar = _STRICT

    images: Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticDataset:
    """Shapes drawn from a seed.

    `size` is the side of the square images in pixels. An object's longest side is a fraction of it, between the two
    values of `object_size`.
    """

    __pydantic_config__: ClassVar = _STRICT

    format: Literal["synthetic"]
    train: SyntheticImages
    val: SyntheticImages
    test: SyntheticImages | None = None
    size: Annotated[int, Ge(32), Le(4096)] = 128
    classes: Annotated[int, Ge(1), Le(8)] = 3
    max_objects: Annotated[int, Ge(1), Le(50)] = 5
    object_size: Annotated[tuple[ObjectFraction, ObjectFraction], AfterValidator(validators.ascending)] = (0.14, 0.56)
    seed: Natural = 0


Dataset = Annotated[FilesDataset | PythonDataset | SyntheticDataset, Field(discriminator="format")]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSize:
    """The detector's resize: the shorter side becomes `min` pixels, unless the longer one would exceed `max` pixels.

    A detector of square inputs takes one number for both; `640` in a suite file is short for `{min: 640, max: 640}`.
    """

    __pydantic_config__: ClassVar = _STRICT

    min: Positive = 800
    max: Positive = 1333


@dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """What changes a training image at random; the boxes follow it.

    `hflip` and `vflip` are the probabilities of mirroring it, `photometric` that of each change of its colours
    (brightness, contrast, saturation, hue, order of the channels), `zoom_out` that of shrinking it by up to 4 on a grey
    canvas of its size, `random_crop` that of a crop which keeps the centre of a box. `scale_jitter` is the range
    (smallest, largest) of a zoom that keeps the image's own size. `multiscale` is the range of a factor on the
    detector's image size, drawn for each step. The name of a preset is short for its keys.
    """

    __pydantic_config__: ClassVar = _STRICT

    hflip: Fraction = 0.5
    vflip: Fraction = 0.0
    photometric: Fraction = 0.0
    zoom_out: Fraction = 0.0
    random_crop: Fraction = 0.0
    scale_jitter: Annotated[tuple[Zoom, Zoom], AfterValidator(validators.ascending)] | None = None
    multiscale: Annotated[tuple[Zoom, Zoom], AfterValidator(validators.ascending)] | None = None


# What a recipe, or a suite in place of a mapping, calls by a name; docs/architectures.md says where each comes from.
PRESETS: Mapping[str, Augmentation] = {
    "flip": Augmentation(),
    "ssd": Augmentation(photometric=0.5, zoom_out=0.5, random_crop=1.0),
    "lsj": Augmentation(scale_jitter=(0.1, 2.0)),
    "multiscale": Augmentation(multiscale=(0.6, 1.0)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How long every architecture is trained: one of `epochs`, `images` (seen, with repetitions) and `minutes`.

    With `images` training ends with the batch that reaches the number, with `minutes` with the step or validation that
    reaches that time; the schedule of the learning rate follows the length.
    """

    __pydantic_config__: ClassVar = _STRICT

    epochs: Positive | None = None
    images: Positive | None = None
    minutes: Above0 | None = None

    def __post_init__(self) -> None:
        if sum(value is not None for value in (self.epochs, self.images, self.minutes)) != 1:
            raise ValueError("takes exactly one of epochs, images and minutes, such as {epochs: 12}")

    def words(self) -> str:
        """The budget as a person says it: `20,000 images`."""
        if self.minutes is not None:
            return f"{self.minutes:g} min"
        return counted(self.epochs, "epoch") if self.epochs is not None else counted(self.images or 0, "image")


@dataclass(frozen=True, slots=True, kw_only=True)
class EarlyStopping:
    """Training ends once val's mAP has not risen by more than `min_delta` for `patience` validations in a row."""

    __pydantic_config__: ClassVar = _STRICT

    patience: Positive
    min_delta: Fraction = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperparameters:
    """The hyperparameters of fine-tuning. What a suite does not set has the value of a recipe.

    That is the architecture's published recipe, or with `recipe: shared` one for all architectures. In a trial, None
    stands for what has no effect; until then, for a value that the recipe gives.
    `batch_size` images make one optimizer step; with `accumulate: k` they are processed in k parts, which takes less
    memory for the same step.
    `milestones` are epochs, or fractions of the training, after which a multistep schedule multiplies the rate by
    `gamma`. A plateau schedule does so
    once val's mAP has not risen for more than `plateau_patience` validations in a row. `warmup_steps: epoch` is
    torchvision's rule: 1,000 steps, or all but one of the first epoch's if those are fewer. `max_warmup_epochs` bounds
    a number of steps by the length of the first epoch; a recipe's bound goes where a suite sets the steps itself.
    `backbone_lr_factor` multiplies the rate of the backbone, `norm_weight_decay` is that of norms and biases. `ema` is
    the decay of a moving average of the weights, which is what is validated and kept; 0 stands for none, as it does for
    `clip_grad_norm`. `trainable_layers` is the number of the backbone's stages that train, counted from its output.
    `batch_norm` says what its norms do: `frozen`, nothing of them changes; `eval`, only their weights are trained;
    `train`, their statistics change too.
    With `class_balance: repeat_factor` an epoch repeats the images of classes that fewer than a fraction
    `repeat_threshold` of the images show. With `group_by_orientation` a batch has images that are all wide or all tall.
    `speedups` are parts of the network that train the same in less time: `auto` is all that it has, `none` none.
    """

    __pydantic_config__: ClassVar = _STRICT

    recipe: Literal["published", "shared"] = "published"
    epochs: Positive | None = None
    budget: Budget | None = None
    batch_size: Positive = 4
    accumulate: Positive = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: Above0 | None = None
    momentum: Fraction = 0.9
    nesterov: bool = False
    weight_decay: NotNegative | None = None
    norm_weight_decay: NotNegative | None = None
    backbone_lr_factor: NotNegative | None = None
    schedule: Literal["multistep", "cosine", "constant", "plateau"] = "multistep"
    milestones: tuple[Positive | Part, ...] | None = None
    gamma: Above0 = 0.1
    plateau_patience: Natural = 2
    warmup_steps: Natural | Literal["epoch"] = "epoch"
    max_warmup_epochs: Above0 | None = None
    warmup_factor: Above0 = 0.001
    clip_grad_norm: NotNegative | None = None
    ema: Annotated[float, Ge(0), Lt(1)] | None = None
    trainable_layers: Natural | Literal["all"] | None = None
    batch_norm: Literal["frozen", "eval", "train"] | None = None
    precision: Precision = "fp32"
    augmentation: Augmentation = field(default_factory=Augmentation)
    validate_every: Natural = 0
    early_stopping: EarlyStopping | None = None
    class_balance: Literal["none", "repeat_factor"] = "none"
    repeat_threshold: RepeatThreshold = 0.001
    group_by_orientation: bool = False
    loader_workers: Natural | Literal["auto"] = "auto"
    speedups: (
        Literal["auto", "none"] | Annotated[tuple[Speedup, ...], MinLen(1), AfterValidator(validators.distinct)]
    ) = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchitectureChoice:
    """One architecture of a suite: the weights that it starts from, and the values that are set for it alone.

    `weights` is `default` (the best published), `backbone` (ImageNet backbone only), `none` (random), a file,
    or a folder as transformers writes it.
    `model` holds the architecture's options, numbers and lists of them; the catalogue lists those that it takes.
    `name` is a name of the catalogue, or `module:ROW` or `file.py:ROW` for an architecture of your own. Without
    `image_size` it is the architecture's native one. `backbone: NAME` is short for that option under `model`.
    `python` is `module:build` or `file.py:build`, a function that builds a network of your own, called `name`; `model`
    holds its further arguments, and without `weights` it starts from its own if it takes some, else from none.
    """

    __pydantic_config__: ClassVar = _STRICT

    python: Annotated[str, AfterValidator(validators.network)] | None = None
    name: Annotated[str, AfterValidator(validators.known_architecture)]
    weights: Annotated[str, AfterValidator(validators.weights)] = "default"
    image_size: ImageSize | None = None
    model: Mapping[str, Any] = field(default_factory=dict)
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """The measurement protocol. The level sets the defaults; any key can override them.

    Each of the `rounds` measures at least `latency_images` images, and all rounds together last at least `latency_s`
    seconds. `score_threshold` and `detections` apply to accuracy, `deployment_score_threshold` to every speed.
    `throughput_batch_size: auto` is the largest power of two that fits in memory. `variants` are further ways to run
    the same fine-tuned weights; each is measured and evaluated like the trained model.
    """

    __pydantic_config__: ClassVar = _STRICT

    level: Level = "standard"
    rounds: Positive = 3
    warmup: Annotated[int, Ge(10)] = 10
    latency_images: Annotated[int, Ge(20)] = 200
    latency_s: NotNegative = 10.0
    throughput_batch_size: Positive | Literal["auto"] = 8
    throughput_s: NotNegative = 10.0
    score_threshold: Fraction = 0.001
    detections: Annotated[int, Ge(100), Le(1000)] = 100
    deployment_score_threshold: Fraction = 0.05
    tf32: bool = False
    variants: Annotated[tuple[VariantName, ...], AfterValidator(validators.distinct)] = ()


PROTOCOL_LEVELS: dict[str, dict[str, float]] = {
    "quick": {"latency_images": 20, "latency_s": 0.0, "throughput_s": 0.0},
    "standard": {"latency_images": 200, "latency_s": 10.0, "throughput_s": 10.0},
    "publish": {"latency_images": 200, "latency_s": 60.0, "throughput_s": 60.0},
}


def at_level(level: Level, protocol: Protocol) -> Protocol:
    """Return the protocol with the durations of a level."""
    changes: dict[str, Any] = {"level": level, **PROTOCOL_LEVELS[level]}
    return replace(protocol, **changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When to give up a trial, and how much work a crash may cost. No limit can change a result.

    `hang_minutes` is the longest time without progress (a step, an evaluated image); `trial_hours` the longest time of
    a trial, over all its attempts; `checkpoint_minutes` the longest training time between two checkpoints.
    """

    __pydantic_config__: ClassVar = _STRICT

    hang_minutes: Above0 = 15.0
    trial_hours: Above0 | None = None
    checkpoint_minutes: Above0 = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """The price of an hour of the device, for the costs in the report. `currency` is a short word: USD, EUR."""

    __pydantic_config__: ClassVar = _STRICT

    per_gpu_hour: NotNegative
    currency: Annotated[str, AfterValidator(validators.currency)] = "USD"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteFile:
    """A whole suite file. `on_bad_data` applies to every dataset that does not set its own.

    `budget` is the length of every architecture's training, in place of `epochs`. Each list of `sweep` is an axis: a
    hyperparameter, `image_size`, `weights`, `backbone` or `model.OPTION`.
    With `on_oom: accumulate`, a trial that ran out of device memory is trained again with half as many images at once
    and the same effective batch size. `cache` says where decoded images are kept, so that each is decoded once.
    """

    __pydantic_config__: ClassVar = _STRICT

    suite: Name
    datasets: Annotated[Mapping[Name, Dataset], MinLen(1)]
    architectures: Annotated[tuple[ArchitectureChoice, ...], MinLen(1)]
    hyperparameters: Hyperparameters = field(default_factory=Hyperparameters)
    budget: Budget | None = None
    sweep: Mapping[str, Annotated[tuple[Any, ...], MinLen(1)]] = field(default_factory=dict)
    search: Search | None = None
    seeds: Annotated[tuple[Natural, ...], MinLen(1)] = (0,)
    protocol: Protocol = field(default_factory=Protocol)
    on_bad_data: OnBadData = "stop"
    limits: Limits = field(default_factory=Limits)
    on_oom: OnOutOfMemory = "fail"
    cache: CacheKind = "auto"
    cost: Cost | None = None
