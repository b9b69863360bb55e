"""A hall whose seats have numbers: one that is made for a rehearsal, and any as buyers see it. Pure."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import hypot
from random import Random
from statistics import median
from typing import Any, Final, NamedTuple

ROW: Final = 20
"""Seats in a row."""
_AISLE_AFTER: Final = 10
_GAP, _AISLE = 25.0, 35.0
_STALLS_SHARE: Final = 0.7
_ONE_ZONE: Final = 200
"""Smaller halls have no balcony."""
_WIDE: Final = 1.75
"""Seats of a row that are further apart than this many times the usual distance have an aisle between them."""
_TRIES: Final = 12
_FLAGS: Final = frozenset({"wheelchair", "companion", "restricted view"})
_ASIDE: Final = frozenset({"wheelchair", "companion"})


def made(seats: int, *, balcony: bool = True, aside: bool = True) -> tuple[str, list[str]]:
    """A plan (CSV) with so many seats in rows of ROW with an aisle, and its zones; `aside`: with places for
    wheelchairs.
    """
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(("section", "row", "seat", "x", "y", "category", "flags"))
    stalls = seats if seats < _ONE_ZONE or not balcony else round(seats * _STALLS_SHARE)
    zones = [("Stalls", stalls, 40.0)]
    if stalls < seats:
        zones.append(("Balcony", seats - stalls, 90.0 + 30 * -(-stalls // ROW)))
    for zone, count, top in zones:
        for place in range(count):
            row, seat = divmod(place, ROW)
            x = 20 + seat * _GAP + (_AISLE if seat >= _AISLE_AFTER else 0)
            flags = {0: "wheelchair", 1: "companion"}.get(place, "") if aside and count > ROW else ""
            lines.writerow((zone, f"{row + 1}", f"{seat + 1}", f"{x:g}", f"{top + row * 30:g}", zone, flags))
    return text.getvalue(), [name for name, _, _ in zones]


class Stretch(NamedTuple):
    """Seats of a row that stand beside one another, are sold alike, and go to everybody."""

    first: int
    """The how manieth of its zone the first seat is, from 0."""
    ids: Sequence[str]


class Hall:
    """The zones of a seating plan in pretix's JSON."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.zones: dict[str, list[Stretch]] = {zone["name"]: list(_stretches(zone)) for zone in plan["zones"]}
        self.ids: dict[str, list[str]] = {
            zone["name"]: [seat["seat_guid"] for row in zone["rows"] for seat in row["seats"]] for zone in plan["zones"]
        }
        """All seats of each zone, in the order of the plan."""

    def neighbours(self, zone: str, size: int, free: int, random: Random) -> Sequence[str]:
        """So many free seats beside one another, somewhere in the zone; none if a few looks find none."""
        long_enough = [each for each in self.zones[zone] if len(each.ids) >= size]
        for _ in range(_TRIES if long_enough else 0):
            stretch = random.choice(long_enough)
            start = random.randint(0, len(stretch.ids) - size)
            wanted = ((1 << size) - 1) << (stretch.first + start)
            if free & wanted == wanted:
                return stretch.ids[start : start + size]
        return ()


def has_places_aside(plan: Mapping[str, Any]) -> bool:
    """Are there places for wheelchairs?"""
    seats = (seat for zone in plan["zones"] for row in zone["rows"] for seat in row["seats"])
    return any("wheelchair" in _kind(seat["category"])[1] for seat in seats)


def _stretches(zone: Mapping[str, Any]) -> Iterator[Stretch]:
    rows = [[(seat, *_place(row, seat)) for seat in row["seats"]] for row in zone["rows"]]
    gaps = [hypot(b[1] - a[1], b[2] - a[2]) for row in rows for a, b in pairwise(row)]
    usual = median(gaps) if gaps else 0.0
    first = 0
    for row in rows:
        ids: list[str] = []
        before: tuple[str, float, float] | None = None
        for at, (seat, x, y) in enumerate(row):
            category, flags = _kind(seat["category"])
            is_aside = not _ASIDE.isdisjoint(flags)
            apart = before is None or before[0] != category or hypot(x - before[1], y - before[2]) > _WIDE * usual
            if ids and (is_aside or apart):
                yield Stretch(first + at - len(ids), ids)
                ids = []
            before = None if is_aside else (category, x, y)
            if not is_aside:
                ids.append(seat["seat_guid"])
        if ids:
            yield Stretch(first + len(row) - len(ids), ids)
        first += len(row)


def _place(row: Mapping[str, Any], seat: Mapping[str, Any]) -> tuple[float, float]:
    at = row.get("position") or {"x": 0.0, "y": 0.0}
    return float(at["x"]) + float(seat["position"]["x"]), float(at["y"]) + float(seat["position"]["y"])


def _kind(category: str) -> tuple[str, frozenset[str]]:
    """`Stalls [wheelchair]` is category `Stalls`, for wheelchairs."""
    name, bracket, rest = category.rpartition(" [")
    flags = frozenset(each.strip() for each in rest.removesuffix("]").split(","))
    return (name, flags) if bracket and rest.endswith("]") and flags <= _FLAGS else (category, frozenset())
