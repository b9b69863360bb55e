"""The index of a kind: trees that only grow, and the walk through one in the order of a query. No I/O.

A tree takes entries in the order in which they come. So many of them become a node, which is never written again, and
so many nodes a node above them; of each node its parent keeps the zone: the least and the greatest value of every
field. A walk goes into the nodes whose zones a query allows, nearest first. Entries come nearly in the order of
time, so a walk by coming or by time opens few nodes; by a field whose values come in no order it opens all.

A record whose values change gets another entry; the old one stays, and whoever reads compares with the record.
"""

from bisect import insort
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from cludale.ports.records import IndexValue, Kind, Query
from cludale.runtime.cursors import Cursors, Place, Value, question_of

FANOUT = 32
"""Entries or zones a node. The open end of a tree has less than this of each level, and is written at each change."""


class Entry(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A record, as it was when this was written."""

    came: int
    id: str
    values: tuple[IndexValue, ...]


class Extent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What there is of one field in a node; least and greatest are None where no entry has a value."""

    least: IndexValue
    greatest: IndexValue
    has_none: bool


class Zone(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A summary of a node of the index, and which node it is."""

    level: int
    number: int
    first: int
    last: int
    """The least and the greatest place in the order of coming."""
    fields: tuple[Extent, ...]


_Typed = tuple[int, int, str]
Position = tuple[int, _Typed, int]
"""A place in the order of a query: with or without a value, the value, the order of coming."""


def typed(value: IndexValue) -> _Typed:
    """To compare values of any type: numbers before text."""
    if isinstance(value, str):
        return (1, 0, value)
    return (0, 0 if value is None else value, "")


def zone_of_entries(entries: Sequence[Entry], number: int) -> Zone:
    """What a node of these holds."""
    extents = []
    for values in zip(*(entry.values for entry in entries), strict=True):
        present = [value for value in values if value is not None]
        extents.append(
            Extent(
                min(present, key=typed, default=None),
                max(present, key=typed, default=None),
                len(present) < len(values),
            )
        )
    came = [entry.came for entry in entries]
    return Zone(0, number, min(came), max(came), tuple(extents))


def zone_of_zones(zones: Sequence[Zone], number: int) -> Zone:
    """What a node of these holds."""
    extents = []
    for parts in zip(*(zone.fields for zone in zones), strict=True):
        least = [part.least for part in parts if part.least is not None]
        greatest = [part.greatest for part in parts if part.greatest is not None]
        extents.append(
            Extent(
                min(least, key=typed, default=None),
                max(greatest, key=typed, default=None),
                any(part.has_none for part in parts),
            )
        )
    return Zone(
        zones[0].level + 1,
        number,
        min(zone.first for zone in zones),
        max(zone.last for zone in zones),
        tuple(extents),
    )


class _Cursor(msgspec.Struct, array_like=True, forbid_unknown_fields=True, frozen=True):
    question: str
    came: Place
    value: Value = None


_cursors = Cursors(_Cursor)


class _Condition(NamedTuple):
    at: int
    """Which of the kind's fields."""
    is_equal: bool = False
    equal: IndexValue = None
    contains: str | None = None
    since: IndexValue = None
    until: IndexValue = None

    def holds(self, value: IndexValue) -> bool:
        if self.is_equal:
            return typed(value) == typed(self.equal) and (value is None) == (self.equal is None)
        if value is None:
            return False
        if self.contains is not None:
            return isinstance(value, str) and self.contains in value
        return (self.since is None or typed(value) >= typed(self.since)) and (
            self.until is None or typed(value) < typed(self.until)
        )

    def may_hold(self, extent: Extent) -> bool:
        """Can an entry of such a node fulfil it?"""
        if self.is_equal and self.equal is None:
            return extent.has_none
        if extent.least is None:
            return False
        if self.is_equal:
            return typed(extent.least) <= typed(self.equal) <= typed(extent.greatest)
        return (self.since is None or typed(extent.greatest) >= typed(self.since)) and (
            self.until is None or typed(extent.least) < typed(self.until)
        )


class Question:
    """A query of one kind."""

    def __init__(self, kind: Kind, query: Query) -> None:
        """Raises UnusableCursor, ValueError for a field that is not indexed."""
        if query.limit < 1:
            raise ValueError(f"a page of {query.limit}")
        self._kind = kind
        self.descending = query.descending
        self._by = None if query.order_by is None else self._at(query.order_by)
        self._conditions = [
            *(_Condition(self._at(field), is_equal=True, equal=value) for field, value in query.equal.items()),
            *(_Condition(self._at(field), contains=needle) for field, needle in query.contains.items()),
            *(_Condition(self._at(field), since=since, until=until) for field, since, until in query.within),
        ]
        self._question = question_of(kind, query)
        cursor = _cursors.read(query.after, self._question)
        self._after = None if cursor is None else self._position(cursor.came, cursor.value)

    def _at(self, field: str) -> int:
        if field not in self._kind.indexed:
            raise ValueError(f"{field!r} is not an indexed field of {self._kind}")
        return self._kind.indexed.index(field)

    def cursor(self, came: int, values: Sequence[IndexValue]) -> str:
        """Goes on past this record."""
        value = None if self._by is None else values[self._by]
        return _cursors.write(_Cursor(self._question, came, value))

    def position(self, came: int, values: Sequence[IndexValue]) -> Position:
        """The place of such a record."""
        return self._position(came, None if self._by is None else values[self._by])

    def _position(self, came: int, value: IndexValue) -> Position:
        # without a value: last, either way
        return (int((value is None) != self.descending), typed(value), came)

    def holds(self, values: Sequence[IndexValue]) -> bool:
        """Does a record with these values match?"""
        return all(condition.holds(values[condition.at]) for condition in self._conditions)

    def _bounds(self, zone: Zone) -> tuple[Position, Position]:
        if self._by is None:
            return self._position(zone.first, None), self._position(zone.last, None)
        extent = zone.fields[self._by]
        ends = [
            *([] if extent.least is None else [(zone.first, extent.least), (zone.last, extent.greatest)]),
            *([(zone.first, None), (zone.last, None)] if extent.has_none else []),
        ]
        positions = [self._position(came, value) for came, value in ends]
        return min(positions), max(positions)

    def near(self, item: Entry | Zone) -> Position | None:
        """The first place of the page at which the item may stand; None if it is of no interest."""
        if isinstance(item, Entry):
            if not self.holds(item.values):
                return None
            near = far = self.position(item.came, item.values)
        else:
            if not all(condition.may_hold(item.fields[condition.at]) for condition in self._conditions):
                return None
            near, far = self._bounds(item)
            if self.descending:
                near, far = far, near
        if self._after is not None and (far >= self._after if self.descending else far <= self._after):
            return None
        return near


class Walk:
    """Through a tree in the order of a question; whoever walks fetches the nodes."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._ahead: list[tuple[Position, Entry | Zone]] = []
        """By place in the order: the nearest is the first, or the last where the order descends."""

    def add(self, items: Sequence[Entry | Zone]) -> None:
        """What was found in a node."""
        for item in items:
            near = self._question.near(item)
            if near is not None:
                insort(self._ahead, (near, item), key=_place)

    def zones(self, limit: int) -> list[Zone]:
        """The nodes to open next, at most so many; none if an entry comes before them."""
        nearest = self._nearest(limit)
        if not nearest or isinstance(nearest[0][1], Entry):
            return []
        self._drop(len(nearest))
        for each in nearest:
            if isinstance(each[1], Entry):
                insort(self._ahead, each, key=_place)
        return [item for _, item in nearest if isinstance(item, Zone)]

    def entries(self, limit: int) -> list[Entry]:
        """The next entries before any node, at most so many."""
        taken: list[Entry] = []
        for _, item in self._nearest(limit):
            if isinstance(item, Zone):
                break
            taken.append(item)
        self._drop(len(taken))
        return taken

    def _nearest(self, limit: int) -> list[tuple[Position, Entry | Zone]]:
        return self._ahead[: -limit - 1 : -1] if self._question.descending else self._ahead[:limit]

    def _drop(self, count: int) -> None:
        if self._question.descending:
            del self._ahead[len(self._ahead) - count :]
        else:
            del self._ahead[:count]


def _place(ahead: tuple[Position, Entry | Zone]) -> Position:
    return ahead[0]
