"""Times and names that cannot be are refused where they are read."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from harness.store.quantities import Duration, FileName, Moment, moment


@pytest.mark.parametrize("text", ["2026-01-01T18:00:00+00:00", "2026-01-01T18:00:00", "2026-01-01", ""])
def test_a_time_of_a_run_is_read(text: str) -> None:
    """With and without a zone; empty where it is not known."""
    assert TypeAdapter(Moment).validate_python(text) == text


@pytest.mark.parametrize("text", ["x", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", "1969-12-31"])
def test_what_is_no_time_of_a_run_is_refused(text: str) -> None:
    """Arithmetic with it would overflow."""
    assert moment(text) is None
    with pytest.raises(ValidationError, match="is no time"):
        TypeAdapter(Moment).validate_python(text)


@pytest.mark.parametrize("value", [-1.0, 1e308, float("inf"), float("nan")])
def test_a_duration_is_one_that_can_be_added_to_a_time(value: float) -> None:
    """Thirty years at most."""
    with pytest.raises(ValidationError):
        TypeAdapter(Duration).validate_python(value)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "a\0b", "a\nb"])
def test_a_name_leads_to_no_other_folder(name: str) -> None:
    """It becomes part of a path."""
    with pytest.raises(ValidationError, match="cannot be the name"):
        TypeAdapter(FileName).validate_python(name)
