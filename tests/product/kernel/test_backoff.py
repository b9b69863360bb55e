"""Waits double, stay bounded, and are spread."""

from hypothesis import given
from hypothesis import strategies as st

from cludale.kernel.backoff import Backoff

BACKOFF = Backoff(first_seconds=0.2, max_seconds=10)


def test_waits_double_up_to_the_longest() -> None:
    waits = [BACKOFF.seconds(attempt, 0.0) for attempt in range(1, 9)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10]


def test_jitter_shortens_a_wait_by_up_to_half() -> None:
    assert BACKOFF.seconds(3, 0.5) == 0.8 * 0.75
    assert BACKOFF.seconds(3, 0.999) > 0.4


@given(attempt=st.integers(1, 10**9), jitter=st.floats(0, 1, exclude_max=True))
def test_no_wait_is_longer_than_the_longest_or_shorter_than_half_the_first(attempt: int, jitter: float) -> None:
    assert 0.1 <= BACKOFF.seconds(attempt, jitter) <= 10
