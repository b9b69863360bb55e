"""The rules of one order: its record, seats, money, messages and events against one another.

`always` holds at any instant at which the stores are seen together; `once_quiet` when nothing is under way any more.
Sections are in `section_rules.py`, the log as a whole is in `log_rules.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from cludale_proof.checker import books_rules, ticket_rules, till_rules
from cludale_proof.checker.documents import (
    DeadLetter,
    Fact,
    LedgerLine,
    Money,
    Notification,
    Order,
    OrderPayment,
    OrderTickets,
    Payment,
    Reservation,
    cart_of,
    is_first_line,
)
from cludale_proof.checker.findings import Invariant, Violation, in_story_order
from cludale_proof.checker.lifecycle import ENDS, ON_PURPOSE, OrderHistory, PaymentTold, ReservationTold, Seats
from cludale_proof.checker.observations import Claim

Prices = Mapping[tuple[str, str], Money]
"""The price of a seat by concert and section."""


class Terms(NamedTuple):
    """Under which conditions the rules are looked at."""

    now: datetime
    skew: timedelta = timedelta()
    """By how much the clocks of several machines may differ."""
    grace: timedelta = timedelta()
    """How long past its time a hold may still stand once all is quiet."""
    ledger_known: bool = True
    """The provider's ledger can be read."""
    ledger_exact: bool = True
    """The ledger shows the same instant as the stores; else it may be ahead of them."""
    tickets_since: datetime | None = None
    """When tickets were first issued: orders that were paid before may have none. None: that is not looked at."""
    called_off: frozenset[str] = frozenset()
    """Concerts that are called off."""
    whole: bool = True
    """All events up to this instant are known: the log and what is on its way to it."""


@dataclass(slots=True)
class Case:
    """All that is known of one order; or of one reservation that no order has."""

    key: str
    order: Order | None = None
    reservations: list[Reservation] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    tickets: OrderTickets | None = None
    letters: list[DeadLetter] = field(default_factory=list)
    ledger: dict[str, LedgerLine] = field(default_factory=dict)
    """By the provider's key."""
    erring: set[str] = field(default_factory=set)
    """Keys of which the provider is known to have done something wrong: its own fault, which reconciliation mends."""
    facts: list[Fact] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    """What clients were told about it."""

    @property
    def is_cart(self) -> bool:
        """Is it a cart, not an order?"""
        return self.key.startswith("cart-")

    @property
    def is_line(self) -> bool:
        """Is it a line of a cart, so that its money is in the cart's charge?"""
        return cart_of(self.key) is not None

    @property
    def subject(self) -> str:
        """How it is named in a finding."""
        if self.is_cart:
            return f"cart {self.key}"
        return self.key if self.key.startswith("reservation ") else f"order {self.key}"


def key_of_reservation(reservation: Reservation) -> str:
    """The case that a reservation belongs to."""
    return reservation.order_id or f"reservation {reservation.id}"


def key_of_event(fact: Fact) -> str | None:
    """The case that an event belongs to; None for one about a concert."""
    data = fact.event.data
    if data.order_id or data.cart_id:
        return data.order_id or data.cart_id
    return f"reservation {data.reservation_id}" if data.reservation_id else None


def always(case: Case, told: OrderHistory, terms: Terms, prices: Prices) -> list[Violation]:
    """What is broken about this case at any instant. `told` is the fold of its facts; carts are in `cart_rules.py`."""
    if case.is_cart:
        return []
    return list(_Check(case, told, terms, prices).always())


def once_quiet(case: Case, told: OrderHistory, terms: Terms) -> list[Violation]:
    """What is left undone about this case when nothing is under way any more; carts are in `cart_rules.py`."""
    if case.is_cart:
        return []
    return list(_Check(case, told, terms, {}).once_quiet())


def missing_causes(case: Case) -> Iterator[tuple[Fact, str]]:
    """Logged events whose cause is not among the case's own events, and the cause's id."""
    own = {fact.event.id for fact in case.facts}
    for fact in case.facts:
        cause = fact.event.causationid
        if fact.sequence and cause is not None and cause not in own:
            yield fact, cause


class _Check:
    def __init__(self, case: Case, told: OrderHistory, terms: Terms, prices: Prices) -> None:
        self.case = case
        self.told = told
        self.terms = terms
        self.prices = prices

    def broken(self, invariant: Invariant, rule: str, detail: str, *evidence: Fact) -> Violation:
        return Violation(
            invariant=invariant,
            rule=rule,
            subject=self.case.subject,
            detail=detail,
            order_id=self.case.key if self.case.subject.startswith("order ") else None,
            evidence=evidence,
            story=in_story_order(self.case.facts),
        )

    def always(self) -> Iterator[Violation]:
        for wrong in self.told.wrong:
            if self.terms.whole or not _may_be_incomplete(wrong.rule):
                yield self.broken(wrong.invariant, wrong.rule, wrong.detail, *wrong.evidence)
        yield from self._order_of_the_log()
        yield from self._times()
        if self.terms.whole:
            yield from self._order_as_told()
            yield from self._reservations_as_told()
            yield from self._payments_as_told()
            yield from self._notifications_as_told()
        yield from self._one_live_reservation()
        yield from self._paid_means_sold()
        yield from self._notices()
        for wrong in ticket_rules.always(self.case.tickets, self.told, whole=self.terms.whole):
            yield self.broken(wrong.invariant, wrong.rule, wrong.detail, *wrong.evidence)
        for wrong in till_rules.always(
            self.case, self.told, ledger_known=self.terms.ledger_known, whole=self.terms.whole
        ):
            yield self.broken(wrong.invariant, wrong.rule, wrong.detail, *wrong.evidence)
        if self.terms.ledger_known:
            yield from self._money()
        if self.case.claims:
            yield from self._claims()

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
                and told.released.event.time < ends - skew
            ):
                yield self.broken(
                    Invariant.ONE_END,
                    "expired-before-its-time",
                    f"the hold of {told.released.event.data.reservation_id} was ended as expired too early",
                    *told.facts,
                )

    # 12, 7: the stores are what the events tell

    def _order_as_told(self) -> Iterator[Violation]:
        order, told = self.case.order, self.told.order
        there = tuple(fact for fact in told if fact is not None)
        if order is None:
            if told.status is not None:
                yield self.broken(
                    Invariant.LOG_GIVES_STORES, "order-lost", "its events are there, the order is not", *there
                )
            return
        if told.status is None:
            yield self.broken(
                Invariant.LOG_GIVES_STORES, "order-untold", "the order is there, and no event tells of it"
            )
            return
        wanted: dict[str, object] = {
            "status": told.status,
            "reason": told.reason,
            "reservationId": told.reservation_id,
            "section": told.section,
            "total": told.total,
            "expiresAt": told.expires_at,
        }
        found: dict[str, object] = {
            "status": order.status,
            "reason": order.reason,
            "reservationId": order.reservation_id,
            "section": order.section,
            "total": order.total,
            "expiresAt": order.expires_at,
        }
        if told.placed is not None:
            placed = told.placed.event.data
            wanted |= {"quantity": placed.quantity, "concertId": placed.concert_id, "userId": placed.user_id}
            found |= {"quantity": order.quantity, "concertId": order.concert_id, "userId": order.user_id}
        if told.reserved is not None:
            wanted["paymentMethod"] = told.reserved.event.data.payment_method
            found["paymentMethod"] = order.payment_method
            had = [each for (_, _, id), each in self.told.reservations.items() if id == told.reservation_id]
            if had and had[0].reserved is not None:
                wanted["numberedSeats"] = had[0].seats_after(order.moves)
                found["numberedSeats"] = order.numbered_seats
        yield from self._differing("order", wanted, found, there)
        wishes = (
            len(self.told.requests)
            + len(self.told.parts)
            + len(self.told.amendments)
            + len(self.told.resends)
            + len(self.told.moves)
            + len(self.told.reseats)
        )
        least = told.commits(order.tries, wishes)
        least += order.looks + order.was_sealed
        heard = sum(len(payment.facts) + len(payment.parts) for payment in self.told.payments.values())
        heard += sum(len(each.returned) + len(each.moved) for each in self.told.reservations.values())
        if order.version and not least <= order.version <= least + heard:
            yield self.broken(
                Invariant.LEGAL_STEPS,
                "version-gap",
                f"the order is at version {order.version}, and its events make {least} to {least + heard} commits",
                *there,
            )
        if order.payment is not None:
            yield from self._order_payment_as_told(order, order.payment)
        yield from self._order_parts_as_told(order)

    def _order_parts_as_told(self, order: Order) -> Iterator[Violation]:
        """What an order shows of its part refunds, and how often it was amended, is what the events say."""
        told = self.told
        numbers = sorted(told.parts)
        done = {number: fact for payment in told.payments.values() for number, fact in payment.parts.items()}
        back = {number: fact for each in told.reservations.values() for number, fact in each.returned.items()}
        yield from self._differing(
            "order",
            {
                "refunds": [told.parts[number].event.data.part for number in numbers],
                "amendments": len(told.amendments),
                "resends": len(told.resends),
            },
            {
                "refunds": [each.part for each in order.refunds],
                "amendments": order.amendments,
                "resends": order.resends,
            },
            tuple(told.parts.values()),
        )
        for each in order.refunds:
            money, seats = done.get(each.part.number), back.get(each.part.number)
            for said, time, what in (
                (each.done_at, money.event.time if money else None, "its money back"),
                (each.returned_at, seats.event.data.returned_at if seats else None, "its seats back"),
            ):
                if said is not None and said != time:
                    yield self.broken(
                        Invariant.LOG_GIVES_STORES,
                        "order-part-untold",
                        f"it shows of part refund {each.part.number} {what} at {_shown(said)}, and no event says so",
                        *_present(money, seats),
                    )

    def _order_payment_as_told(self, order: Order, shown: OrderPayment) -> Iterator[Violation]:
        """What an order shows of its money was said by payments, or asked for by its buyer."""
        said = self._said_of_money(shown.round).get(shown.status)
        if said is None:
            yield self.broken(
                Invariant.LOG_GIVES_STORES,
                "order-payment-untold",
                f"it shows its payment {shown.status} in round {shown.round}, and no event tells of that",
            )
        elif (shown.at, shown.attempts) != (said.event.time, said.event.data.attempts or 0):
            yield self.broken(
                Invariant.LOG_GIVES_STORES,
                "order-payment-differs",
                f"it shows its payment {shown.status} at {_shown(shown.at)} after {shown.attempts} attempts, "
                f"{said.event.type} says {_shown(said.event.time)} and {said.event.data.attempts or 0}",
                said,
            )
        if order.status == "Paid" and shown.status != "Completed":
            yield self.broken(
                Invariant.PAID_MEANS_SOLD, "paid-without-payment", f"it is Paid, and shows its payment {shown.status}"
            )

    def _said_of_money(self, round: int) -> dict[str, Fact]:
        """What was said of this round, by the status that an order shows for it."""
        said: dict[str, Fact] = {}
        begun = self.told.order.reserved if round == 1 else self.told.requests.get(round)
        if begun is not None:
            said["Pending"] = begun
        for payment in self.told.payments.values():
            if round in payment.completed:
                said["Completed"] = payment.completed[round]
            if round in payment.failed:
                fact = payment.failed[round]
                said["Declined" if fact.event.data.reason == "payment-declined" else "Failed"] = fact
            if round in payment.refunded:
                said["Refunded"] = payment.refunded[round]
        return said

    def _differing(
        self, what: str, wanted: Mapping[str, object], found: Mapping[str, object], evidence: Sequence[Fact]
    ) -> Iterator[Violation]:
        for name, value in wanted.items():
            if found[name] != value:
                yield self.broken(
                    Invariant.LOG_GIVES_STORES,
                    f"{what.partition(' ')[0]}-differs",
                    f"{name} of the {what} is {_shown(found[name])}, its events give {_shown(value)}",
                    *evidence,
                )

    def _reservations_as_told(self) -> Iterator[Violation]:
        stored: dict[Seats, Reservation] = {(r.concert_id, r.section, r.id): r for r in self.case.reservations}
        for key in stored.keys() - self.told.reservations.keys():
            yield self.broken(
                Invariant.LOG_GIVES_STORES,
                "reservation-untold",
                f"the reservation {key[2]} is there ({stored[key].status}), and no event tells of it",
            )
        for key, told in self.told.reservations.items():
            reservation = stored.get(key)
            if reservation is None:
                yield self.broken(
                    Invariant.LOG_GIVES_STORES,
                    "reservation-lost",
                    f"the events of reservation {key[2]} are there, the reservation is not",
                    *told.facts,
                )
            else:
                yield from self._reservation_as_told(reservation, told)

    def _reservation_as_told(self, reservation: Reservation, told: ReservationTold) -> Iterator[Violation]:
        data = told.first.data
        wanted: dict[str, object] = {"status": told.status, "quantity": data.quantity, "orderId": data.order_id}
        found: dict[str, object] = {
            "status": reservation.status,
            "quantity": reservation.quantity,
            "orderId": reservation.order_id,
        }
        if told.reserved is not None:
            wanted["expiresAt"] = told.reserved.event.data.expires_at
            found["expiresAt"] = reservation.expires_at
        wanted["returns"] = {
            number: (fact.event.data.tickets, fact.event.data.returned_at, fact.event.data.numbers or ())
            for number, fact in told.returned.items()
        }
        returns = reservation.returns.items()
        found["returns"] = {number: (each.tickets, each.at, each.numbers) for number, each in returns}
        if told.reserved is not None:
            wanted["numberedSeats"], found["numberedSeats"] = told.numbered_seats, reservation.numbered_seats
        moves = [told.moved[number].event.data.move_id for number in sorted(told.moved)]
        wanted["moved"], found["moved"] = moves, list(reservation.moved)
        wanted["releasedFor"] = told.released.event.data.reason if told.released is not None else None
        found["releasedFor"] = reservation.released_for
        yield from self._differing(f"reservation {reservation.id}", wanted, found, told.facts)
        marks = bool(reservation.successor) + reservation.closed + (reservation.answered == "refused")
        most = len(told.facts) + marks
        if reservation.version > most:
            yield self.broken(
                Invariant.LEGAL_STEPS,
                "version-gap",
                f"{reservation.id} is at version {reservation.version}, and its events make at most {most} commits",
                *told.facts,
            )

    def _payments_as_told(self) -> Iterator[Violation]:
        if len(self.case.payments) > 1:
            ids = ", ".join(payment.id for payment in self.case.payments)
            yield self.broken(Invariant.ONE_CAPTURE, "two-payments", f"it has several payments: {ids}")
        stored = {payment.id: payment for payment in self.case.payments}
        for id in self.told.payments.keys() - stored.keys():
            yield self.broken(
                Invariant.LOG_GIVES_STORES,
                "payment-lost",
                f"the events of payment {id} are there, the payment is not",
                *self.told.payments[id].facts,
            )
        for id, payment in stored.items():
            yield from self._payment_as_told(payment, self.told.payments.get(id, PaymentTold()))

    def _payment_as_told(self, payment: Payment, told: PaymentTold) -> Iterator[Violation]:
        ended = told.end
        if payment.status == "Pending":
            wanted = ("Pending", ended[1] + 1 if ended else 1)
        elif payment.closed and not payment.tries and ended is None:
            wanted = ("Failed", 1)  # cancelled before it began: no event tells of it
        else:
            wanted = ended or ("Pending", 1)
        if payment.status == "Pending" and ended is not None and ended[0] != "Failed":
            wanted = ended
        if (payment.status, payment.round) != wanted:
            yield self.broken(
                Invariant.LOG_GIVES_STORES,
                "payment-differs",
                f"payment {payment.id} is {payment.status} in round {payment.round}, "
                f"its events give {wanted[0]} in round {wanted[1]}",
                *told.facts,
            )
        reserved = self.told.order.reserved
        if reserved is None:
            yield self.broken(
                Invariant.LEGAL_STEPS, "paid-unreserved", f"payment {payment.id} is for an order that has no seats"
            )
            return
        data = reserved.event.data
        yield from self._differing(
            f"payment {payment.id}",
            {
                "amount": data.total,
                "quantity": data.quantity,
                "reservationId": data.reservation_id,
                "section": data.section,
                "concertId": data.concert_id,
            },
            {
                "amount": payment.amount,
                "quantity": payment.quantity,
                "reservationId": payment.reservation_id,
                "section": payment.section,
                "concertId": payment.concert_id,
            },
            (reserved,),
        )
        rest = Money(payment.amount.amount - payment.all_parts, payment.amount.currency)
        for fact in told.facts:
            right = rest if fact.event.type == "PaymentRefunded" else payment.amount
            if fact.event.data.amount != right:
                yield self.broken(
                    Invariant.ONE_CAPTURE,
                    "amount-differs",
                    f"{fact.event.type} says {fact.event.data.amount}, the payment {right}",
                    fact,
                )
        for broken in books_rules.mends_as_told(payment, told):
            yield self.broken(broken.invariant, broken.rule, broken.detail, *broken.evidence)
        yield from self._differing(
            f"payment {payment.id}",
            {"parts": {number: fact.event.data.part for number, fact in sorted(told.parts.items())}},
            {"parts": {each.part.number: each.part for each in payment.parts if each.done_at is not None}},
            tuple(told.parts.values()),
        )
        for each in payment.parts:
            asked = self.told.parts.get(each.part.number)
            if asked is None or asked.event.data.part != each.part:
                detail = f"payment {payment.id} gives back part {each.part.number}, and nobody asked for that"
                yield self.broken(Invariant.ONE_CAPTURE, "part-unasked", detail, *_present(asked))
        for fact in told.completed.values():
            said = fact.event.data
            yield from self._differing(
                f"payment {payment.id}",
                {"quantity": said.quantity, "reservationId": said.reservation_id, "section": said.section},
                {"quantity": payment.quantity, "reservationId": payment.reservation_id, "section": payment.section},
                (fact,),
            )

    def _notifications_as_told(self) -> Iterator[Violation]:
        for notification in self.case.notifications:
            sent = [f for f in self.told.notifications.get(notification.kind, ()) if _names(f, notification.id)]
            came_back = self.told.bounces.get(notification.id, ())
            if notification.bounces != len(came_back):
                yield self.broken(
                    Invariant.LOG_GIVES_STORES,
                    "bounce-differs",
                    f"the {notification.kind} {notification.id} came back {notification.bounces} times, and it is told "
                    f"of {len(came_back)} times",
                    *came_back,
                )
            is_sent = notification.status == "Sent"
            if (is_sent and not sent) or len(sent) > len(came_back) + is_sent:
                state = "told of" if sent else "told of by no event"
                yield self.broken(
                    Invariant.LOG_GIVES_STORES,
                    "notification-differs",
                    f"the {notification.kind} {notification.id} is {notification.status}, and it is {state}",
                    *sent,
                )
            for fact in () if came_back else sent:  # sent again, it may have gone another way
                yield from self._differing(
                    f"notification {notification.id}",
                    {"channel": fact.event.data.channel, "paymentId": fact.event.data.payment_id},
                    {"channel": notification.channel, "paymentId": notification.payment_id},
                    sent,
                )
            yield from self._receipt(notification)
        stored = {notification.id for notification in self.case.notifications}
        for kind, facts in self.told.notifications.items():
            for fact in facts:
                if fact.event.data.notification_id not in stored:
                    yield self.broken(
                        Invariant.LOG_GIVES_STORES,
                        "notification-lost",
                        f"the event of the {kind} {fact.event.data.notification_id} is there, the {kind} is not",
                        fact,
                    )

    def _receipt(self, notification: Notification) -> Iterator[Violation]:
        """What a buyer is told of the money is what was taken."""
        if notification.payment_id is None or (self.case.is_line and notification.kind == "confirmation"):
            return
        payment = self.told.payments.get(notification.payment_id, PaymentTold())
        if not payment.completed:
            yield self.broken(
                Invariant.ONE_CONFIRMATION,
                "receipt-of-nothing",
                f"the {notification.kind} {notification.id} is a receipt for {notification.payment_id}, "
                "which took no money",
            )
        for fact in payment.completed.values():
            yield from self._differing(
                f"notification {notification.id}",
                {"paid": fact.event.data.amount, "paidAt": fact.event.time},
                {"paid": notification.paid, "paidAt": notification.paid_at},
                (fact,),
            )

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
                *_present(self.told.order.paid),
            )
        payments = self.case.payments
        if not any(payment.status == "Completed" and not payment.refunding for payment in payments):
            states = ", ".join(_state(payment) for payment in payments) or "there is no payment"
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "paid-without-money",
                f"it is Paid, and {states}",
                *_present(self.told.order.paid),
            )

    # 8

    def _notices(self) -> Iterator[Violation]:
        sent = self.told.notifications
        for kind, facts in sent.items():
            # An order that failed, was paid after all and then cancelled is cancelled twice.
            most = (
                2 if kind == "cancellation" and (not self.terms.whole or len(self.told.order.cancellations) > 1) else 1
            )
            if kind == "refund":
                most = max(most, sum(len(payment.parts) for payment in self.told.payments.values()))
            elif kind == "confirmation-copy":
                most = max(most, len(self.told.resends))
            elif kind in ("moved", "reseated"):
                most = max(1, len(self.told.moves if kind == "moved" else self.told.reseats))
            if len({fact.event.id for fact in facts}) - self._sent_again(facts) > most and (
                self.terms.whole or kind in _TOLD_ONCE
            ):
                yield self.broken(
                    Invariant.ONE_CONFIRMATION, f"{kind}-twice", f"its buyer was sent {len(facts)} of {kind}", *facts
                )
        if not self.terms.whole:
            return
        yield from self._told_of_nothing(sent)

    def _sent_again(self, facts: Sequence[Fact]) -> int:
        """How many of these were sent because one before had come back."""
        again = 0
        for id, came_back in self.told.bounces.items():
            again += min(len(came_back), max(0, sum(_names(fact, id) for fact in facts) - 1))
        return again

    def _told_of_nothing(self, sent: Mapping[str, Sequence[Fact]]) -> Iterator[Violation]:
        if sent.get("confirmation") and self.told.order.paid is None:
            yield self.broken(
                Invariant.ONE_CONFIRMATION,
                "confirmed-unpaid",
                "its buyer was sent a confirmation, and it was never Paid",
                *sent["confirmation"],
            )
        moved = sent.get("moved", ())
        if len(moved) - self._sent_again(moved) > len(self.told.moves):
            detail = f"its buyer was told {len(moved)} times that it is moved, and it was {len(self.told.moves)}"
            yield self.broken(Invariant.ONE_CONFIRMATION, "moved-untold", detail, *sent["moved"])
        reseated = sent.get("reseated", ())
        if len(reseated) - self._sent_again(reseated) > len(self.told.reseats):
            detail = (
                f"its buyer was told {len(reseated)} times of other seats, and got them {len(self.told.reseats)} times"
            )
            yield self.broken(Invariant.ONE_CONFIRMATION, "reseated-untold", detail, *reseated)
        if sent.get("cancellation") and not self._cancellations():
            yield self.broken(
                Invariant.ONE_CONFIRMATION,
                "cancelled-untold",
                "its buyer was told of a cancellation, and it was never cancelled",
                *sent["cancellation"],
            )

    # 4

    def _money(self) -> Iterator[Violation]:
        payments = {payment.id: payment for payment in self.case.payments}
        wrong = books_rules.wrong_keys(self.case)
        sound = [line for line in self.case.ledger.values() if line.key not in wrong]
        kept = [line for line in sound if line.net > 0]
        if len(kept) > 1:
            keys = ", ".join(line.key for line in kept)
            yield self.broken(Invariant.ONE_CAPTURE, "charged-twice", f"the provider keeps money under {keys}")
        for line in sound:
            payment = payments.get(line.payment_id)
            if payment is None:
                yield self.broken(
                    Invariant.ONE_CAPTURE, "money-without-payment", f"the provider took money under {line.key}"
                )
            else:
                yield from self._line(line, payment)
        for payment in payments.values():
            is_taken = payment.status in {"Completed", "Refunded"} and payment.amount.amount  # nobody asks for 0
            if (
                is_taken
                and payment.till is None
                and not self.case.is_line
                and f"{payment.id}.{payment.round}" not in self.case.ledger
            ):
                yield self.broken(
                    Invariant.ONE_CAPTURE,
                    "completed-without-money",
                    f"{_state(payment)}, and the provider took nothing under {payment.id}.{payment.round}",
                    *self.told.payments.get(payment.id, PaymentTold()).completed.values(),
                )

    def _line(self, line: LedgerLine, payment: Payment) -> Iterator[Violation]:
        facts = self.told.payments.get(payment.id, PaymentTold()).facts
        amount = payment.amount.amount
        if line.charges > 1 or (line.captured and not line.charges):
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "charged-twice",
                f"under {line.key} the provider took the money {line.charges} times",
                *facts,
            )
        if line.captured not in {0, amount} or not 0 <= line.refunded <= line.captured:
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "wrong-amount",
                f"under {line.key} the provider took {line.captured} and gave back {line.refunded}, of {amount} owed",
                *facts,
            )
            return
        wrong: str | None = None
        exact = self.terms.ledger_exact
        if line.round > payment.round or line.round < 1:
            wrong = "a round that was never begun" if exact and line.captured else None
        elif line.round < payment.round:
            wrong = "a round that failed" if line.net else None
        elif payment.status == "Completed":
            if not line.charges or line.captured != amount:  # of what is free, 0 is taken, once
                wrong = "a round that was completed"
            elif line.refunded > payment.all_parts and exact and not payment.refunding:
                wrong = "a round of which nobody wanted so much back"
            elif line.refunded < payment.all_parts - payment.open_parts:
                wrong = "a round of which more is said to be back"
        elif payment.status == "Failed" and line.net:
            wrong = "a round that is Failed"
        elif payment.status == "Refunded" and line.net > payment.open_parts:
            wrong = "a round that is Refunded"
        if wrong is not None:
            yield self.broken(
                Invariant.ONE_CAPTURE,
                "ledger-differs",
                f"under {line.key}, {wrong}, the provider took {line.captured} and gave back {line.refunded}",
                *facts,
            )

    # 11, 7: what clients were told

    def _claims(self) -> Iterator[Violation]:
        for claim in self.case.claims:
            if claim.thing == "order":
                yield from self._claimed_order(claim)
            elif claim.thing == "payment":
                yield from self._claimed_payment(claim)
            elif claim.thing == "admission":
                if self.terms.whole and all(fact.event.data.scan_id != claim.id for fact in self.told.tickets):
                    yield self._unkept(claim, "admission-gone", f"scan {claim.id} was let in, and no event tells of it")
            elif not any(r.id == claim.id and r.quantity == claim.quantity for r in self.case.reservations):
                yield self._unkept(claim, "reservation-gone", f"{claim.quantity} seats of {claim.id} were promised")
        yield from self._seen_steps()

    def _unkept(self, claim: Claim, rule: str, detail: str) -> Violation:
        return self.broken(Invariant.ACKNOWLEDGED_STAYS, rule, f"{claim.by} was answered: {detail}")

    def _claimed_order(self, claim: Claim) -> Iterator[Violation]:
        order, told = self.case.order, self.told.order
        if order is None:
            yield self._unkept(claim, "order-gone", f"order {claim.id} {claim.status}; there is no such order")
            return
        for name in ("quantity", "concert_id", "user_id", "total"):
            said = getattr(claim, name)
            if said is not None and said != getattr(order, name):
                yield self._unkept(claim, "order-changed", f"{name} {said}; it is {getattr(order, name)}")
        if not self.terms.whole:
            return
        had = {
            "Pending": told.placed is not None,
            "Reserved": told.reserved is not None,
            "Paid": told.paid is not None,
            "Cancelled": told.failed is not None or told.on_purpose is not None,
        }
        if claim.status is not None and not had.get(claim.status, False):
            yield self._unkept(claim, "status-never-had", f"{claim.status}; it never was")
        elif (claim.on_purpose or claim.reason in ON_PURPOSE) and told.on_purpose is None:
            yield self._unkept(claim, "cancellation-lost", "it is cancelled, on purpose; no OrderCancelled says so")

    def _claimed_payment(self, claim: Claim) -> Iterator[Violation]:
        payment = next((payment for payment in self.case.payments if payment.id == claim.id), None)
        if payment is None:
            yield self._unkept(claim, "payment-gone", f"payment {claim.id}; there is no such payment")
        elif claim.status == "Completed" and payment.status not in {"Completed", "Refunded"}:
            yield self._unkept(claim, "payment-undone", f"Completed; {_state(payment)}")

    def _seen_steps(self) -> Iterator[Violation]:
        """Answers that came after one another must be in the order of the order's life."""
        claims = [each for each in self.case.claims if each.thing == "order"]
        departures = sorted((each.sent_at, at) for at, each in enumerate(claims) if each.sent_at is not None)
        arrivals = sorted((each.received_at, at) for at, each in enumerate(claims) if each.received_at is not None)
        arrived = 0
        last: Claim | None = None
        for sent, at in departures:
            while arrived < len(arrivals) and arrivals[arrived][0] < sent:
                last = claims[arrivals[arrived][1]]
                arrived += 1
            claim = claims[at]
            if last is not None and claim.status not in _seen_after(last):
                yield self.broken(
                    Invariant.LEGAL_STEPS,
                    "seen-going-back",
                    f"{last.by} was answered {last.status}, and then {claim.by} was answered {claim.status}",
                )

    # once quiet

    def once_quiet(self) -> Iterator[Violation]:
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
        yield from self._told_once_quiet(excuse)
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
                yield self.broken(Invariant.SETTLES, "part-stuck", detail, *_present(self.told.parts.get(number)))
            if each.part.tickets and is_paid and each.returned_at is None:
                detail = f"the seats of its part refund {number} are not back{excuse}"
                yield self.broken(Invariant.SETTLES, "seats-stuck", detail, *_present(self.told.parts.get(number)))

    def _seats_once_quiet(self, excuse: str) -> Iterator[Violation]:
        order = self.case.order
        status = order.status if order is not None else None
        for each in self.case.reservations:
            if each.status == "Held" and each.expires_at + self.terms.grace <= self.terms.now:
                yield self.broken(
                    Invariant.SETTLES,
                    "held-past-its-time",
                    f"{each.id} is Held, and its time was over at {_shown(each.expires_at)}{excuse}",
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
                yield self.broken(Invariant.SETTLES, "payment-stuck", f"{_state(payment)} still{excuse}")
            elif payment.status == "Completed" and not paid:
                status = order.status if order is not None else "not there"
                yield self.broken(Invariant.ONE_CAPTURE, "money-kept", f"it is {status}, and {_state(payment)}{excuse}")
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

    def _cancellations(self) -> tuple[Fact, ...]:
        """Those that its buyer is told of: of a cart that comes to nothing, by its first line."""
        of_order = self.told.order.cancellations
        if not self.case.is_line or is_first_line(self.case.key):
            return of_order
        datas = [(fact, fact.event.data) for fact in of_order]
        return tuple(fact for fact, data in datas if data.was_paid and data.reason != "cart-incomplete")

    def _told_once_quiet(self, excuse: str) -> Iterator[Violation]:
        order = self.told.order
        for message in self.case.notifications:
            if message.status == "Pending":
                yield self.broken(
                    Invariant.SETTLES, "message-stuck", f"the {message.kind} {message.id} is Pending still{excuse}"
                )
        given_up = [each.kind for each in self.case.notifications if each.status == "Failed" and each.detail]
        back = tuple(fact for payment in self.told.payments.values() for fact in payment.parts.values())
        for kind, due in (
            ("confirmation", () if self.case.is_line else _present(order.paid)),
            ("cancellation", self._cancellations()),
            ("refund", back),
            ("confirmation-copy", tuple(self.told.resends.values())),
            ("moved", tuple(self.told.moves.values())),
            ("reseated", tuple(self.told.reseats.values())),
            ("offer", tuple(fact for fact in self.case.facts if fact.event.type == "SeatsOffered")),
        ):
            sent = {fact.event.data.notification_id for fact in self.told.notifications.get(kind, ())}
            if len(sent) + given_up.count(kind) >= len(due):
                continue
            invariant = Invariant.ONE_CONFIRMATION if kind == "confirmation" else Invariant.SETTLES
            missing = f"no {kind}" if len(due) == 1 else f"{len(sent)} of {len(due)} {kind}s"
            yield self.broken(invariant, "never-told", f"its buyer was sent {missing}{excuse}", *due)


def _seen_after(claim: Claim) -> frozenset[str | None]:
    match claim.status:
        case "Pending" | None:
            return frozenset({"Pending", "Reserved", "Paid", "Cancelled", None})
        case "Reserved":
            return frozenset({"Reserved", "Paid", "Cancelled", None})
        case "Cancelled" if claim.on_purpose or claim.reason in ON_PURPOSE:
            return frozenset({"Cancelled", None})
        case _:
            return frozenset({"Paid", "Cancelled", None})


_TOLD_ONCE = frozenset({"confirmation", "cancellation"})
"""What a buyer is told as often, however little of the log is known."""


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


def _names(fact: Fact, notification_id: str) -> bool:
    return fact.event.data.notification_id == notification_id


def _present(*facts: Fact | None) -> tuple[Fact, ...]:
    return tuple(fact for fact in facts if fact is not None)


def _state(payment: Payment) -> str:
    closing = f" and closing ({payment.closing})" if payment.closing else ""
    return f"payment {payment.id} is {payment.status}{closing}{' and being refunded' if payment.refunding else ''}"


def _shown(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else "none" if value is None else str(value)


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
