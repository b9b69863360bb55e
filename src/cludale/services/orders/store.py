"""How orders are stored. The only place that knows the form."""

from hashlib import blake2b

from cludale.kernel.events import Cause
from cludale.kernel.ids import from_key
from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.orders.domain import Order, Status
from cludale.services.orders.personal import Personal, Upkeep

ORDERS = AggregateStore(
    Kind("orders", "order", ("concertId", "status", DUE), (DUE,)),
    Order,
    identity=lambda order: order.id,
    index=lambda o: (o.seats.concert_id, o.status.value, rfc3339(o.due_at) if o.due_at else None),
    partition=lambda id: id.partition(".")[0],
    cause=lambda order: Cause(None, order.traceparent),
)
"""DUE is when a Pending order asks for its seats again, when a Reserved one whose last charge failed is off, and
when a Cancelled one is compared with its payment and its seats."""


def keyed_id(home: str, request: bytes) -> str:
    """The id of the order that this request makes under the idempotency key whose `home_of` it is.

    The same request makes the same order: what a crash cut off is taken up where it was. Another request under the same
    key makes another one, so that it never gets the seats that were held for the first; both are in the partition of
    the key, where the key's answer commits with the one that is placed.
    """
    return f"{home}.{blake2b(request, digest_size=6).hexdigest()}"


def home_of(key: str) -> str:
    """The partition of the orders placed under this idempotency key."""
    return from_key("order", "POST /orders", key)


PERSONAL = AggregateStore(
    Kind("orders", "personal", ("email", DUE), (DUE,), may_lack=True),
    Personal,
    identity=lambda personal: personal.order_id,
    index=lambda each: (each.email, None if each.due_at is None else rfc3339(each.due_at)),
    partition=ORDERS.partition,
)
"""One for each order whose buyer left an address, under the order's id, in its partition: they are committed together.
DUE is when retention looks at it next."""

UPKEEP = AggregateStore(Kind("orders", "upkeep", may_lack=True), Upkeep, identity=lambda upkeep: upkeep.id)

KINDS = (ORDERS.kind, IdempotencyKeys.kind_for("orders"), PERSONAL.kind, UPKEEP.kind)


def reserved(*, after: str | None, limit: int) -> Query:
    """A page of the orders that are Reserved, as they were placed."""
    return listed(concert_id=None, status=Status.RESERVED, after=after, limit=limit)


def listed(*, concert_id: str | None, status: Status | None, after: str | None, limit: int) -> Query:
    """A page of orders; what is None doesn't matter."""
    wanted = {"concertId": concert_id, "status": None if status is None else status.value}
    return Query(equal={field: value for field, value in wanted.items() if value is not None}, after=after, limit=limit)
