"""`harness list architectures`: the catalogue as a table by family, as data, or one architecture in full."""

from __future__ import annotations

import itertools
import shutil
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Row = dict[str, Any]  # as `harness.suite.catalog.describe.as_data` has it

_NARROWEST = 40
_GAP = " "


def table_lines(rows: Sequence[Row]) -> Iterator[str]:
    """The catalogue by family, no wider than the terminal where that has 80 columns: the first columns that fit."""
    width = shutil.get_terminal_size().columns
    columns = _fitting(rows, width)
    yield _line([title for title, _, _ in columns], columns)
    for family, members in itertools.groupby(rows, key=lambda row: row["family"]):
        ours = list(members)
        yield ""
        yield from textwrap.wrap(_heading(family, ours), max(_NARROWEST, width), subsequent_indent="    ")
        for row in ours:
            yield _line([value(row) for _, _, value in columns], columns)
    yield ""
    closing = (
        "q: queries of a transformer. M: million parameters. GFLOPs and mAP: as published, on COCO; timm's GFLOPs are "
        "counted, at 640 x 480. A multiplication with its addition is one operation here, and two in a report, which "
        "counts them. here: whether the "
        "published weights are on this machine. `harness list architectures NAME` adds the backbone, sources, "
        "licences, recipe and options; --json prints everything as data."
    )
    yield from textwrap.wrap(closing, max(_NARROWEST, width))


def detail_lines(row: Row) -> Iterator[str]:
    """Everything about one architecture."""
    yield row["name"]
    for title, value in _details(row):
        yield from textwrap.wrap(
            f"{title}: {value}",
            width=max(_NARROWEST, shutil.get_terminal_size().columns),
            initial_indent=" " * 4,
            subsequent_indent=" " * 8,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _details(row: Row) -> Iterator[tuple[str, str]]:
    yield "family", row["family"]
    yield "backbone", row["backbone"]
    yield "detects in", _kind(row)
    yield "native size", f"{_size(row)} pixels ({row['resize'].replace('_', ' ')}{_only(row)})"
    yield "parameters", f"{row['parameters']:,}"
    if row["gflops"] is not None:
        yield "GFLOPs", f"{row['gflops']:g}"
    if row["coco_map"] is not None:
        yield "COCO mAP", f"{row['coco_map']:.3f} ({row['coco_map_source'] or 'no source'})"
    yield "licences", f"code {row['code_license'] or 'unknown'}, weights {row['weights_license'] or 'none published'}"
    yield "needs", _needs(row) or "no extra"
    for weights in row["weights"]:
        state = f"at {weights['path']}" if weights["cached"] else "not on this machine"
        yield f"weights: {weights['weights']}", f"{weights['file']}, {state}"
    recipe = dict(row["recipe"])
    source = recipe.pop("source")
    values = ", ".join(f"{key} {_plain(value)}" for key, value in recipe.items() if value not in (None, [], ()))
    yield "recipe", f"{values}{f' ({source})' if source else ''}"
    demands = ", ".join(_demands(row))
    if demands:
        yield "demands", demands
    if row["options"]:
        yield "model", ", ".join(row["options"])


def _fitting(rows: Sequence[Row], width: int) -> list[tuple[str, int, Callable[[Row], str]]]:
    """The columns that fit beside each other: title, width, and value; the first seven in any case."""
    chosen: list[tuple[str, int, Callable[[Row], str]]] = []
    used = -len(_GAP)
    for number, (title, value) in enumerate(_COLUMNS):
        wide = max(len(title), *(len(value(row)) for row in rows))
        used += len(_GAP) + wide
        if number >= _ALWAYS and used > width:
            break
        chosen.append((title, wide, value))
    return chosen


def _line(cells: Sequence[str], columns: Sequence[tuple[str, int, Any]]) -> str:
    """The cells at their columns' widths; numbers to the right."""
    parts = [
        cell.rjust(wide) if title in _NUMBERS else cell.ljust(wide)
        for cell, (title, wide, _) in zip(cells, columns, strict=True)
    ]
    return _GAP.join(parts).rstrip()


def _heading(family: str, rows: Sequence[Row]) -> str:
    """A family's name with the extra that it needs, and the licences of its rows."""
    needs = dict.fromkeys(filter(None, map(_needs, rows)))
    code = ", ".join(dict.fromkeys(row["code_license"] or "unknown" for row in rows))
    weights = ", ".join(dict.fromkeys(row["weights_license"] for row in rows if row["weights_license"]))
    return f"{family} ({'; '.join([*needs, f'code {code}', *([f'weights {weights}'] if weights else [])])})"


def _needs(row: Row) -> str:
    """The extra that the row needs, with the command where it is not installed; empty if it needs none."""
    if not row["extra"]:
        return "" if row["installed"] else "a package is not installed"
    if row["installed"]:
        return f"extra [{row['extra']}], installed"
    return f"not installed: pip install 'detection-harness[{row['extra']}]'"


def _kind(row: Row) -> str:
    if row["queries"] is not None:
        return f"{row['queries']} queries"
    return f"{row['stages']} stage{'' if row['stages'] == 1 else 's'}"


def _size(row: Row) -> str:
    low, high = row["image_size"]
    return str(low) if low == high else f"{low}/{high}"


def _only(row: Row) -> str:
    return ", no other" if row["fixed_size"] else ""


def _demands(row: Row) -> Iterator[str]:
    """What a suite must keep to, beyond what every architecture wants."""
    if row["size_multiple"] > 1 and not row["fixed_size"]:
        yield f"image sizes that are multiples of {row['size_multiple']}"
    if row["min_batch"] > 1:
        yield f"at least {row['min_batch']} images in a training step (batch_size / accumulate)"
    if not row["fp16"]:
        yield "precision bf16 or fp32, for it overflows in fp16"
    if row["needs_masks"]:
        yield "data with masks"


def _here(row: Row) -> str:
    states = {weights["cached"] for weights in row["weights"]}
    return "-" if not states else "part" if len(states) > 1 else "yes" if states == {True} else "no"


def _plain(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("architecture", lambda row: row["name"]),
    ("stages", lambda row: f"{row['stages']}" if row["queries"] is None else f"{row['queries']} q"),
    ("size", _size),
    ("M", lambda row: f"{row['parameters'] / 1e6:.1f}"),
    ("GFLOPs", lambda row: "-" if row["gflops"] is None else f"{row['gflops']:.1f}"),
    ("mAP", lambda row: "-" if row["coco_map"] is None else f"{row['coco_map']:.3f}"),
    ("here", _here),
    ("backbone", lambda row: row["backbone"]),
    ("code", lambda row: row["code_license"] or "-"),
    ("weights", lambda row: row["weights_license"] or "-"),
    ("mAP from", lambda row: row["coco_map_source"] or "-"),
)
_ALWAYS = 7
_NUMBERS = {"M", "GFLOPs", "mAP"}
