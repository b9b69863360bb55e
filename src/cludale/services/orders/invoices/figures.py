"""What an invoice or a credit note comes to, line by line. No I/O, clock or numbers of series.

All amounts are minor units. A credit note for tickets has their own net and tax; one for an amount takes its share of
the tax, counted over all credit notes so far, so that they never come to more than the invoice, in net or in tax.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import UNSET

from cludale.kernel.bills import Bill
from cludale.kernel.money import Money
from cludale.services.orders.events import InvoiceLine, PartRefund


class StandardTax(NamedTuple):
    """The tax that is in the price of tickets whose concert says nothing of taxes."""

    name: str | None = None
    percent: float = 0.0


class Figures(NamedTuple):
    """The lines of a document, and their sums."""

    lines: tuple[InvoiceLine, ...]
    total: int
    tax: int
    currency: str
    tax_name: str | None = None

    @property
    def net(self) -> int:
        """total - tax."""
        return self.total - self.tax

    @property
    def percent(self) -> float:
        """The rate of its tax: a bill has one."""
        return max((line.percent for line in self.lines), default=0.0)


def of_order(total: Money, quantity: int, bill: Bill | None, standard: StandardTax, ticket: str) -> Figures:
    """All that was paid. `ticket`: what a ticket is called where there is no bill."""
    if bill is None:
        tax = share_of_tax(total.amount, standard.percent)
        line = InvoiceLine(
            name=ticket,
            quantity=quantity,
            net=total.amount - tax,
            tax=tax,
            total=total.amount,
            percent=standard.percent,
        )
        return Figures((line,), total.amount, tax, total.currency, standard.name)
    lines = [
        InvoiceLine(
            name=each.name, quantity=each.quantity, net=each.net, tax=each.tax, total=each.total,
            percent=bill.tax_percent,
        )
        for each in bill.lines
    ]  # fmt: skip
    for fee in bill.fees:
        if fee.per_order:
            cost = fee.amount if bill.tax_included else fee.amount + fee.tax
            lines.append(
                InvoiceLine(
                    name=fee.name, quantity=1, net=cost - fee.tax, tax=fee.tax, total=cost, percent=bill.tax_percent
                )
            )
    return Figures(tuple(lines), bill.total, bill.tax, bill.currency, bill.tax_name)


def share_of_tax(total: int, percent: float) -> int:
    """The tax that is in `total`, half up."""
    thousandths = round(percent * 1000)
    whole = 100_000 + thousandths
    return (2 * total * thousandths + whole) // (2 * whole)


def of_part(invoice: Figures, before: Sequence[Figures], part: PartRefund, bill: Bill | None) -> Figures:
    """What a part refund takes off the invoice, after these credit notes."""
    tickets = _tickets(invoice, part, bill)
    if sum(line.total for line in tickets) == part.amount.amount:
        whole = _summed(invoice, tickets)
        if _fits(invoice, before, whole):
            return whole
    return _amount(invoice, before, part.amount.amount)


def of_rest(invoice: Figures, before: Sequence[Figures]) -> Figures | None:
    """The figures that these credit notes leave of the invoice; None if nothing is left."""
    if not before:
        return invoice
    left = invoice.total - sum(each.total for each in before)
    return _amount(invoice, before, left) if left > 0 else None


def _tickets(invoice: Figures, part: PartRefund, bill: Bill | None) -> list[InvoiceLine]:
    if not part.tickets:
        return []
    if bill is None:
        return []
    lines: list[InvoiceLine] = []
    for each in () if part.of is UNSET else part.of:
        line = bill.line(each.category)
        if line is not None:
            net, tax = line.net // line.quantity * each.quantity, line.tax // line.quantity * each.quantity
            lines.append(
                InvoiceLine(
                    name=line.name, quantity=each.quantity, net=net, tax=tax, total=net + tax, percent=invoice.percent
                )
            )
    return lines


def _amount(invoice: Figures, before: Sequence[Figures], amount: int) -> Figures:
    """Money alone, with its share of the tax."""
    credited, taxed = sum(each.total for each in before), sum(each.tax for each in before)
    amount = min(amount, invoice.total - credited)
    until_now = _half_up(invoice.tax * (credited + amount), invoice.total)
    tax = min(max(until_now - taxed, 0), invoice.tax - taxed, amount)
    # What is left of the net, this may not go beyond either.
    tax = max(tax, amount - (invoice.net - (credited - taxed)))
    line = InvoiceLine(name="", quantity=1, net=amount - tax, tax=tax, total=amount, percent=invoice.percent)
    return _summed(invoice, [line])


def _summed(invoice: Figures, lines: Sequence[InvoiceLine]) -> Figures:
    total, tax = sum(line.total for line in lines), sum(line.tax for line in lines)
    return Figures(tuple(lines), total, tax, invoice.currency, invoice.tax_name)


def _fits(invoice: Figures, before: Sequence[Figures], more: Figures) -> bool:
    all_of_it = [*before, more]
    tax, total = sum(each.tax for each in all_of_it), sum(each.total for each in all_of_it)
    return tax <= invoice.tax and total - tax <= invoice.net


def _half_up(dividend: int, divisor: int) -> int:
    return (2 * dividend + divisor) // (2 * divisor) if divisor else 0
