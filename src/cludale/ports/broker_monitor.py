"""What a broker says of itself: how many events it has for a service."""

from typing import Protocol


class NotKnown(Exception):
    """The broker can't be asked, or says something else; the message tells no secret."""


class BrokerMonitor(Protocol):
    """Asks one broker about one service."""

    async def waiting(self) -> int | None:
        """Events that were not delivered yet, or not answered; None: there is nothing of this service at the broker.

        Raises NotKnown.
        """
        ...

    async def close(self) -> None:
        """Close the connection."""
        ...
