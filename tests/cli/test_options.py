"""Quantities with a unit, as options take them."""

from __future__ import annotations

from typing import Any

import click
import pytest

from harness.cli.options import quantity
from harness.formatting import BYTES, SECONDS

UNUSED: Any = None


@pytest.mark.parametrize(
    ("text", "units", "value"),
    [("30ms", SECONDS, 0.03), (" 1.5 S ", SECONDS, 1.5), ("4GB", BYTES, 4e9), ("2 gib", BYTES, 2**31)],
)
def test_a_quantity_is_read_in_si_units(text: str, units: dict[str, float], value: float) -> None:
    """Whatever the case of its unit, with a space or without."""
    assert quantity(units, "x")(UNUSED, UNUSED, text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["30", "ms", "-1ms", "1e3ms", "30 minutes", ""])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    """With an example, and the units that are known."""
    with pytest.raises(click.BadParameter, match=r"no quantity such as 30ms \(known: ms, s\)"):
        quantity(SECONDS, "30ms")(UNUSED, UNUSED, text)


def test_an_option_that_is_not_given_stays_none() -> None:
    """No limit is no quantity."""
    assert quantity(SECONDS, "30ms")(UNUSED, UNUSED, None) is None
