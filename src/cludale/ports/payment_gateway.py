"""PaymentGateway: the provider that moves the money. Everything is keyed, so that asking twice moves it once."""

from collections.abc import Sequence
from typing import Protocol

from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid


class Declined(Exception):
    """The provider refused for good; the message is its reason."""


class GatewayTrouble(Exception):
    """No answer, or one that says nothing about the money: it may have moved. Ask again with the same key."""


class UnknownMethod(Invalid):
    """The provider knows no such way to pay."""

    def __init__(self, field: str, known: Sequence[str]) -> None:
        super().__init__((field, f"is no way to pay here; there are {', '.join(known)}"))
        self.values["methods"] = list(known)


def check_method(field: str, method: str, known: Sequence[str]) -> None:
    """Raises UnknownMethod for a method that is not among those that the provider knows."""
    if method not in known:
        raise UnknownMethod(field, known)


class PaymentGateway(Protocol):
    """A payment provider with idempotency keys."""

    @property
    def methods(self) -> Sequence[str]:
        """The ways to pay that it knows."""
        ...

    async def charge(self, key: str, amount: Money, method: str) -> None:
        """Take the money, once for each key. Raises Declined, GatewayTrouble."""
        ...

    async def refund(self, key: str) -> None:
        """Give back what was taken under `key`, once. Raises GatewayTrouble."""
        ...

    async def refund_part(self, key: str, refund_key: str, amount: Money) -> None:
        """Give back so much of what was taken under `key`, once for each `refund_key`; all parts are not more than
        was taken. Raises GatewayTrouble, also where less is left.
        """
        ...

    async def void(self, key: str) -> bool:
        """Make sure that nothing is held under `key`, now or later: gives back what was taken.

        True if there was something to give back. Raises GatewayTrouble.
        """
        ...
