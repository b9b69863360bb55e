"""How payments are stored. The only place that knows the form."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind
from cludale.runtime.aggregates import AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.payments.domain import Payment

PAYMENTS = AggregateStore(
    Kind("payments", "payment", ("orderId", "dueAt"), ("dueAt",)),
    Payment,
    identity=lambda payment: payment.id,
    index=lambda p: (p.order_id, rfc3339(p.due_at) if p.due_at else None),
    cause=lambda p: p.cause,
)
"""`dueAt` is when a payment has something left to do."""

KINDS = (PAYMENTS.kind, IdempotencyKeys.kind_for("payments"))
