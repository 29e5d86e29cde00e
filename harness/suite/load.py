"""Load a suite file and check it: all problems of the file are reported together, each with its line.

Owns checking the file against `harness.suite.schema` and the catalogue. Does not check the data; `harness.data` does.
"""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from harness.errors import SuiteError
from harness.formatting import counted, on_one_line
from harness.suite import combined, messages, short_forms, sweep, weights
from harness.suite.axes import combinations, read_axes
from harness.suite.catalog import registry
from harness.suite.recipe import at_length, merged, resolve
from harness.suite.schema import (
    ArchitectureChoice,
    CacheKind,
    Cost,
    Dataset,
    FilesDataset,
    Hyperparameters,
    ImageSize,
    Limits,
    OnBadData,
    OnOutOfMemory,
    Protocol,
    PythonDataset,
    SuiteFile,
)
from harness.suite.search import of_length
from harness.suite.search_rules import check_points, check_search
from harness.suite.trial import TrialArchitecture
from harness.suite.validators import WEIGHTS_WORDS, nearest
from harness.suite.yaml_document import Document, Place, read_document

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from harness.suite.catalog.architecture import Architecture, Value
    from harness.suite.catalog.registry import OwnArchitecture
    from harness.suite.search import Search

MAX_TRIALS = 10_000
_SUITE_FILE = TypeAdapter(SuiteFile)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One architecture with one point of the sweep.

    Attributes:
        architecture: the architecture as a trial builds it.
        row: the architecture's row of the catalogue.
        hyperparameters: all hyperparameters, with the recipe's values filled in.
        configured: what the file says of them, with this point of the sweep.
        swept: the names and values of this point of the sweep, for the trial's name.
    """

    architecture: TrialArchitecture
    row: Architecture
    hyperparameters: Hyperparameters
    configured: Mapping[str, Any]
    swept: tuple[tuple[str, Any], ...]

    def at(self, values: Mapping[str, Any]) -> Hyperparameters:
        """Return all hyperparameters where these have other values; the recipe's values and the milestones follow."""
        other = short_forms.hyperparameters(dict(values))
        before, epochs = self.hyperparameters, other.get("epochs")
        if before.epochs and epochs and before.milestones and self.configured.get("milestones"):
            other = {"milestones": at_length(before.milestones, before.epochs, epochs), **other}
        return resolve(self.row, merged(self.configured, other))

    def trained_with(self, search: Search | None) -> tuple[Hyperparameters, ...]:
        """Return the hyperparameters of its trials: those that it has, or the points of the search, up to some 250."""
        if search is None:
            return (self.hyperparameters,)
        return tuple(self.at(of_length(point, search.epochs)) for point in combinations(read_axes(search.over)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A checked suite, whose trials are datasets × settings × seeds. Its paths are absolute."""

    name: str
    path: Path
    datasets: tuple[tuple[str, Dataset], ...]
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    search: Search | None
    protocol: Protocol
    limits: Limits
    on_oom: OnOutOfMemory
    cache: CacheKind
    cost: Cost | None

    @property
    def image_sizes(self) -> tuple[ImageSize, ...]:
        """The different resizes of its architectures."""
        return tuple(dict.fromkeys(setting.architecture.image_size for setting in self.settings))


def load_suite(path: Path) -> Suite:
    """Read and check a suite file.

    Raises:
        SuiteError: the file has problems; all are listed as `file:line: key: what was expected, what is there`.
    """
    document = read_document(path)
    if not isinstance(document.data, dict):
        raise SuiteError(
            (
                f"{document.locate(())}: a suite file is a mapping with the keys suite, datasets, "
                "architectures; see suites/quickstart.yaml",
            )
        )
    data = short_forms.written_out(document.data)
    try:
        file = _SUITE_FILE.validate_json(json.dumps(data), context=path.resolve().parent)
    except ValidationError as error:
        raise SuiteError(messages.describe(document, data, error, json_schema())) from None
    problems: list[str] = []
    suite = _check(document, data, file, problems)
    if problems:
        raise SuiteError(tuple(problems))
    return suite


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a suite file, including the short forms (an architecture's or a level's name alone)."""
    return short_forms.json_schema(_SUITE_FILE.json_schema())


def _check(document: Document, data: dict[str, Any], file: SuiteFile, problems: list[str]) -> Suite:
    """Check the rules that types cannot express, and append each problem to `problems`."""

    def report(place: Place, text: str) -> None:
        problem = on_one_line(f"{document.locate(place)}: {messages.format_place(place)}: {text}")
        if problem not in problems:  # a sweep's point comes again with each value of another axis
            problems.append(problem)

    if len(set(file.seeds)) < len(file.seeds):
        report(("seeds",), "expected each seed once")
    sweep.check(data.get("sweep", {}), report)
    _check_size(file, report)
    check_search(file, data, report)
    made: list[list[Setting]] = []
    owners: dict[str, str] = {}
    for index, choice in enumerate(file.architectures):
        folder = document.path.resolve().parent
        row, own = registry.find(choice.name, folder, choice.python)
        _check_name(row, own, owners, partial(report, ("architectures", index, "name")))
        if "weights" not in data["architectures"][index]:
            choice = replace(choice, weights=row.weights_unless_set())  # noqa: PLW2901 - filled in
        architecture = _architecture(row, own, choice, ("architectures", index), report, folder)
        if not problems:
            made.append(list(_settings(data, index, row, architecture, folder, report)))
    _check_together(data, file, made, report)
    return Suite(
        name=file.suite,
        path=document.path,
        datasets=tuple((name, _with_default(dataset, file.on_bad_data)) for name, dataset in file.datasets.items()),
        settings=tuple(itertools.chain.from_iterable(made)),
        seeds=file.seeds,
        search=file.search,
        protocol=file.protocol,
        limits=file.limits,
        on_oom=file.on_oom,
        cache=file.cache,
        cost=file.cost,
    )


def _check_together(data: dict[str, Any], file: SuiteFile, made: list[list[Setting]], report: messages.Report) -> None:
    """Report hyperparameters that change nothing, or that a dataset cannot have; `made` is by architecture."""
    if len(made) == len(file.architectures):
        trained = [[h for setting in each for h in setting.trained_with(file.search)] for each in made]
        for where, text in combined.without_effect(data, trained):
            report(where, text)
    hyperparameters = [setting.hyperparameters for each in made for setting in each]
    for name in (name for name, dataset in file.datasets.items() if isinstance(dataset, PythonDataset)):
        if any(h.class_balance != "none" for h in hyperparameters):
            report(
                ("datasets", name),
                "class_balance needs labels that are known before images are read, which those of format: python "
                "are not; let its Dataset repeat the images itself",
            )
        if any(h.group_by_orientation for h in hyperparameters):
            report(
                ("datasets", name),
                "group_by_orientation needs image sizes that are known before images are read, which those of "
                "format: python are not; leave it out",
            )


def _check_name(
    row: Architecture, own: OwnArchitecture | None, owners: dict[str, str], report: Callable[[str], None]
) -> None:
    """Report a second network of the user's of one name; `owners` holds the import path of each name so far."""
    if own is not None and owners.setdefault(row.name, own.path) != own.path:
        report(f"{owners[row.name]} is called {row.name} too, and rows must be told apart: give it another name")


def _with_default(dataset: Dataset, on_bad_data: OnBadData) -> Dataset:
    if isinstance(dataset, FilesDataset) and dataset.on_bad_data is None:
        return replace(dataset, on_bad_data=on_bad_data)
    return dataset


def _architecture(
    row: Architecture,
    own: OwnArchitecture | None,
    choice: ArchitectureChoice,
    place: Place,
    report: messages.Report,
    folder: Path,
) -> TrialArchitecture:
    """Return the architecture as a trial builds it, and report what its row of the catalogue does not allow."""
    model = _options(row, choice, (*place, "model"), report, folder)
    words = row.weights_words()
    if choice.weights in WEIGHTS_WORDS and choice.weights not in words:
        allowed = f"{row.name} takes {', '.join(words)} or a file of weights{_relative_with(row, choice.weights)}"
        report((*place, "weights"), f"{allowed}, got {choice.weights}")
    image_size = choice.image_size or ImageSize(min=row.image_size[0], max=row.image_size[1])
    problem = row.unfit_size(image_size.min, image_size.max)
    if problem:
        report((*place, "image_size"), problem)
    missing = row.missing_package()
    if missing:
        report((*place, "name"), missing)
    digest = None
    if choice.weights in WEIGHTS_WORDS:
        digest = _digest_of_backbone(row, model, partial(report, (*place, "model", "backbone")))
    else:
        if not row.weights_folders and Path(choice.weights).is_dir():
            report((*place, "weights"), f"{row.name} starts from a file of weights, and {choice.weights} is a folder")
        try:
            digest = weights.digest(Path(choice.weights))
        except OSError as error:
            report((*place, "weights"), f"{choice.weights}: cannot be read: {error.strerror}")
    return TrialArchitecture(
        name=row.name,
        weights=choice.weights,
        weights_sha256=digest,
        image_size=image_size,
        model=model,
        own=own,
    )


def _digest_of_backbone(row: Architecture, model: Mapping[str, Value], report: Callable[[str], None]) -> str | None:
    """The sha256 over the files of a backbone in a folder of the user's; None if it is no such."""
    option, name = row.find_option("backbone"), str(model.get("backbone", ""))
    if option is None or not option.folders or not Path(name).is_absolute():
        return None
    try:
        return weights.digest(Path(name), weights.PIXELS)
    except OSError as error:
        report(f"{name}: cannot be read: {error.strerror}")
        return None


def _relative_with(row: Architecture, word: str) -> str:
    """Name the architecture that differs from this one by a suffix and has such weights; empty if there is none."""
    for other in registry.BUILT_IN.values():
        related = f"{other.name}_".startswith(f"{row.name}_") or f"{row.name}_".startswith(f"{other.name}_")
        if related and word in other.weights_words():
            return f" ({other.name} takes {word})"
    return ""


def _options(
    row: Architecture, choice: ArchitectureChoice, place: Place, report: messages.Report, folder: Path
) -> dict[str, Value]:
    """Return the keys under `model` as a trial holds them, and report what the architecture's row does not allow."""
    options = {option.name: option for option in row.options}
    values: dict[str, Value] = {}
    for name, value in choice.model.items():
        option = row.find_option(name)
        if option is None:
            known = f"known: {', '.join(options)}" if options else "it has none"
            report((*place, name), f"{row.name} has no such option{nearest(name, options)}; {known}")
            continue
        if option.pretrained_only and choice.weights not in row.published_files:
            report((*place, name), f"has no effect with weights: {choice.weights}; only published weights have it")
        try:
            values[name] = option.read(value)
            if option.folders:
                values[name] = weights.hub_or_folder(str(value), folder, Path.cwd())
        except ValueError as error:
            report((*place, name), f"{row.name} {error}, got {messages.shown(value)}")
    return values


def _check_size(file: SuiteFile, report: messages.Report) -> None:
    """Count the trials before any of them is made."""
    points = math.prod(len(values) for values in file.sweep.values())
    searched = file.search.trials if file.search else 0
    count = len(file.datasets) * len(file.architectures) * points * (searched + len(file.seeds))
    if count > MAX_TRIALS:
        last = counted(len(file.seeds), "seed")
        last = f"({counted(searched, 'trial')} of the search + {last})" if searched else last
        product = (
            f"{counted(len(file.datasets), 'dataset')} × {counted(len(file.architectures), 'architecture')} × "
            f"{counted(points, 'point')} of the sweep × {last}"
        )
        place = ("sweep",) if points >= len(file.seeds) else ("seeds",)
        report(place, f"{product} make {count:,} trials; a suite has at most {MAX_TRIALS:,}")


def _settings(
    data: dict[str, Any],
    index: int,
    row: Architecture,
    architecture: TrialArchitecture,
    folder: Path,
    report: messages.Report,
) -> Iterator[Setting]:
    """Yield one setting for each point of the sweep.

    Swept values override the architecture's own hyperparameters, and these override the suite's.
    """
    written, axes = data["architectures"][index], data.get("sweep", {})
    overrides = written.get("hyperparameters", {})
    place: Place = ("architectures", index)
    for where, text in sweep.conflicts(axes, written, place):
        report(where, text)
    lengths = list(combined.budget_problems(data, index))
    for where, text in lengths:
        report(where, text)
    if lengths:
        return
    budget = {"budget": data["budget"]} if data.get("budget") is not None else {}
    shared = {**merged(data.get("hyperparameters", {}), overrides), **budget}
    unswept: Place = (*place, "hyperparameters") if overrides else ("hyperparameters",)
    for point in sweep.points(axes):
        built = _at_point(point, written, architecture, row, folder, report)
        if built is None:
            continue
        configured = merged(shared, sweep.hyperparameters(point))
        resolved = resolve(row, configured)
        problem = combined.contradiction(row, built, resolved)
        if problem:
            report(unswept if combined.contradiction(row, architecture, resolve(row, shared)) else ("sweep",), problem)
        setting = Setting(architecture=built, row=row, hyperparameters=resolved, configured=configured, swept=point)
        if not problem and data.get("search"):
            check_points(data["search"], setting.at, partial(combined.contradiction, row, built), report)
        yield setting


def _at_point(
    point: sweep.Point,
    written: dict[str, Any],
    architecture: TrialArchitecture,
    row: Architecture,
    folder: Path,
    report: messages.Report,
) -> TrialArchitecture | None:
    """The architecture at a point of the sweep; None if the point's values are not allowed, which is reported."""
    keys = [key for key, _ in point if sweep.is_of_architecture(key)]
    if not keys:
        return architecture
    choice = sweep.choice_at(point, {"weights": architecture.weights, **written}, folder, report)
    if choice is None:
        return None
    told: list[str] = []

    def report_at_axis(where: Place, text: str) -> None:
        name = str(where[-1])
        key = next((key for key in keys if key.rpartition(".")[2] == name), keys[0])
        told.append(text)
        report(("sweep", key), text)

    built = _architecture(row, architecture.own, choice, (), report_at_axis, folder)
    return None if told else built
