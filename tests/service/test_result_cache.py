"""The cache of results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from outputs import encoded_result

from edge_worker.service.result_cache import ResultCache

if TYPE_CHECKING:
    from edge_worker.inference.types import EncodedResult


def result(size: int, name: str = "") -> EncodedResult:
    """A result that takes *size* bytes and a few."""
    return encoded_result(1, 1, b"x" * size, None, {"name": name}, {})


def test_what_was_put_is_got() -> None:
    """Under its key, and under no other."""
    cache = ResultCache(1)
    cache.put(("sha", 1), result(10))
    assert cache.get(("sha", 1)) == result(10)
    assert cache.get(("sha", 2)) is None


def test_the_least_recently_used_goes_first() -> None:
    """Getting a result counts as using it."""
    cache = ResultCache(0.0025)
    for key in "ab":
        cache.put(key, result(1000))
    cache.get("a")
    cache.put("c", result(1000))
    assert [cache.get(key) is not None for key in "abc"] == [True, False, True]


def test_zero_keeps_nothing_and_too_large_is_not_kept() -> None:
    """Nor does one too large push out others, other than the one it replaces."""
    nothing = ResultCache(0)
    nothing.put("a", result(1))
    assert nothing.get("a") is None
    cache = ResultCache(0.002)
    cache.put("a", result(10))
    cache.put("b", result(10))
    cache.put("b", result(5000))
    assert (cache.get("a"), cache.get("b")) == (result(10), None)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 1500))))
def test_the_bound_holds(puts: list[tuple[str, int]]) -> None:
    """Whatever is put, what is held never takes more than was allowed, and is the newest of its key."""
    cache = ResultCache(0.003)
    for number, (key, size) in enumerate(puts):
        new = result(size, str(number))
        cache.put(key, new)
        held = [one for one in map(cache.get, "abcdef") if one is not None]
        assert sum(one.size for one in held) <= 3000
        assert cache.get(key) == new
        assert len(cache) == len(held)


def test_clear_forgets_all() -> None:
    """And makes room for as much as before."""
    cache = ResultCache(0.002)
    cache.put("a", result(1500))
    cache.clear()
    assert len(cache) == 0
    cache.put("b", result(1500))
    assert cache.get("b") is not None
