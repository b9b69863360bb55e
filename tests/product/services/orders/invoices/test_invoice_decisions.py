"""Invoices: what they come to, and how they are numbered. Decisions alone."""

import asyncio
import random
import re
from datetime import timedelta

import pytest
from msgspec.structs import replace
from tests.fakes import NOON, CountingIds, ManualClock
from tests.product.services.orders.aftersale.test_aftersale import PAID

from cludale.adapters.sqlite import SqliteStore
from cludale.kernel.bills import Bill, BillFee, BillLine, TicketCount
from cludale.kernel.events import Cause
from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid
from cludale.ports.records import Query
from cludale.runtime.aggregates import Updates
from cludale.services.concerts.events import SeatsSold
from cludale.services.orders.events import InvoiceKind, PartRefund
from cludale.services.orders.invoices import billing as billings
from cludale.services.orders.invoices import figures, numbering, settings
from cludale.services.orders.invoices.billing import Billing, BillingFacts
from cludale.services.orders.invoices.figures import Figures, StandardTax
from cludale.services.orders.invoices.issuing import TOGETHER, Issuing
from cludale.services.orders.invoices.numbering import Unnumbered
from cludale.services.orders.invoices.settings import InvoiceSettings, Issuer, Said, SettingsChange
from cludale.services.orders.invoices.store import DOCUMENTS

SAID = Said(is_on=True, issuer=Issuer(name="Acme", address="1 Main Street"))
KNOWN = BillingFacts(
    order=PAID,
    organizer="acme",
    is_invoiced=True,
    today="2027-01-01",
    concert="A",
    concert_date="2027-06-05",
    ticket="Stalls",
    standard=StandardTax("VAT", 7.0),
)


def bill(choices: random.Random) -> Bill:
    """A bill as concerts make them, of any amounts."""
    is_included = choices.random() < 0.5
    lines = []
    for at in range(choices.randint(1, 3)):
        quantity, total = choices.randint(1, 4), choices.randint(1, 5000)
        tax = choices.randint(0, total // 3)
        lines.append(
            BillLine(category=f"c{at}", name=f"C{at}", quantity=quantity, price=total, net=(total - tax) * quantity,
                     total=total * quantity, tax=tax * quantity)
        )  # fmt: skip
    fee = BillFee(id="o", name="Order", amount=199, per_order=True, tax=choices.randint(0, 40))
    cost = fee.amount if is_included else fee.amount + fee.tax
    total, tax = sum(each.total for each in lines) + cost, sum(each.tax for each in lines) + fee.tax
    return Bill(currency="EUR", lines=tuple(lines), net=total - tax, total=total, tax=tax, fees=(fee,),
                tax_percent=19.0, tax_name="VAT", tax_included=is_included)  # fmt: skip


def part(number: int, amount: int, left: int, of: tuple[TicketCount, ...] = ()) -> PartRefund:
    tickets = sum(each.quantity for each in of)
    return PartRefund(number=number, refund_id=f"refund-{number}", tickets=tickets, amount=Money(amount, "EUR"),
                      left=Money(left, "EUR"), held=0, of=of)  # fmt: skip


@pytest.mark.parametrize("seed", range(50))
def test_credit_notes_never_come_to_more_than_the_invoice_and_all_of_them_to_it(seed: int) -> None:
    choices = random.Random(seed)
    of = bill(choices)
    invoice = figures.of_order(of.money, 9, of, StandardTax(), "")
    assert (invoice.total, invoice.tax) == (of.total, of.tax)
    assert sum(line.total for line in invoice.lines) == of.total
    notes: list[Figures] = []
    left = of.total
    for number in range(1, 8):
        line = choices.choice(of.lines)
        tickets = (TicketCount(category=line.category, quantity=1),) if choices.random() < 0.5 else ()
        amount = min(left, line.each if tickets else choices.randint(1, 900))
        if not amount:
            break
        left -= amount
        note = figures.of_part(invoice, notes, part(number, amount, left, tickets), of)
        assert note.total == amount == sum(each.net + each.tax for each in note.lines)
        notes.append(note)
        tax = sum(each.tax for each in notes)
        assert 0 <= note.tax <= note.total
        assert tax <= invoice.tax
        assert of.total - left - tax <= invoice.net
    rest = figures.of_rest(invoice, notes)
    notes += [] if rest is None else [rest]
    assert (sum(each.total for each in notes), sum(each.tax for each in notes)) == (invoice.total, invoice.tax)


def test_tickets_that_are_given_back_take_their_own_tax_off() -> None:
    line = BillLine(category="c", name="C", quantity=3, price=119, net=300, total=357, tax=57)
    of = Bill(currency="EUR", lines=(line,), net=300, total=357, tax=57, tax_percent=19.0)
    invoice = figures.of_order(of.money, 3, of, StandardTax(), "")
    note = figures.of_part(invoice, (), part(1, 119, 238, (TicketCount(category="c", quantity=1),)), of)
    assert [(each.name, each.quantity, each.net, each.tax) for each in note.lines] == [("C", 1, 100, 19)]


@pytest.mark.parametrize(
    ("pattern", "sequence", "written"),
    [
        ("INV-{year}-{number:5}", 7, "INV-2027-00007"),
        ("{year}/{number}", 123456, "2027/123456"),
        ("R {year}.{number:2}", 100, "R 2027.100"),
    ],
)
def test_a_number_is_written_by_its_pattern(pattern: str, sequence: int, written: str) -> None:
    assert re.match(numbering.PATTERN, pattern)
    assert numbering.written(pattern, 2027, sequence) == written


@pytest.mark.parametrize(
    "pattern", ["{number}", "{year}{number}", "1-{year}-{number}", "{year}-{number}x", "A-{number}"]
)
def test_a_pattern_by_which_two_might_be_written_alike_is_none(pattern: str) -> None:
    assert not re.match(numbering.PATTERN, pattern)


def changed(known: InvoiceSettings | None, said: Said) -> InvoiceSettings:
    return settings.change(known, SettingsChange("acme", said, "key-1"), now=NOON, since=NOON).state


def test_no_kind_ever_begins_as_the_other_has() -> None:
    first = changed(None, SAID)
    second = changed(first, replace(SAID, invoice_numbers="B-{year}-{number}"))
    taken = replace(SAID, invoice_numbers="B-{year}-{number}", credit_note_numbers="INV-{year}-{number}")
    with pytest.raises(Invalid):
        changed(second, taken)


def test_what_was_paid_while_they_were_on_is_invoiced() -> None:
    on = changed(None, SAID)
    later = NOON + timedelta(hours=1)
    off = settings.change(on, SettingsChange("acme", replace(SAID, is_on=False), "key-1"), now=later, since=later).state
    assert [off.covers(NOON + timedelta(minutes=each)) for each in (-1, 0, 59, 60)] == [False, True, True, False]
    assert settings.change(off, SettingsChange("acme", off.said, "key-1"), now=later, since=later).state is off


def sold(order_id: str = PAID.id) -> Billing:
    allocation = PAID.allocation
    assert allocation is not None
    fact = SeatsSold(order_id=order_id, allocation=allocation, payment_round=1, paid_at=NOON)
    return billings.begin(fact, paid_at=NOON, cause=Cause("event-1", None), now=NOON)


def planned(order_id: str = PAID.id, today: str = "2027-01-01") -> Billing:
    known = KNOWN._replace(order=replace(PAID, id=order_id), today=today)
    return billings.planned(sold(order_id), known, marks=1, now=NOON)


def test_a_paper_keeps_its_day_and_what_is_heard_twice_changes_nothing() -> None:
    billing = planned()
    assert billing.invoice is not None
    assert (billing.invoice.total, billing.invoice.tax) == (Money(9000, "EUR"), 589)
    again = billings.planned(billing, KNOWN._replace(today="2028-01-01"), marks=1, now=NOON)
    assert again is billing
    marked = billings.marked(billing, "part 1", Cause("event-2", None), now=NOON)
    assert billings.marked(marked, "part 1", Cause("event-3", None), now=NOON) is marked
    later = billings.planned(marked, KNOWN._replace(today="2028-01-01"), marks=2, now=NOON)
    assert later.papers == billing.papers


async def test_many_at_once_get_numbers_without_holes_and_twins_and_keep_them(store: SqliteStore) -> None:
    ids = CountingIds()
    updates = [Updates("orders", store, clock=ManualClock(), ids=ids) for _ in range(3)]
    known = {"acme": changed(None, SAID)}
    waiting = []
    for at in range(TOGETHER + 6):
        billing = planned(f"order-{at}", "2026-12-31" if at < 3 else "2027-01-01")
        assert billing.invoice is not None
        waiting.append(Unnumbered(billing, billing.invoice))
    given = await asyncio.gather(*(Issuing(each).issue(waiting, known) for each in updates))
    assert given[0] == given[1] == given[2]
    assert sorted(given[0].values()) == sorted(
        [f"INV-2026-{at:05}" for at in (1, 2, 3)] + [f"INV-2027-{at:05}" for at in range(1, TOGETHER + 4)]
    )
    found, _ = await DOCUMENTS.find(store, Query(equal={"organizer": "acme", "year": 2027}, limit=200))
    assert [each.state.sequence for each in found] == list(range(1, TOGETHER + 4))
    assert {each.state.kind for each in found} == {InvoiceKind.INVOICE}
