"""The rules of a section: its own count against its reservations, and against its seats at every instant.

Orders are in `order_rules.py`.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from cludale_proof.checker.documents import Concert, PlannedSection, Reservation, Section
from cludale_proof.checker.findings import Invariant, Violation, violated

SectionKey = tuple[str, str]
"""Concert and section."""
_MICROSECOND = timedelta(microseconds=1)
_QUANTITY_BITS = 32
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Tally:
    """What a section's reservations add up to."""

    __slots__ = ("held", "sold")

    def __init__(self) -> None:
        self.sold = 0
        self.held: dict[int, int] = {}
        """Seats by the second since 1970 until which they are held."""

    def add(self, reservation: Reservation, sign: int = 1) -> None:
        """Count a reservation in, or with -1 out again."""
        if reservation.status == "Sold":
            self.sold += sign * reservation.kept
        elif reservation.status == "Held":
            until = int(reservation.expires_at.timestamp())
            left = self.held.get(until, 0) + sign * reservation.quantity
            if left:
                self.held[until] = left
            else:
                self.held.pop(until, None)


def plans_of(concerts: Iterable[Concert]) -> dict[SectionKey, PlannedSection]:
    """Every section that was scheduled."""
    return {(concert.id, plan.id): plan for concert in concerts for plan in concert.sections}


def over_at(date: str, ends_at: str | None, zone: str | None = None) -> datetime:
    """When a concert is over: at the time that is said, or with the day there: in its zone, in the offset of `date`,
    or everywhere.
    """
    last = ends_at or date
    if "T" in last:
        return datetime.fromisoformat(last)
    there = datetime.fromisoformat(date).tzinfo if "T" in date else None
    there = there if zone is None else ZoneInfo(zone)
    try:
        return datetime.fromisoformat(last).replace(tzinfo=there or timezone(timedelta(hours=-12))) + timedelta(days=1)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def broken(key: SectionKey, rule: str, detail: str, *, invariant: Invariant = Invariant.SEATS_ADD_UP) -> Violation:
    """A section that isn't what it has to be."""
    return violated(invariant, rule, f"section {'/'.join(key)}", detail)


def counts(
    key: SectionKey, section: Section | None, tally: Tally, plan: PlannedSection | None, now: datetime
) -> Iterator[Violation]:
    """Does the section's record (none: nobody has had a seat yet) agree with its reservations and its plan?"""
    if section is None:
        if tally.sold or tally.held:
            had = tally.sold + sum(tally.held.values())
            yield broken(key, "section-lost", f"its reservations have {had} seats, the section itself is not there")
        return
    if plan is None:
        yield broken(key, "unplanned", "no concert has this section")
    elif plan.total_seats != section.total:
        yield broken(key, "total-differs", f"it has {section.total} seats, and {plan.total_seats} were scheduled")
    if plan is not None and plan.price != section.price:
        detail = f"a seat is {section.price}, and {plan.price} was scheduled"
        yield broken(key, "price-differs", detail, invariant=Invariant.ONE_LIVE_RESERVATION)
    if section.sold != tally.sold:
        yield broken(key, "sold-differs", f"it counts {section.sold} sold, its reservations are {tally.sold}")
    if section.held != tally.held:
        seconds = sorted(
            second for second in {*section.held, *tally.held} if _at(section, second) != _at(tally, second)
        )
        first = ", ".join(f"{_at(section, s)} for {_at(tally, s)} until {s}" for s in seconds[:3])
        yield broken(key, "held-differs", f"what it counts as held is not what its reservations hold: {first}")
    if section.sold < 0 or any(seats <= 0 for seats in section.held.values()):
        yield broken(key, "negative", f"it counts {section.sold} sold, {dict(section.held)} held")
    # Holds had ended by the time at which it gave seats away, even if the clock here has not come so far.
    available, back = section.available(now), section.held_back(now)
    held = section.total - section.sold - available - back
    if available < 0:
        yield broken(
            key,
            "oversold",
            f"{section.total} seats = {available} available + {held} held + {section.sold} sold + {back} held back",
        )


def _at(count: Section | Tally, second: int) -> int:
    return count.held.get(second, 0)


class Peak(NamedTuple):
    """The most seats that were had at once, and since when."""

    seats: int
    at: datetime


class Occupancy:
    """Which seats were kept from others when, as the events tell it; finds the fullest instant."""

    __slots__ = ("_moves", "_skew")

    def __init__(self, skew: timedelta) -> None:
        self._skew = skew
        self._moves: list[int] = []
        """Microsecond and change of seats in one integer, so that sorting puts departures before arrivals."""

    def add(self, since: datetime, until: datetime | None, quantity: int) -> None:
        """These seats were kept from `since` until `until` (None: for ever)."""
        if until is not None:
            until -= self._skew
            if until <= since:
                return
            self._moves.append(_move(until, -quantity))
        self._moves.append(_move(since, quantity))

    def give_back(self, at: datetime, until: datetime | None, quantity: int) -> None:
        """Some of the seats that are kept until then could be had again `at` this time already."""
        at -= self._skew
        if until is not None:
            until -= self._skew
            if until <= at:
                return
            self._moves.append(_move(until, quantity))
        self._moves.append(_move(at, -quantity))

    def resize(self, at: datetime, seats: int) -> None:
        """The section has this many seats more from then on; fewer, if below 0. Seats that are gone count as taken."""
        self._moves.append(_move(at, -seats))

    def peak(self) -> Peak:
        """The fullest instant."""
        self._moves.sort()
        most = now = 0
        at = 0
        offset = 1 << (_QUANTITY_BITS - 1)
        for move in self._moves:
            now += (move & ((1 << _QUANTITY_BITS) - 1)) - offset
            if now > most:
                most, at = now, move >> _QUANTITY_BITS
        return Peak(most, datetime.fromtimestamp(at // 1_000_000, UTC) + at % 1_000_000 * _MICROSECOND)


def _move(moment: datetime, change: int) -> int:
    microsecond = (moment - _EPOCH) // _MICROSECOND
    return (microsecond << _QUANTITY_BITS) + change + (1 << (_QUANTITY_BITS - 1))


def never_oversold(key: SectionKey, occupancy: Occupancy, total: int) -> Iterator[Violation]:
    """Was there an instant at which more seats were held and sold than there are?"""
    peak = occupancy.peak()
    if peak.seats > total:
        yield broken(
            key, "oversold", f"{peak.seats} seats were held and sold at {peak.at.isoformat()}, and it has {total}"
        )
