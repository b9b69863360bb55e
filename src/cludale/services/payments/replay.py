"""Payments from the log, as the events alone tell of them: how each ended, not each attempt."""

from collections.abc import Mapping, Sequence
from typing import Any

from cludale.kernel.carts import cart_of
from cludale.kernel.events import Envelope
from cludale.kernel.flat import fields_of
from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.orders.events import CartReserved, TicketReserved
from cludale.services.payments import carts
from cludale.services.payments.domain import as_begun, evolve
from cludale.services.payments.events import (
    PartRefunded,
    PaymentCompleted,
    PaymentFailed,
    PaymentMended,
    PaymentRefunded,
)
from cludale.services.payments.payment import Payment, Share, Status, payment_id
from cludale.services.payments.store import PAYMENTS

_WHERE = ("numbered_seats", "moves")
"""Where an order's seats are is no concern of its payment, which hears of no move. They are as in the TicketReserved
that came first, and where that was lost, as in the one that was told again after a move: the log has both.
"""


def _comparable(payment: Payment) -> Mapping[str, object] | None:
    if payment.status is Status.PENDING or (payment.status is Status.FAILED and not payment.tries):
        return None  # under way, or never begun: no event tells of it
    told = {name: getattr(payment, name) for name in ("order_id", "amount", "status", "round", "till")}
    told["parts"] = [each for each in payment.parts if each.done_at is not None]
    told["mends"] = {each.number: (each.key, each.amount) for each in payment.mends if each.done_at is not None}
    told["shares"] = [_told_of_share(each) for each in payment.shares]
    return {**told, **{name: said for name, said in fields_of(payment.allocation).items() if name not in _WHERE}}


def _told_of_share(share: Share) -> Sequence[object]:
    return (share.order_id, share.amount, share.refunded_at, [each for each in share.parts if each.done_at is not None])


class PaymentsReplay:
    """Folds what payments published, over what could be paid."""

    service = "payments"
    event_types = frozenset(
        e.__name__
        for e in (
            TicketReserved,
            CartReserved,
            PaymentCompleted,
            PaymentFailed,
            PaymentRefunded,
            PartRefunded,
            PaymentMended,
        )
    )
    tables: Sequence[Table[Any]] = (
        Table(PAYMENTS.kind, PAYMENTS.decode, PAYMENTS.put, lambda payment: payment.id, _comparable),
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The order's payment, or its cart's."""
        data = event.data
        id = payment_id(data.cart_id) if isinstance(data, CartReserved) else carts.record_id(data.order_id)
        return (Ref("payment", id, id),)

    def fold(self, event: Envelope, states: States) -> None:
        """Begin the payment, or end it as the fact says."""
        (ref,) = self.touches(event)
        payment: Payment | None = states.get(ref)
        data = event.data
        if isinstance(data, CartReserved):
            if payment is None:
                states.put(ref, carts.as_begun(data, at=event.time))
            return
        if isinstance(data, TicketReserved):
            if payment is None and cart_of(data.order_id) is None:  # it may be told again
                states.put(ref, as_begun(data, at=event.time))
            return
        if payment is None:
            raise NotYet
        moved = carts.evolve if payment.shares else evolve
        states.put(ref, moved(payment, data, at=event.time))
