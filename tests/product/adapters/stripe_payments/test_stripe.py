"""Stripe's own ways, against a double that keeps state: what waits, what is lost, what a webhook says."""

import time
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from tests.fakes import NOON, ManualClock
from tests.stripe_double import ASKS, DECLINES, SECRET_KEY, SLOW, WEBHOOK_SECRET, StripeDouble, running_double, signed

from cludale.adapters.stripe_payments import METHODS, StripeProvider
from cludale.adapters.stripe_payments.amounts import NotForStripe, from_stripe, to_stripe
from cludale.kernel.money import Money
from cludale.ports.payment_gateway import (
    Charge,
    ChargeResult,
    Declined,
    GatewayTrouble,
    NotFromProvider,
    UnknownMethod,
    check_method,
)
from cludale.wiring.services import STRIPE_METHODS

PRICE = Money(9000, "EUR")
CHARGE = Charge("payment-1.1", PRICE, since=NOON)
GOOD = "pm_card_visa"


@pytest.fixture
async def double() -> AsyncIterator[StripeDouble]:
    async with running_double() as double:
        yield double


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def stripe(double: StripeDouble, clock: ManualClock) -> AsyncIterator[StripeProvider]:
    provider = StripeProvider(
        SECRET_KEY,
        clock=clock,
        webhook_secret=WEBHOOK_SECRET,
        publishable_key="pk_test_of_no_account",
        timeout_seconds=5,
        url=double.url,
    )
    yield provider
    await provider.close()


# -- amounts


@pytest.mark.parametrize(
    ("money", "amount"),
    [
        (Money(9000, "EUR"), 9000),
        (Money(500, "JPY"), 500),
        (Money(5, "ISK"), 500),
        (Money(5, "UGX"), 500),
        (Money(500, "MGA"), 5),
        (Money(5120, "KWD"), 5120),
        (Money(1045, "HUF"), 1045),
        (Money(0, "EUR"), 0),
    ],
)
def test_amounts_are_counted_as_stripe_counts_them(money: Money, amount: int) -> None:
    assert to_stripe(money) == amount
    assert from_stripe(amount, money.currency.lower()) == money


@pytest.mark.parametrize("money", [Money(5124, "KWD"), Money(550, "MGA")])
async def test_amounts_that_stripe_does_not_take_are_declined_without_asking(
    money: Money, stripe: StripeProvider, double: StripeDouble
) -> None:
    with pytest.raises(NotForStripe):
        to_stripe(money)
    with pytest.raises(Declined):
        await stripe.charge(CHARGE._replace(amount=money), GOOD)
    assert double.requests == []


# -- methods and declines


def test_any_payment_method_of_stripes_is_one() -> None:
    assert METHODS == STRIPE_METHODS
    for method in ("card", "pm_1ABC"):
        check_method("paymentMethod", method, METHODS)
    with pytest.raises(UnknownMethod):
        check_method("paymentMethod", "card-ok", METHODS)


@pytest.mark.parametrize(("method", "code"), [*DECLINES.items(), ("pm_unheard_of", "no such payment method")])
async def test_a_decline_says_stripes_code_alone_and_shuts_the_charge(
    stripe: StripeProvider, double: StripeDouble, method: str, code: str
) -> None:
    with pytest.raises(Declined, match=f"^{code}$"):
        await stripe.charge(CHARGE, method)
    (intent,) = double.by_key(CHARGE.key)
    assert intent["status"] == "canceled"  # else its client secret could pay it still


async def test_what_is_too_little_for_stripe_is_declined_and_voided_at_once(stripe: StripeProvider) -> None:
    little = CHARGE._replace(amount=Money(49, "EUR"))
    with pytest.raises(Declined, match="amount_too_small"):
        await stripe.charge(little, GOOD)
    assert not await stripe.void(little)


async def test_a_key_that_stripe_does_not_take_is_trouble_and_in_no_message(
    double: StripeDouble, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = StripeProvider("sk_test_wrong", clock=clock, url=double.url)
    with pytest.raises(GatewayTrouble) as trouble:
        await stranger.charge(CHARGE, GOOD)
    await stranger.close()
    assert "sk_test" not in str(trouble.value) + caplog.text
    assert "CLUDALE_STRIPE_KEY" in caplog.text


# -- what waits


async def test_a_card_waits_for_the_buyers_client(stripe: StripeProvider, double: StripeDouble) -> None:
    begun = await stripe.charge(CHARGE, "card")
    known = CHARGE._replace(reference=begun.reference)
    assert begun.waits
    action = await stripe.action(known)
    assert action is not None
    assert (action.provider, action.publishable_key) == ("stripe", "pk_test_of_no_account")
    double.buyer_pays(action.client_secret, next(iter(DECLINES)))
    assert (await stripe.charge(known, "card")).waits  # they may try another card
    double.buyer_pays(action.client_secret)
    assert await stripe.charge(known, "card") == ChargeResult(reference=begun.reference)
    assert await stripe.action(known) is None
    assert len(double.by_key(CHARGE.key)) == 1


@pytest.mark.parametrize("method", [ASKS, SLOW])
@pytest.mark.parametrize("well", [True, False])
async def test_a_bank_that_is_asked_decides_later(
    stripe: StripeProvider, double: StripeDouble, method: str, well: bool
) -> None:
    begun = await stripe.charge(CHARGE, method)
    assert begun.waits
    known = CHARGE._replace(reference=begun.reference)
    assert (await stripe.charge(known, method)).waits
    double.settles(begun.reference or "", well=well)
    if well:
        assert not (await stripe.charge(known, method)).waits
    else:
        with pytest.raises(Declined, match="generic_decline"):
            await stripe.charge(known, method)


async def test_what_a_bank_still_decides_about_can_not_be_voided_yet(
    stripe: StripeProvider, double: StripeDouble
) -> None:
    begun = await stripe.charge(CHARGE, SLOW)
    known = CHARGE._replace(reference=begun.reference)
    with pytest.raises(GatewayTrouble, match="processing"):
        await stripe.void(known)
    double.settles(begun.reference or "")
    assert await stripe.void(known)
    assert double.intents[begun.reference or ""]["returned"] == 9000


# -- what is lost on the way


@pytest.mark.parametrize("path", ["/v1/payment_intents", "/confirm"])
async def test_an_answer_that_is_lost_is_asked_for_again_and_charges_once(
    stripe: StripeProvider, double: StripeDouble, path: str
) -> None:
    double.lose_answer(path)
    with pytest.raises(GatewayTrouble):
        await stripe.charge(CHARGE, GOOD)
    assert not (await stripe.charge(CHARGE, GOOD)).waits
    assert [each["amount_received"] for each in double.by_key(CHARGE.key)] == [9000]


async def test_days_later_a_charge_is_found_by_its_key_when_stripe_forgot_the_request(
    stripe: StripeProvider, double: StripeDouble, clock: ManualClock
) -> None:
    double.lose_answer("/confirm")
    with pytest.raises(GatewayTrouble):
        await stripe.charge(CHARGE, GOOD)
    double.forget_keys()
    clock.advance(3 * 86_400)
    assert await stripe.void(CHARGE)
    assert [each["returned"] for each in double.by_key(CHARGE.key)] == [9000]


async def test_a_part_refund_whose_answer_was_lost_is_done_once_even_days_later(
    stripe: StripeProvider, double: StripeDouble
) -> None:
    taken = CHARGE._replace(reference=(await stripe.charge(CHARGE, GOOD)).reference)
    double.lose_answer("/v1/refunds")  # the look for earlier ones
    double.lose_answer("/v1/refunds")
    for _ in range(2):
        with pytest.raises(GatewayTrouble):
            await stripe.refund_part(taken, "payment-1.1.1", Money(1000, "EUR"))
    double.forget_keys()
    await stripe.refund_part(taken, "payment-1.1.1", Money(1000, "EUR"))
    assert len(double.refunds) == 1


async def test_an_answer_500_is_asked_for_again_and_the_charge_shut_when_it_stays(
    stripe: StripeProvider, double: StripeDouble
) -> None:
    double.fail("/confirm")
    for _ in range(2):  # Stripe keeps its answer for the key
        with pytest.raises(GatewayTrouble):
            await stripe.charge(CHARGE, GOOD)
    assert not await stripe.void(CHARGE)
    assert [each["status"] for each in double.by_key(CHARGE.key)] == ["canceled"]


# -- books


async def test_the_books_leave_out_what_others_took_with_the_account(
    stripe: StripeProvider, double: StripeDouble
) -> None:
    await stripe.charge(CHARGE, GOOD)
    double.intents["pi_other"] = {**next(iter(double.intents.values())), "id": "pi_other", "metadata": {}}
    at = NOON.fromtimestamp(double.created, NOON.tzinfo)
    page = await stripe.listed(since=at, until=at + timedelta(seconds=1), after=None, limit=10)
    assert ([each.key for each in page.items], page.next, page.others) == ([CHARGE.key], None, 1)


async def test_a_refund_that_the_bank_sent_back_is_missing_in_the_books(
    stripe: StripeProvider, double: StripeDouble
) -> None:
    taken = CHARGE._replace(reference=(await stripe.charge(CHARGE, GOOD)).reference)
    await stripe.refund(taken)
    double.lose_refund("re_000001")
    assert (await stripe.booked([taken]))[taken.key].kept == 9000


# -- its webhook


async def test_a_message_names_the_charge_it_is_about(stripe: StripeProvider, double: StripeDouble) -> None:
    await stripe.charge(CHARGE, "card")
    (intent,) = double.by_key(CHARGE.key)
    assert stripe.heard(*double.event(intent)) == CHARGE.key
    assert stripe.heard(*double.event({**intent, "metadata": {}})) is None
    assert stripe.heard(*double.event(intent, "charge.refunded")) is None


@pytest.mark.parametrize(
    ("body", "signature"),
    [
        (b"{}", None),
        (b"{}", "t=1,v1=00"),
        (b"{}", "nothing like it"),
        (b"{}", signed(b"{}", secret="whsec_other")),
        (b"{}", signed(b"{}", at=int(time.time()) - 3_600)),
        (b"\xff\xfe", signed(b"\xff\xfe")),
        (b"{}", "t=1,v1=\u00e9"),
        (b"no json", signed(b"no json")),
        (b"[]", signed(b"[]")),
        (b"{}", signed(b"{}")),
    ],
    ids=["unsigned", "other", "odd", "secret", "old", "bytes", "letters", "no json", "list", "no event"],
)
async def test_what_stripe_did_not_sign_or_say_is_not_heard(
    stripe: StripeProvider, body: bytes, signature: str | None
) -> None:
    with pytest.raises(NotFromProvider):
        stripe.heard(body, signature)
