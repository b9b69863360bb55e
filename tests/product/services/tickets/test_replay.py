"""Tickets from the log, in whatever order it has their events."""

import itertools
from pathlib import Path

from tests.fakes import NOON
from tests.seats import allocation

from cludale.kernel.decision import Decision
from cludale.kernel.events import Cause, Envelope, envelop
from cludale.runtime.replay import NotYet, Ref
from cludale.services.tickets import domain
from cludale.services.tickets.domain import OrderTickets
from cludale.services.tickets.events import UndoReason
from cludale.services.tickets.replay import TicketsReplay

(TABLE,) = TicketsReplay().tables
COMPARABLE = TABLE.comparable


class Held:
    """States as a fold sees them."""

    def __init__(self) -> None:
        self.state: OrderTickets | None = None

    def get(self, _: Ref) -> OrderTickets | None:
        return self.state

    def put(self, _: Ref, state: object) -> None:
        assert isinstance(state, OrderTickets)
        self.state = state


def story() -> tuple[list[Envelope], OrderTickets]:
    events: list[Envelope] = []

    def then(decision: Decision[OrderTickets]) -> OrderTickets:
        for event in decision.events:
            events.append(envelop(event, id=f"e{len(events)}", source="tickets", time=NOON, cause=Cause()))
        return decision.state

    state = then(domain.issue(None, order_id="order-1", allocation=allocation(quantity=3), key_id="aa00", now=NOON))
    state = then(domain.transfer(state, 2, holder="Zoë", now=NOON))
    state = then(domain.admit(state, 2, generation=2, door="north", scan_id="s1", now=NOON))
    state = then(domain.undo(state, 2, reason=UndoReason.MISTAKE, now=NOON))
    return events, then(domain.give_back(state, 1, part=1, now=NOON))


def test_every_order_of_the_log_gives_the_same_tickets_without_their_holders() -> None:
    events, state = story()
    for order in itertools.permutations(events):
        held, waiting = Held(), list(order)
        while waiting:
            left = []
            for event in waiting:
                try:
                    TicketsReplay().fold(event, held)  # type: ignore[arg-type]
                except NotYet:
                    left.append(event)
            assert len(left) < len(waiting)
            waiting = left
        assert held.state is not None
        assert COMPARABLE(held.state) == COMPARABLE(state)
        assert held.state.ticket(2).holder is None


def test_replay_and_service_are_of_one_folder() -> None:
    assert Path(domain.__file__).parent.name == TicketsReplay().service
