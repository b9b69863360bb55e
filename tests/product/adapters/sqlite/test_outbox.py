"""Rows of the outbox: what one holds."""

import pytest

from cludale.adapters.sqlite import StoreFailed
from cludale.adapters.sqlite.outbox import packed, undelivered, unpacked
from cludale.ports.outbox import Outgoing


def test_a_row_gives_back_what_was_packed_bytes_that_are_no_json_too() -> None:
    entries = [Outgoing(position, topic, body) for position, topic, body in ((7, "a", b"{}"), (8, "b", b"\xff\x00"))]
    last, events, body = packed(entries)
    assert (last, events) == (8, 2)
    assert list(unpacked(last, body)) == entries


def test_a_damaged_row_is_said_to_be_damaged() -> None:
    with pytest.raises(StoreFailed, match="damaged at 8"):
        list(unpacked(8, b"\x00\x00"))
    with pytest.raises(StoreFailed, match="damaged at 8"):
        undelivered([(8, None)])  # type: ignore[list-item]


def test_what_the_rows_hold_waits() -> None:
    waiting = undelivered([(3, 3), (4, 1), (9, 2)])
    assert [position for position in range(12) if waiting.waits(position)] == [1, 2, 3, 4, 8, 9]
