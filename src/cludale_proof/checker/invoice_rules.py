"""The rules of invoices: numbers without holes and twins, and sums that are those of the money.

Written from what events tell. That a document is stored as its event tells, replay shows.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from cludale_proof.checker.cases import Case
from cludale_proof.checker.documents import Concert
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import OrderHistory
from cludale_proof.checker.lifecycle import INVOICE_EVENTS, INVOICING

_SeriesKey = tuple[str, int, str]
"""Organizer, year, and which event."""


class _Papers(NamedTuple):
    """What was issued for one order."""

    invoices: tuple[Fact, ...]
    notes: Mapping[int, tuple[Fact, ...]]
    """By part refund; 0: all that they had left."""

    @classmethod
    def of(cls, case: Case) -> "_Papers":
        invoices: list[Fact] = []
        notes: dict[int, tuple[Fact, ...]] = {}
        for fact in case.facts:
            if fact.event.type not in INVOICE_EVENTS:
                continue
            if fact.event.type == "InvoiceIssued":
                invoices.append(fact)
            else:
                refund = fact.event.data.refund or 0
                notes[refund] = (*notes.get(refund, ()), fact)
        return cls(tuple(invoices), notes)


class InvoiceBook:
    """All that was issued, and what organizers said of it."""

    def __init__(self, skew: timedelta = timedelta()) -> None:
        self._skew = skew
        self._numbers: dict[_SeriesKey, dict[int, str]] = {}
        """Of each series: which event has which number."""
        self._written: dict[tuple[str, str], str] = {}
        """By organizer and number as it is written: which event has it."""
        self._spans: dict[str, list[tuple[datetime, bool]]] = {}
        self._told: set[str] = set()
        self._organizers: dict[str, str] = {}

    def concert(self, concert: Concert) -> None:
        """Whose it is."""
        self._organizers[concert.id] = concert.organizer

    def settings(self, fact: Fact) -> None:
        """Somebody said whether there are invoices. Other events are passed over."""
        data = fact.event.data
        if fact.event.type != INVOICING or fact.event.id in self._told or data.since is None:
            return
        self._told.add(fact.event.id)
        self._spans.setdefault(data.organizer or "", []).append((data.since, bool(data.is_on)))
        self._spans[data.organizer or ""].sort(key=lambda span: span[0])

    def numbered_next(self, fact: Fact) -> Iterator[Violation]:
        """A document was committed: it has the number after the last one, and nobody else has it."""
        data = fact.event.data
        known = self._numbers.get(_series(fact), {})
        if data.sequence not in known and data.sequence != len(known) + 1:
            detail = f"it is number {data.sequence} of its series, which has {len(known)}"
            yield _broken("invoice-hole", fact, detail)
        yield from self.numbered(fact)

    def numbered(self, fact: Fact) -> Iterator[Violation]:
        """A document was read, perhaps again: nobody else has its number."""
        data, id = fact.event.data, fact.event.id
        series = self._numbers.setdefault(_series(fact), {})
        if series.setdefault(data.sequence or 0, id) != id:
            yield _broken(
                "invoice-twin", fact, f"number {data.sequence} of its series is that of another document, too"
            )
        written = (data.organizer or "", data.document_number or "")
        if self._written.setdefault(written, id) != id:
            yield _broken("invoice-twin", fact, f"{data.document_number} is the number of another document, too")

    def without_holes(self) -> Iterator[Violation]:
        """All were read: no number is missing."""
        for key, numbers in self._numbers.items():
            missing = sorted(set(range(1, max(numbers) + 1)) - numbers.keys())
            if missing:
                name = f"series {'/'.join(map(str, key))}"
                detail = f"numbers {missing[:10]} are nowhere, and {max(numbers)} is there"
                yield Violation(invariant=Invariant.INVOICES, rule="invoice-hole", subject=name, detail=detail)

    def always(self, case: Case, told: OrderHistory) -> Iterator[Violation]:
        """The documents of an order come to its money, each once."""
        papers = _Papers.of(case)
        if not papers.invoices and not papers.notes:
            return
        for twins in (papers.invoices, *papers.notes.values()):
            if len(twins) > 1:
                yield _broken("invoiced-twice", twins[1], f"{twins[0].event.data.document_number} is for the same")
        for fact in (*papers.invoices, *(each for notes in papers.notes.values() for each in notes)):
            yield from _adds_up(fact)
        if not papers.invoices:
            some = next(iter(papers.notes.values()))[0]
            yield _broken("credit-without-invoice", some, "there is no invoice that it takes off from")
            return
        yield from self._is_the_money(papers, told)

    def _is_the_money(self, papers: _Papers, told: OrderHistory) -> Iterator[Violation]:
        invoice = papers.invoices[0]
        paid = told.order.paid
        if paid is None:
            yield _broken("invoice-unpaid", invoice, "its order was never paid")
        elif invoice.event.data.total != paid.event.data.total:
            detail = f"it comes to {invoice.event.data.total}, and {paid.event.data.total} were paid"
            yield _broken("invoice-sum", invoice, detail, paid)
        refunds = _refunds(told)
        for refund, notes in papers.notes.items():
            data = notes[0].event.data
            if data.invoice_id != invoice.event.data.document_id:
                yield _broken("credit-of-another", notes[0], f"it takes off from {data.invoice_id}")
            if refund not in refunds:
                yield _broken("credit-unrefunded", notes[0], "that money is not back")
            elif data.total is None or data.total.amount != refunds[refund]:
                yield _broken("credit-sum", notes[0], f"it comes to {data.total}, and {refunds[refund]} went back")
        for part in ("total", "tax"):
            left = _amount(invoice, part) - sum(_amount(notes[0], part) for notes in papers.notes.values())
            if left < 0:
                yield _broken("credit-over-invoice", invoice, f"its credit notes come to {-left} more, in {part}")

    def once_quiet(self, case: Case, told: OrderHistory) -> Iterator[Violation]:
        """Whoever is to have an invoice has one, and a credit note for each refund."""
        paid = told.order.paid
        papers = _Papers.of(case)
        if paid is None or paid.event.data.total is None or not paid.event.data.total.amount:
            return
        if not papers.invoices:
            if self._is_due(told):
                yield _broken("invoice-missing", paid, "its organizer has invoices, and there is none for it")
            return
        for refund, amount in _refunds(told).items():
            if amount and refund not in papers.notes:
                yield _broken("credit-missing", papers.invoices[0], f"there is no credit note for refund {refund}")

    def _is_due(self, told: OrderHistory) -> bool:
        """Was it certainly paid while its organizer had invoices?"""
        sold = [each.sold for each in told.reservations.values() if each.sold is not None]
        times = [fact.event.data.paid_at or fact.event.time for fact in sold]
        concert = told.order.paid.event.data.concert_id if told.order.paid is not None else None
        spans = self._spans.get(self._organizers.get(concert or "", ""), [])
        return bool(times) and all(self._covers(spans, at) for at in times)

    def _covers(self, spans: list[tuple[datetime, bool]], at: datetime) -> bool:
        before = [is_on for since, is_on in spans if since <= at]
        is_near = any(abs(since - at) <= self._skew for since, _ in spans)
        return bool(before) and before[-1] and not is_near


def _series(fact: Fact) -> _SeriesKey:
    data = fact.event.data
    return (data.organizer or "", data.year or 0, fact.event.type)


def _refunds(told: OrderHistory) -> Mapping[int, int]:
    """What went back: by part refund, and (0) what they had left."""
    found: dict[int, int] = {}
    for payment in told.payments.values():
        for number, fact in payment.parts.items():
            found[number] = 0 if fact.event.data.part is None else fact.event.data.part.amount.amount
        if payment.refunded and payment.completed and max(payment.refunded) == max(payment.completed):
            amount = payment.refunded[max(payment.refunded)].event.data.amount
            found[0] = 0 if amount is None else amount.amount
    return found


def _adds_up(fact: Fact) -> Iterator[Violation]:
    data = fact.event.data
    lines = data.lines or ()
    total, tax = sum(line["total"] for line in lines), sum(line["tax"] for line in lines)
    nets = all(line["net"] + line["tax"] == line["total"] for line in lines)
    if data.total is None or (total, tax) != (data.total.amount, data.tax) or not nets:
        yield _broken(
            "invoice-lines", fact, f"its lines come to {total} with {tax} tax, it says {data.total}, {data.tax}"
        )


def _amount(fact: Fact, part: str) -> int:
    data = fact.event.data
    return (data.tax or 0) if part == "tax" else (0 if data.total is None else data.total.amount)


def _broken(rule: str, fact: Fact, detail: str, *more: Fact) -> Violation:
    order_id = fact.event.data.order_id
    what = fact.event.data.document_number or fact.event.id
    return Violation(
        invariant=Invariant.INVOICES,
        rule=rule,
        subject=f"order {order_id}",
        detail=f"{what}: {detail}",
        order_id=order_id,
        evidence=(fact, *more),
    )
