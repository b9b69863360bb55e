"""The calls to Stripe: which objects by which keys, and what its library's errors mean. Decides nothing about money.

A PaymentIntent is made without being confirmed, under our key, and has that key in its metadata. So it can be found
again when Stripe has forgotten the idempotency key, and shut before it takes anything.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, TypeVar

import stripe

from cludale.adapters.stripe_payments.amounts import NotForStripe, to_stripe
from cludale.kernel.money import Money
from cludale.ports.clock import Clock
from cludale.ports.payment_gateway import Charge, GatewayTrouble

KEY = "cludale_key"
"""Metadata: our key of a charge, or of a refund."""
KEYS_KEPT = timedelta(hours=20)
"""How long Stripe certainly knows an idempotency key: it forgets them after 24 hours at the earliest."""
PAGE = 100

_log = logging.getLogger(__name__)
T = TypeVar("T")


class Refused(Exception):
    """Stripe says no, for good: a card that is declined, or a request that it never takes. The message is its code."""


class NotThere(Exception):
    """Stripe knows no such thing."""


class StripeCalls:
    """Stripe's API, as far as it is used here."""

    def __init__(self, secret_key: str, *, clock: Clock, timeout_seconds: float, url: str | None = None) -> None:
        """`url`: where Stripe is, if it is not Stripe itself."""
        # Its library writes bodies to the log, with a buyer's client secret in them, where that shows debug.
        logging.getLogger("stripe").setLevel(logging.WARNING)
        self._clock = clock
        self._http = stripe.HTTPXClient(timeout=timeout_seconds)
        self.client = stripe.StripeClient(
            secret_key,
            http_client=self._http,
            max_network_retries=0,  # who is due is asked again anyway, by the same key and with backoff
            base_addresses={} if url is None else {"api": url.rstrip("/")},
        )
        self._intents = self.client.v1.payment_intents
        self._refunds = self.client.v1.refunds

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call] # the library's

    async def intent(self, charge: Charge) -> Any:
        """This charge's PaymentIntent as it is now, made if there is none. Raises Refused, NotThere, GatewayTrouble."""
        if charge.reference is not None:
            return await self._retrieved(charge.reference)
        if self._is_old(charge.since) and (found := await self.search(charge.key)) is not None:
            return found
        return await self._make_intent(charge)

    async def known(self, charge: Charge) -> Any | None:
        """The PaymentIntent of this charge; None if there is none. Raises GatewayTrouble."""
        try:
            if charge.reference is not None:
                return await self._retrieved(charge.reference)
        except NotThere:
            return None
        return await self.search(charge.key)

    async def _make_intent(self, charge: Charge) -> Any:
        try:
            amount = to_stripe(charge.amount)
        except NotForStripe as why:
            raise Refused(str(why)) from why
        made = await self._answer_of(
            self._intents.create_async(
                {
                    "amount": amount,
                    "currency": charge.amount.currency.lower(),
                    "metadata": {KEY: charge.key},
                    # Whoever pays stays on the page: nothing has to come back by a redirect.
                    "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                },
                {"idempotency_key": charge.key},
            )
        )
        # Asked again under its key, Stripe answers as it did at first: the state of that time.
        answer = made.last_response
        is_replayed = answer is not None and answer.headers.get("idempotent-replayed") == "true"
        return await self._retrieved(made.id) if is_replayed else made

    async def confirm(self, intent: Any, charge: Charge, method: str) -> Any:
        """The intent after it was charged to this payment method. Raises Refused, NotThere, GatewayTrouble."""
        confirming = self._intents.confirm_async(
            intent.id, {"payment_method": method}, {"idempotency_key": f"{charge.key}.confirm"}
        )
        return await self._answer_of(confirming)

    async def cancel(self, intent: Any) -> Any:
        """The intent after it was shut: nothing is ever taken under it. Raises Refused, NotThere, GatewayTrouble."""
        return await self._answer_of(self._intents.cancel_async(intent.id, {}))

    async def refund(self, intent: Any, refund_key: str, amount: Money | None) -> None:
        """Give back so much, or all that is left, once. Raises Refused, NotThere, GatewayTrouble."""
        params: dict[str, Any] = {"payment_intent": intent.id, "metadata": {KEY: refund_key}}
        if amount is not None:
            params["amount"] = to_stripe(amount)
        await self._answer_of(
            self._refunds.create_async(params, {"idempotency_key": refund_key})  # type: ignore[arg-type] # built above
        )

    async def has_refund(self, intent: Any, refund_key: str) -> bool:
        """Is there a refund by this key that did not fail? Raises GatewayTrouble."""
        async for refund in self._pages(self._refunds.list_async, {"payment_intent": intent.id}):
            if key_of(refund) == refund_key and refund.status not in ("failed", "canceled"):
                return True
        return False

    async def search(self, key: str) -> Any | None:
        """The intent with this key, if it is old enough to be found: Stripe's search is some minutes behind."""
        query = f'metadata["{KEY}"]:"{key}"'
        found = await self._answer_of(self._intents.search_async({"query": query, "limit": 1, "expand": _EXPANDED}))
        return found.data[0] if found.data else None

    async def listed(self, since: datetime, until: datetime, *, after: str | None, limit: int) -> Any:
        """A page of intents, the latest first. Raises GatewayTrouble."""
        params: dict[str, Any] = {
            "created": {"gte": int(since.timestamp()), "lt": -int(-until.timestamp() // 1)},
            "limit": limit,
            "expand": _EXPANDED,
        }
        if after is not None:
            params["starting_after"] = after
        return await self._answer_of(self._intents.list_async(params))  # type: ignore[arg-type] # built above

    async def _retrieved(self, id: str) -> Any:
        return await self._answer_of(self._intents.retrieve_async(id, {"expand": ["latest_charge"]}))

    async def _pages(self, list_async: Callable[..., Awaitable[Any]], params: Mapping[str, Any]) -> AsyncIterator[Any]:
        after: dict[str, Any] = {}
        while True:
            page = await self._answer_of(list_async({**params, **after, "limit": PAGE}))
            for each in page.data:
                yield each
            if not page.has_more or not page.data:
                return
            after = {"starting_after": page.data[-1].id}

    def _is_old(self, since: datetime | None) -> bool:
        return since is not None and self._clock.now() - since > KEYS_KEPT

    async def _answer_of(self, call: Awaitable[T]) -> T:
        """What Stripe answers. Raises Refused, NotThere, GatewayTrouble."""
        try:
            return await call
        except stripe.CardError as declined:
            # its own words for the buyer may name the card; the code says enough
            raise Refused(_decline_code(declined) or declined.code or "card_declined") from None
        except stripe.InvalidRequestError as invalid:
            if invalid.code == "resource_missing":
                raise NotThere(invalid.code) from None
            raise Refused(invalid.code or invalid.param or "invalid_request") from None
        except (stripe.AuthenticationError, stripe.PermissionError) as refused:
            _log.error("Stripe does not take this key: set CLUDALE_STRIPE_KEY (%s)", refused.http_status)
            raise GatewayTrouble("Stripe does not take this key") from None
        except stripe.StripeError as trouble:
            raise GatewayTrouble(f"{type(trouble).__name__} {trouble.http_status or ''}".strip()) from None


_EXPANDED = ["data.latest_charge"]


def key_of(thing: Any) -> str | None:
    """Our key of a PaymentIntent or a refund; None: it is somebody else's."""
    key = getattr(getattr(thing, "metadata", None), KEY, None)
    return key if isinstance(key, str) and key else None


def _decline_code(declined: stripe.CardError) -> str | None:
    body = declined.json_body if isinstance(declined.json_body, dict) else {}
    code = body.get("error", {}).get("decline_code")
    return code if isinstance(code, str) else None
