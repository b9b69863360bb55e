"""What may become of an order, a reservation and a payment, and what their events say has become of them.

Written from the specification, not from the services. Folding does not depend on the order in which the log got the
events: each of an order's events has its one place in its life, so they are put there by what they say.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from cludale_proof.checker.documents import Event, EventData, Fact, Money, NumberedSeat, TicketCount
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


KEY_MADE: Final = "KeyCreated"
KEY_EVENTS: Final = (KEY_MADE, "KeyRevoked")
"""About neither an order nor a concert."""
TICKET_EVENTS: Final = frozenset(
    {
        "TicketIssued",
        "TicketRevoked",
        "TicketTransferred",
        "TicketReseated",
        "TicketAdmitted",
        "TicketLeft",
        "AdmissionUndone",
        "ScanMerged",
    }
)
WEBHOOK_EVENTS: Final = ("WebhookCreated", "WebhookChanged", "WebhookStopped", "WebhookDeleted")
CONCERT_STEPS: Final = ("ConcertChanged", "ConcertPostponed", "ConcertCancelled")
SECTION_CHANGES: Final = (
    "SeatsAdded",
    "SeatsTaken",
    "PriceChanged",
    "SeatsHeldBack",
    "SeatsLetGo",
    "SeatsBlocked",
    "SeatsUnblocked",
    "SeatPlanChanged",
)
"""What becomes of concerts and their sections is judged in `concert_rules.py`, of blocks in `block_rules.py`."""
CART_EVENTS: Final = ("CartReserved", "CartPaid")
"""They are judged by `cart_rules.py`, with the cart's lines."""
DIFFERS: Final = "PaymentDiffers"
BOOK_EVENTS: Final = (DIFFERS, "DifferenceSettled")
"""Of the provider's books; `books_rules.py` reads them. Nothing of an order or its payment is written with them."""
CODE_EVENTS: Final = ("CodeCreated", "CodeChanged")
"""They are judged by `price_rules.py`, with the bills that are made by them."""
INVOICING: Final = "InvoicingChanged"
INVOICE_EVENTS: Final = ("InvoiceIssued", "CreditNoteIssued")
"""They are judged by `invoice_rules.py`; nothing of an order or its payment is written with them."""
LIST_EVENTS: Final = ("WaitingListJoined", "WaitingListLeft", "SeatsOffered")
"""They are judged by `waiting_rules.py`, section by section; nothing of an order is written for them but its looks."""
UNJUDGED: Final = (
    "ConcertScheduled", "ContactErased", "TemplateChanged", *CONCERT_STEPS, *SECTION_CHANGES, *WEBHOOK_EVENTS,
    *LIST_EVENTS, *KEY_EVENTS, *CODE_EVENTS, *BOOK_EVENTS, INVOICING, *INVOICE_EVENTS,
)  # fmt: skip
"""Events on which no promise to buyers hangs. Whatever is neither here nor judged, nobody knows."""
_ORDER_SLOT: Final = {"OrderPlaced": "placed", "TicketReserved": "reserved", "OrderPaid": "paid"}
_SEATS_SLOT: Final = {"SeatsReserved": "reserved", "SeatsSold": "sold", "SeatsReleased": "released"}
_AFTER_THE_SALE: Final = frozenset(
    {"PartRefundRequested", "PartRefunded", "SeatsReturned", "OrderAmended", "ConfirmationRequested"}
)
_ROUND_SLOT: Final = {"PaymentCompleted": "completed", "PaymentFailed": "failed", "PaymentRefunded": "refunded"}

_TWICE: Final = {
    "OrderPlaced": (Invariant.LEGAL_STEPS, "placed-twice"),
    "TicketReserved": (Invariant.LEGAL_STEPS, "reserved-twice"),
    "PaymentRequested": (Invariant.LEGAL_STEPS, "requested-twice"),
    "OrderPaid": (Invariant.LEGAL_STEPS, "paid-twice"),
    "OrderCancelled": (Invariant.LEGAL_STEPS, "cancelled-twice"),
    "OrderMoved": (Invariant.LEGAL_STEPS, "moved-twice"),
    "SeatsReserved": (Invariant.ONE_END, "held-twice"),
    "SeatsSold": (Invariant.ONE_END, "sold-twice"),
    "SeatsReleased": (Invariant.ONE_END, "released-twice"),
    "PaymentCompleted": (Invariant.ONE_CAPTURE, "charged-twice"),
    "PaymentFailed": (Invariant.LEGAL_STEPS, "failed-twice"),
    "PaymentRefunded": (Invariant.ONE_CAPTURE, "refunded-twice"),
    "PartRefundRequested": (Invariant.LEGAL_STEPS, "part-asked-twice"),
    "PartRefunded": (Invariant.ONE_CAPTURE, "part-refunded-twice"),
    "PaymentMended": (Invariant.ONE_CAPTURE, "mended-twice"),
    "SeatsReturned": (Invariant.ONE_END, "returned-twice"),
    "SeatsMoved": (Invariant.LEGAL_STEPS, "seats-moved-twice"),
    "OrderReseated": (Invariant.LEGAL_STEPS, "reseated-twice"),
    "ConfirmationRequested": (Invariant.LEGAL_STEPS, "resent-twice"),
}


_TOLD_AGAIN: Final = frozenset(
    {
        "TicketReserved",
        "PaymentRequested",
        "OrderCancelled",
        "SeatsSold",
        "SaleRefused",
        "PaymentCompleted",
        "PaymentFailed",
        "PaymentRefunded",
        "PartRefundRequested",
        "PartRefunded",
        "SeatsReturned",
    }
)
"""What may be told again, marked as that and word for word, when somebody seems not to have heard it."""


def fold(facts: Iterable[Fact]) -> OrderHistory:
    """What these events of one order (or of one reservation that no order has) come to."""
    folding = _Folding()
    for fact in facts:
        folding.take(fact)
    told = folding.history()
    return told._replace(wrong=(*folding.wrong, *_impossible(told)))


class _Folding:
    """The events of one order, each put into its place."""

    def __init__(self) -> None:
        self.wrong: list[Wrong] = []
        self._order: dict[str, Fact] = {}
        self._seats: dict[Seats, dict[str, Fact]] = {}
        self._returned: dict[Seats, dict[int, Fact]] = {}
        self._moved: dict[Seats, dict[int, Fact]] = {}
        self._payments: dict[str, dict[str, dict[int, Fact]]] = {}
        self._notifications: dict[str, list[Fact]] = {}
        self._bounces: dict[str, list[Fact]] = {}
        self._refusals: dict[Any, Fact] = {}
        self._requests: dict[int, Fact] = {}
        self._tickets: list[Fact] = []
        self._parts: dict[int, Fact] = {}
        self._amendments: list[Fact] = []
        self._resends: dict[int, Fact] = {}
        self._reseats: dict[int, Fact] = {}
        self._moves: dict[int, Fact] = {}

    def take(self, fact: Fact) -> None:  # noqa: PLR0912 - a place for each event
        """Put it into its place."""
        kind, data = fact.event.type, fact.event.data
        if kind in _ORDER_SLOT:
            self._settle(self._order, _ORDER_SLOT[kind], fact)
        elif kind == "OrderCancelled":
            self._settle(self._order, "on_purpose" if data.reason in ON_PURPOSE else "failed", fact)
        elif kind in _SEATS_SLOT:
            self._settle(self._seats.setdefault(_seats_of(data), {}), _SEATS_SLOT[kind], fact)
        elif kind == "SaleRefused":
            self._refuse(fact)
        elif kind == "PaymentRequested":
            self._settle(self._requests, data.round or 0, fact)
        elif kind == "SeatsMoved":
            self._of_seats(self._moved, data.moves, fact)
        elif kind == "OrderReseated":
            self._settle(self._reseats, data.moves, fact)
        elif kind == "OrderMoved":
            self._settle(self._moves, data.revision or 0, fact)
        elif kind in _AFTER_THE_SALE:
            self._after_sale(fact)
        elif kind in _ROUND_SLOT:
            self._of_payment(_ROUND_SLOT[kind], data.round, fact)
        elif kind == "PaymentMended":
            self._of_payment("mends", data.number, fact)
        elif kind == "NotificationSent":
            self._notifications.setdefault(data.kind or "", []).append(fact)
        elif kind == "NotificationBounced":
            self._bounces.setdefault(data.notification_id or "", []).append(fact)
        elif kind in TICKET_EVENTS:
            self._tickets.append(fact)
        elif kind not in UNJUDGED and kind not in CART_EVENTS:
            detail = f"nobody knows the event type {kind}"
            self.wrong.append(Wrong(Invariant.WHOLE_LOG, "unknown-event", detail, (fact,)))

    def _after_sale(self, fact: Fact) -> None:
        data, part = fact.event.data, fact.event.data.part
        match fact.event.type:
            case "PartRefundRequested":
                self._settle(self._parts, part.number if part else 0, fact)
            case "PartRefunded":
                self._of_payment("parts", part.number if part else 0, fact)
            case "SeatsReturned":
                self._of_seats(self._returned, data.number or 0, fact)
            case "OrderAmended":
                self._amendments.append(fact)
            case "ConfirmationRequested":
                self._settle(self._resends, data.number or 0, fact)

    def _of_seats(self, slots: dict[Seats, dict[int, Fact]], number: Any, fact: Fact) -> None:
        seats = _seats_of(fact.event.data)
        self._seats.setdefault(seats, {})
        self._settle(slots.setdefault(seats, {}), number, fact)

    def _of_payment(self, slot: str, number: int | None, fact: Fact) -> None:
        payment = self._payments.setdefault(fact.event.data.payment_id or "", {})
        self._settle(payment.setdefault(slot, {}), number or 0, fact)

    def _refuse(self, fact: Fact) -> None:
        refusals, data = self._refusals, fact.event.data
        same = (data.reservation_id or "", data.payment_round or 0)
        if same in refusals and (fact.event.repeated or refusals[same].event.repeated):
            self._settle(refusals, same, fact)
        else:
            refusals[(*same, fact.event.id) if same in refusals else same] = fact

    def _settle(self, slots: dict[Any, Fact], slot: object, fact: Fact) -> None:
        """Each place has one event; told again, the first counts, and both say the same."""
        before = slots.setdefault(slot, fact)
        if before is fact:
            return
        if not (before.event.repeated or fact.event.repeated) or fact.event.type not in _TOLD_AGAIN:
            self.wrong.append(_twice(before, fact))
            return
        if not _says_the_same(before.event.data, fact.event.data):
            self.wrong.append(_otherwise(before, fact))
        if before.event.repeated and not fact.event.repeated:
            slots[slot] = fact

    def history(self) -> OrderHistory:
        """What all of them come to."""
        return OrderHistory(
            OrderTold(**self._order),
            {
                key: ReservationTold(
                    slots.get("reserved"),
                    slots.get("sold"),
                    slots.get("released"),
                    self._returned.get(key, {}),
                    self._moved.get(key, {}),
                )
                for key, slots in self._seats.items()
            },
            {id: PaymentTold(**slots) for id, slots in self._payments.items()},
            {kind: tuple(sent) for kind, sent in self._notifications.items()},
            {id: tuple(came_back) for id, came_back in self._bounces.items()},
            tuple(self._refusals.values()),
            self._requests,
            self._parts,
            tuple(self._amendments),
            self._resends,
            self._moves,
            (),
            tuple(sorted(self._tickets, key=lambda fact: fact.event.data.step or 0)),
            self._reseats,
        )


def _seats_of(data: EventData) -> Seats:
    return (data.concert_id or "", data.section or "", data.reservation_id or "")


def _twice(first: Fact, second: Fact) -> Wrong:
    invariant, rule = _TWICE[first.event.type]
    return Wrong(
        invariant, rule, f"two different {first.event.type}: {first.event.id} and {second.event.id}", (first, second)
    )


def _says_the_same(first: EventData, second: EventData) -> bool:
    """But for seats that were moved in between, which whoever tells it again knows."""
    if first.moves != second.moves:
        first, second = (replace(each, moves=0, numbered_seats=None) for each in (first, second))
    return first == second


def _otherwise(first: Fact, second: Fact) -> Wrong:
    kind = first.event.type
    detail = f"{kind} was told again otherwise than before: {first.event.id} and {second.event.id}"
    return Wrong(Invariant.LEGAL_STEPS, "repeated-otherwise", detail, (first, second))


def _impossible(told: OrderHistory) -> Iterator[Wrong]:
    yield from _impossible_order(told.order, told.moves)
    for key, reservation in told.reservations.items():
        yield from _impossible_reservation(key, reservation, told.order)
    for payment in told.payments.values():
        yield from _impossible_payment(payment)
    yield from _impossible_together(told)
    yield from _impossible_parts(told)
    for key, reservation in told.reservations.items():
        yield from _impossible_moves(key[2], reservation)
    yield from _impossible_reseats(told)


def _impossible_order(order: OrderTold, moves: Mapping[int, Fact]) -> Iterator[Wrong]:
    there = tuple(fact for fact in order if fact is not None)
    if there and order.placed is None:
        yield Wrong(Invariant.LEGAL_STEPS, "never-placed", "it has events, and was never placed", there)
    if order.paid is not None and order.reserved is None:
        yield Wrong(Invariant.LEGAL_STEPS, "paid-unreserved", "it was paid without having had seats", there)
    if order.failed is not None:
        data = order.failed.event.data
        if data.reason not in FAILURES:
            yield Wrong(Invariant.LEGAL_STEPS, "unknown-reason", f"cancelled for {data.reason!r}", (order.failed,))
        if data.was_paid:
            yield Wrong(
                Invariant.ONE_WINNER, "paid-order-failed", f"it was Paid, and then cancelled for {data.reason}", there
            )
    if order.on_purpose is not None and bool(order.on_purpose.event.data.was_paid) is not (order.paid is not None):
        claim = "was Paid" if order.on_purpose.event.data.was_paid else "was not Paid"
        truth = "there is an OrderPaid" if order.paid is not None else "there is no OrderPaid"
        yield Wrong(
            Invariant.ONE_WINNER, "cancel-and-pay", f"it {claim} when it was cancelled on purpose, and {truth}", there
        )
    if order.on_purpose is not None and order.reserved is not None and order.failed is None:
        end, until = order.on_purpose.event, order.reserved.event.data.cancel_until
        before = [each.event.data for each in moves.values() if each.event.time <= end.time]
        if before and until is not None:
            until = max(before, key=lambda data: data.revision or 0).cancel_until
        told_then = not end.repeated  # one that is told again has the time of that
        if told_then and end.data.reason == "cancelled-by-buyer" and until is not None and end.time >= until:
            detail = f"the buyer cancelled at {end.time}, and could until {until}"
            yield Wrong(Invariant.LEGAL_STEPS, "cancelled-too-late", detail, there)
    for field in ("concert_id", "quantity", "user_id", "total"):
        # What an event doesn't tell, or not yet, is None there.
        if len({getattr(fact.event.data, field) for fact in there} - {None}) > 1:
            yield Wrong(Invariant.LOG_GIVES_STORES, f"{field}-differs", f"its events differ in {field}", there)


def _impossible_reservation(key: Seats, told: ReservationTold, order: OrderTold) -> Iterator[Wrong]:
    id = key[2]
    if told.reserved is None:
        yield Wrong(Invariant.ONE_END, "never-held", f"the seats of {id} moved without having been held", told.facts)
    if len({fact.event.data.quantity for fact in told.facts}) > 1:
        yield Wrong(Invariant.SEATS_ADD_UP, "quantity-differs", f"the events of {id} differ in quantity", told.facts)
    if told.sold is not None and told.released is not None:
        reason = told.released.event.data.reason
        if reason != "order-cancelled" or order.on_purpose is None:
            yield Wrong(
                Invariant.ONE_WINNER,
                "sold-and-released",
                f"the seats of {id} were sold, and released for {reason} though nobody cancelled the order",
                told.facts,
            )


def _impossible_payment(told: PaymentTold) -> Iterator[Wrong]:
    if len(told.completed) > 1:
        yield Wrong(
            Invariant.ONE_CAPTURE,
            "charged-twice",
            f"the money was taken in rounds {', '.join(map(str, sorted(told.completed)))}",
            tuple(told.completed.values()),
        )
    ended = sorted([*told.completed, *told.failed])
    both = sorted(told.completed.keys() & told.failed.keys())
    if both:
        yield Wrong(Invariant.ONE_CAPTURE, "completed-and-failed", f"round {both[0]} completed and failed", told.facts)
    elif ended != list(range(1, len(ended) + 1)):
        yield Wrong(Invariant.LEGAL_STEPS, "rounds-have-gaps", f"the rounds that ended are {ended}", told.facts)
    elif told.completed and max(told.completed) != ended[-1]:
        yield Wrong(
            Invariant.ONE_CAPTURE, "failed-after-charge", "a round failed after the money was taken", told.facts
        )
    if told.refunded.keys() - told.completed.keys():
        yield Wrong(Invariant.ONE_CAPTURE, "refund-of-nothing", "a refund of a round that took no money", told.facts)


def _impossible_together(told: OrderHistory) -> Iterator[Wrong]:
    failed = {round: fact for payment in told.payments.values() for round, fact in payment.failed.items()}
    for round, request in told.requests.items():
        before = failed.get(round - 1)
        if before is None or before.event.data.retry_until is None:
            yield Wrong(
                Invariant.ONE_CAPTURE,
                "requested-untold",
                f"round {round} was asked for, and round {round - 1} did not fail so that another could follow",
                (request,),
            )
        elif request.event.time >= before.event.data.retry_until:
            yield Wrong(
                Invariant.ONE_CAPTURE,
                "requested-too-late",
                f"round {round} was asked for after its seats were given back",
                (before, request),
            )
    sold = [each for each in told.reservations.values() if each.sold is not None]
    if len(sold) > 1:
        facts = tuple(fact for each in sold for fact in each.facts)
        yield Wrong(Invariant.ONE_LIVE_RESERVATION, "two-sales", "seats were sold to it twice", facts)
    if len(told.refusals) > 1:
        yield Wrong(Invariant.PAID_MEANS_SOLD, "refused-twice", "its sale was refused twice", told.refusals)
    if told.refusals and sold:
        facts = (*told.refusals, *(fact for each in sold for fact in each.facts))
        yield Wrong(Invariant.PAID_MEANS_SOLD, "sold-and-refused", "its money got seats, and was refused", facts)
    charged = any(payment.completed for payment in told.payments.values())
    if not charged and (sold or told.refusals):
        facts = (*told.refusals, *(fact for each in sold for fact in each.facts))
        yield Wrong(Invariant.PAID_MEANS_SOLD, "sold-unpaid", "its sale was decided before any money came", facts)
    if told.order.paid is not None and not sold:
        yield Wrong(
            Invariant.PAID_MEANS_SOLD, "paid-without-sale", "it was Paid without a SeatsSold", (told.order.paid,)
        )
    if (
        any(payment.refunded for payment in told.payments.values())
        and told.order.on_purpose is None
        and not told.refusals
    ):
        facts = tuple(fact for payment in told.payments.values() for fact in payment.refunded.values())
        yield Wrong(
            Invariant.ONE_CAPTURE,
            "refunded-unasked",
            "nobody cancelled it, and its money went back",
            facts,
        )


def _impossible_moves(id: str, told: ReservationTold) -> Iterator[Wrong]:
    """Moves follow one another, and each says what it changes and nothing else."""
    numbers = sorted(told.moved)
    if numbers != list(range(1, len(numbers) + 1)):
        detail = f"the moves of {id} that are told are {numbers}"
        yield Wrong(Invariant.LEGAL_STEPS, "moves-have-gaps", detail, tuple(told.moved.values()))
        return
    for number in numbers:
        fact, before = told.moved[number], told.seats_after(number - 1)
        data = fact.event.data
        if before is None or data.numbered_seats is None:
            detail = f"{id} was moved without having had seats"
            yield Wrong(Invariant.SEATS_ADD_UP, "moved-from-nowhere", detail, (fact,))
            continue
        wanted = [each for at, each in enumerate(before, 1) if at in (data.numbers or ())]
        had = sorted(data.seats_before or (), key=lambda each: each.at)
        others = [at for at, pair in enumerate(zip(before, data.numbered_seats, strict=False), 1) if pair[0] != pair[1]]
        is_wrong = sorted(wanted, key=lambda each: each.at) != had or not set(others) <= set(data.numbers or ())
        if is_wrong or len(before) != len(data.numbered_seats):
            detail = f"move {number} of {id} says {data.numbers} of {data.seats_before}; seats {others} differ"
            yield Wrong(Invariant.SEATS_ADD_UP, "moved-otherwise", detail, (fact,))


def _impossible_reseats(told: OrderHistory) -> Iterator[Wrong]:
    """An order has the seats that its reservation was moved to, and says so once it is paid."""
    of = {(key[2], number): fact for key, each in told.reservations.items() for number, fact in each.moved.items()}
    for number, fact in told.reseats.items():
        moved = of.get((fact.event.data.reservation_id or "", number))
        if moved is None:
            yield Wrong(Invariant.LOG_GIVES_STORES, "reseated-unmoved", "it has other seats, and none moved", (fact,))
        elif moved.event.data.numbered_seats != fact.event.data.numbered_seats:
            detail = "it has other seats than those that it was moved to"
            yield Wrong(Invariant.LOG_GIVES_STORES, "reseated-otherwise", detail, (moved, fact))
    if told.reseats and told.order.paid is None:
        facts = tuple(told.reseats.values())
        yield Wrong(Invariant.LEGAL_STEPS, "reseated-unpaid", "it told of other seats, and was never Paid", facts)


def _impossible_parts(told: OrderHistory) -> Iterator[Wrong]:
    """Part refunds: asked for one after another, never more than there is, and each carried out as it was asked for."""
    asked = [told.parts[number] for number in sorted(told.parts)]
    if sorted(told.parts) != list(range(1, len(asked) + 1)):
        detail = f"the part refunds that were asked for are {sorted(told.parts)}"
        yield Wrong(Invariant.LEGAL_STEPS, "parts-have-gaps", detail, tuple(asked))
    if asked and told.order.paid is None:
        yield Wrong(Invariant.ONE_CAPTURE, "part-of-unpaid", "it was refunded in part, and never Paid", tuple(asked))
    yield from _impossible_amounts(told.order, asked)
    done = [fact for payment in told.payments.values() for fact in payment.parts.values()]
    back = [fact for each in told.reservations.values() for fact in each.returned.values()]
    for fact in done:
        request = told.parts.get(fact.event.data.part.number if fact.event.data.part else 0)
        if request is None:
            yield Wrong(Invariant.ONE_CAPTURE, "part-unasked", "a part went back that nobody asked for", (fact,))
        elif request.event.data.part != fact.event.data.part:
            yield Wrong(Invariant.ONE_CAPTURE, "part-differs", "another part went back than was asked", (request, fact))
    for fact in back:
        request = told.parts.get(fact.event.data.number or 0)
        wanted = request.event.data.part.tickets if request is not None and request.event.data.part else None
        if wanted is None:
            yield Wrong(Invariant.SEATS_ADD_UP, "returned-unasked", "seats went back that nobody gave back", (fact,))
        elif wanted != fact.event.data.tickets:
            detail = f"{fact.event.data.tickets} seats went back, and {wanted} were given back"
            yield Wrong(Invariant.SEATS_ADD_UP, "returned-otherwise", detail, (fact,))
    off = told.order.on_purpose
    if off is not None and [fact.event.data.part for fact in asked] != list(off.event.data.part_refunds):
        detail = f"it was cancelled with {len(off.event.data.part_refunds)} part refunds, and had {len(asked)}"
        yield Wrong(Invariant.ONE_CAPTURE, "parts-cancelled-otherwise", detail, (*asked, off))


def worth_of(bill: Mapping[str, Any], of: Iterable[TicketCount]) -> int | None:
    """What tickets of these categories were bought for, fees and taxes and all; None: the bill has none of one."""
    lines = {line["category"]: line for line in bill["lines"]}
    if any(each.category not in lines for each in of):
        return None
    found = 0
    for each in of:
        line = lines[each.category]
        found += line["total"] // line["quantity"] * each.quantity
    return found


def _impossible_amounts(order: OrderTold, asked: list[Fact]) -> Iterator[Wrong]:
    """Does each part leave what it says, of money and tickets, and is a ticket's part what was paid for it?"""
    if order.reserved is None or order.total is None:
        return
    left, held = order.total.amount, order.reserved.event.data.quantity or 0
    each = left // held if held else 0
    bill, given = order.reserved.event.data.bill, dict[str, int]()
    for fact in asked:
        part = fact.event.data.part
        if part is None:
            continue
        worth: int | None = each * part.tickets
        if bill is not None:
            for tickets in part.of:
                given[tickets.category] = given.get(tickets.category, 0) + tickets.quantity
            kept = {line["category"]: line["quantity"] - given.get(line["category"], 0) for line in bill["lines"]}
            worth = worth_of(bill, part.of) if min(kept.values()) >= 0 else None
        if part.tickets and (worth is None or part.amount.amount != min(worth, left)):
            detail = f"{part.amount} go back for {part.tickets} tickets; a ticket was {each}, and {left} were left"
            yield Wrong(Invariant.ONE_CAPTURE, "part-priced-otherwise", detail, (fact,))
        left, held = left - part.amount.amount, held - part.tickets
        if left < 0 or held < 1:
            detail = f"after part refund {part.number}, {left} of the money and {held} tickets are left"
            yield Wrong(Invariant.ONE_CAPTURE, "refunded-too-much", detail, tuple(asked))
        if (part.left.amount, part.held) != (left, held):
            detail = (
                f"part refund {part.number} says that {part.left} and {part.held} are left; it is {left} and {held}"
            )
            yield Wrong(Invariant.ONE_CAPTURE, "left-differs", detail, (fact,))
