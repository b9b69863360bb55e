"""The events of an order, each put into its place in the order's life (`history.py`).

Written from the specification, not from the services. Folding does not depend on the order in which the log got the
events: each of an order's events has its one place in its life, so they are put there by what they say. What can't
have been is in `impossible.py`.
"""

from collections.abc import Iterable
from typing import Any, Final

from msgspec.structs import replace

from cludale_proof.checker.events import EventData, Fact
from cludale_proof.checker.findings import Invariant
from cludale_proof.checker.history import (
    ON_PURPOSE,
    OrderHistory,
    OrderTold,
    PaymentTold,
    ReservationTold,
    Seats,
    Wrong,
)
from cludale_proof.checker.impossible import impossible

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
CONCERT_EVENTS: Final = frozenset({"ConcertScheduled", *CONCERT_STEPS, *SECTION_CHANGES, *CODE_EVENTS})
"""About a concert alone."""
UNJUDGED: Final = (
    "ConcertScheduled", "TemplateChanged", *CONCERT_STEPS, *SECTION_CHANGES, *WEBHOOK_EVENTS,
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
    return told._replace(wrong=(*folding.wrong, *impossible(told)))


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
        self._erasures = 0

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
        elif kind == "ContactErased":
            self._erasures += 1
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
            self._erasures,
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
