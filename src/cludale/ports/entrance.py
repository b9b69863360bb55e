"""The entrance: what concerts asks tickets before an organizer moves somebody who may be inside. A call, no event."""

from typing import Protocol


class EntranceUnreachable(Exception):
    """Tickets gave no answer in time; try again."""


class Entrance(Protocol):
    """The tickets service, seen from concerts."""

    async def admitted(self, order_id: str) -> frozenset[int]:
        """The numbers of the order's tickets with which somebody was let in. Raises EntranceUnreachable."""
        ...
