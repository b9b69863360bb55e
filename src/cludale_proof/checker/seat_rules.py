"""The rules of numbered seats: each is one person's at a time, is in the plan, and counted where it is.

The numbers of a section are in `section_rules.py`.
"""

import hashlib
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from cludale_proof.checker.documents import NumberedSeat, PlannedSection, Reservation, SeatPlan, Section
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import OrderHistory, ReservationTold
from cludale_proof.checker.section_rules import SectionKey, broken

_ORDER = "order-"
_NAMED = 5
"""As many seats are named of one fault."""
_COMPANION, _WHEELCHAIR, _RESTRICTED = 2, 1, 4
_FLAGS = {"wheelchair": _WHEELCHAIR, "companion": _COMPANION, "restricted view": _RESTRICTED}


class Owned(NamedTuple):
    """From when until when (None: for ever) a seat was somebody's."""

    since: datetime
    until: datetime | None
    reservation: str


class SeatBook:
    """All numbered seats: who has them by the stores, and who had them when by the log."""

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew
        self._plans: dict[str, Mapping[str, list[NumberedSeat]]] = {}
        self._orders: dict[str, list[str]] = {}
        self._stored: dict[SectionKey, dict[str, Reservation]] = {}
        self._times: dict[SectionKey, dict[int, list[Owned]]] = {}

    def plan(self, kept: SeatPlan) -> Iterator[Violation]:
        """A plan as it is kept. It has to be what its name says: the hash of its JSON."""
        body = zlib.decompress(kept.body)
        if kept.digest.startswith(_ORDER):
            self._orders[kept.digest] = msgspec.json.decode(body)
        else:
            self._plans[kept.digest] = _zones(msgspec.json.decode(body))
        if _sha256(body) != kept.digest.removeprefix(_ORDER):
            detail = "its content has another hash"
            yield Violation(
                invariant=Invariant.LOG_GIVES_STORES, rule="plan-changed", subject=f"plan {kept.digest}", detail=detail
            )

    def reservation(self, reservation: Reservation) -> None:
        """One as it is stored."""
        if reservation.numbered_seats is not None:
            key = reservation.concert_id, reservation.section
            self._stored.setdefault(key, {})[reservation.id] = reservation

    def told(self, history: OrderHistory) -> None:
        """What an order's events tell of its seats."""
        for (concert, section, id), reservation in history.reservations.items():
            times = reservation.occupied()
            if times is not None and _seats(reservation.reserved):
                owners = self._times.setdefault((concert, section), {})
                for place, since, until in _owned(reservation, *times):
                    owners.setdefault(place, []).append(Owned(since, until, id))

    @property
    def sections(self) -> set[SectionKey]:
        """Those of which anything is known."""
        return {*self._stored, *self._times}

    def check(
        self, key: SectionKey, section: Section | None, planned: PlannedSection | None, now: datetime
    ) -> Iterator[Violation]:
        """What is wrong with the seats of a section."""
        yield from self._never_two(key)
        yield from self.now(key, section, planned, now)

    def now(
        self, key: SectionKey, section: Section | None, planned: PlannedSection | None, now: datetime
    ) -> Iterator[Violation]:
        """What is wrong with them as they are stored."""
        reservations = tuple(self._stored.get(key, {}).values())
        if planned is None or planned.plan is None:
            if reservations:
                detail = f"{reservations[0].id} has numbered seats, and the section has none"
                yield broken(key, "seats-of-nowhere", detail)
            return
        yield from self._in_the_plan(key, planned, section, reservations, now)
        if section is not None:
            yield from _as_counted(key, section, reservations, now)

    def _never_two(self, key: SectionKey) -> Iterator[Violation]:
        for place, owners in self._times.get(key, {}).items():
            owners.sort(key=lambda each: each.since)
            last: Owned | None = None
            for each in owners:
                if last is not None and (last.until is None or last.until - self._skew > each.since):
                    until = "for good" if last.until is None else f"until {last.until.isoformat()}"
                    detail = (
                        f"seat {place} was {last.reservation}'s from {last.since.isoformat()} {until}, "
                        f"and {each.reservation}'s from {each.since.isoformat()}"
                    )
                    yield broken(key, "seat-twice", detail)
                    break
                if last is None or (last.until is not None and (each.until is None or each.until > last.until)):
                    last = each

    def _in_the_plan(
        self,
        key: SectionKey,
        planned: PlannedSection,
        section: Section | None,
        reservations: Sequence[Reservation],
        now: datetime,
    ) -> Iterator[Violation]:
        assert planned.plan is not None  # noqa: S101 - whoever calls has looked
        part = planned.plan
        zones = self._plans.get(part.digest)
        if zones is None or (part.order and part.order not in self._orders):
            yield broken(key, "plan-lost", f"its plan {part.digest} is not there, or the order of its seats")
            return
        told = None if section is None else section.numbered
        if told is not None and (told.plan, told.zone, told.order) != (part.digest, part.zone, part.order):
            detail = f"it has plan {told.plan}, and its events tell of {part.digest}"
            yield broken(key, "plan-differs", detail, invariant=Invariant.LOG_GIVES_STORES)
            return
        seats = zones.get(part.zone, [])
        if len(seats) != planned.total_seats:
            yield broken(key, "plan-differs", f"it has {planned.total_seats} seats, its plan {len(seats)}")
            return
        hall = _Hall(seats, self._orders.get(part.order))
        if told is not None and set(_unpacked(told.gone)) != hall.gone:
            detail = f"it says that {sorted(_unpacked(told.gone))} are gone, by its plan it is {sorted(hall.gone)}"
            yield broken(key, "gone-differ", detail)
        moment = now if section is None else section.moment(now)
        for each in reservations:
            had = each.numbered_seats or ()
            is_live = each.status == "Sold" or (each.status == "Held" and moment < each.expires_at)
            its = _seats_kept(each)
            kept = its if is_live else []
            wrong = [seat for seat in had if not hall.had(seat)] + [seat for seat in kept if not hall.has(seat)]
            if len(had) != each.quantity or len({seat.at for seat in its}) != len(its):
                detail = f"{each.id} has {each.quantity} seats, {len(had)} with numbers, {len(its)} of them its yet"
                yield broken(key, "seats-and-quantity", detail)
            if wrong:
                yield broken(key, "seat-of-nowhere", f"{each.id} has {wrong[:_NAMED]}, which are not in the plan so")


class _Hall:
    """The seats of a section, and those that it had by other plans."""

    def __init__(self, seats: Sequence[NumberedSeat], order: Sequence[str] | None) -> None:
        self._order = [seat.id for seat in seats] if order is None else order
        self._now = {seat.id: seat for seat in seats}
        self.gone = {place for place, id in enumerate(self._order) if id not in self._now}

    def had(self, seat: NumberedSeat) -> bool:
        """Is, or was, this the seat at its place?"""
        return 0 <= seat.at < len(self._order) and self._order[seat.at] == seat.id

    def has(self, seat: NumberedSeat) -> bool:
        """Is it there now, by the name that somebody has it by? What is special about it may have changed."""
        now = self._now.get(seat.id)
        return now is not None and (now.row, now.number) == (seat.row, seat.number)


def _as_counted(
    key: SectionKey, section: Section, reservations: Iterable[Reservation], now: datetime
) -> Iterator[Violation]:
    """Is each seat taken as often as its owners take it, and live for one of them at most?"""
    if section.numbered is None:
        yield broken(key, "seats-lost", "its plan has numbers, its record has none")
        return
    second = max(now, section.as_of or now).timestamp()
    nobodys = (*section.numbered.blocked, *_unpacked(section.numbered.gone))
    counted, live = (Counter(nobodys) for _ in range(2))
    held: dict[int, list[int]] = {}
    for each in reservations:
        places = [seat.at for seat in _seats_kept(each)] if each.status in ("Held", "Sold") else []
        counted.update(places)
        until = int(each.expires_at.timestamp())
        if each.status == "Held":
            held.setdefault(until, []).extend(places)
        if each.status == "Sold" or second < until:
            live.update(places)
    said = Counter(section.numbered.over)
    most = section.numbered.places or section.total
    said.update(place for place in range(most) if section.numbered.taken[place >> 3] >> (place & 7) & 1)
    if said != counted:
        wrong = sorted(place for place in {*said, *counted} if said[place] != counted[place])[:_NAMED]
        told = ", ".join(f"seat {place}: {said[place]} for {counted[place]}" for place in wrong)
        yield broken(key, "seats-differ", f"what it counts as taken is not what its reservations have: {told}")
    if {until: sorted(_unpacked(places)) for until, places in section.numbered.held.items()} != {
        until: sorted(places) for until, places in held.items() if places
    }:
        yield broken(key, "held-seats-differ", "the seats that it counts as held are not those of its reservations")
    twice = sorted(place for place, owners in live.items() if owners > 1)
    if twice:
        yield broken(key, "seat-twice", f"seats {twice[:_NAMED]} have two owners now")


def _unpacked(places: bytes) -> list[int]:
    return [int.from_bytes(places[at : at + 2], "little") for at in range(0, len(places), 2)]


def _seats_kept(reservation: Reservation) -> list[NumberedSeat]:
    back = {number for each in reservation.returns.values() for number in each.numbers}
    return [seat for number, seat in enumerate(reservation.numbered_seats or (), 1) if number not in back]


def _seats(fact: Fact | None) -> tuple[NumberedSeat, ...]:
    return () if fact is None else fact.event.data.numbered_seats or ()


def _owned(
    reservation: ReservationTold, since: datetime, until: datetime | None
) -> Iterator[tuple[int, datetime, datetime | None]]:
    """Each of its seats, from when until when it was its: those that it was moved to, too."""
    back = {
        number: fact.event.time
        for fact in reservation.returned.values()
        for number in fact.event.data.numbers or ()
        if not fact.event.repeated
    }
    seats = list(_seats(reservation.reserved))
    begun = [since] * len(seats)
    for _, fact in sorted(reservation.moved.items()):
        data, at = fact.event.data, fact.event.time
        has = data.numbered_seats or ()
        for number in (each for each in data.numbers or () if 1 <= each <= min(len(seats), len(has))):
            gone = back.get(number)
            if at > begun[number - 1] and (gone is None or gone > begun[number - 1]):
                yield seats[number - 1].at, begun[number - 1], at if gone is None else min(at, gone)
            seats[number - 1], begun[number - 1] = has[number - 1], at
    for number, seat in enumerate(seats, 1):
        gone = back.get(number)
        end = until if gone is None else gone if until is None else min(gone, until)
        if end is None or end > begun[number - 1]:
            yield seat.at, begun[number - 1], end


def _zones(plan: Mapping[str, Any]) -> dict[str, list[NumberedSeat]]:
    """The seats of each zone, in the order in which they stand there."""
    zones: dict[str, list[NumberedSeat]] = {}
    for zone in plan["zones"]:
        seats = zones[zone["name"]] = []
        for row in zone["rows"]:
            for seat in row["seats"]:
                flags = _flags(seat["category"])
                seats.append(
                    NumberedSeat(
                        id=seat["seat_guid"],
                        row=row["row_number"],
                        number=seat["seat_number"],
                        at=len(seats),
                        flags=flags,
                    )
                )
    return zones


def _flags(category: str) -> int:
    """`Stalls [wheelchair, companion]`."""
    if not category.endswith("]") or " [" not in category:
        return 0
    names = [name.strip() for name in category[category.rindex(" [") + 2 : -1].split(",")]
    return sum(_FLAGS[name] for name in set(names)) if all(name in _FLAGS for name in names) else 0


def _sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()
