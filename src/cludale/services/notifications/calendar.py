"""The concert as an entry for the buyer's calendar: iCalendar, RFC 5545. No I/O, clock or HTTP.

A concert's time is written in UTC, which every calendar shows in its owner's zone; one that has only a day is an entry
for the whole day.
"""

from datetime import UTC, date, datetime, timedelta

from cludale.ports.programme import ConcertDetails
from cludale.services.notifications.domain import Notification

PRODUCT = "-//Cludale Tickets//Confirmation//EN"


def calendar(n: Notification, concert: ConcertDetails) -> bytes | None:
    """One event, under the same id each time: it takes the place of the one that came before. None: its date is no
    date.
    """
    from icalendar import Calendar, Event  # noqa: PLC0415 - its time zones take long to load; most processes send no mail

    try:
        begins = _begin(concert.date)
    except ValueError:
        return None
    event = Event()
    event.add("uid", f"{n.order_id}@cludale-tickets")
    event.add("dtstamp", n.created_at.astimezone(UTC).replace(microsecond=0))
    event.add("dtstart", begins)
    if not isinstance(begins, datetime):
        event.add("dtend", begins + timedelta(days=1))
    event.add("summary", concert.artist)
    if concert.venue:
        event.add("location", concert.venue)
    event.add("description", f"Order {n.order_id}, {n.quantity - n.returned} tickets")
    event.add("status", "CONFIRMED")
    event.add("transp", "OPAQUE")
    made = Calendar()
    made.add("prodid", PRODUCT)
    made.add("version", "2.0")
    made.add("calscale", "GREGORIAN")
    made.add("method", "PUBLISH")
    made.add_component(event)
    content: bytes = made.to_ical()
    return content


def _begin(written: str) -> date | datetime:
    if len(written) <= len("2027-06-05"):
        return date.fromisoformat(written)
    return datetime.fromisoformat(written).astimezone(UTC)
