"""Rows of the outbox: what one holds, and when it can go."""

import pytest

from cludale.adapters.sqlite import StoreFailed
from cludale.adapters.sqlite.outbox import Undelivered, packed, unpacked
from cludale.ports.outbox import Outgoing


@pytest.fixture
def undelivered() -> Undelivered:
    """Three rows: 1 to 3, 4, and 8 to 9."""
    return Undelivered([(3, 3), (4, 1), (9, 2)])


def test_a_row_gives_back_what_was_packed_bytes_that_are_no_json_too() -> None:
    entries = [Outgoing(position, topic, body) for position, topic, body in ((7, "a", b"{}"), (8, "b", b"\xff\x00"))]
    last, events, body = packed(entries)
    assert (last, events) == (8, 2)
    assert list(unpacked(last, body)) == entries


def test_a_row_goes_with_the_last_of_its_events(undelivered: Undelivered) -> None:
    assert undelivered.take([3, 1]) == []
    assert undelivered.take([2]) == [3]


def test_events_of_several_rows_are_taken_at_once_in_any_order(undelivered: Undelivered) -> None:
    assert undelivered.take([9, 4, 2, 8]) == [4, 9]
    assert undelivered.take([3, 1]) == [3]


def test_what_is_taken_twice_counts_once(undelivered: Undelivered) -> None:
    assert undelivered.take([1, 1, 1, 2]) == []
    assert undelivered.take([2]) == []
    assert undelivered.take([3]) == [3]
    assert undelivered.take([3]) == []


def test_positions_that_no_row_has_are_passed_over(undelivered: Undelivered) -> None:
    assert undelivered.take([0, 5, 6, 10, 99]) == []


def test_what_nobody_took_waits(undelivered: Undelivered) -> None:
    undelivered.take([2, 8, 9])
    assert [position for position in range(12) if undelivered.waits(position)] == [1, 3, 4]
    undelivered.add(11, 2)
    assert [position for position in range(12) if undelivered.waits(position)] == [1, 3, 4, 10, 11]


def test_a_damaged_row_is_said_to_be_damaged() -> None:
    with pytest.raises(StoreFailed, match="damaged at 8"):
        list(unpacked(8, b"\x00\x00"))
    with pytest.raises(StoreFailed, match="damaged at 8"):
        Undelivered([(8, None)])  # type: ignore[list-item]
