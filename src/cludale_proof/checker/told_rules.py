"""What the stores have of an order is what its events tell: order, reservations, payments and messages."""

from collections.abc import Iterator, Sequence

from cludale_proof.checker import books_rules
from cludale_proof.checker.cases import (
    CaseCheck,
    names,
    present,
    shown_as,
)
from cludale_proof.checker.documents import Money, Notification, Order, OrderPayment, Payment, Reservation
from cludale_proof.checker.events import EventData, Fact
from cludale_proof.checker.findings import Invariant, Violation
from cludale_proof.checker.history import PaymentTold, ReservationTold, Seats


class AsTold(CaseCheck):
    """An order as its events tell of it."""

    def always(self) -> Iterator[Violation]:
        """Where the stores have something else."""
        yield from self._order_as_told()
        yield from self._reservations_as_told()
        yield from self._payments_as_told()
        yield from self._notifications_as_told()

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
        fields: dict[str, tuple[object, object]] = {
            "status": (order.status, told.status),
            "reason": (order.reason, told.reason),
            "reservationId": (order.reservation_id, told.reservation_id),
            "section": (order.section, told.section),
            "total": (order.total, told.total),
            "expiresAt": (order.expires_at, told.expires_at),
        }
        if told.placed is not None:
            placed = told.placed.event.data
            fields["quantity"] = order.quantity, placed.quantity
            fields["concertId"] = order.concert_id, placed.concert_id
            fields["userId"] = order.user_id, placed.user_id
        if told.reserved is not None:
            fields["paymentMethod"] = order.payment_method, told.reserved.event.data.payment_method
            had = [each for (_, _, id), each in self.told.reservations.items() if id == told.reservation_id]
            if had and had[0].reserved is not None:
                fields["numberedSeats"] = order.numbered_seats, had[0].seats_after(order.moves)
        yield from self.differing("order", fields, there)
        yield from self._order_version(order, there)
        if order.payment is not None:
            yield from self._order_payment_as_told(order, order.payment)
        yield from self._order_parts_as_told(order)

    def _order_version(self, order: Order, there: Sequence[Fact]) -> Iterator[Violation]:
        """Each write is a version, and each event of the order is written once."""
        told = self.told
        wishes = sum(
            len(each) for each in (told.requests, told.parts, told.amendments, told.resends, told.moves, told.reseats)
        )
        least = told.order.commits(order.tries, wishes) + order.looks + order.was_sealed
        heard = sum(len(payment.facts) + len(payment.parts) for payment in told.payments.values())
        heard += sum(len(each.returned) + len(each.moved) for each in told.reservations.values())
        if order.version and not least <= order.version <= least + heard:
            yield self.broken(
                Invariant.LEGAL_STEPS,
                "version-gap",
                f"the order is at version {order.version}, and its events make {least} to {least + heard} commits",
                *there,
            )

    def _order_parts_as_told(self, order: Order) -> Iterator[Violation]:
        """What an order shows of its part refunds, and how often it was amended, is what the events say."""
        told = self.told
        numbers = sorted(told.parts)
        done = {number: fact for payment in told.payments.values() for number, fact in payment.parts.items()}
        back = {number: fact for each in told.reservations.values() for number, fact in each.returned.items()}
        yield from self.differing(
            "order",
            {
                "refunds": (
                    [each.part for each in order.refunds],
                    [told.parts[number].event.data.part for number in numbers],
                ),
                "amendments": (order.amendments, len(told.amendments)),
                "resends": (order.resends, len(told.resends)),
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
                        f"it shows of part refund {each.part.number} {what} at {shown_as(said)}, and no event says so",
                        *present(money, seats),
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
                f"it shows its payment {shown.status} at {shown_as(shown.at)} after {shown.attempts} attempts, "
                f"{said.event.type} says {shown_as(said.event.time)} and {said.event.data.attempts or 0}",
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
        returned = {
            number: (fact.event.data.tickets, fact.event.data.returned_at, fact.event.data.numbers or ())
            for number, fact in told.returned.items()
        }
        returns = {number: (each.tickets, each.at, each.numbers) for number, each in reservation.returns.items()}
        moves = [told.moved[number].event.data.move_id for number in sorted(told.moved)]
        fields: dict[str, tuple[object, object]] = {
            "status": (reservation.status, told.status),
            "quantity": (reservation.quantity, data.quantity),
            "orderId": (reservation.order_id, data.order_id),
            "returns": (returns, returned),
            "moved": (list(reservation.moved), moves),
            "releasedFor": (
                reservation.released_for,
                None if told.released is None else told.released.event.data.reason,
            ),
        }
        if told.reserved is not None:
            fields["expiresAt"] = reservation.expires_at, told.reserved.event.data.expires_at
            fields["numberedSeats"] = reservation.numbered_seats, told.numbered_seats
        yield from self.differing(f"reservation {reservation.id}", fields, told.facts)
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
        yield from self._payment_status(payment, told)
        reserved = self.told.order.reserved
        if reserved is None:
            yield self.broken(
                Invariant.LEGAL_STEPS, "paid-unreserved", f"payment {payment.id} is for an order that has no seats"
            )
            return
        data = reserved.event.data
        fields = {**_seats_of(payment, data), "amount": (payment.amount, data.total)}
        fields["concertId"] = payment.concert_id, data.concert_id
        yield from self.differing(f"payment {payment.id}", fields, (reserved,))
        yield from self._payment_amounts(payment, told)
        for broken in books_rules.mends_as_told(payment, told):
            yield self.broken(broken.invariant, broken.rule, broken.detail, *broken.evidence)
        yield from self._payment_parts(payment, told)
        for fact in told.completed.values():
            yield from self.differing(f"payment {payment.id}", _seats_of(payment, fact.event.data), (fact,))

    def _payment_status(self, payment: Payment, told: PaymentTold) -> Iterator[Violation]:
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

    def _payment_amounts(self, payment: Payment, told: PaymentTold) -> Iterator[Violation]:
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

    def _payment_parts(self, payment: Payment, told: PaymentTold) -> Iterator[Violation]:
        done = {each.part.number: each.part for each in payment.parts if each.done_at is not None}
        given = {number: fact.event.data.part for number, fact in sorted(told.parts.items())}
        yield from self.differing(f"payment {payment.id}", {"parts": (done, given)}, tuple(told.parts.values()))
        for each in payment.parts:
            asked = self.told.parts.get(each.part.number)
            if asked is None or asked.event.data.part != each.part:
                detail = f"payment {payment.id} gives back part {each.part.number}, and nobody asked for that"
                yield self.broken(Invariant.ONE_CAPTURE, "part-unasked", detail, *present(asked))

    def _notifications_as_told(self) -> Iterator[Violation]:
        for notification in self.case.notifications:
            sent = [f for f in self.told.notifications.get(notification.kind, ()) if names(f, notification.id)]
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
                yield from self.differing(
                    f"notification {notification.id}",
                    {
                        "channel": (notification.channel, fact.event.data.channel),
                        "paymentId": (notification.payment_id, fact.event.data.payment_id),
                    },
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
            yield from self.differing(
                f"notification {notification.id}",
                {
                    "paid": (notification.paid, fact.event.data.amount),
                    "paidAt": (notification.paid_at, fact.event.time),
                },
                (fact,),
            )


def _seats_of(payment: Payment, said: EventData) -> dict[str, tuple[object, object]]:
    """The seats that the payment is for, and those that an event says."""
    return {
        "quantity": (payment.quantity, said.quantity),
        "reservationId": (payment.reservation_id, said.reservation_id),
        "section": (payment.section, said.section),
    }
