"""A concert's sale as its events tell it, moment by moment. No I/O, clock or HTTP.

What happened is kept as changes by second, so that the sale at any moment is their sum. Nothing of a buyer is kept.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from cludale.kernel.money import Money

MOST_MOMENTS = 20_000
"""Moments that are kept apart; of longer sales several seconds are one."""
CURVE_POINTS = 120

Key = tuple[str, str]
"""What is counted: `("sold", section)`, `("orders", "Paid")`, `("taken", "EUR")`."""


class _Section(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    name: str
    total_seats: int


class _Part(msgspec.Struct, frozen=True, rename="camel"):
    amount: Money


class Data(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of an event's data; events have what they need of it."""

    order_id: str | None = None
    section: str | None = None
    reservation_id: str | None = None
    quantity: int = 0
    tickets: int = 0
    seats: int = 0
    amount: Money | None = None
    part: _Part | None = None
    was_paid: bool = False
    sections: tuple[_Section, ...] | None = None


class Happened(msgspec.Struct, frozen=True):
    """What is read of an event."""

    type: str
    time: datetime
    data: msgspec.Raw
    repeated: bool = False


class SectionThen(msgspec.Struct, frozen=True, rename="camel"):
    """A section as it stood."""

    id: str
    name: str
    total_seats: int
    held_seats: int
    sold_seats: int

    @property
    def available_seats(self) -> int:
        """What could be had."""
        return self.total_seats - self.held_seats - self.sold_seats


class Point(msgspec.Struct, frozen=True):
    """The whole concert at one moment."""

    at: datetime
    sold: int
    held: int


class SaleThen(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The whole sale of a concert as it stood."""

    concert_id: str
    at: datetime
    """The moment that it stood so: the end of the second asked for, or of a few where the sale is long."""
    first: datetime | None
    """When the first event happened; None: there was none."""
    last: datetime | None
    """When the last event happened that is read so far."""
    complete: bool
    """Is the log read to its end? If not, ask again: it goes on where it was."""
    events: int
    """How many events are read so far, of any time."""
    sections: list[SectionThen]
    orders: dict[str, int]
    """By status."""
    taken: list[Money]
    refunded: list[Money]
    curve: list[Point]
    """From the first event to the last, in equal steps."""


class Sale:
    """The changes of one concert's sale. Events come in the log's order, every cause before its effects."""

    def __init__(self) -> None:
        self.events = 0
        self.first: datetime | None = None
        self.last: datetime | None = None
        self._width = 1
        self._moments: dict[int, Counter[Key]] = {}
        self._names: dict[str, str] = {}
        self._orders: dict[str, str] = {}
        self._seats: dict[str, str] = {}
        """Reservation → held, sold or released."""
        self._returned: Counter[str] = Counter()
        self._paid: set[str] = set()
        """Orders whose money is here."""

    def tell(self, happened: Happened) -> None:
        """Count this event. Raises msgspec.MsgspecError for data that does not fit its type, having changed nothing."""
        apply = _CHANGES.get(happened.type)
        data = None if apply is None else msgspec.json.decode(happened.data, type=Data)
        self.events += 1
        self.first = happened.time if self.first is None else min(self.first, happened.time)
        self.last = happened.time if self.last is None else max(self.last, happened.time)
        if apply is None or data is None:
            return
        changes = self._moments.setdefault(int(happened.time.timestamp()) // self._width, Counter())
        for key, count in apply(self, data, happened.repeated):
            changes[key] += count
        while len(self._moments) > MOST_MOMENTS:
            self._coarsen()

    def _coarsen(self) -> None:
        self._width *= 2
        merged: dict[int, Counter[Key]] = {}
        for moment, changes in self._moments.items():
            merged.setdefault(moment // 2, Counter()).update(changes)
        self._moments = merged

    def at(self, concert_id: str, moment: datetime, *, complete: bool) -> SaleThen:
        """How it stood at the end of the second in which `moment` is."""
        moments = sorted(self._moments)
        number = int(moment.timestamp()) // self._width
        sums: Counter[Key] = Counter()
        for each in moments[: bisect_right(moments, number)]:
            sums.update(self._moments[each])
        return SaleThen(
            concert_id=concert_id,
            at=datetime.fromtimestamp((number + 1) * self._width, UTC),
            first=self.first,
            last=self.last,
            complete=complete,
            events=self.events,
            sections=[
                SectionThen(id, name, sums["seats", id], sums["held", id], sums["sold", id])
                for id, name in self._names.items()
            ],
            orders={status: sums["orders", status] for status in ("Pending", "Reserved", "Paid", "Cancelled")},
            taken=_money(sums, "taken"),
            refunded=_money(sums, "refunded"),
            curve=self._curve(moments),
        )

    def _curve(self, moments: Sequence[int]) -> list[Point]:
        if not moments:
            return []
        first, last = moments[0], moments[-1]
        count = min(CURVE_POINTS, last - first + 1)
        points, sold, held, read = [], 0, 0, 0
        for number in range(1, count + 1):
            until = first + (last - first + 1) * number // count
            while read < len(moments) and moments[read] < until:
                changes = self._moments[moments[read]]
                sold += sum(each for (what, _), each in changes.items() if what == "sold")
                held += sum(each for (what, _), each in changes.items() if what == "held")
                read += 1
            points.append(Point(datetime.fromtimestamp(until * self._width, UTC), sold, held))
        return points

    # What each event changes. Facts that are told again change nothing.

    def _scheduled(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001 - as all of them
        for section in data.sections or ():
            if section.id not in self._names:
                self._names[section.id] = section.name
                yield ("seats", section.id), section.total_seats

    def _added(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        yield ("seats", data.section or ""), data.seats

    def _taken_away(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        yield ("seats", data.section or ""), -data.seats

    def _held(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        id, section = data.reservation_id or "", data.section or ""
        if self._seats.get(id) not in ("held", "sold"):
            self._seats[id] = "held"
            yield ("held", section), data.quantity

    def _sold(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        id, section = data.reservation_id or "", data.section or ""
        before = self._seats.get(id)
        if before == "sold":
            return
        self._seats[id] = "sold"
        if before == "held":
            yield ("held", section), -data.quantity
        yield ("sold", section), data.quantity

    def _returned_some(self, data: Data, repeated: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        if not repeated:
            self._returned[data.reservation_id or ""] += data.tickets
            yield ("sold", data.section or ""), -data.tickets

    def _released(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        id, section = data.reservation_id or "", data.section or ""
        before = self._seats.get(id)
        self._seats[id] = "released"
        if before == "held":
            yield ("held", section), -data.quantity
        elif before == "sold":
            yield ("sold", section), self._returned.pop(id, 0) - data.quantity

    def _order(self, data: Data, status: str) -> Iterable[tuple[Key, int]]:
        id = data.order_id or ""
        before = self._orders.get(id)
        if before == status or (before is not None and _ORDER.index(status) < _ORDER.index(before)):
            return
        self._orders[id] = status
        if before is not None:
            yield ("orders", before), -1
        yield ("orders", status), 1

    def _completed(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        if data.amount is not None and (data.order_id or "") not in self._paid:
            self._paid.add(data.order_id or "")
            yield ("taken", data.amount.currency), data.amount.amount

    def _refunded(self, data: Data, _: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        if data.amount is not None and (data.order_id or "") in self._paid:
            self._paid.discard(data.order_id or "")
            yield ("refunded", data.amount.currency), data.amount.amount

    def _part_refunded(self, data: Data, repeated: bool) -> Iterable[tuple[Key, int]]:  # noqa: FBT001
        if data.part is not None and not repeated:
            yield ("refunded", data.part.amount.currency), data.part.amount.amount


_ORDER = ("Pending", "Reserved", "Paid", "Cancelled")


def _as(status: str) -> Callable[[Sale, Data, bool], Iterable[tuple[Key, int]]]:
    return lambda sale, data, _: sale._order(data, status)  # noqa: SLF001 - its own table


_CHANGES: Mapping[str, Callable[[Sale, Data, bool], Iterable[tuple[Key, int]]]] = {
    "ConcertScheduled": Sale._scheduled,  # noqa: SLF001
    "SeatsAdded": Sale._added,  # noqa: SLF001
    "SeatsTaken": Sale._taken_away,  # noqa: SLF001
    "SeatsReserved": Sale._held,  # noqa: SLF001
    "SeatsSold": Sale._sold,  # noqa: SLF001
    "SeatsReturned": Sale._returned_some,  # noqa: SLF001
    "SeatsReleased": Sale._released,  # noqa: SLF001
    "OrderPlaced": _as("Pending"),
    "TicketReserved": _as("Reserved"),
    "OrderPaid": _as("Paid"),
    "OrderCancelled": _as("Cancelled"),
    "PaymentCompleted": Sale._completed,  # noqa: SLF001
    "PaymentRefunded": Sale._refunded,  # noqa: SLF001
    "PartRefunded": Sale._part_refunded,  # noqa: SLF001
}


def _money(sums: "Counter[Key]", what: str) -> list[Money]:
    return [Money(sum, currency) for (name, currency), sum in sorted(sums.items()) if name == what and sum]
