"""The whole platform with Stripe behind it (its double), from the order to the ticket and back, over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.patience import until
from tests.product.wiring.organizers import Office, office
from tests.stripe_double import ASKS, SECRET_KEY, WEBHOOK_SECRET, StripeDouble, running_double

from cludale.services import NAMES
from cludale.wiring.needs import MissingSetting, check
from cludale.wiring.settings import PaymentProvider, Settings


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with running_double() as double:
        yield double


@pytest.fixture
async def shop(tmp_path: Path, double: StripeDouble) -> AsyncIterator[Office]:
    stripe = {
        "payment_provider": PaymentProvider.STRIPE,
        "stripe_key": SECRET_KEY,
        "stripe_webhook_secret": WEBHOOK_SECRET,
        "stripe_publishable_key": "pk_test_of_no_account",
        "stripe_url": double.url,
        "payment_attempt_seconds": 5,
        "reconcile_tolerance_seconds": 0.01,
    }
    async with office(tmp_path, NAMES, **stripe) as office_:
        await office_.concert("ours", price={"amount": 4500, "currency": "EUR"})
        yield office_


async def order(shop: Office, method: str) -> dict[str, Any]:
    body = {"concertId": "ours", "userId": "u", "quantity": 1, "paymentMethod": method}
    made = await shop.ask("POST", "/orders", None, json=body)
    assert made.status_code == 201, made.text
    return dict(made.json())


async def status(shop: Office, placed: dict[str, Any], *, wait: int = 10) -> str:
    shown = await shop.ask("GET", f"/orders/{placed['id']}?wait={wait}", placed["accessToken"])
    return str(shown.json()["status"])


async def told(ask: Callable[[], Awaitable[Any]]) -> Any:
    """The first answer that says something. TimeoutError if none does in time."""
    async with asyncio.timeout(10):
        while not (answer := await ask()):  # noqa: ASYNC110 - what is waited for has no event to wait on
            await asyncio.sleep(0.02)
    return answer


async def action(shop: Office, placed: dict[str, Any]) -> Any:
    return (await shop.ask("GET", f"/payments/{placed['id']}/action", placed["accessToken"])).json()["action"]


async def test_a_card_that_is_confirmed_in_the_buyers_client_is_a_ticket_when_the_webhook_says_so(
    shop: Office, double: StripeDouble
) -> None:
    placed = await order(shop, "card")
    found = await told(lambda: action(shop, placed))
    double.buyer_pays(found["clientSecret"])
    assert found["publishableKey"] == "pk_test_of_no_account"
    (intent,) = double.intents.values()
    body, signature = double.event(intent)
    forged = await shop.client.post("/payments/webhook", content=body, headers={"stripe-signature": "t=1,v1=0"})
    assert (forged.status_code, forged.json()["type"].rpartition("/")[2]) == (400, "unsigned")
    heard = await shop.client.post("/payments/webhook", content=body, headers={"stripe-signature": signature})
    assert heard.json() == {"received": True, "known": True}
    assert await status(shop, placed) == "Paid"
    assert await action(shop, placed) is None
    log = await shop.ask("GET", f"/audit/orders/{placed['id']}")
    assert found["clientSecret"] not in log.text


async def test_whoever_has_not_the_orders_token_gets_no_client_secret(shop: Office) -> None:
    placed = await order(shop, "card")
    for key in (None, "another"):
        assert (await shop.ask("GET", f"/payments/{placed['id']}/action", key)).status_code == 404


async def test_a_buyer_who_cancels_while_the_bank_asks_is_never_charged(shop: Office, double: StripeDouble) -> None:
    placed = await order(shop, ASKS)
    await told(lambda: action(shop, placed))
    await shop.ask("POST", f"/orders/{placed['id']}/cancel", placed["accessToken"])
    await until(lambda: [each["status"] for each in double.intents.values()] == ["canceled"])
    assert await status(shop, placed) == "Cancelled"


async def test_a_refund_that_the_bank_sends_back_is_found_and_given_back_again(
    shop: Office, double: StripeDouble
) -> None:
    placed = await order(shop, "pm_card_visa")
    assert await status(shop, placed) == "Paid"
    await shop.ask("POST", f"/orders/{placed['id']}/cancel", placed["accessToken"])

    async def refunded() -> bool:
        listed = await shop.ask("GET", f"/payments?orderId={placed['id']}")
        return bool(listed.json()["items"][0]["status"] == "Refunded")

    assert await told(refunded)  # a payment whose refund is under way is compared another time
    double.lose_refund("re_000001")
    begun = await shop.ask("POST", "/payments/reconciliations", json={})
    assert begun.status_code == 202, begun.text
    await until(lambda: len(double.refunds) == 2)
    (intent,) = double.intents.values()
    assert intent["returned"] == 4500

    async def mended() -> Any:
        listed = await shop.ask("GET", "/payments/differences?status=Mended")
        return [each["kind"] for each in listed.json()["items"]]

    assert await told(mended) == ["refund-lost"]
    assert (await shop.ask("GET", "/payments/differences?status=Open")).json()["items"] == []


def test_stripe_without_its_key_does_not_start() -> None:
    with pytest.raises(MissingSetting, match="CLUDALE_STRIPE_KEY"):
        check(Settings(payment_provider=PaymentProvider.STRIPE), ["payments"])


async def test_a_cart_is_one_intent_and_its_lines_go_back_one_by_one(shop: Office, double: StripeDouble) -> None:
    lines = [{"concertId": "ours", "quantity": quantity} for quantity in (1, 2)]
    body = {"userId": "u", "lines": lines, "paymentMethod": "pm_card_visa_chargeDeclined"}
    made = await shop.ask("POST", "/orders/carts", None, json=body)
    assert made.status_code == 201, made.text
    cart = made.json()

    async def standing(wanted: str) -> list[dict[str, Any]]:
        shown = (await shop.ask("GET", f"/orders/carts/{cart['id']}?wait=10", cart["accessToken"])).json()
        return shown["lines"] if shown["lines"][0]["payment"] and shown["status"] == wanted else []

    declined = await told(lambda: standing("Reserved"))
    assert {each["payment"]["status"] for each in declined} == {"Declined"}
    paid = await shop.ask(
        "POST", f"/orders/carts/{cart['id']}/payment", cart["accessToken"], json={"paymentMethod": "pm_card_visa"}
    )
    assert paid.status_code == 202, paid.text
    first, second = await told(lambda: standing("Paid"))
    taken = [each for each in double.intents.values() if each["status"] == "succeeded"]
    assert [each["amount"] for each in taken] == [13_500]
    await shop.ask("POST", f"/orders/{second['id']}/cancel", cart["accessToken"])
    await until(lambda: taken[0]["returned"] == 9_000)
    await shop.ask("POST", f"/orders/{first['id']}/cancel", cart["accessToken"])
    await until(lambda: taken[0]["returned"] == 13_500)
    assert len(double.refunds) == 2
    begun = await shop.ask("POST", "/payments/reconciliations", json={})
    assert begun.status_code == 202, begun.text
    assert (await shop.ask("GET", "/payments/differences")).json()["items"] == []
