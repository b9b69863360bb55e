"""How payments are stored. The only place that knows the form."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.payments.domain import Payment, payment_id

PAYMENTS = AggregateStore(
    Kind("payments", "payment", ("orderId", DUE), (DUE,)),
    Payment,
    identity=lambda payment: payment.id,
    index=lambda p: (p.order_id, rfc3339(p.due_at) if p.due_at else None),
    cause=lambda p: p.cause,
)
"""DUE is when a payment has something left to do."""

KINDS = (PAYMENTS.kind, IdempotencyKeys.kind_for("payments"))


def listed(*, order_id: str | None, after: str | None, limit: int) -> Query:
    """A page of payments: those of one order, or all."""
    if order_id is None:
        return Query(after=after, limit=limit)
    return Query(equal={"orderId": order_id}, after=after, limit=limit, partition=payment_id(order_id))
