"""What a backbone's pixels are normalised with is read from beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.errors import WeightsError
from harness.trial.models.transformers_backbone.files import normalisation


def test_the_normalisation_is_read_or_left_to_the_row(tmp_path: Path) -> None:
    """None without a file; no change of pixels where the file says so; a damaged one is told."""
    assert normalisation(None) is None
    assert normalisation(tmp_path) is None
    file = tmp_path / "preprocessor_config.json"
    file.write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    assert normalisation(tmp_path) == ((0.5,) * 3, (0.25,) * 3)
    file.write_text(json.dumps({"do_normalize": False, "image_mean": [0.5] * 3}))
    assert normalisation(tmp_path) == ((0.0,) * 3, (1.0,) * 3)
    file.write_text("{}")
    assert normalisation(tmp_path) is None
    for text in ("[", "[]", '{"image_mean": [0.5, 0.5, 0.5]}', '{"image_mean": [0.5], "image_std": [0.5]}'):
        file.write_text(text)
        with pytest.raises(WeightsError, match=r"preprocessor_config\.json"):
            normalisation(tmp_path)
