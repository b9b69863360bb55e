"""What has to be done about an order once nothing is under way any more."""

from collections.abc import Iterator

from cludale_proof.checker import books_rules, ticket_rules
from cludale_proof.checker.cases import (
    CaseCheck,
    present,
    shown_as,
    state_of,
)
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import ENDS
from cludale_proof.checker.message_rules import Messages


class OnceQuiet(CaseCheck):
    """An order when all is quiet."""

    def once_quiet(self) -> Iterator[Violation]:
        """What is left undone."""
        order = self.case.order
        excuse = "".join(
            f"; {letter.consumer} gave up {letter.event_type} {letter.event_id}: {letter.reason}"
            for letter in self.case.letters
            if letter.state != "Delivered"
        )
        for fact in self.case.facts:
            if not fact.sequence:
                yield self.broken(
                    Invariant.WHOLE_LOG,
                    "not-in-the-log",
                    f"{fact.event.type} {fact.event.id} was committed and did not reach the log{excuse}",
                    fact,
                )
        if order is not None and order.concert_id in self.terms.called_off and order.status != "Cancelled":
            detail = f"its concert is called off, and it is {order.status}"
            yield self.broken(Invariant.SETTLES, "live-though-called-off", detail)
        if order is not None and order.status not in ENDS:
            yield self.broken(Invariant.SETTLES, "stuck", f"it is {order.status} still{excuse}")
        yield from self._seats_once_quiet(excuse)
        yield from self._moves_once_quiet(excuse)
        yield from self._money_once_quiet(excuse)
        yield from self._payment_once_quiet(excuse)
        yield from self._parts_once_quiet(excuse)
        yield from Messages(self.case, self.told, self.terms, self.prices).once_quiet(excuse)
        for wrong in ticket_rules.once_quiet(self.case.tickets, self.told, since=self.terms.tickets_since):
            yield self.broken(wrong.invariant, wrong.rule, wrong.detail + excuse, *wrong.evidence)

    def _payment_once_quiet(self, excuse: str) -> Iterator[Violation]:
        order = self.case.order
        if order is None or order.payment is None:
            return
        shown = (order.payment.status, order.payment.round)
        for told in self.told.payments.values():
            if told.end is None:
                continue
            status, round = told.end
            if status == "Failed" and told.failed[round].event.data.reason == "payment-declined":
                status = "Declined"
            if shown != (status, round):
                yield self.broken(
                    Invariant.SETTLES,
                    "order-payment-stale",
                    f"it shows its payment {shown[0]} in round {shown[1]}, and it is {status} in round {round}{excuse}",
                    *told.facts,
                )

    def _parts_once_quiet(self, excuse: str) -> Iterator[Violation]:
        """Each part refund has come to its end, and its order knows; who cancels gets all seats back anyway."""
        order = self.case.order
        for each in order.refunds if order is not None else ():
            number, is_paid = each.part.number, order is not None and order.status == "Paid"
            if each.done_at is None:
                detail = f"its part refund {number} is Pending still{excuse}"
                yield self.broken(Invariant.SETTLES, "part-stuck", detail, *present(self.told.parts.get(number)))
            if each.part.tickets and is_paid and each.returned_at is None:
                detail = f"the seats of its part refund {number} are not back{excuse}"
                yield self.broken(Invariant.SETTLES, "seats-stuck", detail, *present(self.told.parts.get(number)))

    def _seats_once_quiet(self, excuse: str) -> Iterator[Violation]:
        order = self.case.order
        status = order.status if order is not None else None
        for each in self.case.reservations:
            if each.status == "Held" and each.expires_at + self.terms.grace <= self.terms.now:
                yield self.broken(
                    Invariant.SETTLES,
                    "held-past-its-time",
                    f"{each.id} is Held, and its time was over at {shown_as(each.expires_at)}{excuse}",
                )
            if each.status == "Held" and status in ENDS:
                yield self.broken(
                    Invariant.SETTLES, "held-for-nobody", f"it is {status}, and {each.id} is Held{excuse}"
                )
            if each.status == "Sold" and status != "Paid":
                whose = f"it is {status}" if order is not None else "there is no such order"
                yield self.broken(
                    Invariant.PAID_MEANS_SOLD, "sold-to-nobody", f"{whose}, and the seats of {each.id} are Sold{excuse}"
                )

    def _moves_once_quiet(self, excuse: str) -> Iterator[Violation]:
        """The order has the seats that its reservation has."""
        order = self.case.order
        for each in self.case.reservations:
            if order is not None and each.id == order.reservation_id and len(each.moved) != order.moves:
                detail = f"it knows of {order.moves} moves of its seats, and there were {len(each.moved)}{excuse}"
                facts = [fact for told in self.told.reservations.values() for fact in told.moved.values()]
                yield self.broken(Invariant.SETTLES, "order-seats-stale", detail, *facts)

    def _money_once_quiet(self, excuse: str) -> Iterator[Violation]:
        order = self.case.order
        paid = order is not None and order.status == "Paid"
        for payment in self.case.payments:
            is_open = any(part.done_at is None for part in payment.parts)
            if payment.status == "Pending" or payment.closing or payment.refunding or is_open:
                yield self.broken(Invariant.SETTLES, "payment-stuck", f"{state_of(payment)} still{excuse}")
            elif payment.status == "Completed" and not paid:
                status = order.status if order is not None else "not there"
                yield self.broken(
                    Invariant.ONE_CAPTURE, "money-kept", f"it is {status}, and {state_of(payment)}{excuse}"
                )
        reserved = self.told.order.reserved
        if reserved is not None and not self.case.payments and not self.case.is_line:
            yield self.broken(Invariant.SETTLES, "never-charged", f"it has seats and no payment{excuse}", reserved)
        if not self.terms.ledger_known or self.case.is_line:
            return
        net = sum(line.net for line in self.case.ledger.values())
        owed = order.total.amount if paid and order is not None and order.total is not None else 0
        if paid:
            owed -= sum(fact.event.data.part.amount.amount for fact in self.told.parts.values() if fact.event.data.part)
        if order is not None and order.till is not None:
            owed = 0
        for broken in books_rules.once_quiet(self.case, self.told):
            yield self.broken(broken.invariant, broken.rule, broken.detail + excuse, *broken.evidence)
        if net != owed and not books_rules.shown_keys(self.case):
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "money-differs",
                f"the provider keeps {net} of it, and it {'is Paid: ' if paid else 'is not Paid: '}{owed} are right"
                + excuse,
            )
