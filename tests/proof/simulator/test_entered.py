"""The simulator says when a buyer gets money back for tickets with which somebody had come in."""

from tests.fakes import NOON

from cludale.kernel.allocation import OrderSeats
from cludale.kernel.events import Cause, Event, envelop
from cludale.services.orders.events import CancelReason, OrderCancelled
from cludale.services.tickets.events import AdmissionUndone, TicketAdmitted, UndoReason
from cludale_proof.simulator.entered import Entered

ORDER = "order-1"
ADMITTED = TicketAdmitted(
    order_id=ORDER, concert_id="concert-1", number=1, generation=0, door="north", scan_id="scan-1", step=2
)
UNDONE = AdmissionUndone(
    order_id=ORDER, concert_id="concert-1", number=1, door="north", reason=UndoReason.MISTAKE, step=3
)


def cancelled(reason: CancelReason) -> OrderCancelled:
    seats = OrderSeats(concert_id="concert-1", quantity=1, section="stalls", reservation_id="reservation-1")
    return OrderCancelled(order_id=ORDER, total=None, reason=reason, was_paid=True, reachable=False, seats=seats)


def told(entered: Entered, *events: Event) -> list[str]:
    """What is wrong with these."""
    envelopes = [envelop(each, id="event-1", source="orders", time=NOON, cause=Cause()) for each in events]
    return [wrong for wrong in map(entered.happened, envelopes) if wrong is not None]


def test_a_buyer_who_asked_once_somebody_was_in_must_not_have_their_order_cancelled() -> None:
    entered = Entered()
    assert told(entered, ADMITTED) == []
    entered.asks(ORDER)
    assert told(entered, cancelled(CancelReason.BUYER)) == [
        "order order-1: its buyer gave back tickets with which somebody had come in"
    ]


def test_who_asked_before_may_get_it_for_the_door_is_looked_at_and_not_locked() -> None:
    entered = Entered()
    entered.asks(ORDER)
    assert told(entered, ADMITTED, cancelled(CancelReason.BUYER)) == []


def test_organizers_give_back_what_they_like_and_an_admission_that_did_not_count_is_none() -> None:
    assert told(Entered(), ADMITTED, cancelled(CancelReason.ORGANIZER)) == []
    assert told(Entered(), ADMITTED, UNDONE, cancelled(CancelReason.BUYER)) == []
