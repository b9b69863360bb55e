"""The day of an invoice, as it is where the organizer is, or the concert."""

from datetime import datetime
from zoneinfo import ZoneInfo

from cludale.services.orders.reports.concerts import Concert


def local_day(at: datetime, zone: str | None, concert: Concert) -> str:
    """The day as `2027-06-05`: in `zone`, if the organizer has said one, else where the concert is."""
    place = concert.place if zone is None else ZoneInfo(zone)
    return at.astimezone(place).date().isoformat()
