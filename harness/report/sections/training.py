"""The page's section on how each row was trained: its recipe and where that comes from, its budget, what was used."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from harness.analysis.settings import image_size
from harness.formatting import number
from harness.report.markup import escape, table
from harness.store.record import AS_TRAINED
from harness.suite.catalog.registry import BUILT_IN
from harness.suite.recipe import departures, recipe_of
from harness.suite.schema import PRESETS

if TYPE_CHECKING:
    import pandas as pd

    from harness.analysis.dataset import DatasetAnalysis
    from harness.store.record import Record
    from harness.suite.schema import Hyperparameters
    from harness.suite.trial import Trial

_MINUTE = 60.0
_HEADER = (
    "architecture", "recipe", "image size", "augmentation", "optimizer", "learning rate", "schedule", "batch", "EMA",
    "budget", "epochs", "images seen", "training min",
)  # fmt: skip


def section(dataset: DatasetAnalysis) -> list[str]:
    """Return the table of the rows as trained, and the sources of their recipes; empty if nothing was trained."""
    trained = dataset.rows[dataset.rows["variant"] == AS_TRAINED]
    rows = [(row, records) for _, row in trained.iterrows() if (records := dataset.records(row))]
    if not rows:
        return []
    cells = [_cells(row, records) for row, records in rows]
    return ["### How they were trained", table(_HEADER, cells, left=5), " ".join(_notes(rows))]


def _cells(row: pd.Series, records: tuple[Record, ...]) -> tuple[str, ...]:
    trial = records[0].trial
    h = trial.hyperparameters
    early = any(record.measurements.stopped_epoch is not None for record in records)
    return (
        escape(row["label"]),
        _recipe(trial),
        _image_size(trial),
        _augmentation(h),
        h.optimizer,
        f"{h.lr:g}",
        h.schedule,
        str(h.batch_size),
        "–" if h.ema is None else f"{h.ema:g}",
        "–" if h.budget is None else h.budget.words(),
        number(row["epochs"], 0) + (" (stopped early)" if early else ""),
        number(row["images_seen"], 0),
        number(mean((record.measurements.training_s or 0.0) / _MINUTE for record in records), 1),
    )


def _recipe(trial: Trial) -> str:
    """Which recipe filled the hyperparameters, and which of them the suite set otherwise."""
    h, row = trial.hyperparameters, BUILT_IN.get(trial.architecture.name)
    if row is None and h.recipe == "published":  # the user's own has none
        return "none published"
    changed = departures(row, h) if row is not None else ()
    return h.recipe + (f", but {', '.join(changed)}" if changed else "")


def _image_size(trial: Trial) -> str:
    """The image size, and whether it is the architecture's native one."""
    size, row = trial.architecture.image_size, BUILT_IN.get(trial.architecture.name)
    text = str(size.min) if size.min == size.max else image_size(trial)
    if row is None:
        return text
    low, high = row.image_size
    native = str(low) if low == high else f"{low}/{high}"
    return f"{text} (native)" if text == native else f"{text} (native {native})"


def _augmentation(h: Hyperparameters) -> str:
    return next((name for name, preset in PRESETS.items() if preset == h.augmentation), "its own")


def _notes(rows: list[tuple[pd.Series, tuple[Record, ...]]]) -> list[str]:
    """Say where the recipes come from, what ended early, and what sizes mean."""
    notes = [
        "Each is trained by its published recipe at its native image size, unless the suite says otherwise: then the "
        "table says in what."
    ]
    sources: dict[str, list[str]] = {}
    for _, records in rows:
        trial = records[0].trial
        row = BUILT_IN.get(trial.architecture.name)
        if row is not None and (source := recipe_of(row, {"recipe": trial.hyperparameters.recipe}).source):
            shared = trial.hyperparameters.recipe == "shared"
            named = sources.setdefault(source, [])
            named += [name for name in ("the shared one" if shared else row.name,) if name not in named]
    if sources:
        texts = [f"{', '.join(names)} ({escape(source)})" for source, names in sources.items()]
        notes.append(f"Sources of the recipes: {'; '.join(texts)}.")
    return notes
