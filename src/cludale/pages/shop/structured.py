"""What machines read of a concert's page: schema.org, and its addresses. Pure."""

from typing import Any

from cludale.kernel.currencies import minor_digits
from cludale.kernel.money import Money
from cludale.pages.shop.availability import Sale
from cludale.pages.shop.views import Concert

_SCHEMA = "https://schema.org/"
_STATUS = {Sale.CALLED_OFF: "EventCancelled", Sale.POSTPONED: "EventPostponed"}


def music_event(concert: Concert, sale: Sale, *, base: str) -> dict[str, Any]:
    """A schema.org MusicEvent with an offer a section."""
    url = f"{base}/shop/concerts/{concert.id}"
    event: dict[str, Any] = {
        "@context": "https://schema.org",
        "@type": "MusicEvent",
        "name": concert.artist,
        "startDate": concert.date,
        "eventStatus": _SCHEMA + _STATUS.get(sale, "EventScheduled"),
        "eventAttendanceMode": f"{_SCHEMA}OfflineEventAttendanceMode",
        "performer": {"@type": "MusicGroup", "name": concert.artist},
        "image": f"{base}/shop/art/{concert.id}",
        "url": url,
        "maximumAttendeeCapacity": concert.total_seats,
        "offers": [
            {
                "@type": "Offer",
                "name": section.name,
                "price": decimal(section.price),
                "priceCurrency": section.price.currency,
                "availability": _SCHEMA + _availability(sale, section.available_seats),
                "url": url,
                **({"validFrom": concert.on_sale_at.isoformat()} if concert.on_sale_at else {}),
            }
            for section in concert.sections
        ],
    }
    if concert.ends_at:
        event["endDate"] = concert.ends_at
    if concert.venue:
        event["location"] = {"@type": "Place", "name": concert.venue, "address": concert.place or concert.venue}
    return event


def decimal(money: Money) -> str:
    """45.00."""
    digits = minor_digits(money.currency)
    whole, part = divmod(money.amount, 10**digits)
    return f"{whole}.{part:0{digits}}" if digits else str(whole)


def _availability(sale: Sale, left: int) -> str:
    if sale is Sale.BEFORE:
        return "PreSale" if left else "SoldOut"
    if sale in (Sale.OVER, Sale.ENDED, Sale.POSTPONED, Sale.CALLED_OFF):
        return "Discontinued"
    return "InStock" if left else "SoldOut"


def sitemap(urls: list[str]) -> bytes:
    """The list of pages for search engines."""
    entries = "".join(f"<url><loc>{url.replace('&', '&amp;')}</loc></url>" for url in urls)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{entries}</urlset>'
    ).encode()
