"""Exported files: other programs read back the numbers of the frame, and no name has an effect in them."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from harness.analysis.frame import configuration_frame, trial_frame
from harness.report.exports import FORMATS, to_csv, to_json, to_latex, to_parquet
from harness.store import files
from harness.store.record import MeasurementWarning
from harness.store.results import read_results
from tests.store.make import make_folder, make_outcome, make_record, make_trial

FASTER, MOBILE, RETINA = "fasterrcnn_resnet50_fpn", "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
HOSTILE = (
    "=cmd()",
    "+1",
    "@SUM(A1)",
    "\t=1",
    "\r-1",
    "＝1",
    "a|b`c",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "two\nlines",
    "\u202eright-to-left\u200f\x1b[31m",
    '5 "inches", 100 % & $x_1^2 {}~#\\',
    "\U0001f642 ok",
)


def _folder(root: Path) -> Path:
    """Write results: two seeds with warnings, a faster row, a subset that beats both, and a failed one."""
    warnings = (
        MeasurementWarning(name="unstable", reason="rounds lie 9 % apart"),
        MeasurementWarning(name="resumed", reason="at step 3"),
    )
    records = [
        make_record(make_trial(seed=seed), map=0.4 + seed / 100, latency_s=0.04, warnings=warnings) for seed in (0, 1)
    ]
    records += [make_record(make_trial(MOBILE), map=0.381, latency_s=0.02)]
    records += [make_record(make_trial(FASTER, max_images=4), map=0.9, latency_s=0.001)]
    make_folder(root, records, failed=((make_trial(MOBILE, h={"lr": 0.5}), make_outcome()),))
    return root


@pytest.fixture
def frame(tmp_path: Path) -> pd.DataFrame:
    folder = make_folder(tmp_path, [])
    _folder(folder.path)
    return configuration_frame(trial_frame(read_results(folder)))


def _hostile(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the same numbers under every hostile name, in each column of text."""
    rows = pd.concat([frame.iloc[[0]]] * len(HOSTILE), ignore_index=True)
    for name in ("dataset", "label", "architecture", "setting", "how"):
        rows[name] = list(HOSTILE)
    rows["warnings"] = [((text, text),) for text in HOSTILE]
    return rows


def test_csv_has_the_numbers_of_the_frame(frame: pd.DataFrame) -> None:
    """Every number to the last bit, the main columns first, unknown values empty, warnings as text."""
    rows = list(csv.DictReader(io.StringIO(to_csv(frame).decode())))
    assert list(rows[0])[:9] == [
        "dataset", "label", "architecture", "setting", "variant", "how", "n", "map", "map_std",
    ]  # fmt: skip
    assert set(rows[0]) >= set(frame.columns)
    for row, (_, expected) in zip(rows, frame.iterrows(), strict=True):
        assert row["label"] == expected["label"]
        for name in ("map", "map_std", "latency_median_s", "inference_memory_bytes"):
            assert math.isnan(expected[name]) if row[name] == "" else float(row[name]) == expected[name]
    assert {row["warnings"] for row in rows} == {"", "unstable: rounds lie 9 % apart; resumed: at step 3"}


def test_no_cell_is_a_formula_and_no_row_is_two(frame: pd.DataFrame) -> None:
    """Text that a spreadsheet would take for a formula starts with an apostrophe; negative numbers stay numbers."""
    hostile = _hostile(frame).assign(map_low=-0.5)
    rows = list(csv.DictReader(io.StringIO(to_csv(hostile).decode())))
    assert len(rows) == len(HOSTILE)
    for row in rows:
        assert row["map_low"] == "-0.5"
        for name in ("dataset", "label", "setting", "warnings"):
            assert row[name].isprintable()
            assert row[name].strip()[0] not in "=+-@＝"
    assert [row["label"] for row in rows][:3] == ["'=cmd()", "'+1", "'@SUM(A1)"]


def test_parquet_gives_the_frame_back(frame: pd.DataFrame) -> None:
    """With types and numbers, and warnings as names with reasons, hostile ones included."""
    for expected in (frame, _hostile(frame)):
        back = pd.read_parquet(io.BytesIO(to_parquet(expected)))
        numbers = expected.select_dtypes("number").columns
        pd.testing.assert_frame_equal(back[numbers], expected[numbers])
        assert list(back["label"]) == list(expected["label"])
        warnings = [
            tuple((warning["name"], warning["reason"]) for warning in warnings) for warnings in back["warnings"]
        ]
        assert warnings == list(expected["warnings"])


def test_json_is_plain_data(frame: pd.DataFrame) -> None:
    """One object for each row, null for unknown values, only ASCII characters, and every name complete."""
    rows = json.loads(to_json(frame), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    failed = next(row for row in rows if row["outcomes"] == "failed")
    assert [len(row["trial_ids"]) for row in rows] == [row["n"] for row in rows]
    assert (failed["map"], failed["n"], failed["warnings"]) == (None, 0, [])
    seeds = next(row for row in rows if row["n"] == 2)
    assert seeds["map"] == pytest.approx(0.405)
    assert seeds["warnings"][0] == {"name": "unstable", "reason": "rounds lie 9 % apart"}
    text = to_json(_hostile(frame))
    assert text.isascii()
    assert [row["label"] for row in json.loads(text)] == list(HOSTILE)


def test_latex_is_a_table_of_the_main_columns(frame: pd.DataFrame) -> None:
    """In display units, the best value bold but never that of a subset, and a dash for unknown values."""
    text = to_latex(frame).decode()
    lines = {line.split(" & ")[0]: line for line in text.splitlines() if " & " in line}
    assert lines[RETINA.replace("_", r"\_")].endswith(
        r"& \textbf{0.405} $\pm$ 0.007 & \textbf{0.203} & 40.0 & 40.0 & \textbf{100.0} & \textbf{1,024} & 0.0 \\"
    )
    (mobile,) = (line for name, line in lines.items() if "lr 0.01" in name)
    assert r"& 0.381 & 0.191 & \textbf{20.0} & \textbf{20.0}" in mobile
    (subset,) = (line for name, line in lines.items() if "subset" in name)
    assert "textbf" not in subset
    assert "& -- & -- &" in next(line for name, line in lines.items() if "lr 0.5" in name)
    assert "multicolumn" not in text


def test_latex_escapes_names(frame: pd.DataFrame) -> None:
    """Every special character is escaped, each row is one line, and each dataset has a heading."""
    text = to_latex(_hostile(frame)).decode()
    assert text.count("multicolumn") == len({*HOSTILE})
    assert r"a\textbar{}b\textasciigrave{}c" in text
    assert r"100 \% \& \$x\_1\textasciicircum{}2 \{\}\textasciitilde{}\#\textbackslash{}" in text
    assert r"{[}x](javascript:alert(1))" in text
    assert "? ok" in text
    assert all(ord(letter) < 0x100 and (letter.isprintable() or letter == "\n") for letter in text)


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here")
def test_pdflatex_takes_the_table(frame: pd.DataFrame, tmp_path: Path) -> None:
    """With hostile names as well."""
    page = (
        "\\documentclass{article}\\usepackage[T1]{fontenc}\\usepackage{booktabs}\\begin{document}\n"
        f"{to_latex(_hostile(frame)).decode()}\\end{{document}}\n"
    )
    (tmp_path / "page.tex").write_text(page)
    done = subprocess.run(
        ("pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"),
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_same_frame_gives_the_same_bytes(frame: pd.DataFrame) -> None:
    """In every format; a column that the export does not know is added."""
    for export in FORMATS.values():
        assert export(frame) == export(frame.copy())
    more = frame.assign(map_low=0.1, map_high=0.6, rank_low=1, rank_high=2, letters="a", surprise=1)
    header = to_csv(more).decode().splitlines()[0].split(",")
    assert header[header.index("map_std") + 1 :][:5] == ["map_low", "map_high", "rank_low", "rank_high", "letters"]
    assert "surprise" in header


def test_nothing_measured_is_an_empty_table(tmp_path: Path) -> None:
    """No trials, no rows, no crash."""
    empty = configuration_frame(trial_frame(read_results(make_folder(tmp_path, []))))
    assert json.loads(to_json(empty)) == []
    assert pd.read_parquet(io.BytesIO(to_parquet(empty))).empty
    assert len(to_csv(empty).decode().splitlines()) == 1
    assert r"\bottomrule" in to_latex(empty).decode()


def test_an_export_replaces_nothing_that_is_no_file(tmp_path: Path) -> None:
    """A link is followed, and a pipe's reader gets the bytes: neither is replaced."""
    real, link, pipe = tmp_path / "real.csv", tmp_path / "link.csv", tmp_path / "pipe"
    link.symlink_to(real)
    os.mkfifo(pipe)
    files.write_out(link, b"x")
    assert (link.is_symlink(), real.read_bytes()) == (True, b"x")
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(pipe.read_bytes)
        files.write_out(pipe, b"y")
        assert read.result(10) == b"y"
    assert pipe.is_fifo()
