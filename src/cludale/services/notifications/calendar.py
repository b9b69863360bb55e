"""The concert as an entry for the buyer's calendar: iCalendar, RFC 5545, sent as RFC 5546 has it. No I/O or clock.

A concert's time is written in UTC, which every calendar shows in its owner's zone; one that has only a day is an entry
for the whole day. The entry of an order keeps its UID, so a later message changes it, or takes it away.
"""

from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from cludale.kernel.icalendar import content, text, utc, when
from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.domain import Notification
from cludale.services.notifications.events import NotificationKind

PRODUCT = "-//Cludale Tickets//Confirmation//EN"
FIRST_REVISION = datetime(2020, 1, 1, tzinfo=UTC)
"""SEQUENCE counts minutes since then: what is said later is the later revision, whichever message says it."""


class CalendarEntry(NamedTuple):
    """What comes with a message."""

    method: str
    content: bytes


def calendar(
    n: Notification, concert: ConcertDetails, *, organizer: str, said: str = "", link: str = ""
) -> CalendarEntry | None:
    """The entry, to be kept (PUBLISH) or taken away (CANCEL). None: there is none to send, or its date is no date.

    `organizer`: the sender's address. `said` of the order, in the buyer's language. `link`: the order's page, or empty.
    """
    is_off = n.kind is NotificationKind.CANCELLATION or (n.kind is NotificationKind.MOVED and n.date is None)
    if n.kind in (NotificationKind.REFUND, NotificationKind.RESEATED) or (
        n.kind is NotificationKind.CANCELLATION and not n.was_paid
    ):
        return None  # who was never confirmed has no entry to take away
    if concert.is_postponed and not is_off:
        return None  # the entry of before was taken away when it was postponed
    try:
        begins = _begin(n.date if n.kind is NotificationKind.MOVED and n.date else concert.date)
        ends = _end(begins, concert, n)
    except ValueError:
        return None
    where = f"{concert.venue}, {concert.place}" if concert.venue and concert.place else concert.venue
    method = "CANCEL" if is_off else "PUBLISH"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        "CALSCALE:GREGORIAN",
        f"METHOD:{method}",
        "BEGIN:VEVENT",
        f"SUMMARY:{text(concert.title or concert.artist)}",
        when("DTSTART", begins),
        *(() if ends is None else (when("DTEND", ends),)),
        f"DTSTAMP:{utc(n.created_at)}",
        f"UID:{n.order_id}@cludale-tickets",
        f"SEQUENCE:{max(0, int((n.created_at - FIRST_REVISION).total_seconds() // 60))}",
        *((f"DESCRIPTION:{text(said)}",) if said else ()),
        *((f"LOCATION:{text(where)}",) if where else ()),
        f"ORGANIZER:mailto:{organizer}",
        f"STATUS:{'CANCELLED' if is_off else 'CONFIRMED'}",
        f"TRANSP:{'TRANSPARENT' if is_off else 'OPAQUE'}",
        *((f"URL:{link}",) if link else ()),
        "END:VEVENT",
        "END:VCALENDAR",
    ]
    return CalendarEntry(method, content(lines))


def _begin(written: str) -> date | datetime:
    if len(written) <= len("2027-06-05"):
        return date.fromisoformat(written)
    return datetime.fromisoformat(written).astimezone(UTC)


def _end(begins: date | datetime, concert: ConcertDetails, n: Notification) -> date | datetime | None:
    """None where it is not known. The end of a concert that was moved is the one of before, so it is not said."""
    if not isinstance(begins, datetime):
        return begins + timedelta(days=1)
    if concert.ends_at is None or n.kind is NotificationKind.MOVED:
        return None
    ends = _begin(concert.ends_at)
    return ends if isinstance(ends, datetime) and ends > begins else None
