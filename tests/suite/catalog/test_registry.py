"""A suite names architectures of its user's by import path or entry point; what cannot be used gets one message."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.catalog import registry
from harness.suite.expand import configuration_key, plan_trials
from harness.suite.load import json_schema, load_suite
from harness.suite.trial import Trial

ROW = """
from harness.suite.catalog.architecture import Architecture, Option, Recipe

OWN = Architecture(
    name="{name}", family="{family}", backbone="none", stages=1, parameters=7, recipe=Recipe(lr=0.1),
    options=(Option(name="width", maximum=4),),
)
NUMBER = 7
"""
SUITE = """\
suite: s
datasets:
  shapes: {{format: synthetic, train: {{images: 4}}, val: {{images: 2}}}}
architectures: [{{name: '{name}', weights: {weights}, model: {{{model}}}}}]
"""


@pytest.fixture
def write_row(tmp_path: Path) -> Callable[..., Path]:
    """Write own.py, with a row whose family is family.py, and family.py."""

    def write(folder: Path = tmp_path, name: str = "mine", family: str = "family.py", content: str = "") -> Path:
        folder.mkdir(exist_ok=True)
        (folder / "own.py").write_text(ROW.format(name=name, family=family))
        (folder / "family.py").write_text(content)
        return folder

    return write


def _trial(folder: Path, name: str = "own.py:OWN", weights: str = "none", model: str = "") -> Trial:
    path = folder / "s.yaml"
    path.write_text(SUITE.format(name=name, weights=weights, model=model))
    (trial,) = plan_trials(load_suite(path), {"shapes": "f"}, max_images=None)
    return trial


def test_a_file_beside_the_suite_names_an_architecture(write_row: Callable[..., Path]) -> None:
    """The trial has the row's name, what a report needs of the row, and where to import it from."""
    folder = write_row()
    trial = _trial(folder, model="width: 3")
    assert trial.trial_id.startswith("shapes-mine-s0-")
    own = trial.architecture.own
    assert own is not None
    assert (own.path, own.backbone, own.stages, own.parameters) == (f"{folder / 'own.py'}:OWN", "none", 1, 7)
    assert trial.hyperparameters.lr == 0.1 * 4 / 16  # by the row's recipe
    assert registry.load_row(own.path, folder).family == str(folder / "family.py")


def test_identity_follows_the_code_and_not_where_it_lies(write_row: Callable[..., Path], tmp_path: Path) -> None:
    """The same files in another folder are the same trial; another line in the family's file makes another one."""
    first = _trial(write_row(tmp_path / "a"))
    moved = _trial(write_row(tmp_path / "b"))
    changed = _trial(write_row(tmp_path / "c", content="# another line"))
    assert first.trial_id == moved.trial_id
    assert configuration_key(first) == configuration_key(moved)
    assert changed.trial_id != first.trial_id


def test_identity_follows_what_the_code_imports(write_row: Callable[..., Path], tmp_path: Path) -> None:
    """An edit of a module that the family imports makes another trial; without such a module ids are those of 0.3."""
    folder = write_row(tmp_path / "a", content="import blocks_of_mine")
    (folder / "blocks_of_mine.py").write_text("WIDTH = 3\n")
    first = _trial(folder)
    assert first.trial_id == _trial(folder).trial_id
    (folder / "blocks_of_mine.py").write_text("WIDTH = 4\n")
    assert _trial(folder).trial_id != first.trial_id

    alone = write_row(tmp_path / "b")
    own = _trial(alone).architecture.own
    assert own is not None
    digests = [hashlib.sha256((alone / name).read_bytes()).digest() for name in ("own.py", "family.py")]
    assert own.sha256 == hashlib.sha256(b"".join(digests)).hexdigest()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("gone.py:OWN", "no such file: gone.py"),
        ("own.py:OTHER", "has no OTHER"),
        ("own.py:NUMBER", "is a int: expected a harness.suite.catalog.architecture.Architecture"),
        ("own.py:", "expected module:NAME or file.py:NAME"),
        ("no_such_module_here:OWN", "cannot be imported: ModuleNotFoundError"),
        ("own", "unknown architecture 'own'"),
    ],
)
def test_what_cannot_be_used_gets_one_message(name: str, problem: str, write_row: Callable[..., Path]) -> None:
    """At its line of the suite, in words."""
    with pytest.raises(SuiteError) as error:
        _trial(write_row(), name)
    (text,) = error.value.problems
    assert ":4: architectures[0].name: " in text
    assert problem in text


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"name": "retinanet_resnet50_fpn"}, "as a built-in architecture is: give it a name of its own"),
        ({"name": "a/b"}, "expected letters, digits"),
        ({"family": "gone.py"}, "gone.py: there is no such module or file"),
        ({"family": "no_such_module_here"}, "no_such_module_here: there is no such module or file"),
    ],
)
def test_a_row_that_cannot_be_used_gets_one_message(
    row: dict[str, str], problem: str, write_row: Callable[..., Path]
) -> None:
    """Before the night, not in its first trial."""
    with pytest.raises(SuiteError, match=problem):
        _trial(write_row(**row))


def test_options_and_weights_are_those_of_the_row(write_row: Callable[..., Path]) -> None:
    """An unknown option, one that is too large, and published weights where there are none: all at once."""
    folder = write_row()
    with pytest.raises(SuiteError) as error:
        _trial(folder, weights="default", model="width: 5, layers: 1")
    text = str(error.value)
    assert "model.width: mine takes at most 4, got 5" in text
    assert "model.layers: mine has no such option; known: width" in text
    assert "weights: mine takes none or a file of weights, got default" in text


def test_an_installed_package_offers_architectures_by_name(
    write_row: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By an entry point, which is imported when a suite names it and not before; its name must be the row's."""
    write_row(family="harness.trial.models.base")
    (tmp_path / "own.py").rename(tmp_path / "installed_rows.py")
    package = tmp_path / "rows-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: rows\nVersion: 1.0\n")
    points = "mine = installed_rows:OWN\nother = installed_rows:OWN\n"
    (package / "entry_points.txt").write_text(f"[{registry.ENTRY_POINTS}]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert {"mine", "other"} <= set(registry.names())
    assert "mine" in json.dumps(json_schema())
    own = _trial(tmp_path, "mine").architecture.own
    assert own is not None
    assert own.path == "installed_rows:OWN"
    with pytest.raises(SuiteError, match="gives a row of the name mine: they must agree"):
        _trial(tmp_path, "other")


def test_built_in_trials_carry_nothing_of_this(tmp_path: Path) -> None:
    """What older trials are identified by stays as it was."""
    trial = _trial(tmp_path, "retinanet_resnet50_fpn")
    assert trial.architecture.own is None
    assert '"own"' not in configuration_key(trial)
    own = registry.OwnArchitecture(path="a:B", sha256="0", backbone="b", stages=1, parameters=1)
    other = replace(trial, architecture=replace(trial.architecture, own=own))
    assert configuration_key(other) != configuration_key(trial)


def test_two_networks_of_the_users_have_two_names(tmp_path: Path) -> None:
    """Rows of the page are told apart by their names; the same one with other options is no other network."""
    (tmp_path / "nets.py").write_text("def one(*, num_classes, image_size, width=1): ...\ndef two(**_): ...\n")
    path = tmp_path / "s.yaml"
    for second, sound in (("one, name: mine, model: {width: 2}", True), ("two, name: mine", False)):
        path.write_text(
            "suite: s\ndatasets: {shapes: {format: synthetic, train: {images: 4}, val: {images: 2}}}\narchitectures:\n"
            f"  - {{python: nets.py:one, name: mine}}\n  - {{python: nets.py:{second}}}\n"
        )
        if sound:
            assert len(load_suite(path).settings) == 2
        else:
            with pytest.raises(
                SuiteError, match=r"s.yaml:5: architectures\[1\].name: .*nets.py:one is called mine too"
            ):
                load_suite(path)


@pytest.mark.parametrize(
    ("function", "told"),
    [
        ("def one(*, num_classes, width=1): ...", True),
        ("def one(num_classes, width): ...", True),
        ("def one(*, num_classes, **others): ...", False),
        ("import functools\n@functools.cache\ndef one(*, num_classes): ...", False),
        ("one = print", False),
    ],
)
def test_an_argument_that_a_network_of_ones_own_does_not_take_is_told(
    tmp_path: Path, function: str, *, told: bool
) -> None:
    """Where the file says so: what takes any name, or is no plain function, is seen when it is called."""
    (tmp_path / "nets.py").write_text(f"{function}\n")
    path = tmp_path / "s.yaml"
    path.write_text(
        "suite: s\ndatasets: {shapes: {format: synthetic, train: {images: 4}, val: {images: 2}}}\narchitectures:\n"
        "  - {python: nets.py:one, name: mine, model: {widht: 2}}\n"
    )
    if not told:
        assert load_suite(path).settings[0].architecture.model == {"widht": 2}
        return
    with pytest.raises(SuiteError) as error:
        load_suite(path)
    wanted = "s.yaml:4: architectures[0].model.widht: mine has no such option; did you mean width?; known: width"
    assert wanted in str(error.value)
