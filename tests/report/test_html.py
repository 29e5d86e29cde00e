"""The page is one file that works alone: tables sort and filter, the picture is interactive, data stays text."""

from __future__ import annotations

import html as markup
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from harness.analysis import frame
from harness.report import html
from harness.report.figures import interactive, vega
from harness.report.markup import code, escape, fenced, table
from harness.store import paths
from harness.store.results import planned_trials, read_results
from tests.conftest import ROOT
from tests.report.figures.rows import many_rows

HOSTILE = "a|b<script>alert(1)</script><img src=x onerror=alert(1)>`c` $x$ </script><!-- \u202e 🦆"
PLOT = "plots/speed.svg"
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><rect width="9" height="9"/></svg>'
_PROBE = (Path(__file__).parent / "probe.js").read_text(encoding="utf-8")


def _frame(*labels: str, **columns: Any) -> pd.DataFrame:
    count = len(labels)
    steps = range(1, count + 1)
    plain: dict[str, Any] = {
        "label": labels,
        "stages": [1 + step % 2 for step in steps],
        "map": [0.5 - step / 100 for step in steps],
        "map_std": float("nan"),
        "n": 1,
        "latency_median_s": [0.05 - step / 1000 for step in steps],
        "latency_p95_s": 0.06,
        "throughput_images_per_s": [10.0 * step for step in steps],
        "inference_memory_bytes": 2.0**30,
        "parameters": 4e7,
        "joules_per_image": float("nan"),
        "warnings": [()] * count,
        "subset": False,
    }
    return pd.DataFrame({**plain, **columns})


def _text() -> str:
    rows = [
        ("ten", "1,615", "–", "0.412 ± 0.006", "2 min 13 s"),
        ("two", "96", "2.1×", "0.398 ± 0.030", "50 s"),
        (escape(HOSTILE), "1,000", "−0.5", "0.052 ± 0.001", "1 h 02 min"),
    ]
    long = [(f"class {number}", str(number)) for number in range(9)]
    return "\n\n".join(
        [
            "# made: which detector to ship",
            f"## {escape(HOSTILE)}",
            "### Accuracy and speed",
            table(("name", "MiB", "faster", "mAP", "wall time"), rows),
            f"![Speed]({PLOT})",
            table(("short", "n"), [("x", "1"), ("y", "2")]),
            "### Data",
            table(("long", "n"), long),
            f"**failed:** {escape(HOSTILE)}, [log](<trials/a b/log.txt>) {code(HOSTILE)}",
            f"> {HOSTILE}",
            fenced(HOSTILE),
            "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](vbscript:x) [w](data:x)",
            "![v](data:image/svg+xml;base64,AA)",
        ]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rendered = tmp_path_factory.mktemp("page")
    (rendered / "plots").mkdir()
    (rendered / PLOT).write_text(_SVG)
    return rendered


@pytest.fixture(scope="module")
def page(folder: Path) -> str:
    warnings = [(), (("unstable", "x"),), ()]
    rows = _frame("ten", "two", HOSTILE, warnings=warnings, map_low=[0.4, 0.4, float("nan")], map_high=[0.6, 0.6, 0.5])
    return html.render(_text(), title=HOSTILE, charts={PLOT: rows}, root=folder)


@pytest.fixture(scope="module")
def browser_result(page: str, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a real browser without a network reports about the page after some clicks."""
    return _in_browser(page, _PROBE, folder, tmp_path_factory.mktemp("profile"))


def _in_browser(page: str, probe: str, folder: Path, profile: Path, *, width: int = 1200) -> dict[str, Any]:
    """Open the page with a script that leaves what it saw as JSON in an element of the id `result`."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        pytest.skip("no chromium is installed")
    path = folder / "page.html"
    # Before the policy's own element, so that the policy stands as it is written, and the probe beside it.
    path.write_text(page.replace('<meta charset="utf-8">', f'<meta charset="utf-8"><script>{probe}</script>', 1))
    options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND",
             f"--user-data-dir={profile}", f"--window-size={width},2000",
             "--virtual-time-budget=20000", "--dump-dom")  # fmt: skip
    process = subprocess.run(
        [browser, *options, path.as_uri()], capture_output=True, text=True, timeout=120, check=True
    )
    found = re.search(r'<pre id="result">(.*?)</pre>', process.stdout, re.DOTALL)
    assert found, process.stderr[-2000:]
    result: dict[str, Any] = json.loads(markup.unescape(found[1]))
    assert "stopped" not in result, result
    return result


def test_the_page_works_alone_and_without_warnings(browser_result: dict[str, Any]) -> None:
    """There is no error, no warning, no violation of its security policy, and no network request."""
    assert browser_result["messages"] == []
    assert browser_result["requests"] == []


def test_tables_sort_as_numbers_and_back(browser_result: dict[str, Any]) -> None:
    """Clicks sort up, down and restore the order; thousands, signs, ×, ± and durations count; dashes come last."""
    sorts = browser_result["sorts"]
    assert sorts["MiB"] == [["96", "1,000", "1,615"], ["1,615", "1,000", "96"], ["1,615", "96", "1,000"]]
    assert sorts["faster"] == [["−0.5", "2.1×", "–"], ["2.1×", "−0.5", "–"], ["–", "2.1×", "−0.5"]]
    assert sorts["mAP"][0] == ["0.052 ± 0.001", "0.398 ± 0.030", "0.412 ± 0.006"]
    assert sorts["wall time"][0] == ["50 s", "2 min 13 s", "1 h 02 min"]
    assert sorts["name"][0][1:] == ["ten", "two"]
    assert browser_result["aria"] == ["ascending", "descending", "none"]


def test_filters_stand_above_long_and_leading_tables(browser_result: dict[str, Any]) -> None:
    """The first table of a dataset and a table of nine rows have one; it ignores case and counts the shown rows."""
    assert browser_result["filtered"] == [True, False, True]
    assert browser_result["filter"] == {"rows": ["two"], "count": "1 of 3 rows", "count_without_filter": "3 of 3 rows"}


def test_the_picture_shows_every_row_on_every_axis(browser_result: dict[str, Any]) -> None:
    """There are a mark for each row, whiskers, a front and optional names; the controls change axis and scale."""
    first, throughput, log, bare = (browser_result["plot"][step] for step in ("first", "throughput", "log", "bare"))
    assert (first["marks"], first["whiskers"], first["fronts"], len(first["names"])) == (3, 2, 1, 3)
    assert first["title"] == "latency, median, batch 1 (ms), lower is better"
    assert throughput["title"] == "throughput (images/s), higher is better"
    assert throughput["marks"] == log["marks"] == bare["marks"] == 3
    assert throughput["ticks"] != log["ticks"]
    assert bare["names"] == []
    assert browser_result["choices"] == ["latency", "throughput", "memory", "parameters"]
    assert browser_result["static"] == "none"


def test_hostile_text_stays_text(browser_result: dict[str, Any]) -> None:
    """In tables, quotes, code, the title, the picture's names and its tooltip it is shown and never run."""
    assert browser_result["alerts"] == 0
    assert browser_result["unexpected"] == []
    assert browser_result["title"] == " ".join(HOSTILE.replace("\u202e", " ").split())
    assert any(name.startswith("a|b<script>alert(1)</script>") for name in browser_result["plot"]["first"]["names"])
    assert HOSTILE in browser_result["tooltip"]
    assert "latency, median" in browser_result["tooltip"]
    assert "0.470" in browser_result["tooltip"]
    assert browser_result["links"] == ["trials/a%20b/log.txt"]


def test_the_theme_can_be_switched(browser_result: dict[str, Any]) -> None:
    """From light, which the browser prefers, to dark and back, with another background each time."""
    assert [theme for theme, _ in browser_result["themes"]] == ["dark", "light"]
    assert browser_result["themes"][0][1] != browser_result["themes"][1][1]


def test_the_same_input_gives_the_same_bytes(page: str, folder: Path) -> None:
    """The page contains no counter and no time."""
    warnings = [(), (("unstable", "x"),), ()]
    rows = _frame("ten", "two", HOSTILE, warnings=warnings, map_low=[0.4, 0.4, float("nan")], map_high=[0.6, 0.6, 0.5])
    assert html.render(_text(), title=HOSTILE, charts={PLOT: rows}, root=folder) == page


def test_data_cannot_end_a_script(page: str) -> None:
    """The data has no `<`, and the libraries contain nothing that ends or hides a script."""
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    assert "<" not in data
    assert json.loads(data)["spec"]["data"]
    assert html._json("</script>\u2028") == '"\\u003c/script>\\u2028"'
    libraries = vega.libraries()
    assert libraries is not None
    for mark in ("</script", "<script", "<!--", "\r", "\0"):
        assert mark not in libraries


@pytest.mark.parametrize(
    "link",
    [
        "javascript:x",
        " JAVASCRIPT:x",
        "java\tscript:x",
        "vbscript:x",
        "data:text/html,x",
        "file:///etc/passwd",
        "blob:x",
    ],
)
def test_only_files_and_web_pages_are_linked(link: str) -> None:
    """Links that could run code stay text."""
    assert not html._allowed(link)
    assert html._allowed("trials/x/log.txt")
    assert html._allowed("https://example.org")


def test_only_images_below_the_root_are_embedded(tmp_path: Path) -> None:
    """For files outside, missing files and other kinds, the alternative text remains."""
    root = tmp_path / "root"
    root.mkdir()
    for path in ("root/a b.svg", "root/c.png", "root/d.jpg", "root/secret.txt", "outside.svg"):
        (tmp_path / path).write_text(_SVG)
    (root / "link.svg").symlink_to(tmp_path / "outside.svg")
    rendered = html.render(
        "![one](<a b.svg>)\n\ntext ![two](c.png) and ![three](d.jpg)", title="t", charts={}, root=root
    )
    assert re.findall(r'src="data:(.*?);base64,', rendered) == ["image/svg+xml", "image/png", "image/jpeg"]
    for path in (
        "gone.svg",
        "../outside.svg",
        "link.svg",
        "secret.txt",
        "/etc/passwd",
        "%00.svg",
        "https://x.org/a.png",
    ):
        rendered = html.render(f"![words <b>]({path})", title="t", charts={}, root=root)
        assert "words &lt;b&gt;</em>" in rendered
        assert "<img" not in rendered


def test_without_a_chart_there_is_no_library(tmp_path: Path) -> None:
    """A page without an interactive picture stays small, also if no row has an mAP."""
    unmeasured = _frame("x", map=float("nan"))
    for charts in ({}, {PLOT: unmeasured}):
        rendered = html.render(f"# t\n\n![Speed]({PLOT})", title="t", charts=charts, root=tmp_path)
        assert len(rendered) < 30_000
        assert "application/json" not in rendered


def test_headings_have_anchors_and_are_in_the_contents(tmp_path: Path) -> None:
    """Every heading has its own id; the contents list the second and third level, in order."""
    rendered = html.render("# T\n\n## a b\n\n### Data\n\n## ★\n\n### Data", title="t", charts={}, root=tmp_path)
    contents = rendered[: rendered.index("</nav>")]
    assert re.findall(r'<li class="(h\d)"><a href="#(.*?)">', contents) == [
        ("h2", "a-b"), ("h3", "data"), ("h2", "section"), ("h3", "data-2"),
    ]  # fmt: skip
    assert re.findall(r'<h\d id="(.*?)">', rendered) == ["t", "a-b", "data", "section", "data-2"]


def test_axes_are_those_measured_and_fronts_follow_them() -> None:
    """More throughput is better, less of all others; subset rows are on no front; infinite values are left out."""
    rows = _frame("slow", "fast", "subset", joules_per_image=[2.0, float("nan"), float("inf")])
    rows["subset"] = [False, False, True]
    rows["throughput_images_per_s"] = [30.0, 20.0, 90.0]
    rendered = interactive.speed_accuracy(rows)
    assert rendered is not None
    assert [axis["name"] for axis in rendered["axes"]] == ["latency", "throughput", "memory", "parameters", "energy"]
    points = rendered["spec"]["data"]["values"]
    assert [point["front"] for point in points] == [
        ["latency", "throughput", "memory", "parameters", "energy"], ["latency"], [],
    ]  # fmt: skip
    assert [point["values"]["energy"] for point in points] == [2.0, None, None]
    assert points[0]["values"]["latency"] == pytest.approx(49.0)
    assert points[0]["numbers"]["memory of inference"] == "1,024 MiB"


def test_the_committed_example_renders() -> None:
    """In a real report, every table is in a box, and the plot is interactive and embedded."""
    root = ROOT / "results" / "examples" / "quickstart"
    folder, text = paths.SuiteFolder(root), (root / "report.md").read_text()
    rows = frame.configuration_frame(frame.trial_frame(planned_trials(read_results(folder)), folder))
    path = next(path for path in re.findall(r"!\[.*?\]\((.*?)\)", text) if "speed-accuracy" in path)
    rendered = html.render(text, title="quickstart", charts={path: rows}, root=root)
    body = rendered[rendered.index("<main>") : rendered.index("</main>")]
    tables = len(re.findall(r"^\| :?-", text, re.MULTILINE))
    assert body.count('<div class="table"') == body.count("<table>") == tables
    assert body.count('<figure class="plot"><img src="data:image/svg+xml') == 1


_LEAVE = """
addEventListener("load", async () => {
  const result = document.createElement("pre");
  result.id = "result";
  result.textContent = JSON.stringify(await see().catch((problem) => ({ stopped: problem.stack })));
  document.body.append(result);
});
"""
_NARROW = """
async function see() {
  document.documentElement.style.width = "400px";
  const box = document.querySelector("div.table");
  const look = () => ({
    headers: [...box.querySelectorAll("th")].filter((th) => th.offsetWidth).map((th) => th.textContent),
    cells: [...box.querySelectorAll("tbody tr:first-child td")].filter((td) => td.offsetWidth).length,
    scrolls: box.scrollWidth > box.clientWidth,
  });
  const few = look();
  box.querySelector(".columns input").click();
  return { few, all: look(), inputs: document.querySelectorAll(".columns").length };
}
"""
_COLUMNS = (
    "architecture", "mAP [95 %]", "rank", "latency ms", "p95 ms", "throughput img/s", "memory MiB", "parameters M",
    "GFLOPs", "epochs", "images seen", "learning rate", "image size", "seeds", "warnings",
)  # fmt: skip


def test_a_telephone_shows_what_decides(tmp_path: Path) -> None:
    """Architecture, mAP, rank and latency of a dataset's first table without scrolling; the rest on demand."""
    row = ("fasterrcnn_mobilenet_v3_large_320_fpn", "0.312 [0.301–0.323]", "1–2", "1,234.5", *["12,345"] * 11)
    text = f"# t\n\n## shapes\n\n{table(_COLUMNS, [row, row])}\n\n{table(_COLUMNS, [row])}"
    page = html.render(text, title="t", charts={}, root=tmp_path)
    seen = _in_browser(page, _NARROW + _LEAVE, tmp_path, tmp_path / "profile", width=500)
    assert seen["few"] == {"headers": list(_COLUMNS[:4]), "cells": 4, "scrolls": False}
    assert seen["all"] == {"headers": list(_COLUMNS), "cells": 15, "scrolls": True}
    assert seen["inputs"] == 1


_NAMES = """
async function see() {
  const pause = () => new Promise((resolve) => { setTimeout(resolve, 300); });
  for (let tries = 0; tries < 30 && !document.querySelector("figure.plot.drawn"); tries += 1) await pause();
  const place = (element) => { const r = element.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; };
  const all = (selector) => [...document.querySelectorAll(selector)];
  return {
    names: all(".drawing .mark-text.role-mark text").filter((t) => t.style.display !== "none").map(place),
    labels: all(".drawing .mark-text.role-mark text").map((text) => text.textContent),
    picture: place(document.querySelector(".drawing svg")),
    marks: all(".drawing .mark-symbol.role-mark path").length,
    whiskers: all(".drawing .mark-rule.role-mark line").length,
    caption: document.querySelector("figcaption").textContent,
  };
}
"""


def test_of_many_rows_the_front_is_named_and_no_name_lies_on_another(folder: Path, tmp_path: Path) -> None:
    """Two hundred rows with three seeds each: all have a mark; names and whiskers have those on the front alone."""
    rows, seeds = many_rows(200)
    front = set(frame.pareto_front(rows)["label"])
    page = html.render(f"# t\n\n![Speed]({PLOT})", title="t", charts={PLOT: rows}, seeds={PLOT: seeds}, root=folder)
    seen = _in_browser(page, _NAMES + _LEAVE, folder, tmp_path / "profile")
    assert seen["marks"] == 200 + 600
    assert set(seen["labels"]) == front
    assert seen["whiskers"] == len(front) + rows.loc[rows["label"].isin(front), "latency_race_low_s"].notna().sum()
    assert "Whiskers sideways" in seen["caption"]
    left, top, right, bottom = seen["picture"]
    assert len(seen["names"]) >= 3
    for number, (x0, y0, x1, y1) in enumerate(seen["names"]):
        assert left <= x0 < x1 <= right
        assert top <= y0 < y1 <= bottom
        assert not any(x0 < c and a < x1 and y0 < d and b < y1 for a, b, c, d in seen["names"][:number])
