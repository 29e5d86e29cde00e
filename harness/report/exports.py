"""The rows of the report as files for other programs: CSV, Parquet, JSON and a LaTeX table.

Owns the order and the names of the columns, which are in SI units except in the LaTeX table, and the escaping: no name
has an effect in the program that opens the file. The same frame gives the same bytes. `harness.api` writes the files.
"""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from harness.formatting import mebibytes, metric_value, milliseconds, number, printable

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

_FIRST = (
    "dataset",
    "label",
    "architecture",
    "setting",
    "variant",
    "how",
    "n",
    "map",
    "map_std",
    "map_low",
    "map_high",
    "rank_low",
    "rank_high",
    "letters",
    "map_50",
    "map_75",
    "map_at_detections",
    "latency_median_s",
    "latency_race_low_s",
    "latency_race_high_s",
    "latency_p95_s",
    "latency_trial_s",
    "latency_low_s",
    "latency_high_s",
    "throughput_images_per_s",
    "batch_size",
    "inference_memory_bytes",
    "parameters",
    "flops",
)
_LAST = ("subset", "outcomes", "warnings", "trial_ids", "configuration")
# Characters that start a formula in a spreadsheet, full-width ones included (OWASP, CSV Injection).
_FORMULA = "=+-@＝＋－＠"
_WARNINGS = pa.list_(pa.struct([("name", pa.string()), ("reason", pa.string())]))
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\char34}",
    "[": "{[}",  # after the end of a row, LaTeX would read it as an option of that row, and an asterisk too
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_LATIN_1 = 0x100  # beyond these characters, pdflatex knows only some and stops at any other
# Columns of the LaTeX table: the header, the frame's column, how a value is shown, and which value is the best.
_MEASURED: tuple[tuple[str, str, Callable[[Any], str], str | None], ...] = (
    ("mAP", "map", metric_value, "max"),
    (r"mAP\textsubscript{50}", "map_50", metric_value, "max"),
    ("latency (ms)", "latency_median_s", milliseconds, "min"),
    ("p95 (ms)", "latency_p95_s", milliseconds, "min"),
    ("throughput (img/s)", "throughput_images_per_s", lambda value: number(value, 1), "max"),
    ("memory (MiB)", "inference_memory_bytes", mebibytes, "min"),
    ("parameters (M)", "parameters", lambda value: number(value / 1e6, 1), None),
)


def to_csv(frame: pd.DataFrame) -> bytes:
    """Return a CSV file in UTF-8 with a header.

    Unknown values are empty cells, and text that looks like a formula starts with an apostrophe.
    """
    table = _ordered(frame)
    for name in table:
        table[name] = [_cell(value) for value in table[name]] if table[name].dtype.kind == "O" else table[name]
    text: str = table.to_csv(index=False, lineterminator="\n")
    return text.encode()


def to_parquet(frame: pd.DataFrame) -> bytes:
    """Return a Parquet file with unchanged numbers; `warnings` is a list of (name, reason)."""
    ordered = _ordered(frame)
    table = pa.Table.from_pandas(ordered.drop(columns="warnings"), preserve_index=False)
    warnings = pa.array([_named(warnings) for warnings in ordered["warnings"]], _WARNINGS)
    table = table.add_column(ordered.columns.get_loc("warnings"), "warnings", warnings)
    stream = io.BytesIO()
    pq.write_table(table, stream)
    return stream.getvalue()


def to_json(frame: pd.DataFrame) -> bytes:
    """Return a JSON list with one object for each row, null for unknown values, and only ASCII characters."""
    table = _ordered(frame)
    rows = [
        {
            name: _named(value) if name == "warnings" else _json_value(value)
            for name, value in zip(table, row, strict=True)
        }
        for row in table.itertuples(index=False, name=None)
    ]
    return json.dumps(rows, indent=2, allow_nan=False).encode() + b"\n"


def to_latex(frame: pd.DataFrame) -> bytes:
    """Return a table for a paper: the main columns in display units, the best value of each dataset in bold.

    Values of subset rows are never bold.
    """
    table = frame.reindex(columns=["dataset", "label", "subset", "map_std", *(name for _, name, _, _ in _MEASURED)])
    datasets = tuple(dict.fromkeys(table["dataset"]))
    lines: list[str] = []
    for dataset in datasets:
        rows = table[table["dataset"] == dataset]
        if len(datasets) > 1:
            lines += [r"\midrule"] if lines else []
            lines.append(rf"\multicolumn{{{len(_MEASURED) + 1}}}{{l}}{{\textit{{{_latex(dataset)}}}}} \\")
        lines += _latex_rows(rows)
    text = (
        "% \\usepackage[T1]{fontenc} \\usepackage{booktabs}",
        rf"\begin{{tabular}}{{l{'r' * len(_MEASURED)}}}",
        r"\toprule",
        rf"architecture & {' & '.join(header for header, _, _, _ in _MEASURED)} \\",
        r"\midrule",
        *lines,
        r"\bottomrule",
        r"\end{tabular}",
    )
    return "".join(f"{line}\n" for line in text).encode()


FORMATS: dict[str, Callable[[pd.DataFrame], bytes]] = {
    "csv": to_csv,
    "parquet": to_parquet,
    "json": to_json,
    "latex": to_latex,
}


def _ordered(frame: pd.DataFrame) -> pd.DataFrame:
    """Order the columns: the main ones first, then the others."""
    others = [name for name in frame if name not in {*_FIRST, *_LAST}]
    return frame[[name for name in (*_FIRST, *others, *_LAST) if name in frame]].copy()


def _cell(value: Any) -> Any:
    """Return a CSV cell of a column that does not hold numbers."""
    if isinstance(value, tuple):
        value = "; ".join(part if isinstance(part, str) else ": ".join(part) for part in value)
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.startswith(tuple(_FORMULA)) else text


def _named(warnings: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"name": name, "reason": reason} for name, reason in warnings]


def _json_value(value: Any) -> Any:
    """Convert a value to one that JSON has: a number, text, boolean, list or null."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, tuple):
        return [_json_value(part) for part in value]
    return value if isinstance(value, str | int) or value is None else str(value)


def _latex_rows(rows: pd.DataFrame) -> list[str]:
    """Return the lines of one dataset."""
    cells = {name: [_latex(show(value)) for value in rows[name]] for _, name, show, _ in _MEASURED}
    real = rows[~rows["subset"].astype(bool)]
    for _, name, show, best in _MEASURED:
        if best and real[name].notna().any():
            winner = _latex(show(getattr(real[name], best)()))
            candidates = zip(cells[name], rows["subset"], strict=True)
            # Values that look the same after rounding are equally good.
            cells[name] = [
                rf"\textbf{{{cell}}}" if cell == winner and not subset else cell for cell, subset in candidates
            ]
    spreads = ["" if math.isnan(std) else rf" $\pm$ {metric_value(std)}" for std in rows["map_std"]]
    cells["map"] = [f"{cell}{spread}" for cell, spread in zip(cells["map"], spreads, strict=True)]
    labels = [
        _latex(label) + (" (subset)" if subset else "")
        for label, subset in zip(rows["label"], rows["subset"], strict=True)
    ]
    return [rf"{' & '.join(line)} \\" for line in zip(labels, *cells.values(), strict=True)]


def _latex(text: object) -> str:
    """Escape text for LaTeX; characters that pdflatex does not know become question marks."""
    plain = printable(text).replace("–", "--")
    return "".join(_LATEX.get(letter, letter if ord(letter) < _LATIN_1 else "?") for letter in plain)
