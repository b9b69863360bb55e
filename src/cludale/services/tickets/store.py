"""How tickets are stored. The only place that knows the form."""

from operator import attrgetter

from cludale.ports.records import Kind, Query
from cludale.runtime.aggregates import AggregateStore
from cludale.runtime.idempotency import IdempotencyKeys
from cludale.services.tickets.domain import OrderTickets

TICKETS = AggregateStore(
    Kind("tickets", "order_tickets", ("concertId",), may_lack=True),
    OrderTickets,
    identity=attrgetter("order_id"),
    index=lambda tickets: (tickets.concert_id,),
)
"""The tickets of an order, under the order's id."""

KINDS = (TICKETS.kind, IdempotencyKeys.kind_for("tickets"))


def of_concert(concert_id: str, *, after: str | None, limit: int) -> Query:
    """A page of the orders that have tickets of a concert."""
    return Query(equal={"concertId": concert_id}, after=after, limit=limit)
