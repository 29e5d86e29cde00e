"""The page's first lines: what to ship, what the alternatives cost, what is not separated, and how certain that is.

At most eight lines and 900 characters, however many rows there are; every line is a claim that `harness.analysis` made.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING

from harness.analysis.choice import MIN_MAP, choose
from harness.formatting import bracketed, counted, memory, metric_value, milliseconds, number, points, short_name
from harness.report.markup import escape

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    import pandas as pd

    from harness.analysis.choice import Choice
    from harness.analysis.dataset import DatasetAnalysis
    from harness.analysis.error import Error
    from harness.analysis.speed import SpeedClaim
    from harness.store.record import Record

NOT_COMPARABLE = "not comparable"
_MAX_CHARACTERS = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class _Detail:
    """How much the lines say.

    Attributes:
        name: the longest name, in characters.
        named: how many rows or doubts a line names; it counts the others.
        alternatives: how many faster rows have a line.
    """

    name: int = 40
    named: int = 2
    alternatives: int = 2


# Where it would be too much, names are shortened first, and then goes what the tables say as well.
_DETAILS = (
    _Detail(),
    _Detail(name=24),
    _Detail(name=24, alternatives=1),
    _Detail(name=24, alternatives=0),
    _Detail(name=24, alternatives=0, named=1),
)
_SPEED = {"not raced": "the speed, by medians", "not separated": "the speed, not separated"}
_FASTEST = {
    "race": "the fastest in the race of {} not separated",
    "chance": "the fastest in the race, but within chance, of {} not separated",
    "medians": "the fastest by medians of {} not separated",
}


def section(dataset: DatasetAnalysis) -> list[str]:
    """Return what to ship, the alternatives, what is not separated or in doubt, and how sure that is."""
    rows = dataset.candidates
    if rows.empty and dataset.rows["latency_median_s"].notna().any():
        return ["The evaluated split has no boxes: the tables below show speed, but no accuracy."]
    if rows.empty:
        return ["Nothing is measured here yet."]
    if rows["subset"].any():
        best = rows.iloc[0]
        return [f"- **Most accurate ({NOT_COMPARABLE}) {_name(best, _DETAILS[0])}:** {_numbers(best)}."]
    choice = choose(dataset)
    texts = (_text(dataset, choice, detail) for detail in _DETAILS)
    shortest = _text(dataset, choice, _DETAILS[-1])
    return [next((text for text in texts if len(text) <= _MAX_CHARACTERS), shortest)]


def _text(dataset: DatasetAnalysis, choice: Choice, detail: _Detail) -> str:
    lines = [
        _answer(dataset, choice, detail),
        *_alternatives(dataset, choice, detail),
        *_not_separated(dataset, choice, detail),
        *_in_doubt(dataset, choice, detail),
        *_speed(dataset),
        _how_sure(dataset),
        *_budget(dataset, detail),
    ]
    return "\n".join(f"- {line}" for line in lines)


def _name(row: pd.Series, detail: _Detail) -> str:
    return escape(short_name(row["label"], detail.name))


def accuracy(row: pd.Series) -> str:
    """Format a row's mAP with its 95 % interval."""
    return f"{metric_value(row['map'])} {bracketed(row['map_low'], row['map_high'])}".strip()


def change(dataset: DatasetAnalysis, first: Hashable, second: Hashable) -> str:
    """Format the difference of two rows' mAPs with its 95 % interval, if that is known."""
    pair = dataset.significance.pair(first, second)
    if pair is None:
        return points(dataset.rows.loc[first, "map"] - dataset.rows.loc[second, "map"])
    ends = pair.interval
    return f"{points(ends.value)} [{points(ends.low)} to {points(ends.high)}]"


def times(claim: SpeedClaim) -> str:
    """Format how many times as fast a row is, with its 95 % interval if the two raced."""
    if math.isnan(claim.times):
        return "–"
    ends = bracketed(claim.interval.low, claim.interval.high, _ratio) if claim.interval else ""
    return f"{_ratio(claim.times)}× {ends}".strip()


def smallest_difference(dataset: DatasetAnalysis) -> float | None:
    """Return the difference from the baseline that would be seen with 80 %, the median over rows; None if unknown."""
    found = [error.detectable for error in errors_from_baseline(dataset)]
    return median(found) if found else None


def errors_from_baseline(dataset: DatasetAnalysis) -> list[Error]:
    """Return the error of each row's difference from the baseline; rows that found exactly the same have none."""
    pairs = [dataset.significance.pair(index, dataset.baseline) for index in dataset.rows.index]
    return [pair.difference.error for pair in pairs if pair is not None and pair.difference.error.standard > 0]


def _ratio(value: float) -> str:
    return number(value, 2)


def _numbers(row: pd.Series) -> str:
    used = memory(row["inference_memory_bytes"])
    text = f"mAP {accuracy(row)}, {milliseconds(row['latency_median_s'])} ms (p95 {milliseconds(row['latency_p95_s'])})"
    return text if used == "–" else f"{text}, {used}"


def _answer(dataset: DatasetAnalysis, choice: Choice, detail: _Detail) -> str:
    row = dataset.rows.loc[choice.chosen]
    if dataset.rows.loc[choice.best, "map"] < MIN_MAP:
        text = f"the best, {_name(row, detail)}, has {_numbers(row)}: train longer, or look at the data."
        return f"**Nothing to ship yet:** {text}"
    word = "Ship" if choice.ships else "Best here, but in doubt:"
    text = f"**{word} {_name(row, detail)}:** {_numbers(row)}"
    if choice.tied and choice.fastest_by:
        text += f"; {_FASTEST[choice.fastest_by].format(len(choice.tied) + 1)}"
    return f"{text}; one seed: holds for these weights." if row["n"] == 1 else f"{text}."


def _alternatives(dataset: DatasetAnalysis, choice: Choice, detail: _Detail) -> Iterator[str]:
    """Yield what the nearest and the fastest of the faster rows on the front cost."""
    rows, chosen = dataset.rows, choice.chosen
    claims = {index: dataset.speeds.claim(index, chosen) for index in dataset.front.index}
    faster = sorted((index for index in claims if claims[index].times > 1), key=lambda index: claims[index].times)
    for index in list(dict.fromkeys([*faster[:1], *faster[-1:]]))[: detail.alternatives]:
        claim, pair = claims[index], dataset.significance.pair(index, chosen)
        word = f", {pair.word}" if pair is not None else ""
        yield (
            f"**{_name(rows.loc[index], detail)}:** {times(claim)} {_SPEED.get(claim.word, claim.word)}; mAP "
            f"{change(dataset, index, chosen)}{word}."
        )


def _not_separated(dataset: DatasetAnalysis, choice: Choice, detail: _Detail) -> list[str]:
    """Return a line on the rows whose accuracy cannot be told from the best one's; empty if there are none."""
    if not choice.tied:
        return []
    others = [index for index in (choice.best, *choice.tied) if index != choice.chosen]
    rows = dataset.rows
    texts = [f"{_name(rows.loc[index], detail)} ({metric_value(rows.loc[index, 'map'])})" for index in others]
    names = _listed(texts, detail)
    return [f"**Not separated** in accuracy: {names}; what it would take is said below."]


def _in_doubt(dataset: DatasetAnalysis, choice: Choice, detail: _Detail) -> list[str]:
    """Return a line on what stands against the answer, and on how many rows have measurement warnings."""
    texts = list(choice.doubts[: detail.named])
    hidden = len(choice.doubts) - detail.named
    texts += [f"{hidden} more"] if hidden > 0 else []
    warned = [row for _, row in dataset.candidates.iterrows() if row["warnings"]]
    if warned:
        texts.append(f"[measurement warnings](#warnings) of {counted(len(warned), 'row')}")
    return [f"**In doubt:** {'; '.join(texts)}."] if texts else []


def _speed(dataset: DatasetAnalysis) -> list[str]:
    """Return what speeds were compared by; empty if there is nothing to compare."""
    if len(dataset.candidates) == 1:
        return []
    if len(dataset.speeds.groups) > 1:
        return ["**Speed:** not all ran in one environment by one protocol; each of these has its own table."]
    if dataset.speeds.race is None:
        medians = "**Speed:** by medians of one process each; without `harness race` no row is called faster"
        elsewhere = " (the race ran in another environment)" if dataset.speeds.race_elsewhere else ""
        return [f"{medians}{elsewhere}."]
    race, rows = dataset.speeds.race, dataset.candidates
    raced, blocks = int(rows["latency_race_low_s"].notna().sum()), counted(race.blocks, "block")
    failed = f"; [{counted(len(race.failed), 'row')} failed in it](#warnings)" if race.failed else ""
    if raced == len(rows):
        return [f"**Speed:** raced in {blocks} of fresh processes{failed}."]
    others = "the others by medians of one process each"
    return [f"**Speed:** {raced} of {len(rows)} rows raced in {blocks} of fresh processes{failed}; {others}."]


def _how_sure(dataset: DatasetAnalysis) -> str:
    records = list(dataset.measured.values())
    splits = {record.metrics.split for record in records}
    epoch = ", the epoch chosen on val" if splits == {"test"} and _validated(records) else ""
    images = _span([record.metrics.images for record in records])
    seeds = dataset.candidates["n"].astype(int).tolist()
    noun = "image" if images == "1" else "images"
    where = f"{images} {' and '.join(sorted(splits))} {noun}{epoch}"
    text = f"**How sure:** {where}, {_span(seeds)} seed{'' if set(seeds) == {1} else 's'} each"
    if dataset.significance.estimates:
        text += "; 95 % intervals over images" + (" and seeds" if max(seeds) > 1 else " alone")
    detectable = smallest_difference(dataset)
    if detectable is not None and detectable >= 1:
        text += "; with so few seeds or images no difference could be relied on to be seen"
    elif detectable is not None:
        text += f"; a difference of {metric_value(detectable)} would be seen 4 times in 5"
    if len(dataset.candidates) > 1:
        text += "; chosen on the images that score it, so the best looks a little too good"
    return f"{text}."


def _validated(records: Sequence[Record]) -> bool:
    return any(epoch.val_map is not None for record in records for epoch in record.measurements.epochs)


def _budget(dataset: DatasetAnalysis, detail: _Detail) -> list[str]:
    """Return a line on the training budgets, if the suite set one for all, or if the rows had different ones."""
    rows = dataset.candidates
    sizes = list(dict.fromkeys(rows["image_size"]))
    texts = {
        "epochs": _span(rows["epochs"].dropna().round().astype(int).tolist()),
        "images seen": _span(rows["images_seen"].dropna().round().astype(int).tolist()),
        "learning rates": _span(rows["lr"].tolist(), "g"),
    }
    differing = [f"{key} {text}" for key, text in texts.items() if " to " in text]
    differing += [f"image sizes {_listed(sizes, detail)}"] if len(sizes) > 1 else []
    budgets = {record.trial.hyperparameters.budget for record in dataset.measured.values()}
    budget = budgets.pop() if len(budgets) == 1 else None
    if budget is not None:
        trained = {row["trial_ids"]: dataset.records(row) for _, row in rows.iterrows()}  # variants share a training
        early = sum(
            any(record.measurements.stopped_epoch is not None for record in records) for records in trained.values()
        )
        words = f"at most {budget.words()} each" if early else f"{budget.words()} each"
        stopped = [f"{early} of {counted(len(trained), 'row')} stopped early"] if early else []
        return [f"**Budget:** {'; '.join((words, *stopped, *differing))}."]
    return [f"**Budgets differ:** {'; '.join(differing)}."] if differing else []


def _span(values: Sequence[float], style: str = ",") -> str:
    """Format the range of some values: `3 to 8`, or `3` if all are equal; a dash if there are none."""
    return " to ".join(f"{value:{style}}" for value in sorted({min(values), max(values)})) if values else "–"


def _listed(names: Sequence[str], detail: _Detail) -> str:
    """Name the first ones, and count the others."""
    hidden = len(names) - detail.named
    return f"{', '.join(names[: detail.named])} and {hidden} more" if hidden > 0 else " and ".join(names)
