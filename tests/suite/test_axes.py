"""What a search tunes is a range or choices, and a mistake in it is told with its line and with what is allowed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.errors import SuiteError
from harness.suite.axes import Axis, combinations, n_points, read_axes
from harness.suite.load import load_suite

SUITE = """\
suite: a
datasets:
  shapes: {{format: synthetic, train: {{images: 4}}, val: {{images: 2}}}}
architectures:
  - name: fasterrcnn_resnet50_fpn
    hyperparameters: {{weight_decay: 1e-4}}
hyperparameters: {{batch_size: 4, accumulate: 2}}
sweep: {{gamma: [0.1, 0.5]}}
search:
  trials: 4
  epochs: 2
  over: {over}
"""


@pytest.fixture
def problems(tmp_path: Path) -> Callable[[str], str]:
    """Write a suite with this content of `over`, and return what is wrong with it."""

    def check(over: str) -> str:
        path = tmp_path / "s.yaml"
        path.write_text(SUITE.format(over=over))
        with pytest.raises(SuiteError) as error:
            load_suite(path)
        return str(error.value).replace(f"{path}:", "")

    return check


def test_ranges_and_choices() -> None:
    """A range is of whole numbers where the hyperparameter is; words are choices; so are numbers under `choices`."""
    over = {
        "lr": [1e-4, 1e-2, "log"],
        "momentum": [0, 1],
        "batch_size": [2, 4],
        "schedule": ["cosine", "constant"],
        "accumulate": {"choices": [1, 2]},
        "augmentation": ["flip", {"hflip": 0.0}],
    }
    axes = read_axes(over)
    assert axes == (
        Axis(name="lr", low=1e-4, high=1e-2, log=True),
        Axis(name="momentum", low=0, high=1),
        Axis(name="batch_size", low=2, high=4, integer=True),
        Axis(name="schedule", choices=("cosine", "constant")),
        Axis(name="accumulate", choices=(1, 2)),
        Axis(name="augmentation", choices=("flip", {"hflip": 0.0})),
    )
    assert n_points(axes[2:]) == 3 * 2 * 2 * 2
    assert len(list(combinations(axes[2:]))) == 24
    assert n_points(axes) == float("inf")


@pytest.mark.parametrize(
    ("over", "told"),
    [
        ("{rate: [1e-4, 1e-2]}", "12: search.over.rate: unknown hyperparameter"),
        ("{epochs: [1, 4]}", "12: search.over.epochs: is not tuned: search.epochs is the length"),
        (
            "{lr: 0.1}",
            "12: search.over.lr: expected [low, high], [low, high, log], a list of words, or {choices: [...]}",
        ),
        ("{lr: [0.1, 0.2, 0.3]}", "numbers to choose from are {choices: [...]}"),
        ("{lr: [0.1, 0.1]}", "12: search.over.lr: expected [low, high] with low < high, got [0.1, 0.1]"),
        ("{weight_decay: [0, 0.1, log]}", "a logarithmic range begins above 0, got [0, 0.1]"),
        ("{lr: [0, 0.1]}", "12: search.over.lr[0]: expected greater than 0"),
        ("{batch_size: [2.5, 4]}", "12: search.over.batch_size[0]: expected"),
        ("{schedule: [1, 2]}", "12: search.over.schedule: schedule is no number"),
        ("{schedule: [cosine, linear]}", "12: search.over.schedule[1]: expected"),
        ("{schedule: [cosine]}", "expected at least two choices, each once"),
        ("{schedule: {choices: [cosine, cosine]}}", "12: search.over.schedule.choices: expected at least two choices"),
        ("{schedule: {words: [cosine]}}", "12: search.over.schedule: expected [low, high]"),
        ("{gamma: [0.1, 0.2]}", "8: sweep.gamma: also tuned by search"),
        ("{weight_decay: [0.1, 0.2]}", "6: architectures[0].hyperparameters.weight_decay: also tuned by search"),
        ("{schedule: [cosine, constant]}", "10: search.trials: over has 2 different points"),
        ("{batch_size: [4, 8]}", "batch_size 5 cannot be divided into accumulate: 2 equal parts"),
    ],
)
def test_a_mistake_is_told(over: str, told: str, problems: Callable[[str], str]) -> None:
    """With file and line, what is there, and what is allowed."""
    assert told in problems(over)


def test_keys_of_a_search_are_checked(problems: Callable[[str], str]) -> None:
    """As all keys of the file."""
    told = problems("{lr: [1e-4, 1e-2]}\n  metric: map_75\n  sampler: grid\n  seed: -1")
    assert "13: search.metric: expected map or map_50, got 'map_75'" in told
    assert "14: search.sampler: expected tpe or random, got 'grid'" in told
    assert "15: search.seed: expected an integer ≥ 0, got -1" in told


def test_a_suite_of_too_many_trials_counts_those_of_the_search(problems: Callable[[str], str]) -> None:
    """Before any of them is made."""
    told = problems(f"{{lr: [1e-4, 1e-2]}}\nseeds: {list(range(4997))}")
    assert "2 points of the sweep × (4 trials of the search + 4,997 seeds) make 10,002 trials" in told


def test_without_optuna_a_search_is_refused(problems: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> None:
    """In one sentence, with the command that installs it."""
    monkeypatch.setattr("harness.suite.search_rules.find_spec", lambda _name: None)
    told = problems("{lr: [1e-4, 1e-2]}")
    assert "9: search: needs Optuna, which is not installed: pip install 'detection-harness[search]'" in told


def test_a_suites_milestones_keep_their_fraction_in_a_trial_of_the_search(tmp_path: Path) -> None:
    """Epochs of the seeds' training would never be reached in a shorter one, whose rate would not fall."""
    path = tmp_path / "suite.yaml"
    path.write_text(
        "suite: short\ndatasets: {shapes: {format: synthetic, train: {images: 4}, val: {images: 4}}}\n"
        "architectures: [{name: retinanet_resnet50_fpn, weights: none}]\n"
        "hyperparameters: {epochs: 20, milestones: [12, 18]}\n"
    )
    (setting,) = load_suite(path).settings
    assert setting.at({"epochs": 10, "budget": None, "lr": 0.1}).milestones == (6, 9)
    assert setting.at({"epochs": 10, "milestones": [3]}).milestones == (3,)
    assert setting.at({"lr": 0.1}).milestones == (12, 18)
