"""States to resume from: what is torn, altered or another trial's is never used, and the one before it is."""

from __future__ import annotations

import hashlib
import io
import logging
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from harness.errors import WeightsError
from harness.trial.train import resume
from harness.trial.train.resume import States, restoring

CPU = torch.device("cpu")


def _states(folder: Path, trial_id: str = "mine") -> States:
    return States(folder=folder, trial_id=trial_id)


def _saved(folder: Path, steps: tuple[int, ...] = (1, 2)) -> States:
    states = _states(folder)
    for step in steps:
        states.save({"step": step, "weights": torch.arange(6.0) + step}, steps=step)
    return states


def test_the_newest_is_used_and_two_are_kept(tmp_path: Path) -> None:
    """Of five saved, the last two lie there; the last one comes back; removed, nothing does."""
    states = _saved(tmp_path, (1, 2, 30, 400, 5000))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["training-000000400.state", "training-000005000.state"]
    newest = states.newest()
    assert newest is not None
    assert newest["step"] == 5000
    assert torch.equal(newest["weights"], torch.arange(6.0) + 5000)
    states.remove()
    assert states.newest() is None
    assert not list(tmp_path.iterdir())


def test_a_torn_state_is_refused_at_every_length(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """However much of it is there, the one before it is used, and a warning names the file."""
    _saved(tmp_path)
    path = tmp_path / "training-000000002.state"
    whole = path.read_bytes()
    for length in (*range(0, len(whole), 97), len(whole) - 33, len(whole) - 32, len(whole) - 1):
        path.write_bytes(whole[:length])
        with caplog.at_level(logging.WARNING):
            newest = _states(tmp_path).newest()
        assert newest is not None
        assert newest["step"] == 1, length
        assert f"{path}: torn or altered" in caplog.text
        caplog.clear()
        path.with_suffix(".refused").unlink()
    path.write_bytes(whole)
    newest = _states(tmp_path).newest()
    assert newest is not None
    assert newest["step"] == 2


def test_an_altered_state_is_refused(tmp_path: Path) -> None:
    """One bit anywhere."""
    _saved(tmp_path)
    path = tmp_path / "training-000000002.state"
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), 131):
        altered = bytearray(whole)
        altered[place] ^= 4
        path.write_bytes(altered)
        newest = _states(tmp_path).newest()
        assert newest is not None
        assert newest["step"] == 1, place


def test_a_foreign_state_is_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of another trial, or another file altogether with a checksum that fits; the reason is told."""
    _saved(tmp_path)
    other = _states(tmp_path / "other", "theirs")
    other.save({"step": 9}, steps=9)
    (tmp_path / "other" / "training-000000009.state").rename(tmp_path / "training-000000009.state")
    with caplog.at_level(logging.WARNING):
        newest = _states(tmp_path).newest()
    assert newest is not None
    assert newest["step"] == 2
    assert "belongs to another trial, theirs" in caplog.text


def test_random_states_go_on_where_they_were() -> None:
    """torch's, numpy's and python's generators draw the same after a restoration from what a file holds."""
    torch.manual_seed(3)
    random.seed(4)
    np.random.seed(5)  # noqa: NPY002
    np.random.standard_normal()  # noqa: NPY002 - leaves a second number in store
    state = resume.random_state(CPU)

    def draw() -> tuple[float, float, float]:
        return float(torch.rand(())), random.random(), float(np.random.standard_normal())  # noqa: NPY002

    expected = draw()
    draw()
    resume.restore_random_state(state, CPU)
    assert draw() == expected


def _written(folder: Path, content: object) -> States:
    """A file with a fitting checksum, as another program may write it."""
    stream = io.BytesIO()
    torch.save(content, stream)
    data = stream.getvalue()
    (folder / "training-000000009.state").write_bytes(data + hashlib.sha256(data).digest())
    return _states(folder)


@pytest.mark.parametrize(
    "content",
    [
        [1, 2],
        {},
        {"harness_training_state": torch.ones(2)},
        {"harness_training_state": "1", "trial_id": "mine", "state": {}},
        {"harness_training_state": 1},
        {"harness_training_state": 1, "trial_id": ["mine"], "state": {}},
        {"harness_training_state": 1, "trial_id": torch.ones(2), "state": {}},
        {"harness_training_state": 1, "trial_id": "mine"},
        {"harness_training_state": 1, "trial_id": "mine", "state": [1]},
    ],
)
def test_a_state_of_other_types_is_refused(content: object, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Though its checksum fits; the one before it is used."""
    _saved(tmp_path)
    newest = _written(tmp_path, content).newest()
    assert newest is not None
    assert newest["step"] == 2
    assert "it is not used" in caplog.text


def test_a_pipe_in_the_place_of_a_state_waits_for_nobody(tmp_path: Path) -> None:
    """The one before it is used."""
    _saved(tmp_path)
    os.mkfifo(tmp_path / "training-000000009.state")
    newest = _states(tmp_path).newest()
    assert newest is not None
    assert newest["step"] == 2


@pytest.mark.parametrize("error", [KeyError("position"), TypeError("x"), RuntimeError("Error in loading state_dict")])
def test_a_state_with_other_contents_is_told_in_a_sentence(error: Exception) -> None:
    """As another version of this program writes it, with what to do."""
    with pytest.raises(WeightsError, match=r"cannot be restored .*delete training-\*\.state"), restoring():
        raise error


def test_a_fault_of_the_device_is_none_of_the_state() -> None:
    """It passes as it is."""
    with pytest.raises(RuntimeError, match="CUDA error: unspecified launch failure"), restoring():
        raise RuntimeError("CUDA error: unspecified launch failure")
