"""What an attempt commits can be read again, or it is not committed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.store.paths import TrialFolder
from harness.store.record import RecordError
from harness.trial import worker
from tests.store.make import make_outcome, make_record, make_trial


def test_a_record_that_cannot_be_is_not_committed(tmp_path: Path) -> None:
    """It would be set aside by the next run, and its trial would be trained again; the message names the number."""
    folder = TrialFolder(tmp_path).next_attempt()
    made = make_record(make_trial())
    wrong = replace(made, metrics=replace(made.metrics, map=1.5))
    with pytest.raises(RecordError, match=r"record\.json: cannot be read: metrics\.map"):
        worker._commit(folder, make_outcome("succeeded"), wrong)
    assert not folder.trial.record.exists()
    assert not folder.outcome.exists()
    worker._commit(folder, make_outcome("succeeded"), made)
    assert folder.trial.record.is_file()
