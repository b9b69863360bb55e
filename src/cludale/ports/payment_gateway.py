"""PaymentGateway: the provider that moves the money. Everything is keyed, so that asking twice moves it once."""

from typing import Protocol

from cludale.kernel.money import Money


class Declined(Exception):
    """The provider said no, for good; the message is its reason."""


class GatewayTrouble(Exception):
    """No answer, or one that says nothing about the money: it may have moved. Ask again with the same key."""


class PaymentGateway(Protocol):
    """A payment provider with idempotency keys."""

    async def charge(self, key: str, amount: Money, method: str) -> None:
        """Take the money, once for each key. Raises Declined, GatewayTrouble."""
        ...

    async def refund(self, key: str) -> None:
        """Give back what was taken under `key`, once. Raises GatewayTrouble."""
        ...

    async def void(self, key: str) -> bool:
        """Make sure that nothing is held under `key`, now or later: gives back what was taken.

        True if there was something to give back. Raises GatewayTrouble.
        """
        ...
