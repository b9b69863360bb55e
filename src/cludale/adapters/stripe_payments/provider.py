"""StripeProvider: a PaymentGateway over Stripe's PaymentIntents.

Two ways to pay: `card`, where the buyer's client confirms with Stripe's own library (`action` has what it needs), and
`pm_…`, a payment method that the client made before, which is confirmed here. Both may wait for the buyer's bank.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import stripe

from cludale.adapters.stripe_payments.amounts import NotForStripe, from_stripe
from cludale.adapters.stripe_payments.calls import NotThere, Refused, StripeCalls, key_of
from cludale.kernel.money import Money
from cludale.ports.clock import Clock
from cludale.ports.payment_gateway import (
    Booked,
    BookedPage,
    BuyerAction,
    Charge,
    ChargeResult,
    Declined,
    GatewayTrouble,
    NotFromProvider,
)

CARD: Final = "card"
PAYMENT_METHOD: Final = "pm_"
METHODS: Final = (CARD, f"{PAYMENT_METHOD}*")
AT_ONCE: Final = 8
"""How many intents are looked up at once, so that buyers' requests have room in Stripe's limits."""

_UNPAID: Final = ("requires_payment_method", "requires_confirmation")
_WAITS: Final = ("requires_action", "processing")


class StripeProvider:
    """Charges by PaymentIntents. What it asks, Stripe does once for each key; unknown outcomes are asked for again."""

    methods = METHODS

    def __init__(
        self,
        secret_key: str,
        *,
        clock: Clock,
        webhook_secret: str | None = None,
        publishable_key: str | None = None,
        timeout_seconds: float = 10.0,
        url: str | None = None,
    ) -> None:
        """`webhook_secret`: without it no message to the webhook is heard. `publishable_key`: for buyers' clients."""
        self._calls = StripeCalls(secret_key, clock=clock, timeout_seconds=timeout_seconds, url=url)
        self._webhook_secret = webhook_secret
        self._publishable_key = publishable_key
        self._looking_up = asyncio.Semaphore(AT_ONCE)

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    async def charge(self, charge: Charge, method: str) -> ChargeResult:
        """Take the money, once for each key. Raises Declined, GatewayTrouble."""
        if method != CARD and not method.startswith(PAYMENT_METHOD):
            raise Declined(f"there is no payment method {method!r}")
        try:
            intent = await self._calls.intent(charge)
        except Refused as refused:
            raise Declined(str(refused)) from refused
        except NotThere as lost:
            raise GatewayTrouble("Stripe does not know this charge any more") from lost
        _check_amount(intent, charge)
        if intent.status in _UNPAID and method != CARD:
            intent = await self._confirmed(intent, charge, method)
        match intent.status:
            case "succeeded" if _returned(intent) >= intent.amount_received:
                raise Declined("given back")
            case "succeeded":
                return ChargeResult(reference=intent.id)
            case "canceled":
                raise Declined("canceled")
            case status if status in _UNPAID or status in _WAITS:
                return ChargeResult(waits=True, reference=intent.id)
            case status:
                raise GatewayTrouble(f"the charge is {status}")

    async def _confirmed(self, intent: Any, charge: Charge, method: str) -> Any:
        """The intent after it was charged, if it was not before. Raises Declined, once it is shut; GatewayTrouble."""
        why: str | None = None
        if intent.last_payment_error is not None:
            error = intent.last_payment_error
            why = getattr(error, "decline_code", None) or getattr(error, "code", None) or "card_declined"
        else:
            try:
                return await self._calls.confirm(intent, charge, method)
            except Refused as refused:
                why = str(refused)
            except NotThere:
                why = "no such payment method"
        # Else whoever has its client secret could pay it still, when the order is long off.
        await self.void(charge._replace(reference=intent.id))
        raise Declined(why)

    async def refund(self, charge: Charge) -> None:
        """Give back what was taken and is left, once. Raises GatewayTrouble."""
        await self._give_back(await self._intent_of(charge), f"{charge.key}.refund", None)

    async def refund_part(self, charge: Charge, refund_key: str, amount: Money) -> None:
        """Give back so much of what was taken, once for each `refund_key`. Raises GatewayTrouble."""
        intent = await self._intent_of(charge)
        if not await self._calls.has_refund(intent, refund_key):
            await self._give_back(intent, refund_key, amount)

    async def _intent_of(self, charge: Charge) -> Any:
        intent = await self._calls.known(charge)
        if intent is None and charge.reference is None:
            # Too young to be found by search: its key is known still.
            try:
                intent = await self._calls.intent(charge)
            except (Refused, NotThere) as refused:
                raise GatewayTrouble(f"nothing was taken: {refused}") from refused
        if intent is None or intent.status != "succeeded":
            raise GatewayTrouble("nothing was taken so far")
        return intent

    async def _give_back(self, intent: Any, refund_key: str, amount: Money | None) -> None:
        try:
            await self._calls.refund(intent, refund_key, amount)
        except (Refused, NotThere, NotForStripe) as refused:
            if str(refused) == "charge_already_refunded" and amount is None:
                return
            raise GatewayTrouble(f"the refund was refused: {refused}") from refused

    async def void(self, charge: Charge) -> bool:
        """Make sure that nothing is held, now or later: gives back what was taken. Raises GatewayTrouble."""
        try:
            intent = await self._calls.intent(charge)
            if intent.status not in ("succeeded", "canceled"):
                intent = await self._shut(intent, charge)
        except Refused:
            return False  # Stripe never takes such a charge
        except NotThere as lost:
            raise GatewayTrouble("Stripe does not know this charge any more") from lost
        if intent.status == "canceled":
            return False
        await self._give_back(intent, f"{charge.key}.void", None)
        return True

    async def _shut(self, intent: Any, charge: Charge) -> Any:
        """The intent, canceled; or succeeded, if it did so just before. Raises GatewayTrouble while a bank decides."""
        try:
            return await self._calls.cancel(intent)
        except Refused as refused:
            now = await self._calls.intent(charge._replace(reference=intent.id))
            if now.status in ("succeeded", "canceled"):
                return now
            raise GatewayTrouble(f"the charge is {now.status}, and can't be stopped: {refused}") from refused

    async def listed(self, *, since: datetime, until: datetime, after: str | None, limit: int) -> BookedPage:
        """A page of what began there, the latest first. Raises GatewayTrouble."""
        try:
            page = await self._calls.listed(since, until, after=after, limit=limit)
        except (Refused, NotThere) as refused:
            raise GatewayTrouble(f"no books: {refused}") from refused
        taken = [each for each in page.data if each.amount_received]
        ours = [_booked(each, key) for each in taken if (key := key_of(each)) is not None]
        following = page.data[-1].id if page.has_more and page.data else None
        return BookedPage(ours, following, others=len(taken) - len(ours))

    async def booked(self, charges: Sequence[Charge]) -> Mapping[str, Booked]:
        """What Stripe has of these, by key. Raises GatewayTrouble."""

        async def look_up(charge: Charge) -> Any | None:
            async with self._looking_up:
                return await self._calls.known(charge)

        try:
            found = await asyncio.gather(*map(look_up, charges))
        except Refused as refused:
            raise GatewayTrouble(f"no books: {refused}") from refused
        pairs = zip(charges, found, strict=True)
        return {
            each.key: _booked(intent, each.key)
            for each, intent in pairs
            if intent is not None and intent.amount_received
        }

    async def action(self, charge: Charge) -> BuyerAction | None:
        """What Stripe's library needs in the buyer's client; None: nothing is to be done. Raises GatewayTrouble."""
        if charge.reference is None:
            return None
        try:
            intent = await self._calls.intent(charge)
        except (Refused, NotThere) as refused:
            raise GatewayTrouble(str(refused)) from refused
        if intent.status not in (*_UNPAID, "requires_action") or intent.client_secret is None:
            return None
        return BuyerAction("stripe", intent.client_secret, self._publishable_key)

    def heard(self, body: bytes, signature: str | None) -> str | None:
        """The key of the PaymentIntent that a message is about. Raises NotFromProvider."""
        try:
            event = self._calls.client.construct_event(body, signature, self._webhook_secret)
            return key_of(event.data.object) if event.type.startswith("payment_intent.") else None
        # the library raises these, too, for a signature or a body that is no text, and for one that is no event
        except (stripe.SignatureVerificationError, ValueError, TypeError, AttributeError) as stranger:
            raise NotFromProvider from stranger


def _check_amount(intent: Any, charge: Charge) -> None:
    if from_stripe(intent.amount, intent.currency) != charge.amount:
        raise Declined("this key was used for another amount")


def _returned(intent: Any) -> int:
    """What went back, as Stripe counts it, if it said so."""
    last = intent.latest_charge
    return int(last.amount_refunded) if last is not None and not isinstance(last, str) else 0


def _booked(intent: Any, key: str) -> Booked:
    return Booked(
        key=key,
        reference=intent.id,
        at=datetime.fromtimestamp(intent.created, UTC),
        taken=from_stripe(intent.amount_received, intent.currency),
        returned=from_stripe(_returned(intent), intent.currency).amount,
    )
