"""The log as a chain: whatever is done to its entries is found."""

from collections.abc import Callable

import pytest
from tests.proof.checker.worlds import Json, World, busy_world

from cludale_proof.checker import Invariant, MemorySnapshot, Row, check
from cludale_proof.checker.findings import Report


def chained(world: World, break_it: Callable[[list[Row]], None]) -> Report:
    snapshot = world.snapshot()
    records = dict(snapshot.records)
    entries = list(records["audit/event"])
    break_it(entries)
    records["audit/event"] = entries
    return check(MemorySnapshot(records, (), snapshot.lines, snapshot.committed), now=world.now)


def body(row: Row) -> Json:
    assert not isinstance(row.body, bytes)
    return dict(row.body)


def drop_entry(entries: list[Row]) -> None:
    del entries[5]


def change_entry(entries: list[Row]) -> None:
    changed = body(entries[5])
    changed["event"] = changed["event"] | {"source": "another"}
    entries[5] = entries[5]._replace(body=changed)


def swap_entries(entries: list[Row]) -> None:
    entries[5], entries[6] = entries[6], entries[5]


def cut_the_end(entries: list[Row]) -> None:
    del entries[-1]


def rename_entry(entries: list[Row]) -> None:
    entries[5] = entries[5]._replace(id="event-other")


def spoil_entry(entries: list[Row]) -> None:
    entries[5] = entries[5]._replace(body=b"{")


def double_entry(entries: list[Row]) -> None:
    entries.append(entries[5])


@pytest.mark.parametrize(
    ("rule", "break_it"),
    [
        ("gap", drop_entry),
        ("hash", change_entry),
        ("gap", swap_entries),
        ("head", cut_the_end),
        ("another-event", rename_entry),
        ("unreadable", spoil_entry),
        ("logged-twice", double_entry),
    ],
)
def test_a_log_that_was_tampered_with_is_found(rule: str, break_it: Callable[[list[Row]], None]) -> None:
    report = chained(busy_world(), break_it)
    found = [each for each in report.violations if each.rule == rule]
    assert found
    assert {each.invariant for each in found} == {Invariant.WHOLE_LOG}
