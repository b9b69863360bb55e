"""How orders are stored. The only place that knows the form."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import NamedTuple

from cludale.kernel.carts import line_id
from cludale.kernel.events import Cause
from cludale.kernel.ids import from_key, from_key_in_order
from cludale.kernel.times import rfc3339
from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import DUE, AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.orders.carts.domain import Cart
from cludale.services.orders.guests.domain import Guest
from cludale.services.orders.jobs.domain import Job
from cludale.services.orders.order import Order, Status
from cludale.services.orders.privacy.domain import InvoicedEmail, Personal, Upkeep

ORDERS = AggregateStore(
    Kind("orders", "order", ("concertId", "status", DUE), (DUE,)),
    Order,
    identity=attrgetter("id"),
    index=lambda o: (o.seats.concert_id, str(o.status), rfc3339(o.due_at) if o.due_at else None),
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


def home_of(key: str, *, partitions_apart: bool, route: str = "POST /orders") -> str:
    """The partition of what is placed under this idempotency key: all ids of an order follow from it.

    A store with an order lays side by side what was placed at about the same time, if the key tells the time. One whose
    partitions are apart has no such order; there a key means what it meant to the releases of before, whatever it is,
    because a release of before may run beside this one and nothing but the partition keeps the two from placing twice.
    """
    return (from_key if partitions_apart else from_key_in_order)("order", route, key)


CARTS = AggregateStore(
    Kind("orders", "cart", (DUE,), (DUE,), may_lack=True),
    Cart,
    identity=lambda cart: cart.id,
    index=lambda cart: (rfc3339(cart.due_at) if cart.due_at else None,),
    partition=lambda id: ORDERS.partition(line_id(id, 1)),
    cause=lambda cart: Cause(None, cart.traceparent),
)
"""In one partition with its lines. DUE is when these are looked at, until all of them are paid or off."""


JOBS = AggregateStore(
    Kind("orders", "job", (DUE,), (DUE,), may_lack=True),
    Job,
    identity=lambda job: job.id,
    index=lambda job: (rfc3339(job.due_at) if job.due_at else None,),
)
"""DUE is when it takes its next turn."""

PERSONAL = AggregateStore(
    Kind("orders", "personal", ("email", DUE), (DUE,), may_lack=True),
    Personal,
    identity=lambda personal: personal.order_id,
    index=lambda each: (each.email, None if each.due_at is None else rfc3339(each.due_at)),
    partition=ORDERS.partition,
)
"""One for each order of which something is kept that names a person, under the order's id, in its partition: they are
committed together.
DUE is when retention looks at it next."""

INVOICED_EMAILS = AggregateStore(
    Kind("orders", "invoiced_email", ("email",), may_lack=True),
    InvoicedEmail,
    identity=lambda each: each.order_id,
    index=lambda each: (each.email,),
    partition=ORDERS.partition,
)
"""Under the order's id, too, and committed with what is kept of its buyer; of few orders there is one."""

GUESTS = AggregateStore(
    Kind("orders", "guest", ("concertId",), may_lack=True),
    Guest,
    identity=lambda guest: guest.place or guest.order_id,
    index=lambda guest: (guest.concert_id,),
    partition=ORDERS.partition,
)
"""One for each place on a list that somebody has had, in the partition of their order; it never changes."""

UPKEEP = AggregateStore(Kind("orders", "upkeep", may_lack=True), Upkeep, identity=lambda upkeep: upkeep.id)

KINDS = (
    ORDERS.kind,
    JOBS.kind,
    IdempotencyKeys.kind_for("orders"),
    PERSONAL.kind,
    INVOICED_EMAILS.kind,
    UPKEEP.kind,
    GUESTS.kind,
    CARTS.kind,
)


def reserved(*, after: str | None, limit: int) -> Query:
    """A page of the orders that are Reserved, as they were placed."""
    return listed(concert_id=None, status=Status.RESERVED, after=after, limit=limit)


class Search(NamedTuple):
    """Which orders are looked for; what is None doesn't matter."""

    email: str | None = None
    """Found by its hash (`Privacy.orders_of`): orders don't have it."""
    id_prefix: str | None = None
    user_id: str | None = None
    name: Sequence[str] | None = None
    """Words with which those of the buyer's name begin (`Privacy.named`): they are sealed."""
    since: datetime | None = None
    """Placed at this time or later."""
    until: datetime | None = None
    """Placed before this time."""

    @property
    def narrows(self) -> bool:
        """Is at least one condition given?"""
        return any(each is not None for each in self)

    def matches(self, order: Order) -> bool:
        """Does the order fit the search? E-mail address and name are not looked at here."""
        return (
            (self.user_id is None or order.user_id == self.user_id)
            and (self.id_prefix is None or order.id.startswith(self.id_prefix))
            and (self.since is None or order.created_at >= self.since)
            and (self.until is None or order.created_at < self.until)
        )

    def is_past(self, order: Order, *, descending: bool) -> bool:
        """Is every order that comes after this one too late, or too early, to match? They come as they were placed, but
        for the clocks of several machines.
        """
        if descending:
            return self.since is not None and order.created_at < self.since - CLOCKS_DIFFER
        return self.until is not None and order.created_at >= self.until + CLOCKS_DIFFER


def is_among(order: Order, query: Query) -> bool:
    """Is it among those that a query by `listed` asks for?"""
    has = {"concertId": order.seats.concert_id, "status": order.status.value}
    return all(has[field] == value for field, value in query.equal.items())


CLOCKS_DIFFER = timedelta(minutes=5)
"""The most by which the clocks of several machines may differ, for an order to be found."""


def listed(
    *, concert_id: str | None, status: Status | None, after: str | None, limit: int, descending: bool = False
) -> Query:
    """A page of orders; what is None doesn't matter."""
    wanted = {"concertId": concert_id, "status": None if status is None else status.value}
    equal = {field: value for field, value in wanted.items() if value is not None}
    return Query(equal=equal, after=after, limit=limit, descending=descending)
