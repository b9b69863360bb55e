"""Orders that there are not: what a preview shows, and what a template is tried with. The first of a kind is shown."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from msgspec.structs import replace

from cludale.kernel.money import Money
from cludale.ports.contacts import Contact
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.domain import Notification, Status
from cludale.services.notifications.events import NotificationKind, TemplateKind
from cludale.services.orders.events import CancelReason, PartRefund

_PLACED = datetime(2027, 2, 11, 9, 42, tzinfo=UTC)
_EVENING = "2027-06-05T19:30:00+02:00"
_CONCERT = ConcertDetails(
    artist="Mira Vale & The Night Ferries",
    title="Mira Vale: Harbour Songs",
    date=_EVENING,
    doors_at="2027-06-05T18:00:00+02:00",
    venue="Waldbühne",
    place="Berlin",
    sections={"stalls": "Stalls, left"},
    zone="Europe/Berlin",
)
_FROM_RIGHT = ConcertDetails(artist="فيروز", date="2027-06-05", venue="היכל התרבות", sections={"stalls": "قاعة"})
_BUYER = Contact(email="buyer@example.com", name="Zoë O'Neill")
_BASE = Notification(
    id="confirmation-0199c0ffee00700080000000000000a1",
    order_id="order-0199c0ffee00700080000000000000a1",
    concert_id="concert-0199c0ffee00700080000000000000c1",
    kind=NotificationKind.CONFIRMATION,
    status=Status.PENDING,
    created_at=_PLACED,
    quantity=3,
    section="stalls",
    total=Money(13_500, "EUR"),
    payment_id="payment-0199c0ffee00700080000000000000a1",
    paid=Money(13_500, "EUR"),
    paid_at=_PLACED,
)


class Sample(NamedTuple):
    """One of them, with its buyer and its concert."""

    notification: Notification
    contact: Contact = _BUYER
    concert: ConcertDetails | None = _CONCERT


def of(kind: TemplateKind) -> Iterator[Sample]:
    """Those of a kind: an ordinary one, and the ways in which it may be otherwise."""
    for each in _NOTIFICATIONS[kind]:
        yield Sample(each)
        yield Sample(each, Contact(email="buyer@example.com", name="ليلى بن داود"), _FROM_RIGHT)
        yield Sample(each, Contact(email="buyer@example.com"), None)


def _part(tickets: int) -> PartRefund:
    return PartRefund(
        refund_id="refund-1", number=1, tickets=tickets, amount=Money(4_500, "EUR"), left=Money(9_000, "EUR"), held=2
    )


_REFUND = replace(
    _BASE,
    kind=NotificationKind.REFUND,
    returned=1,
    part=_part(1),
    total=None,
    payment_id=None,
    paid=None,
    paid_at=None,
)
_CANCELLED = replace(_BASE, kind=NotificationKind.CANCELLATION, was_paid=True, reason=CancelReason.CALLED_OFF)
_MOVED = replace(
    _BASE,
    kind=NotificationKind.MOVED,
    date="2027-09-18T19:30:00+02:00",
    note="The stage will be under cover by then.",
    cancel_until=datetime(2027, 9, 17, 17, 30, tzinfo=UTC),
    total=None,
    payment_id=None,
    paid=None,
    paid_at=None,
)
_RESEATED = replace(
    _BASE,
    kind=NotificationKind.RESEATED,
    quantity=2,
    seats_said="C 12, 13",
    seats_were="B 1, 2",
    note="The sound desk needs the seats in row B.",
    total=None,
    payment_id=None,
    paid=None,
    paid_at=None,
)
_OFFER = replace(
    _BASE,
    kind=NotificationKind.OFFER,
    until=datetime(2027, 5, 2, 17, 30, tzinfo=UTC),
    payment_id=None,
    paid=None,
    paid_at=None,
)
_NOTIFICATIONS = {
    TemplateKind.CONFIRMATION: (
        _BASE,
        replace(_BASE, kind=NotificationKind.COPY, returned=1, refunded=Money(4_500, "EUR")),
        replace(_BASE, total=Money(0, "EUR"), payment_id=None, paid=None, paid_at=None),
        replace(_BASE, payment_id=None, paid=None, paid_at=None, section=None),
    ),
    TemplateKind.CANCELLATION: (
        replace(_CANCELLED, note="The singer has lost her voice; we are sorry."),
        replace(_CANCELLED, returned=1, refunded=Money(4_500, "EUR"), reason=CancelReason.BUYER),
        replace(_CANCELLED, was_paid=False, payment_id=None, paid=None, reason=CancelReason.DECLINED),
        replace(_CANCELLED, was_paid=False, payment_id=None, paid=None, total=None, reason=CancelReason.SOLD_OUT),
        replace(_CANCELLED, total=Money(0, "EUR"), payment_id=None, paid=None),
    ),
    TemplateKind.MOVED: (_MOVED, replace(_MOVED, date=None, note=None, cancel_until=None)),
    TemplateKind.RESEATED: (_RESEATED, replace(_RESEATED, quantity=1, seats_were=None, note=None)),
    TemplateKind.OFFER: (_OFFER, replace(_OFFER, section=None)),
    TemplateKind.REFUND: (_REFUND, replace(_REFUND, returned=0, part=_part(0))),
}
