"""Wallets: a ticket as a phone keeps it. Made anew each time."""

from datetime import datetime
from typing import NamedTuple, Protocol


class WalletTicket(NamedTuple):
    """One ticket as a wallet shows it."""

    id: str
    generation: int
    concert_id: str
    title: str
    artist: str
    begins: datetime | None
    """None where only the day is known, or not even that; then `day` says it."""
    day: str
    """For people: `5 June 2027`, or that the new date is not known yet."""
    doors: datetime | None
    """When its doors open, if that is said and a time."""
    valid_until: datetime
    venue: str | None
    section: str | None
    """Its name."""
    number: int
    quantity: int
    holder: str | None
    code: str
    organizer: str


class Wallets(Protocol):
    """Makes what wallets take, for those that are set up."""

    @property
    def has_apple(self) -> bool:
        """Is there a certificate for passes?"""
        ...

    @property
    def has_google(self) -> bool:
        """Is there an issuer's key?"""
        ...

    async def apple(self, ticket: WalletTicket, /) -> bytes:
        """A signed pass (.pkpass)."""
        ...

    async def google(self, ticket: WalletTicket, /) -> str:
        """The address that saves it."""
        ...


class NoWallets:
    """None is set up."""

    has_apple = False
    has_google = False

    async def apple(self, ticket: WalletTicket, /) -> bytes:
        """Raises LookupError."""
        raise LookupError(f"no certificate for passes is set: ticket {ticket.id} has none")

    async def google(self, ticket: WalletTicket, /) -> str:
        """Raises LookupError."""
        raise LookupError(f"no issuer of passes is set: ticket {ticket.id} has none")
