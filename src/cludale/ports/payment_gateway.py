"""PaymentGateway: the provider that moves the money. Everything is keyed, so that asking twice moves it once.

An adapter is proven by the suite in `tests/product/contracts/test_payment_gateway.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from cludale.kernel.money import Money
from cludale.kernel.refusals import Invalid

LISTED_AT_ONCE = 100
"""The most charges in a page of the provider's books, or in one question about some."""


class Declined(Exception):
    """The provider refused for good; the message is its reason."""


class GatewayTrouble(Exception):
    """No answer, or one that says nothing about the money: it may have moved. Ask again with the same key."""


class NotFromProvider(Exception):
    """A message to the webhook that the provider did not sign, or that is too old."""


class UnknownMethod(Invalid):
    """The provider knows no such way to pay."""

    def __init__(self, field: str, known: Sequence[str]) -> None:
        super().__init__((field, f"is no way to pay here; there are {', '.join(known)}"))
        self.values["methods"] = list(known)


def check_method(field: str, method: str, known: Sequence[str]) -> None:
    """Raises UnknownMethod for a method that the provider doesn't know; `pm_*` among them is all that begin so."""
    if method in known or any(each.endswith("*") and method.startswith(each[:-1]) for each in known):
        return
    raise UnknownMethod(field, known)


class Charge(NamedTuple):
    """What is charged, or was: the money of one round of one payment."""

    key: str
    """Ours: one key moves the money once."""
    amount: Money
    """What is asked for in all."""
    reference: str | None = None
    """The provider's own id, once it has said it."""
    since: datetime | None = None
    """It was not asked for before: a provider may have forgotten keys that are much older."""


class ChargeResult(NamedTuple):
    """What came of a charge that was not declined."""

    waits: bool = False
    """Nothing is taken yet: the buyer has something left to do, or a bank has. Ask again; a webhook may say when."""
    reference: str | None = None
    """The provider's own id."""


TAKEN = ChargeResult()


class BuyerAction(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """What a client needs to finish a charge that waits for the buyer."""

    provider: str
    client_secret: str
    """For the provider's own library in the buyer's client. Never kept and never logged."""
    publishable_key: str | None = None


class Booked(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One charge in the provider's books."""

    key: str
    """Ours."""
    reference: str | None = None
    at: datetime
    """When it began there."""
    taken: Money
    """What was taken under it in all."""
    returned: int = 0
    """Minor units of it that went back, or are on their way."""
    times: int = 1
    """How often it was taken: 0 or 1, unless the provider broke its own rule."""

    @property
    def kept(self) -> int:
        """Minor units that the provider still has."""
        return self.taken.amount - self.returned


class BookedPage(NamedTuple):
    """A page of the provider's books."""

    items: Sequence[Booked]
    next: str | None
    """Continues; None at the end."""
    others: int = 0
    """Charges on it that are not this platform's, which are left out."""


class PaymentGateway(Protocol):
    """A payment provider with idempotency keys."""

    @property
    def methods(self) -> Sequence[str]:
        """The ways to pay that it knows; one that ends with `*` is all that begin so."""
        ...

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        """Take the money, once for each key. Raises Declined, GatewayTrouble."""
        ...

    async def refund(self, charge: Charge) -> None:
        """Give back what was taken and is left, once. Raises GatewayTrouble."""
        ...

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back so much of what was taken, once for each `refund_key`; all parts are not more than was taken.

        Raises GatewayTrouble, also where less is left.
        """
        ...

    async def void(self, charge: Charge) -> bool:
        """Make sure that nothing is held under its key, now or later: gives back what was taken.

        True if there was something to give back. Raises GatewayTrouble.
        """
        ...

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        """A page of what began there from `since` until before `until`; LISTED_AT_ONCE at most. Raises GatewayTrouble.

        A page may be empty and have a `next`. Charges that took nothing may be left out.
        """
        ...

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        """What the provider has of these, by key; LISTED_AT_ONCE at most. What it doesn't know isn't among them.

        Raises GatewayTrouble.
        """
        ...

    async def action(self, charge: Charge) -> BuyerAction | None:
        """What the buyer's client needs to finish this charge; None: nothing. Raises GatewayTrouble."""
        ...

    def heard(self, body: bytes, signature: str | None) -> str | None:
        """The key of the charge that a message to the webhook is about; None: it is about something else.

        What it says of the charge is not believed: the provider is asked. Raises NotFromProvider.
        """
        ...
