"""What endpoints can be told of: the public event types, and the body that each makes. No I/O, clock or HTTP.

A body is `{"type", "timestamp", "data"}`: `data` is that of the platform's own event, without what is only between its
parts. Events have no personal data, so bodies have none either.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from cludale.kernel.events import Envelope, Event
from cludale.kernel.ids import from_key
from cludale.kernel.times import rfc3339
from cludale.services.concerts import events as concerts
from cludale.services.orders import events as orders
from cludale.services.payments import events as payments
from cludale.services.tickets import events as tickets

PING = "webhook.ping"
"""Sent when the organizer wants to see whether an endpoint works; chosen by none."""
DISABLED = "webhook.disabled"
"""Told by e-mail, to whom the endpoint names: nothing is sent to it any more."""

_PRIVATE = frozenset({"paymentMethod", "keyId"})
"""Fields that are between parts of the platform: what a payment provider calls a card, a ticket's signing key."""


class Fact(NamedTuple):
    """A kind of event, as endpoints know it."""

    name: str
    event: type[Event]
    about: str
    once: Callable[[Any], str] | None = None
    """What makes a fact the same one when it is told again (`repeated`), where that happens; None: its event's id."""


def concerts_of(event: Any) -> tuple[str, ...]:
    """The concerts that an event is about: all those of a cart, which are one organizer's."""
    if isinstance(event, orders.CartReserved | orders.CartPaid):
        return tuple(dict.fromkeys(line.seats.concert_id for line in event.lines))
    return (event.concert_id,)


def _cart(event: Any) -> str:
    return str(event.cart_id)


def _block(event: Any) -> str:
    return str(event.block)


def _order(event: Any) -> str:
    return str(event.order_id)


FACTS: tuple[Fact, ...] = (
    Fact("concert.scheduled", concerts.ConcertScheduled, "A concert was put on."),
    Fact("concert.changed", concerts.ConcertChanged, "What a concert is, or how it is sold, is said anew."),
    Fact("concert.postponed", concerts.ConcertPostponed, "It is moved; tickets stay valid."),
    Fact("concert.cancelled", concerts.ConcertCancelled, "It is called off; all money goes back."),
    Fact("concert.seats_added", concerts.SeatsAdded, "A section has more seats."),
    Fact("concert.seats_taken", concerts.SeatsTaken, "A section has fewer seats."),
    Fact("concert.price_changed", concerts.PriceChanged, "Seats of a section cost otherwise from now on."),
    Fact("block.held_back", concerts.SeatsHeldBack, "Seats are held back for a purpose, or as many as this now."),
    Fact("block.let_go", concerts.SeatsLetGo, "What is left of a block can be had by everybody.", _block),
    Fact("cart.reserved", orders.CartReserved, "All lines of a cart have their seats, and are charged at once.", _cart),
    Fact("cart.paid", orders.CartPaid, "All lines of a cart are paid; each is an order by itself from then on.", _cart),
    Fact("order.placed", orders.OrderPlaced, "A buyer wants seats."),
    Fact("order.reserved", orders.TicketReserved, "The order has its seats, and can be paid.", _order),
    Fact("order.paid", orders.OrderPaid, "The order is paid, and its seats are sold.", _order),
    Fact(
        "order.cancelled",
        orders.OrderCancelled,
        "The order is off: its seats and its money go back.",
        lambda event: f"{event.order_id} {event.was_paid}",
    ),
    Fact("order.moved", orders.OrderMoved, "Its concert is moved.", lambda event: f"{event.order_id} {event.revision}"),
    Fact(
        "order.reseated",
        orders.OrderReseated,
        "Some of its tickets are for other seats, with new codes.",
        lambda event: f"{event.order_id} {event.allocation.moves}",
    ),
    Fact("order.amended", orders.OrderAmended, "Name, address or comment was changed; the values are in no event."),
    Fact("order.contact_erased", orders.ContactErased, "What its buyer had left is gone: erase it, too."),
    Fact(
        "payment.completed",
        payments.PaymentCompleted,
        "The money was taken.",
        lambda event: f"{event.payment_id} {event.round}",
    ),
    Fact(
        "payment.failed",
        payments.PaymentFailed,
        "No money came in this round.",
        lambda event: f"{event.payment_id} {event.round} {event.reason}",
    ),
    Fact(
        "payment.refunded",
        payments.PaymentRefunded,
        "The money went back.",
        lambda event: f"{event.payment_id} {event.round}",
    ),
    Fact(
        "payment.part_refunded",
        payments.PartRefunded,
        "A part of the money went back.",
        lambda event: f"{event.payment_id} {event.part.number}",
    ),
    Fact("ticket.issued", tickets.TicketIssued, "An order has its tickets."),
    Fact("ticket.revoked", tickets.TicketRevoked, "Tickets let nobody in any more."),
    Fact("ticket.transferred", tickets.TicketTransferred, "A ticket is somebody else's."),
    Fact("ticket.reseated", tickets.TicketReseated, "Tickets are for other seats, and have new codes."),
    Fact("ticket.admitted", tickets.TicketAdmitted, "Whoever showed the ticket was let in."),
    Fact("ticket.left", tickets.TicketLeft, "Whoever was let in went out."),
    Fact("ticket.admission_undone", tickets.AdmissionUndone, "The ticket's last admission did not count."),
    Fact(
        "ticket.scan_merged", tickets.ScanMerged, "A door without network had let somebody through, and told it later."
    ),
)

BY_EVENT: Mapping[str, Fact] = {each.event.__name__: each for each in FACTS}
"""The event's own type → what it is to endpoints."""
NAMES: frozenset[str] = frozenset(each.name for each in FACTS)


class _Wire(msgspec.Struct, frozen=True):
    data: dict[str, Any]


_wire = msgspec.json.Decoder(_Wire)


class Message(NamedTuple):
    """What an event is to every endpoint that wants it."""

    id: str
    """The same however often the fact is told or sent: the `webhook-id`. It has no full stop."""
    type: str
    happened_at: datetime
    concerts: tuple[str, ...]
    """Those of a cart are one organizer's."""
    body: str

    @property
    def concert_id(self) -> str:
        """The first of them."""
        return self.concerts[0]


def message(event: Envelope, wire: bytes) -> Message | None:
    """The message that this event makes; `wire` is its JSON. None for one that endpoints are not told of."""
    fact = BY_EVENT.get(event.type)
    if fact is None:
        return None
    key = event.id if fact.once is None else fact.once(event.data)
    data = {name: value for name, value in _wire.decode(wire).data.items() if name not in _PRIVATE}
    id = from_key("message", fact.name, key)
    return Message(id, fact.name, event.time, concerts_of(event.data), body(fact.name, event.time, data))


def body(type: str, happened_at: datetime, data: Mapping[str, Any]) -> str:
    """The JSON that is posted."""
    return msgspec.json.encode({"type": type, "timestamp": rfc3339(happened_at), "data": data}).decode()
