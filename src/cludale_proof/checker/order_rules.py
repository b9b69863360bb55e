"""The rules of one order: its record, seats, money, messages and events against one another.

`always` holds at any instant at which the stores are seen together; `once_quiet` when nothing is under way any more.
Here are its times and its seats; the rest is in `told_rules.py` (stores as events tell), `money_rules.py`,
`message_rules.py`, `claim_rules.py` (what clients were answered) and `quiet_rules.py`. Sections are in
`section_rules.py`, the log as a whole is in `log_rules.py`.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from cludale_proof.checker import ticket_rules, till_rules
from cludale_proof.checker.cases import (
    Case,
    CaseCheck,
    Prices,
    Terms,
    present,
    state_of,
)
from cludale_proof.checker.claim_rules import Claims
from cludale_proof.checker.documents import DeadLetter, Money
from cludale_proof.checker.events import Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import OrderHistory
from cludale_proof.checker.message_rules import Messages
from cludale_proof.checker.money_rules import Ledger
from cludale_proof.checker.quiet_rules import OnceQuiet
from cludale_proof.checker.told_rules import AsTold

_Check = TypeVar("_Check", bound=CaseCheck)


def always(case: Case, told: OrderHistory, terms: Terms, prices: Prices) -> list[Violation]:
    """What is broken about this case at any instant. `told` is the fold of its facts; carts are in `cart_rules.py`."""
    if case.is_cart:
        return []
    return list(_Orders(case, told, terms, prices).always())


def once_quiet(case: Case, told: OrderHistory, terms: Terms) -> list[Violation]:
    """What is left undone about this case when nothing is under way any more; carts are in `cart_rules.py`."""
    if case.is_cart:
        return []
    return list(OnceQuiet(case, told, terms, {}).once_quiet())


class _Orders(CaseCheck):
    def _more(self, check: type[_Check]) -> _Check:
        return check(self.case, self.told, self.terms, self.prices)

    def always(self) -> Iterator[Violation]:
        """What is broken at any instant."""
        for wrong in self.told.wrong:
            if self.terms.whole or not _may_be_incomplete(wrong.rule):
                yield self.broken(wrong.invariant, wrong.rule, wrong.detail, *wrong.evidence)
        yield from self._order_of_the_log()
        yield from self._times()
        if self.terms.whole:
            yield from self._more(AsTold).always()
        yield from self._one_live_reservation()
        yield from self._paid_means_sold()
        yield from self._more(Messages).always()
        for wrong in ticket_rules.always(self.case.tickets, self.told, whole=self.terms.whole):
            yield self.broken(wrong.invariant, wrong.rule, wrong.detail, *wrong.evidence)
        for wrong in till_rules.always(
            self.case, self.told, ledger_known=self.terms.ledger_known, whole=self.terms.whole
        ):
            yield self.broken(wrong.invariant, wrong.rule, wrong.detail, *wrong.evidence)
        if self.terms.ledger_known:
            yield from self._more(Ledger).always()
        if self.case.claims:
            yield from self._more(Claims).always()

    # 9: causes precede effects

    def _order_of_the_log(self) -> Iterator[Violation]:
        position = {fact.event.id: fact for fact in self.case.facts}
        for fact in self.case.facts:
            cause = position.get(fact.event.causationid or "")
            if cause is None or not fact.sequence:
                continue
            if fact.late and cause.sequence and cause.sequence < fact.sequence:
                yield self.broken(
                    Invariant.WHOLE_LOG,
                    "late-for-nothing",
                    f"{fact.event.type} is marked late, and its cause {cause.event.type} is entry {cause.sequence}",
                    cause,
                    fact,
                )
            if fact.cause_missing:
                continue
            if not cause.sequence or cause.sequence >= fact.sequence:
                where = f"entry {cause.sequence}" if cause.sequence else "not in the log yet"
                yield self.broken(
                    Invariant.WHOLE_LOG,
                    "effect-before-cause",
                    f"{fact.event.type} is entry {fact.sequence}, its cause {cause.event.type} is {where}",
                    cause,
                    fact,
                )

    # 2, 5: expiry is a matter of time, not of sweeping

    def _times(self) -> Iterator[Violation]:
        skew = self.terms.skew
        for told in self.told.reservations.values():
            if told.reserved is None or (ends := told.reserved.event.data.expires_at) is None:
                continue
            if told.sold is not None and not told.sold.event.repeated and told.sold.event.time >= ends + skew:
                yield self.broken(
                    Invariant.PAID_MEANS_SOLD,
                    "sold-after-its-time",
                    f"the hold of {told.sold.event.data.reservation_id} had ended when its seats were sold",
                    *told.facts,
                )
            if (
                told.released is not None
                and told.released.event.data.reason == "hold-expired"
                and told.released.event.time < self._kept_until(ends) - skew
            ):
                yield self.broken(
                    Invariant.ONE_END,
                    "expired-before-its-time",
                    f"the hold of {told.released.event.data.reservation_id} was ended as expired too early",
                    *told.facts,
                )

    def _kept_until(self, ends: datetime) -> datetime:
        """When a hold that ends then may be ended as expired: a cart's lines all go with the first of them."""
        order = self.case.order
        if not self.case.is_line or order is None or order.expires_at is None:
            return ends
        return min(ends, order.expires_at)

    # 3

    def _one_live_reservation(self) -> Iterator[Violation]:
        order = self.case.order
        live = [each for each in self.case.reservations if each.status != "Released"]
        if len(live) > 1:
            names = ", ".join(f"{each.id} ({each.status})" for each in live)
            yield self.broken(Invariant.ONE_LIVE_RESERVATION, "two-live", f"it has {len(live)} reservations: {names}")
        if order is None:
            return
        for each in self.case.reservations:
            if (each.quantity, each.concert_id) != (order.quantity, order.concert_id):
                yield self.broken(
                    Invariant.ONE_LIVE_RESERVATION,
                    "another-quantity",
                    f"it is for {order.quantity} of {order.concert_id}, and {each.id} has {each.quantity} of "
                    f"{each.concert_id}",
                )
        key = (order.concert_id, order.section or "")
        price = self._price_of_hold() or self.prices.get(key)
        bill = self._bill_of_hold()
        if order.bill != bill or (bill is not None and order.total != Money(bill["total"], bill["currency"])):
            detail = f"it costs {order.total} by {order.bill}, and its seats were held by {bill}"
            yield self.broken(Invariant.ONE_LIVE_RESERVATION, "another-bill", detail)
        elif bill is None and order.total is not None and price is not None:
            owed = Money(price.amount * order.quantity, price.currency)
            if order.total != owed:
                yield self.broken(
                    Invariant.ONE_LIVE_RESERVATION,
                    "another-price",
                    f"it costs {order.total}; {order.quantity} seats at {price} are {owed}",
                )

    def _price_of_hold(self) -> Money | None:
        """What a seat cost when its seats were held, where that is not what was scheduled."""
        held = self._hold()
        return None if held is None else held.event.data.price

    def _bill_of_hold(self) -> Mapping[str, Any] | None:
        """What its seats cost when they were held, where there was a price list or a code."""
        held = self._hold()
        if held is None:  # not heard of, or not yet: what the order was told
            held = self.told.order.reserved
        return None if held is None else held.event.data.bill

    def _hold(self) -> Fact | None:
        reserved = self.told.order.reserved
        if reserved is None:
            return None
        data = reserved.event.data
        held = self.told.reservations.get((data.concert_id or "", data.section or "", data.reservation_id or ""))
        return None if held is None else held.reserved

    # 5

    def _paid_means_sold(self) -> Iterator[Violation]:
        order = self.case.order
        if order is None or order.status != "Paid":
            return
        own = [each for each in self.case.reservations if each.id == order.reservation_id]
        if not any(each.status == "Sold" for each in own):
            states = ", ".join(f"{each.id} is {each.status}" for each in own) or "there is no such reservation"
            yield self.broken(
                Invariant.PAID_MEANS_SOLD,
                "paid-without-sold-seats",
                f"it is Paid with {order.reservation_id}, and {states}",
                *present(self.told.order.paid),
            )
        payments = self.case.payments
        if not any(payment.status == "Completed" and not payment.refunding for payment in payments):
            states = ", ".join(state_of(payment) for payment in payments) or "there is no payment"
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "paid-without-money",
                f"it is Paid, and {states}",
                *present(self.told.order.paid),
            )


def _may_be_incomplete(rule: str) -> bool:
    """Rules that miss an event: it may only be on its way, if not all events are known."""
    return rule in {
        "never-placed",
        "paid-unreserved",
        "never-held",
        "rounds-have-gaps",
        "refund-of-nothing",
        "sold-unpaid",
        "requested-untold",
        "paid-without-sale",
        "refunded-unasked",
        "sold-and-released",
        "cancel-and-pay",
        "parts-have-gaps",
        "part-of-unpaid",
        "part-unasked",
        "returned-unasked",
        "left-differs",
        "part-priced-otherwise",
        "parts-cancelled-otherwise",
        "moves-have-gaps",
        "moved-from-nowhere",
        "moved-otherwise",
        "reseated-unmoved",
        "reseated-unpaid",
    }


def explained(letter: DeadLetter) -> Iterator[Violation]:
    """Does a dead letter say what it is and why it is one, and hold what can be delivered again?"""
    wrong = None
    if not letter.reason:
        wrong = "it has no reason"
    elif letter.attempts < 1:
        wrong = "it was given up before it was tried"
    elif letter.state not in {"Waiting", "Delivered"}:
        wrong = f"it is {letter.state}"
    elif not letter.body:
        wrong = "it is empty"
    if wrong is not None:
        yield Violation(
            invariant=Invariant.SETTLES,
            rule="unexplained-letter",
            subject=f"dead letter {letter.id}",
            detail=f"{letter.consumer} gave up {letter.event_type} {letter.event_id}: {wrong}",
        )
