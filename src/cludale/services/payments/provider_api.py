"""What some providers need beside the rest: a webhook, and what a buyer's client has to do. Decides nothing."""

from typing import Annotated

import msgspec
from msgspec import Meta

from cludale.kernel.principals import Scope
from cludale.kernel.refusals import Busy, NotFound, Refusal
from cludale.ports.payment_gateway import BuyerAction, NotFromProvider
from cludale.services.payments.payment import Status
from cludale.services.payments.service import Payments, payment_not_found
from cludale.web.access import Access
from cludale.web.ownership import Ownership
from cludale.web.problems import Statuses
from cludale.web.responses import Response, json_response
from cludale.web.routing import Credential, Owned, Reply, Request, route

SIGNATURE = b"stripe-signature"
"""Header with the provider's signature of the body."""
MAX_BODY_BYTES = 262_144


class Unsigned(Refusal):
    """A message to the webhook that the provider didn't sign."""

    def __init__(self) -> None:
        super().__init__("This is not signed by the payment provider, or too old.")


STATUS: Statuses = {Unsigned: 400}


class PaymentActionView(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is left for the buyer to do about a payment."""

    order_id: str
    status: Status
    action: Annotated[
        BuyerAction | None,
        Meta(description="what the provider's own library needs in the buyer's client; null: nothing is to be done"),
    ]


class ProviderApi:
    """The routes that only some providers use."""

    def __init__(self, payments: Payments, access: Access, ownership: Ownership) -> None:
        self._payments = payments
        self._access = access
        self._ownership = ownership

    @route("POST", "/payments/webhook", reads_body=True, max_body_bytes=MAX_BODY_BYTES)
    async def hear(self, request: Request) -> Response:
        """200 once what it says is taken up: the provider is asked what became of the charge. Raises Unsigned."""
        try:
            was_ours = await self._payments.heard(request.body, request.header(SIGNATURE))
        except NotFromProvider as stranger:
            raise Unsigned from stranger
        return json_response({"received": True, "known": was_ours})

    @route(
        "GET",
        "/payments/{order_id}/action",
        credential=Credential.BUYER,
        scope=Scope.READ,
        owned=Owned.HIDDEN,
        summary="What the buyer has left to do to pay",
        description=(
            "With a provider whose charges wait for the buyer (a card to be entered, a bank to be asked), what its "
            "library needs in the buyer's client. The order's access token opens it. It is `null` until the charge has "
            "begun, and again once there is nothing left to do."
        ),
        replies={200: Reply(PaymentActionView)},
        refusals=(NotFound, Busy),
    )
    async def show_action(self, request: Request) -> Response:
        """What is to be done."""
        order_id = request.segment
        principal = self._access.of_order(order_id, request.authorization, Scope.READ)
        try:
            payment, action = await self._payments.action(order_id)
        except NotFound:
            if principal is not None:
                raise
            # its token was made with the order: the payment is still to be begun
            return _shown(PaymentActionView(order_id=order_id, status=Status.PENDING, action=None))
        is_theirs = principal is None or self._ownership.sees_all(principal)
        if principal is not None and not is_theirs:
            is_theirs = await self._ownership.owns(principal, payment.allocation.concert_id)
        if not is_theirs:
            raise payment_not_found(order_id)
        return _shown(PaymentActionView(order_id=order_id, status=payment.status, action=action))


def _shown(view: PaymentActionView) -> Response:
    return json_response(view)._replace(headers=(("cache-control", "no-store"),))
