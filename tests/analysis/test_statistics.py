"""The jackknife, intervals and corrections give textbook numbers."""

from __future__ import annotations

import numpy as np
import pytest

from harness.analysis import statistics, student


def test_the_jackknife_of_a_mean_is_its_variance() -> None:
    """Leaving one value out at a time gives s² / n exactly, and the covariance of two means likewise."""
    values = np.random.default_rng(0).normal(0, 1, (2, 50))
    replicates = (values.sum(axis=1, keepdims=True) - values) / 49
    assert statistics.jackknife_covariance(replicates) == pytest.approx(np.cov(values) / 50)


def test_holm_adjusts_as_published() -> None:
    """The smallest of n p-values is multiplied by n, the next by n - 1; results never fall and never exceed 1."""
    assert list(statistics.holm([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.9, 0.8]) == (1.0, 1.0)
    assert statistics.holm([]) == ()


def test_an_interval_holds_the_value_and_the_value_without_inflation() -> None:
    """Each with its error on its side; without inflation it is Student's."""
    plain = statistics.inflated_interval(0.5, 0.0, 0.1, 4)
    assert (plain.low, plain.high) == pytest.approx((0.22236, 0.77764), abs=1e-4)
    wide = statistics.inflated_interval(0.5, 0.2, 0.1, 4)
    assert wide.low == pytest.approx(plain.low - 0.2)
    assert wide.high == pytest.approx(plain.high)


def test_a_corrected_interval_excludes_0_where_the_verdict_does() -> None:
    """At an adjusted p-value of exactly 0.05 it ends at 0."""
    p = student.p_value(0.3, 0.1, 10)
    factor = 0.05 / p
    level = statistics.corrected_level(p, p * factor)
    assert statistics.inflated_interval(0.3, 0.0, 0.1, 10, level).low == pytest.approx(0)
    assert statistics.corrected_level(0.0, 0.0) == statistics.LEVEL


def test_students_t_is_that_of_the_tables() -> None:
    """97.5 % quantiles for 1, 4 and endless degrees of freedom (NIST/SEMATECH e-Handbook, 1.3.6.7.2)."""
    found = [student.quantile(0.95, degrees) for degrees in (1, 4, float("inf"))]
    assert found == pytest.approx([12.706, 2.776, 1.960], abs=1e-3)
    assert student.p_value(2.776, 1, 4) == pytest.approx(0.05, abs=1e-4)
    assert (student.p_value(0, 0, 4), student.p_value(1, 0, 4)) == (1, 0)
