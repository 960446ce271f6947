"""One definition of a percentile for all who speak of one."""

from __future__ import annotations

from statistics import median, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge_worker.common.percentiles import percentile

SAMPLES = st.lists(st.floats(0, 1e6), min_size=2, max_size=200)


@given(SAMPLES)
def test_it_is_the_inclusive_quantile_of_the_standard_library(values: list[float]) -> None:
    """Those of statistics.quantiles, and the median in the middle."""
    expected = quantiles(values, n=100, method="inclusive")
    assert [percentile(values, percent) for percent in range(1, 100)] == pytest.approx(expected)
    assert percentile(values, 50) == pytest.approx(median(values))


def test_the_ends_are_the_smallest_and_the_largest() -> None:
    """In whatever order the values come."""
    assert [percentile([3.0, 1.0, 2.0], percent) for percent in (0, 100)] == [1.0, 3.0]


def test_of_one_value_every_percentile_is_that_value() -> None:
    """A first frame has a 95th percentile, too."""
    assert {percentile([7.0], percent) for percent in (0, 50, 95, 100)} == {7.0}


@pytest.mark.parametrize(("values", "percent"), [([], 50), ([1.0], 101), ([1.0], -1)])
def test_what_has_no_percentile_is_refused(values: list[float], percent: int) -> None:
    """Rather than answered by a zero that looks measured."""
    with pytest.raises(ValueError, match="no percentile"):
        percentile(values, percent)
