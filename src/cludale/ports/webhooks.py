"""WebhookSender: the way to an organizer's server."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol


class Answered(NamedTuple):
    """What the server answered."""

    status: int
    retry_after_seconds: float | None = None
    """When it wants to be asked again, if it said so."""


class NotPosted(Exception):
    """There was no answer; the message says why, and names no secret."""


class AddressRefused(NotPosted):
    """Nothing was sent: requests don't go to that address, or not without TLS."""


class WebhookSender(Protocol):
    """Posts to the URLs of organizers, and to nowhere inside."""

    def check(self, url: str) -> None:
        """Raises AddressRefused for a URL that is never posted to, as far as that can be said without looking."""
        ...

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answered:
        """POST this JSON. Follows no redirect. Raises NotPosted."""
        ...
