"""Tickets from the log: all but their holders' names, which are in no event, whether they have any, and when they were
erased.
"""

from collections.abc import Mapping, Sequence

import msgspec

from cludale.kernel.events import Envelope
from cludale.kernel.flat import fields_of
from cludale.runtime.replay import NotYet, Ref, States, Table
from cludale.services.tickets.domain import OrderTickets, evolve
from cludale.services.tickets.events import TOPIC
from cludale.services.tickets.store import TICKETS


def _comparable(tickets: OrderTickets) -> Mapping[str, object]:
    # what older versions wrote does not say since when a ticket is void
    bare = {"holder": None, "revoked_at": None}
    told = {number: msgspec.structs.replace(each, **bare) for number, each in tickets.changed.items()}
    return {**fields_of(tickets), "changed": told, "named": None, "forgotten_at": None}


class TicketsReplay:
    """Folds what tickets published, step by step."""

    service = "tickets"
    event_types = frozenset(each.__name__ for each in TOPIC.events)
    tables: Sequence[Table[OrderTickets]] = (
        Table(TICKETS.kind, TICKETS.decode, TICKETS.put, lambda tickets: tickets.order_id, _comparable),
    )

    def touches(self, event: Envelope) -> Sequence[Ref]:
        """The order's tickets."""
        return (Ref(TICKETS.kind.name, event.data.order_id, event.data.order_id),)

    def fold(self, event: Envelope, states: States) -> None:
        """Take them one step on. Raises NotYet where a step before this comes later in the log."""
        (ref,) = self.touches(event)
        before: OrderTickets | None = states.get(ref)
        if event.data.step != (0 if before is None else before.step) + 1:
            raise NotYet
        states.put(ref, evolve(before, event.data, at=event.time))
