"""Payments from the log, as the events alone tell of them: how each ended, not each attempt."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cludale.kernel.events import Envelope
from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.orders.events import TicketReserved
from cludale.services.payments.domain import Payment, Status, as_begun, evolve, payment_id
from cludale.services.payments.events import (
    PartRefunded,
    PaymentCompleted,
    PaymentFailed,
    PaymentMended,
    PaymentRefunded,
)
from cludale.services.payments.store import PAYMENTS


def _told(payment: Payment) -> Mapping[str, object] | None:
    if payment.status is Status.PENDING or (payment.status is Status.FAILED and not payment.tries):
        return None  # under way, or never begun: no event tells of it
    told = {name: getattr(payment, name) for name in ("order_id", "amount", "status", "round", "till")}
    told["parts"] = [each for each in payment.parts if each.done_at is not None]
    told["mends"] = {each.number: (each.key, each.amount) for each in payment.mends if each.done_at is not None}
    return {**told, **msgspec.structs.asdict(payment.allocation)}


class PaymentsReplay:
    """Folds what payments published, over what could be paid."""

    service = "payments"
    event_types = frozenset(
        e.__name__
        for e in (TicketReserved, PaymentCompleted, PaymentFailed, PaymentRefunded, PartRefunded, PaymentMended)
    )
    tables: Sequence[Table[Any]] = (
        Table(PAYMENTS.kind, PAYMENTS.decode, PAYMENTS.put, lambda payment: payment.id, _told),
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The order's payment."""
        id = payment_id(event.data.order_id)
        return (Ref("payment", id, id),)

    def fold(self, event: Envelope, states: States) -> None:
        """Begin the payment, or end it as the fact says."""
        (ref,) = self.touches(event)
        payment: Payment | None = states.get(ref)
        data = event.data
        if isinstance(data, TicketReserved):
            if payment is None:  # it may be told again
                states.put(ref, as_begun(data, at=event.time))
            return
        if payment is None:
            raise NotYet
        states.put(ref, evolve(payment, data, at=event.time))
