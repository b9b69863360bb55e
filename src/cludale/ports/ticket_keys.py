"""Keys that ticket codes are signed with: one signs, those before it are good until their end."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol


class TicketKey(NamedTuple):
    """An Ed25519 key."""

    id: str
    """Four hex digits, which follow from the public key."""
    seed: bytes
    """The 32 bytes that the private key follows from. Secret."""
    ends_at: datetime | None = None
    """Codes signed with it are good until then; None: it signs, and has no end yet."""

    def is_good(self, now: datetime) -> bool:
        """Has it not ended?"""
        return self.ends_at is None or now < self.ends_at


class TicketKeys(Protocol):
    """The keys of this installation."""

    def all(self) -> Sequence[TicketKey]:
        """The one that signs first, then those before it; at least one."""
        ...
