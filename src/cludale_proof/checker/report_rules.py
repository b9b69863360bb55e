"""The rule of reports: once nothing is under way, their sums are what payments took and gave back, to the cent, and the
tickets that they say are left are those that sections have sold.

Documents are read by this module's own shapes, and the sums are of payments and sections, not of orders: so the report,
which is told from orders, is held against what others wrote.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, tzinfo
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from cludale_proof.checker.documents import Money, PaymentPart, PaymentShare, Till


class ReportRow(NamedTuple):
    """A row of a report by concert, day and section, as somebody was given it. Money in minor units."""

    concert_id: str
    day: str
    section: str
    currency: str
    tickets: int
    tickets_back: int
    taken: int
    refunded: int
    refunds_open: int
    channel: str = ""
    """Where it was sold; empty: the report does not say."""


class CategoryRow(NamedTuple):
    """A row of a report by concert, category and code. Money in minor units; empty: of none."""

    concert_id: str
    category: str
    code: str
    currency: str
    tickets: int
    tickets_back: int
    left: int
    """What was taken, less what has gone back."""


class TillRow(NamedTuple):
    """A row of a report of tills. Money in minor units."""

    method: str
    currency: str
    taken: int
    given_back: int


class _TicketCount(msgspec.Struct, frozen=True, gc=False):
    category: str
    quantity: int


class _Part(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    tickets: int
    of: tuple[_TicketCount, ...] = ()


class _Refund(msgspec.Struct, frozen=True, gc=False):
    part: _Part


class _Order(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    id: str
    created_at: datetime
    refunds: tuple[_Refund, ...] = ()


class _Payment(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    order_id: str
    concert_id: str
    section: str
    amount: Money
    status: str
    parts: tuple[PaymentPart, ...] = ()
    till: Till | None = None
    shares: tuple[PaymentShare, ...] = ()

    @property
    def channel(self) -> str:
        """Where it was sold."""
        if self.till is None:
            return "online"
        return "complimentary" if self.till.method == "complimentary" else "box-office"


class _Bill(msgspec.Struct, frozen=True, gc=False):
    lines: tuple[_TicketCount, ...]
    code: str = ""


class _Reservation(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    concert_id: str
    quantity: int
    status: str
    order_id: str | None = None
    bill: _Bill | None = None

    def kept(self, refunds: Iterable[_Refund]) -> Counter[str]:
        """Its seats by category, but for those that these have given back."""
        lines = (_TicketCount("standard", self.quantity),) if self.bill is None else self.bill.lines
        kept = Counter({line.category: line.quantity for line in lines})
        for refund in refunds:
            for each in refund.part.of or (_TicketCount(lines[0].category, refund.part.tickets),):
                kept[each.category] -= each.quantity
        return kept


class _Section(msgspec.Struct, frozen=True, rename="camel", kw_only=True, gc=False):
    concert_id: str
    id: str
    sold: int = 0


class _Particulars(msgspec.Struct, frozen=True, gc=False):
    zone: str | None = None


class _Concert(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    id: str
    date: str
    particulars: _Particulars = _Particulars()


class KeptDocuments(NamedTuple):
    """The stored documents, as JSON."""

    concerts: Iterable[bytes]
    sections: Iterable[bytes]
    orders: Iterable[bytes]
    payments: Iterable[bytes]


_MoneyKey = tuple[str, str, str, str]


def broken_reports(rows: Iterable[ReportRow], kept: KeptDocuments) -> Iterator[str]:
    """What is wrong with a report of all that there is."""
    said_money: Counter[_MoneyKey] = Counter()
    said_tickets: Counter[tuple[str, str]] = Counter()
    said_channels: Counter[tuple[str, str]] = Counter()
    payments = list(kept.payments)
    kept = kept._replace(payments=payments)
    for row in rows:
        key = (row.concert_id, row.day, row.section, row.currency)
        said_money[key] += row.taken - row.refunded
        said_tickets[row.concert_id, row.section] += row.tickets - row.tickets_back
        if row.channel:
            said_channels[row.channel, row.currency] += row.taken - row.refunded
        if row.refunds_open:
            yield f"report-refund-open: {key}: {row.refunds_open} are said to be on their way back, and all is quiet"
        if row.refunded > row.taken or row.tickets_back > row.tickets:
            yield f"report-more-back: {key}: more is said to have come back than there was"
    if said_channels:
        yield from _broken_channels(said_channels, payments)
    had = _money(kept)
    for key in sorted(said_money.keys() | had.keys()):
        if said_money[key] != had[key]:
            yield f"report-money: {key}: the report says {said_money[key]}, payments have {had[key]}"
    sold: Counter[tuple[str, str]] = Counter()
    for body in kept.sections:
        section = msgspec.json.decode(body, type=_Section)
        sold[section.concert_id, section.id] += section.sold
    for place in sorted(said_tickets.keys() | sold.keys()):
        if said_tickets[place] != sold[place]:
            yield f"report-tickets: {place}: the report says {said_tickets[place]}, the section sold {sold[place]}"


def _broken_channels(said: Counter[tuple[str, str]], payments: Iterable[bytes]) -> Iterator[str]:
    had: Counter[tuple[str, str]] = Counter()
    for payment in _payments(payments):
        had[payment.channel, payment.amount.currency] += _left(payment)
    for key in sorted(said.keys() | had.keys()):
        if said[key] != had[key]:
            yield f"report-channel: {key}: the report says {said[key]}, payments have {had[key]}"


def broken_categories(rows: Iterable[CategoryRow], reservations: Iterable[bytes], kept: KeptDocuments) -> Iterator[str]:
    """What is wrong with a report by category and code: tickets are held against the reservations that are sold, money
    against payments, whose code is that of the order's reservation.
    """
    said_tickets: Counter[tuple[str, str]] = Counter()
    said_money: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        said_tickets[row.concert_id, row.category] += row.tickets - row.tickets_back
        said_money[row.concert_id, row.code, row.currency] += row.left
        if not row.category and (row.tickets or row.tickets_back):
            yield f"report-category: {row.concert_id}: {row.tickets} tickets are said to be of no category"
    orders = [msgspec.json.decode(body, type=_Order) for body in kept.orders]
    refunds = {order.id: order.refunds for order in orders}
    had_tickets: Counter[tuple[str, str]] = Counter()
    codes: dict[str, str] = {}
    for body in reservations:
        reservation = msgspec.json.decode(body, type=_Reservation)
        if reservation.order_id is not None and reservation.bill is not None:
            codes[reservation.order_id] = reservation.bill.code
        if reservation.status == "Sold":
            for category, quantity in reservation.kept(refunds.get(reservation.order_id or "", ())).items():
                had_tickets[reservation.concert_id, category] += quantity
    for place in sorted(said_tickets.keys() | had_tickets.keys()):
        if said_tickets[place] != had_tickets[place]:
            yield f"report-category: {place}: the report says {said_tickets[place]} sold, it is {had_tickets[place]}"
    had_money: Counter[tuple[str, str, str]] = Counter()
    for payment in _payments(kept.payments):
        code = codes.get(payment.order_id, "")
        had_money[payment.concert_id, code, payment.amount.currency] += _left(payment)
    for key in sorted(said_money.keys() | had_money.keys()):
        if said_money[key] != had_money[key]:
            yield f"report-code: {key}: the report says {said_money[key]}, payments have {had_money[key]}"


def broken_tills(rows: Iterable[TillRow], payments: Iterable[bytes]) -> Iterator[str]:
    """What is wrong with a report of all tills: money that is in them is what payments keep that were paid there."""
    said: Counter[tuple[str, str]] = Counter()
    for row in rows:
        said[row.method, row.currency] += row.taken - row.given_back
    had: Counter[tuple[str, str]] = Counter()
    for payment in _payments(payments):
        if payment.till is not None:
            had[payment.till.method, payment.amount.currency] += _left(payment)
    for key in sorted(said.keys() | had.keys()):
        if said[key] != had[key]:
            yield f"till-money: {key}: the report says {said[key]}, payments have {had[key]}"


def _money(kept: KeptDocuments) -> Counter[_MoneyKey]:
    placed = {}
    for body in kept.orders:
        order = msgspec.json.decode(body, type=_Order)
        placed[order.id] = order.created_at
    zones = dict(_zones(kept.concerts))
    had: Counter[_MoneyKey] = Counter()
    for payment in _payments(kept.payments):
        if payment.order_id in placed:
            day = _day(placed[payment.order_id], payment.concert_id, zones)
            had[payment.concert_id, day.isoformat(), payment.section, payment.amount.currency] += _left(payment)
    return had


def _payments(bodies: Iterable[bytes]) -> Iterator[_Payment]:
    """The payments of orders: a cart's is one for each of its lines."""
    for body in bodies:
        payment = msgspec.json.decode(body, type=_Payment)
        if not payment.shares:
            yield payment
        for share in payment.shares:
            yield msgspec.structs.replace(
                payment,
                order_id=share.order_id,
                concert_id=share.seats.concert_id,
                section=share.seats.section,
                amount=share.amount,
                status=payment.status if share.refunded_at is None else "Refunded",
                parts=share.parts,
                shares=(),
            )


def _left(payment: _Payment) -> int:
    """What is left of the money that was taken."""
    if payment.status != "Completed":
        return 0
    return payment.amount.amount - sum(each.part.amount.amount for each in payment.parts if each.done_at is not None)


def _zones(concerts: Iterable[bytes]) -> Iterator[tuple[str, tzinfo]]:
    for body in concerts:
        concert = msgspec.json.decode(body, type=_Concert)
        if concert.particulars.zone is not None:
            yield concert.id, ZoneInfo(concert.particulars.zone)
        elif "T" in concert.date:
            yield concert.id, datetime.fromisoformat(concert.date).tzinfo or UTC


def _day(at: datetime, concert_id: str, zones: Mapping[str, tzinfo]) -> date:
    return at.astimezone(zones.get(concert_id, UTC)).date()
