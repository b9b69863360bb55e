"""The trees: every query's order, and that a walk opens few nodes where entries come nearly in that order."""

import random
from collections.abc import Sequence

import pytest

from cludale.adapters.dapr.state.index import (
    FANOUT,
    Entry,
    Question,
    Walk,
    Zone,
    zone_of_entries,
    zone_of_zones,
)
from cludale.ports.records import IndexValue, Kind, Query, Range

KIND = Kind("audit", "event", ("type", "time"))


class Tree:
    """Nodes of two levels over entries, and how many of them were opened."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.opened = 0
        self._nodes: dict[tuple[int, int], Sequence[Entry | Zone]] = {}
        level: Sequence[Entry | Zone] = entries
        while len(level) > FANOUT:
            level = [self._node(level[at : at + FANOUT], at) for at in range(0, len(level), FANOUT)]
        self._top = level

    def _node(self, items: Sequence[Entry | Zone], number: int) -> Zone:
        entries = [item for item in items if isinstance(item, Entry)]
        zones = [item for item in items if isinstance(item, Zone)]
        zone = zone_of_entries(entries, number) if entries else zone_of_zones(zones, number)
        self._nodes[zone.level, number] = items
        return zone

    def find(self, query: Query) -> list[int]:
        walk = Walk(Question(KIND, query))
        walk.add(self._top)
        found: list[int] = []
        while len(found) < query.limit:
            if zones := walk.zones(1):
                self.opened += len(zones)
                for zone in zones:
                    walk.add(self._nodes[zone.level, zone.number])
            elif entries := walk.entries(query.limit - len(found)):
                found += [entry.came for entry in entries]
            else:
                break
        return found


def log(size: int) -> list[Entry]:
    """Entries whose times come nearly in order, a few without one."""
    chance = random.Random(7)
    times = [f"{max(0, came + chance.randint(-40, 40)):06}" if came % 50 else None for came in range(size)]
    return [Entry(came, f"e{came}", (chance.choice("abc"), time)) for came, time in enumerate(times)]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    "query",
    [
        Query(limit=5_000),
        Query(limit=5_000, order_by="time"),
        Query(limit=5_000, order_by="type"),
        Query(limit=5_000, order_by="time", equal={"type": "b"}),
        Query(limit=5_000, order_by="time", within=[Range("time", "000300", "001700")]),
        Query(limit=5_000, within=[Range("time", until="000300")], contains={"type": "a"}),
        Query(limit=5_000, equal={"time": None}),
    ],
)
def test_a_walk_finds_what_sorting_everything_finds(query: Query, descending: bool) -> None:
    entries = log(3_000)
    query = query._replace(descending=descending)
    question = Question(KIND, query)

    def place(entry: Entry) -> tuple[object, ...]:
        return question.position(entry.came, entry.values)

    expected = sorted((entry for entry in entries if question.holds(entry.values)), key=place, reverse=descending)
    assert Tree(entries).find(query) == [entry.came for entry in expected]


@pytest.mark.parametrize("order_by", [None, "time"])
def test_a_page_in_the_middle_of_the_log_opens_few_nodes(order_by: str | None) -> None:
    tree = Tree(log(30_000))
    found = tree.find(Query(limit=50, order_by=order_by, within=[Range("time", "015000", "015500")]))
    assert len(found) == 50
    assert tree.opened < 20


def test_numbers_come_before_text_and_nothing_last() -> None:
    values: list[IndexValue] = ["b", 2, None, "a", 10]
    tree = Tree([Entry(came, f"e{came}", (value, None)) for came, value in enumerate(values)])
    assert tree.find(Query(order_by="type")) == [1, 4, 3, 0, 2]
    assert tree.find(Query(order_by="type", descending=True)) == [0, 3, 4, 1, 2]
