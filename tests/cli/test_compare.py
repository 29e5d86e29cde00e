"""`harness compare` as a person runs it: folders and commits, tables and data, checks that fail and say why."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from harness.cli.compare import _table
from harness.store import record
from harness.store.paths import SuiteFolder
from harness.store.results import read_results
from harness.suite.trial import TrialArchitecture
from tests.conftest import ROOT, Command
from tests.report.doubtful import DOUBTFUL, GOOD, TRUTH
from tests.report.made import make_detected
from tests.store.make import make_folder, make_outcome, make_record, make_trial

MOBILE, RETINA = "fasterrcnn_mobilenet_v3_large_fpn", "retinanet_resnet50_fpn"
AP = {10: 26 / 101, 36: 91 / 101}  # of 10 and of 36 boxes of 40 found: precision 1 at so many of COCO's 101 recalls


def _made(root: Path, *, map: float = 0.5, latency_s: float = 0.02, second: bool = True) -> SuiteFolder:
    """Two detectors, the second one failed where `second` says no."""
    trial = make_trial(MOBILE)
    records = [make_record(make_trial(), map=map, latency_s=latency_s)]
    records += [make_record(trial)] if second else []
    return make_folder(root, records, failed=() if second else ((trial, make_outcome()),))


def _detected(folder: SuiteFolder, right: int) -> None:
    """Forty images with one box each, of which the first `right` were found."""
    box = {"x1": 10.0, "y1": 10.0, "x2": 50.0, "y2": 50.0}
    images = [f"{number}.jpg" for number in range(40)]
    truths = [{"image": name, "class": "disc", **box, "crowd": False, "area": 1600.0} for name in images]
    found = [{"image": name, "class": "disc", "score": 0.9, **box} for name in images[:right]]
    trial = folder.trial(make_trial().trial_id)
    for path, rows in ((trial.ground_truth, truths), (trial.detections(), found)):
        stream = io.BytesIO()
        pd.DataFrame(rows).to_parquet(stream)
        path.write_bytes(stream.getvalue())


def _rewrite(folder: SuiteFolder, map: float) -> None:
    """Let the record say another mAP."""
    changed = record.encode(record.RECORD, make_record(make_trial(), map=map))
    folder.trial(make_trial().trial_id).record.write_bytes(changed)


def _git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    subprocess.run(("git", *identity, *arguments), cwd=folder, check=True, capture_output=True)


def test_a_table_says_what_is_more_accurate(harness_command: Command, tmp_path: Path) -> None:
    """From stored detections, with the interval; what does not compare with its reason; counts at the end; exit 0."""
    a, b = _made(tmp_path / "a", map=AP[10]), _made(tmp_path / "b", map=AP[36], second=False)
    _detected(a, right=10)
    _detected(b, right=36)
    done = harness_command("compare", a.path, b.path)
    assert done.returncode == 0, done.stderr
    table = [line for line in done.stdout.splitlines() if line.startswith("|")]
    assert len({len(line) for line in table}) == 1
    cells = [cell.strip() for cell in next(line for line in table if RETINA in line).split("|")[1:-1]]
    assert cells[:3] == [RETINA, "0.257", "0.901"]
    assert cells[3].startswith("+0.6")
    assert cells[4:] == ["more accurate", "20.0", "20.0", "+0.0 %", "not raced"]
    assert f"{MOBILE}: accuracy and speed not comparable: not measured in B: failed: killed by signal 9" in done.stdout
    assert "accuracy: 1 more accurate, 1 not comparable; speed: 1 not raced, 1 not comparable" in done.stdout


def test_json_says_the_same(harness_command: Command, tmp_path: Path) -> None:
    """In SI units, null for what is not known, limits and their verdicts included."""
    a, b = _made(tmp_path / "a"), _made(tmp_path / "b", map=0.4, second=False)
    done = harness_command("compare", a.path, b.path, "--json", "--fail-on", "map:-0.05,latency:+10%")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    first, second = told["rows"]
    assert first["accuracy"]["reasons"] == ["no stored detections in A and B, so chance over images is not known"]
    assert (first["a"]["map"], first["b"]["map"], second["b"]["map"]) == (0.5, 0.4, None)
    assert first["b"]["latency_median_s"] == 0.02
    assert first["speed"]["verdict"] == "not raced"
    assert told["summary"]["speed"] == {"not raced": 1, "not comparable": 1}
    broken = {(one["limit"], one["label"]): one["broken"] for one in told["limits"]}
    assert broken == {
        ("map:-0.05", RETINA): True, ("map:-0.05", MOBILE): True,
        ("latency:+10%", RETINA): False, ("latency:+10%", MOBILE): True,
    }  # fmt: skip


def test_a_record_that_contradicts_its_detections_is_not_compared(harness_command: Command, tmp_path: Path) -> None:
    """By more than rounding: no verdict, and both numbers in the reason."""
    a, b = (_made(tmp_path / name, map=AP[10]) for name in "ab")
    for folder in (a, b):
        _detected(folder, right=10)
    _rewrite(b, AP[10] + 5e-7)
    sound = harness_command("compare", a.path, b.path)
    assert "accuracy: 1 not separated, 1 not comparable" in sound.stdout
    _rewrite(b, 0.9)
    done = harness_command("compare", a.path, b.path, "--fail-on", "map:-0.01")
    assert "accuracy: 2 not comparable" in done.stdout
    reason = "its record has mAP 0.900, but its stored detections have 0.257 on the stored labels"
    assert f"{RETINA}: accuracy and speed not comparable: not measured in B: unreadable: {reason}" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize("name", ["score thresholds", "detections an image", "val beside test", "fingerprints"])
def test_what_stands_apart_on_the_page_does_not_compare(harness_command: Command, tmp_path: Path, name: str) -> None:
    """The same rule as on the page and in `recommend`, for the same reason."""
    doubtful = DOUBTFUL[name]
    rows = [state.record for state in read_results(doubtful.make(tmp_path / "both")) if state.record]
    rows.sort(key=lambda row: row.trial.architecture.name, reverse=True)
    folders = []
    for side, row in zip("ab", rows, strict=True):
        architecture = replace(row.trial.architecture, name=RETINA)
        alike = replace(row, trial=replace(row.trial, architecture=architecture))
        folders.append(make_detected(tmp_path / side, TRUTH, [(alike, GOOD)]))
    done = harness_command("compare", *(folder.path for folder in folders))
    assert "accuracy: 1 not comparable" in done.stdout
    assert doubtful.advice in done.stdout


@pytest.mark.parametrize(
    ("limits", "code", "said"),
    [
        (("map:-0.01",), 1, f"FAIL map:-0.01: {RETINA} on shapes: 0.500 to 0.480, −0.020; verdict: not comparable"),
        (("map:-0.03",), 0, f"ok map:-0.03: {RETINA}"),
        (("map:-5%", "latency:+1ms"), 1, "FAIL latency:+1ms: retinanet_resnet50_fpn on shapes: 20.0 ms to 22.0 ms"),
        (("latency:+10%, p95:+3 ms",), 0, "ok p95:+3 ms"),
        (("memory:+1GB,throughput:-5images/s",), 0, "ok memory:+1GB"),
        (("train_speed:-5%",), 1, "FAIL train_speed:-5%: nothing to compare: A has no train_speed"),
    ],
)
def test_a_check_fails_where_a_limit_is_broken(
    harness_command: Command, tmp_path: Path, *, limits: tuple[str, ...], code: int, said: str
) -> None:
    """Exit 1, with the numbers and the verdict beside; repeated or parted by commas."""
    a, b = _made(tmp_path / "a"), _made(tmp_path / "b", map=0.48, latency_s=0.022)
    done = harness_command("compare", a.path, b.path, *(part for limit in limits for part in ("--fail-on", limit)))
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        ("map:0.01", "no limit with a sign, such as map:-0.01"),
        ("mAP:-0.01", "'mAP' is none of map, map_50"),
        ("latency:+10", "'10' is no quantity such as 10% or 10ms (known: ms, s)"),
        ("map:-1ms", "map is between 0 and 1"),
        ("map:-1", "'map:-1': map can never fall that far; the amount must be below 1, such as -0.01"),
        ("map_50:-100%", "map_50 can never fall that far; the amount must be below 100%"),
        ("throughput:-250%", "throughput can never fall that far"),
        (
            "map:+0.01",
            "a rise of map is an improvement, which needs no limit; a limit is on getting worse: "
            "+ for latency, p95, memory; - for map, map_50, map_75, throughput, train_speed",
        ),
        ("train_speed:+5%", "a rise of train_speed is an improvement"),
        ("latency:-10%", "a fall of latency is an improvement"),
        ("p95:-1ms", "a fall of p95"),
        ("memory:-1MB", "a fall of memory"),
        ("", "no limit"),
    ],
)
def test_wrong_limits_are_told(harness_command: Command, tmp_path: Path, limit: str, said: str) -> None:
    """Exit 2, with what is allowed."""
    done = harness_command("compare", tmp_path, tmp_path, "--fail-on", limit)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_commit_is_read_as_it_was(harness_command: Command, tmp_path: Path) -> None:
    """Detections and records from git, though the folder has other ones now, or none; the work tree is not touched."""
    repository = tmp_path / "repository"
    folder = _made(repository / "results" / "made", map=AP[10])
    _detected(folder, right=10)
    _git(repository, "init", "-q")
    _git(repository, "add", ".")
    _git(repository, "commit", "-qm", "one")
    _rewrite(folder, AP[36])
    _detected(folder, right=36)
    _git(repository, "commit", "-qam", "two")
    before = subprocess.run(("git", "status", "--short"), cwd=repository, capture_output=True, check=True).stdout
    done = harness_command("compare", f"{folder.path}@HEAD~1", f"{folder.path}@HEAD")
    assert done.returncode == 0, done.stderr
    assert "accuracy: 1 more accurate, 1 not comparable" in done.stdout
    after = subprocess.run(("git", "status", "--short"), cwd=repository, capture_output=True, check=True).stdout
    assert before == after == b""
    _git(repository, "rm", "-rqf", "results")
    gone = harness_command("compare", f"{folder.path}@HEAD@{{0}}", f"{folder.path}@HEAD~1")
    assert "accuracy: 1 less accurate, 1 not comparable" in gone.stdout, gone.stderr


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("repository/made@nowhere", "nowhere: no commit of the repository"),
        ("repository/made@--output=x", "no commit of the repository"),
        ("repository/other@HEAD", "other: not in commit HEAD"),
        ("repository/made/trials@HEAD", "holds no results of a suite"),
        ("outside@HEAD", "not a git repository"),
        ("outside", "no results of a suite"),
    ],
)
def test_what_no_commit_has_is_told(harness_command: Command, tmp_path: Path, place: str, said: str) -> None:
    """Unknown commit, no repository, a folder that git does not have: exit 2, one message."""
    _made(tmp_path / "repository" / "made")
    (tmp_path / "outside").mkdir()
    _git(tmp_path / "repository", "init", "-q")
    _git(tmp_path / "repository", "add", ".")
    _git(tmp_path / "repository", "commit", "-qm", "one")
    done = harness_command("compare", tmp_path / place, tmp_path / "repository" / "made")
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_names_do_nothing_in_a_terminal(harness_command: Command, tmp_path: Path) -> None:
    """Control characters and marks of direction from a record become spaces."""

    def named(seed: int, name: str) -> TrialArchitecture:
        return replace(make_trial().architecture, weights=name, weights_sha256=f"{seed}" * 64)

    trials = [replace(make_trial(seed=seed), architecture=named(seed, "/w/\x1b[31mred\u202e\n.pt"), trial_id=f"t{seed}")
              for seed in (0, 1)]  # fmt: skip
    folder = make_folder(tmp_path, [make_record(trial) for trial in trials])
    done = harness_command("compare", folder.path, folder.path)
    assert "[31mred .pt 00000000" in done.stdout
    assert all(letter.isprintable() or letter == "\n" for letter in done.stdout)


def test_the_committed_example_is_not_separated_from_itself(harness_command: Command, tmp_path: Path) -> None:
    """Real records."""
    example = shutil.copytree(ROOT / "results" / "examples" / "quickstart", tmp_path / "quickstart")
    done = harness_command("compare", example, example, "--fail-on", "map:-0.01,latency:+10%,memory:+1%")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "accuracy: 3 not separated; speed: 3 not raced" in done.stdout


@pytest.mark.parametrize("columns", [40, 80, 120, 200])
def test_a_terminal_shows_whole_names_and_numbers(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table that is too wide for it becomes lines, of which none is wider than it and none breaks a word."""
    monkeypatch.setattr("sys.stdout", Terminal())
    monkeypatch.setenv("COLUMNS", str(columns))
    header = ("architecture", "mAP A", "difference (95 % interval)", "accuracy", "latency A ms", "B ms", "speed")
    numbers = ("0.319 ± 0.011 (n=3)", "0.100 (0.050 to 0.150)", "more accurate", "85.9", "64.6", "not raced")
    row = (MOBILE, *numbers)
    table = _table(header, [row, row])
    assert isinstance(table, str) == (columns < 160)
    if isinstance(table, str):
        assert max(map(len, table.splitlines())) <= columns
        assert set(" ".join(row).split()) <= set(table.replace(";", "").split())
        assert table.count(f"\n{MOBILE}\n") == 1


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True
