"""How orders are stored. The only place that knows the form."""

from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind
from cludale.runtime.aggregates import AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.orders.domain import Order

ORDERS = AggregateStore(
    Kind("orders", "order", ("concertId", "status", "dueAt")),
    Order,
    identity=lambda order: order.id,
    index=lambda o: (o.concert_id, o.status.value, rfc3339(o.due_at) if o.due_at else None),
)
"""`dueAt` is when a Pending order asks for its seats again; nothing else is due."""

KINDS = (ORDERS.kind, IdempotencyKeys.kind_for("orders"))
