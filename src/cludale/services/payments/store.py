"""How payments are stored. The only place that knows the form."""

from operator import attrgetter

from cludale.kernel.carts import cart_of
from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.payments.differences import FoundDifference, State
from cludale.services.payments.payment import Payment, payment_id
from cludale.services.payments.reconciliation import Reconciliation

PAYMENTS = AggregateStore(
    Kind("payments", "payment", ("orderId", DUE), (DUE,)),
    Payment,
    identity=attrgetter("id"),
    index=lambda p: (p.order_id, rfc3339(p.due_at) if p.due_at else None),
    cause=attrgetter("cause"),
)
"""DUE is when a payment has something left to do."""

RECONCILIATIONS = AggregateStore(
    Kind("payments", "reconciliation", (DUE,), (DUE,), may_lack=True),
    Reconciliation,
    identity=lambda each: each.id,
    index=lambda each: (rfc3339(each.due_at) if each.due_at else None,),
)
"""DUE is when it takes its next turn."""

DIFFERENCES = AggregateStore(
    Kind("payments", "difference", ("state", "foundBy"), may_lack=True),
    FoundDifference,
    identity=lambda each: each.id,
    index=lambda each: (each.state.value, each.found_by),
)

KINDS = (PAYMENTS.kind, IdempotencyKeys.kind_for("payments"), RECONCILIATIONS.kind, DIFFERENCES.kind)


def listed(*, order_id: str | None, after: str | None, limit: int) -> Query:
    """A page of payments: those that one order's money is in, or all."""
    if order_id is None:
        return Query(after=after, limit=limit)
    whose = cart_of(order_id) or order_id
    return Query(equal={"orderId": whose}, after=after, limit=limit, partition=payment_id(whose))


def differences_listed(*, state: State | None, found_by: str | None, after: str | None, limit: int) -> Query:
    """A page of differences, the latest first; what is None doesn't matter."""
    wanted = {"state": None if state is None else state.value, "foundBy": found_by}
    equal = {field: value for field, value in wanted.items() if value is not None}
    return Query(equal=equal, after=after, limit=limit, descending=True)
