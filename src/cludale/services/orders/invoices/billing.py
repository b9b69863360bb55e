"""What an order has to be invoiced for: its papers, decided once, and the numbers that they got. No I/O or clock.

A paper's day and sums are written down before it gets a number. So it asks the same series for the same document each
time, on whichever day that is, and gets one number.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Refusal
from cludale.services.concerts.events import SeatsSold
from cludale.services.orders.events import InvoiceKind, InvoiceLine
from cludale.services.orders.invoices import figures
from cludale.services.orders.invoices.figures import Figures, StandardTax
from cludale.services.orders.order import Order, PaymentStatus, Status


class Paper(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """An invoice or a credit note that is to be, or is, issued."""

    kind: InvoiceKind
    refund: int = 0
    """Of a credit note: for which part refund; 0: for all that they had left."""
    date: str
    total: Money
    tax: int
    tax_name: str | None = None
    lines: tuple[InvoiceLine, ...]
    number: str | None = None
    """None: it waits for one."""

    @property
    def figures(self) -> Figures:
        """What it comes to."""
        return Figures(self.lines, self.total.amount, self.tax, self.total.currency, self.tax_name)


class Billing(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False, omit_defaults=True):
    """The papers of one order. It is in the order's partition, under its id."""

    order_id: str
    concert_id: str
    paid_at: datetime
    """When it was paid: who has invoices from that time on, has one for it."""
    due_at: datetime | None = None
    """When it is looked at next; while that is done, the end of the lease."""
    tries: int = 0
    marks: int = 1
    """How often something was heard of the order's money."""
    round: int = 0
    """Of the charge that paid it."""
    heard: tuple[str, ...] = ()
    """What was heard of since it was paid."""
    seen: int = 0
    """Up to which of these the papers were decided."""
    event_id: str | None = None
    """The last of what was heard, which causes what is issued."""
    traceparent: str | None = None
    organizer: str | None = None
    is_off: bool = False
    """Its organizer has no invoices for it."""
    is_asked_for: bool = False
    """It has one though there were none when it was paid. Never in what was written before this field existed."""
    concert: str | None = None
    concert_date: str | None = None
    papers: tuple[Paper, ...] = ()

    @property
    def id(self) -> str:
        """The order's."""
        return self.order_id

    @property
    def invoice(self) -> Paper | None:
        """Its invoice, which comes first."""
        return self.papers[0] if self.papers else None

    @property
    def unnumbered(self) -> tuple[Paper, ...]:
        """The papers that wait for a number."""
        return tuple(each for each in self.papers if each.number is None)

    @property
    def cause(self) -> Cause:
        """What causes its next document."""
        return Cause(self.event_id, self.traceparent)


class NotInvoiced(Refusal):
    """There is nothing to invoice: no money was taken for this order."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"No money was taken for order {order_id!r}: there is nothing to invoice.")


def document_id(order_id: str, paper: Paper) -> str:
    """The id of what a paper becomes; it says the order, and so where the billing is."""
    if paper.kind is InvoiceKind.INVOICE:
        return f"{order_id}.invoice"
    return f"{order_id}.credit-{paper.refund or 'rest'}"


def order_of(id: str) -> str:
    """The order of a document."""
    return id.rpartition(".")[0]


def begin(sold: SeatsSold, *, paid_at: datetime, cause: Cause, now: datetime) -> Billing:
    """The billing of an order that was just paid."""
    return Billing(
        order_id=sold.order_id,
        concert_id=sold.concert_id,
        round=sold.payment_round,
        paid_at=paid_at,
        due_at=now,
        event_id=cause.event_id,
        traceparent=cause.traceparent,
    )


def ask_for(billing: Billing | None, order: Order, *, cause: Cause, now: datetime) -> Billing:
    """The organizer wants an invoice for an order that was paid before there were any; again changes nothing.

    Raises NotInvoiced.
    """
    payment = order.payment
    was_paid = order.status is Status.PAID or order.was_paid
    if not was_paid or payment is None or order.total is None or not order.total.amount:
        raise NotInvoiced(order.id)
    known = billing or Billing(
        order_id=order.id, concert_id=order.seats.concert_id, round=payment.round, paid_at=payment.at
    )
    if known.is_asked_for or known.papers:
        return known
    return replace(
        known,
        is_asked_for=True,
        is_off=False,
        seen=0,
        due_at=known.due_at or now,
        tries=0,
        event_id=cause.event_id,
        traceparent=cause.traceparent,
    )


def part_back(number: int) -> str:
    """What is heard when a part refund is done."""
    return f"part {number}"


def round_back(round: int) -> str:
    """What is heard when the money of a round is back."""
    return f"round {round}"


def marked(billing: Billing, what: str, cause: Cause, *, now: datetime) -> Billing:
    """Money went back: look at the order again, once. `what`: which part refund, or which round's money."""
    if billing.is_off or what in billing.heard:
        return billing
    if billing.seen >= billing.marks and not billing.papers:
        return billing  # the order never was Paid: its money came too late
    # Under a lease it is looked at again when that has been given back.
    due_at = billing.due_at or now
    return replace(
        billing,
        marks=billing.marks + 1,
        heard=(*billing.heard, what),
        due_at=due_at,
        event_id=cause.event_id,
        traceparent=cause.traceparent,
    )


def take_up(billing: Billing, *, now: datetime, until: datetime) -> Billing:
    """Claim it; the try is counted before it is made."""
    if billing.due_at is None or billing.due_at > now:
        return billing
    return replace(billing, due_at=until, tries=billing.tries + 1)


class BillingFacts(NamedTuple):
    """What has to be known of an order to decide its papers."""

    order: Order
    organizer: str
    is_invoiced: bool
    """Does its organizer invoice what was paid when it was?"""
    today: str
    concert: str
    concert_date: str
    ticket: str
    """What a ticket is called where the order has no bill."""
    standard: StandardTax


def planned(billing: Billing, known: BillingFacts, *, marks: int, now: datetime) -> Billing:
    """With the papers that are missing, up to the `marks` that were there when the order was read."""
    if billing.seen >= marks:
        return billing
    if not (known.is_invoiced or billing.is_asked_for):
        return replace(billing, organizer=known.organizer, is_off=True, seen=billing.marks, due_at=None, tries=0)
    papers = (*billing.papers, *_missing(billing, known))
    after = replace(
        billing,
        heard=tuple(dict.fromkeys((*billing.heard, *_covered(known.order)))) if papers else billing.heard,
        seen=marks,
        organizer=known.organizer,
        concert=known.concert,
        concert_date=known.concert_date,
        papers=papers,
        tries=0,
    )
    return replace(after, due_at=_next(after, now))


def _missing(billing: Billing, known: BillingFacts) -> list[Paper]:
    order = known.order
    was_paid = order.status is Status.PAID or order.was_paid
    if not was_paid or order.total is None or not order.total.amount:
        return []
    found: list[Paper] = []
    invoice = billing.invoice
    if invoice is None:
        whole = figures.of_order(order.total, order.seats.quantity, order.bill, known.standard, known.ticket)
        invoice = _paper(InvoiceKind.INVOICE, whole, known.today)
        found.append(invoice)
    credited = {each.refund: each.figures for each in billing.papers[1:]}
    for refund in order.refunds:
        if refund.done_at is not None and refund.part.number not in credited:
            part = figures.of_part(invoice.figures, tuple(credited.values()), refund.part, order.bill)
            credited[refund.part.number] = part
            found.append(_paper(InvoiceKind.CREDIT_NOTE, part, known.today, refund.part.number))
    if _is_all_back(order) and 0 not in credited and all(each.done_at is not None for each in order.refunds):
        rest = figures.of_rest(invoice.figures, tuple(credited.values()))
        if rest is not None:
            found.append(_paper(InvoiceKind.CREDIT_NOTE, rest, known.today))
    return found


def _covered(order: Order) -> list[str]:
    """What the papers say by now, whether it was heard or is still to be."""
    covered = [part_back(each.part.number) for each in order.refunds if each.done_at is not None]
    if order.payment is not None and _is_all_back(order) and len(covered) == len(order.refunds):
        covered.append(round_back(order.payment.round))
    return covered


def _is_all_back(order: Order) -> bool:
    """Was it paid and cancelled, and is the money back that part refunds had left?"""
    payment = order.payment
    return order.status is Status.CANCELLED and payment is not None and payment.status is PaymentStatus.REFUNDED


def _paper(kind: InvoiceKind, sums: Figures, date: str, refund: int = 0) -> Paper:
    return Paper(
        kind=kind,
        refund=refund,
        date=date,
        total=Money(sums.total, sums.currency),
        tax=sums.tax,
        tax_name=sums.tax_name,
        lines=sums.lines,
    )


def numbered(billing: Billing, numbers: Mapping[str, str], *, now: datetime) -> Billing:
    """With the numbers that its documents got, by their ids."""
    papers = tuple(
        each if each.number is not None else replace(each, number=numbers.get(document_id(billing.order_id, each)))
        for each in billing.papers
    )
    after = replace(billing, papers=papers, tries=0)
    return replace(after, due_at=_next(after, now))


def _next(billing: Billing, now: datetime) -> datetime | None:
    return now if billing.seen < billing.marks or billing.unnumbered else None
