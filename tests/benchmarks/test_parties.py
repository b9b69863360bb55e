"""The parties of `python -m benchmarks.seating parties`, a few of them."""

from benchmarks.parties import judged
from benchmarks.seating import hall, sizes


def test_no_seat_is_given_twice_none_is_left_alone_that_need_not_be_and_nobody_is_torn_apart() -> None:
    tally = judged(2_500, hall(8, 30, accessible=True), sizes(3))
    assert (tally.doubles, tally.avoidable, tally.torn, tally.unasked) == (0, 0, 0, 0)
    # What could go wrong was there: seats that came back, places that leave one alone, parties that found none.
    assert tally.back > 100
    assert tally.alone > 5
    assert tally.apart > 5
