"""What may become of an order, a reservation and a payment, and what their events say has become of them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from cludale_proof.checker.documents import Money, NumberedSeat
from cludale_proof.checker.events import Event, Fact
from cludale_proof.checker.findings import Invariant

ON_PURPOSE: Final = frozenset({"cancelled-by-buyer", "cancelled-by-organizer", "concert-called-off", "cart-incomplete"})
"""Reasons that somebody wanted: final, whatever money comes."""


FAILURES: Final = frozenset(
    {
        "payment-declined",
        "payment-failed",
        "hold-expired",
        "seats-unavailable",
        "not-on-sale",
        "concert-over",
        "sale-ended",
        "concert-not-found",
        "section-not-found",
        "over-the-limit",
        "no-such-tickets",
        "code-used-up",
        "price-too-high",
        "other-currency",
        "held-otherwise",
        "concerts-unreachable",
    }
)


ENDS: Final = frozenset({"Paid", "Cancelled"})


ORDER_STEPS: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"Pending", "Reserved"}),  # Reserved: placed and reserved at once
    "Pending": frozenset({"Pending", "Reserved", "Cancelled"}),
    "Reserved": frozenset({"Reserved", "Paid", "Cancelled"}),  # an order is written, too, when its payment changes
    "Paid": frozenset({"Paid", "Cancelled"}),
    "Cancelled": frozenset({"Paid", "Cancelled"}),  # unless on purpose; that closes one that failed
}


RESERVATION_STEPS: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"Held", "Sold", "Released"}),  # a batch of commands may do several steps and commit once
    "Held": frozenset({"Held", "Sold", "Released"}),  # its seats are moved, as a Sold one's
    "Sold": frozenset({"Sold", "Released"}),  # some of its seats are given back
    "Released": frozenset({"Released"}),  # closed, or given a successor
}


PAYMENT_STEPS: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"Pending", "Completed", "Failed"}),  # Completed: free; Failed: cancelled before it began
    "Pending": frozenset({"Pending", "Completed", "Failed"}),
    "Completed": frozenset({"Completed", "Refunded"}),
    "Failed": frozenset({"Failed", "Pending"}),
    "Refunded": frozenset({"Refunded"}),
}


NOTIFICATION_STEPS: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset({"Pending", "Sent"}),
    "Pending": frozenset({"Pending", "Sent", "Failed"}),
    "Sent": frozenset({"Sent", "Pending"}),  # it came back; and then the organizer has it sent again
    "Failed": frozenset({"Failed", "Pending"}),  # the same
}


class Wrong(NamedTuple):
    """Events that can't all be true."""

    invariant: Invariant
    rule: str
    detail: str
    evidence: tuple[Fact, ...]


class OrderTold(NamedTuple):
    """An order as its events tell of it."""

    placed: Fact | None = None
    reserved: Fact | None = None
    failed: Fact | None = None
    """It was cancelled though nobody asked for that."""
    paid: Fact | None = None
    on_purpose: Fact | None = None
    """Somebody had it cancelled."""

    @property
    def status(self) -> str | None:
        """None: there is no such order."""
        if self.on_purpose is not None:
            return "Cancelled"
        if self.paid is not None:
            return "Paid"
        if self.failed is not None:
            return "Cancelled"
        if self.reserved is not None:
            return "Reserved"
        return "Pending" if self.placed is not None else None

    @property
    def cancellations(self) -> tuple[Fact, ...]:
        """Those that its buyer is told of: who cancels an order that failed, and was not paid since, knows already."""
        if self.failed is not None and self.on_purpose is not None and not self.on_purpose.event.data.was_paid:
            return (self.failed,)
        return tuple(fact for fact in (self.failed, self.on_purpose) if fact is not None)

    @property
    def reason(self) -> str | None:
        """Why it is cancelled, if it is."""
        if self.on_purpose is not None:
            return self.on_purpose.event.data.reason
        if self.failed is not None and self.paid is None:
            return self.failed.event.data.reason
        return None

    @property
    def reservation_id(self) -> str | None:
        """Its seats: those sold to it, else those first held."""
        last = self.paid or self.reserved
        return last.event.data.reservation_id if last is not None else None

    @property
    def section(self) -> str | None:
        """Where its seats are, else where they were wanted."""
        last = self.reserved or self.placed
        return last.event.data.section if last is not None else None

    @property
    def total(self) -> Money | None:
        """What it costs, once it has seats."""
        return self.reserved.event.data.total if self.reserved is not None else None

    @property
    def expires_at(self) -> datetime | None:
        """When its first hold ends."""
        return self.reserved.event.data.expires_at if self.reserved is not None else None

    def commits(self, tries: int, requests: int) -> int:
        """The least version of an order that asked `tries` times in vain for its seats.

        What it hears of its payment it may write down with these steps, or each by itself.
        """
        later = sum(each is not None for each in (self.paid, self.failed, self.on_purpose)) + requests
        if not tries:
            return 1 + later  # placed and reserved at once
        return tries + later + (self.reserved is not None)


class ReservationTold(NamedTuple):
    """A reservation as its events tell of it."""

    reserved: Fact | None = None
    sold: Fact | None = None
    released: Fact | None = None
    returned: Mapping[int, Fact] = {}
    """Some of its seats were given back, by part refund."""
    moved: Mapping[int, Fact] = {}
    """Some of its seats became others, by which of its moves it was."""

    @property
    def numbered_seats(self) -> tuple[NumberedSeat, ...] | None:
        """Those that it has or had, where they have numbers and that is known."""
        return self.seats_after(max(self.moved, default=0))

    def seats_after(self, moves: int) -> tuple[NumberedSeat, ...] | None:
        """Those that it had after so many moves; None, too, where no event tells of the last of them."""
        told = self.moved.get(moves) if moves else self.reserved
        return None if told is None else told.event.data.numbered_seats

    @property
    def status(self) -> str:
        """Held, Sold or Released."""
        if self.released is not None:
            return "Released"
        return "Sold" if self.sold is not None else "Held"

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Those that there are."""
        ends = (self.reserved, self.sold, self.released)
        return (*(fact for fact in ends if fact is not None), *self.returned.values(), *self.moved.values())

    @property
    def first(self) -> Event:
        """Any of its events."""
        return self.facts[0].event

    def occupied(self) -> tuple[datetime, datetime | None] | None:
        """From when until when (None: for ever) it kept its seats from others; None: never."""
        if self.reserved is None:
            return None
        start = self.reserved.event.time
        end = self.reserved.event.data.expires_at if self.sold is None else None
        if self.released is not None:
            gone = self.released.event.time
            end = gone if end is None else min(end, gone)
        return None if end is not None and end <= start else (start, end)


Seats = tuple[str, str, str]
"""A reservation: concert, section, id. The id alone is unique only where one store holds them all."""


class PaymentTold(NamedTuple):
    """A payment as its events tell of it: how each round ended."""

    completed: Mapping[int, Fact] = {}
    failed: Mapping[int, Fact] = {}
    refunded: Mapping[int, Fact] = {}
    parts: Mapping[int, Fact] = {}
    """By part refund: this part is back."""
    mends: Mapping[int, Fact] = {}
    """By number: what the provider had and should not have had is back."""

    @property
    def facts(self) -> tuple[Fact, ...]:
        """All but the parts and the mends."""
        return (*self.failed.values(), *self.completed.values(), *self.refunded.values())

    @property
    def end(self) -> tuple[str, int] | None:
        """Status and round after the last round that ended; None: none has."""
        if self.completed:
            return ("Refunded" if self.refunded else "Completed"), max(self.completed)
        return ("Failed", max(self.failed)) if self.failed else None


class OrderHistory(NamedTuple):
    """All that an order's events tell."""

    order: OrderTold
    reservations: Mapping[Seats, ReservationTold]
    payments: Mapping[str, PaymentTold]
    notifications: Mapping[str, tuple[Fact, ...]]
    """By kind."""
    bounces: Mapping[str, tuple[Fact, ...]]
    """By notification: it came back."""
    refusals: tuple[Fact, ...]
    """Sales refused: money came and there were no seats."""
    requests: Mapping[int, Fact]
    """By round: the buyer paid in another way."""
    parts: Mapping[int, Fact]
    """By number: a part of it was to be given back."""
    amendments: tuple[Fact, ...]
    resends: Mapping[int, Fact]
    """By number: its confirmation was to be sent again."""
    moves: Mapping[int, Fact]
    """By the concert's change: its buyer is to be told that it is moved."""
    wrong: tuple[Wrong, ...]
    tickets: tuple[Fact, ...] = ()
    """What became of its tickets, in the order in which it did."""
    reseats: Mapping[int, Fact] = {}
    """By the count of its moves: its buyer is to be told of other seats, and its tickets get new codes."""
    erasures: int = 0
    """How often what its buyer had left was erased: its tickets may be written for each, and nothing is told."""
