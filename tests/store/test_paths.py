"""Numbered folders: in numeric order, each new one past the last, whatever else lies beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.store import paths


def test_attempts_are_numbered(tmp_path: Path) -> None:
    """Each attempt gets the next number, in numeric order past ten."""
    trial = paths.TrialFolder(tmp_path)
    assert [trial.next_attempt().number for _ in range(11)] == list(range(1, 12))
    assert [attempt.number for attempt in trial.attempts()] == list(range(1, 12))


@pytest.mark.parametrize("name", ["²", "٣", "03", "0", "-1", "1.0", "1 ", "x", "1" * 30, "1" * 200])
def test_what_is_no_number_of_ours_is_no_attempt(name: str, tmp_path: Path) -> None:
    """Whatever python takes for digits: attempts, measurements and races are numbered as if it were not there."""
    trial, suite = paths.TrialFolder(tmp_path), paths.SuiteFolder(tmp_path)
    for folder in ("attempts", "measurements", "races"):
        (tmp_path / folder / name).mkdir(parents=True)
    assert trial.attempts() == ()
    assert suite.races() == ()
    assert trial.next_attempt().number == 1
    assert paths.next_measurement(tmp_path).number == 1
    assert suite.next_race().number == 1
    assert paths.AttemptFolder(tmp_path / "races" / "1" / name / "1").committed.name != "block.json"
