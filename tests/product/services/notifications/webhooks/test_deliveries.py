"""Each event reaches each endpoint that wants it: at least once, marked so once, and not the ones that don't."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from standardwebhooks import Webhook
from tests.fakes import NOON
from tests.patience import until
from tests.product.services.notifications.webhooks.conftest import ACME, DAY, OTHER, Hooks, paid, wrapped
from tests.seats import allocation

from cludale.kernel.money import Money
from cludale.kernel.principals import PrincipalKind
from cludale.kernel.refusals import Busy, Invalid, NotFound
from cludale.ports.bus import Acknowledgement
from cludale.ports.records import Commit, Outcome, StoreUnavailable
from cludale.services.concerts.events import ConcertScheduled
from cludale.services.notifications.webhooks import deliveries, endpoints
from cludale.services.notifications.webhooks.endpoints import (
    MOST_ENDPOINTS,
    EndpointChange,
    TooManyWebhooks,
    WebhookOff,
)
from cludale.services.notifications.webhooks.service import Made
from cludale.services.notifications.webhooks.store import DELIVERIES, ENDPOINTS, all_endpoints
from cludale.services.orders.events import AmendedField, CartLine, CartPaid, OrderAmended, Party, TicketReserved

URL = "https://acme.example/hook"
DELIVERED, FAILED, PENDING = deliveries.Status.DELIVERED, deliveries.Status.FAILED, deliveries.Status.PENDING


def verified(made: Made, hooks: Hooks, at: int = -1) -> object:
    """What was posted, by the reference library, which wants it to be of now."""
    got = hooks.servers.got[at]
    stamp = int(hooks.clock.now().timestamp())
    assert abs(int(got.headers["webhook-timestamp"]) - stamp) < 300
    webhook = Webhook(made.secrets.hmac or "")
    mine = webhook.sign(got.id, hooks.clock.now(), got.body.decode())
    assert mine in got.headers["webhook-signature"].split(" ")
    return msgspec.json.decode(got.body)


async def test_an_event_is_posted_once_to_each_endpoint_that_wants_it(hooks: Hooks) -> None:
    made = await hooks.endpoint(URL)
    await hooks.endpoint("https://acme.example/paid", "order.paid", concert="concert-1")
    await hooks.endpoint("https://acme.example/tickets", "ticket.issued")
    await hooks.endpoint("https://acme.example/second", concert="concert-2")
    await hooks.endpoint("https://other.example/hook", by=OTHER)
    for _ in range(3):
        assert await hooks.tell(paid()) == [Acknowledgement.SUCCESS]
    assert sorted(each.url for each in hooks.servers.got) == [URL, "https://acme.example/paid"]
    assert len({each.id for each in hooks.servers.got}) == 1
    hooks.servers.got.sort(key=lambda each: each.url)
    assert verified(made, hooks, 0) == {
        "type": "order.paid",
        "timestamp": "2026-11-22T12:00:00.000000Z",
        "data": {
            "orderId": "order-1",
            "total": {"amount": 9000, "currency": "EUR"},
            "reachable": False,
            "concertId": "concert-1",
            "section": "main",
            "reservationId": "reservation-of-order-1",
            "quantity": 2,
        },
    }
    assert [(each.status, each.answer, each.attempts) for each in await hooks.all()] == [(DELIVERED, 204, 1)] * 2
    assert await hooks.all(OTHER) == []


async def test_a_fact_that_is_told_again_keeps_its_id_and_is_not_posted_again(hooks: Hooks) -> None:
    await hooks.endpoint()
    await hooks.tell(paid(), msgspec.structs.replace(paid(id="event-again"), repeated=True))
    assert len(hooks.servers.got) == 1
    amended = OrderAmended(order_id="order-1", concert_id="concert-1", fields=(AmendedField.NAME,), by=Party.BUYER)
    await hooks.tell(wrapped(amended, "event-1"), wrapped(amended, "event-2"))
    assert len({each.id for each in hooks.servers.got}) == 3


async def test_a_body_has_nothing_that_is_between_the_platforms_parts(hooks: Hooks) -> None:
    await hooks.endpoint()
    reserved = TicketReserved(
        order_id="order-1",
        user_id="u-1",
        total=Money(9000, "EUR"),
        payment_method="card-of-ann",
        expires_at=NOON,
        allocation=allocation(),
    )
    await hooks.tell(wrapped(reserved, "event-1"))
    assert b"card-of-ann" not in hooks.servers.got[0].body


async def test_where_nobody_has_an_endpoint_nothing_is_asked_and_nothing_written(hooks: Hooks) -> None:
    assert await hooks.tell(paid()) == [Acknowledgement.SUCCESS]
    assert hooks.concerts.asked == 0
    assert await hooks.all() == []
    (made,) = [await hooks.endpoint()]
    await hooks.service.delete(ACME, made.endpoint.id)
    await hooks.tell(paid("order-2"))
    assert hooks.concerts.asked == 0


async def test_events_wait_until_it_is_known_whose_they_are(hooks: Hooks) -> None:
    await hooks.endpoint()
    hooks.concerts.away = True
    assert await hooks.tell(paid()) == [Acknowledgement.RETRY]
    scheduled = ConcertScheduled(
        concert_id="concert-3",
        artist="A",
        date="2099-01-01",
        venue=None,
        sections=(),
        on_sale_at=None,
        max_per_order=4,
        organizer_id="acme",
    )
    assert await hooks.tell(wrapped(scheduled, "event-1")) == [Acknowledgement.SUCCESS]
    assert [each.type for each in await hooks.all()] == ["concert.scheduled"]
    hooks.concerts.away = False
    assert await hooks.tell(paid(), paid("order-2", "of-nobody")) == [Acknowledgement.SUCCESS] * 2
    assert {each.type for each in await hooks.all()} == {"concert.scheduled", "order.paid"}


async def test_another_process_knows_of_an_endpoint_when_it_says_so(hooks: Hooks) -> None:
    other = hooks.start()
    await hooks.tell(paid("before"))
    hooks.services.reverse()
    made = await hooks.endpoint()
    hooks.services.reverse()
    assert made.endpoint.sure_from == NOON + endpoints.SURE_AFTER
    hooks.clock.advance(2)
    assert hooks.service is other
    await hooks.tell(paid("after", at=made.endpoint.sure_from), paid("old", at=NOON - timedelta(minutes=2)))
    assert len(hooks.servers.got) == 1


async def test_it_is_tried_for_three_days_and_then_sent_again_when_somebody_says_so(hooks: Hooks) -> None:
    made = await hooks.endpoint()
    hooks.servers.answers[URL] = 500
    await hooks.tell(paid())
    began, waits = hooks.clock.now(), []
    for _ in range(20):
        (delivery,) = await hooks.all()
        if delivery.due_at is None or delivery.status is not PENDING:
            break
        waits.append((delivery.due_at - hooks.clock.now()).total_seconds())
        await hooks.later(waits[-1])
    assert waits == [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert hooks.clock.now() - began == timedelta(hours=75, minutes=35, seconds=5)
    assert (delivery.status, delivery.answer, delivery.attempts) == (FAILED, 500, 10)
    assert len({each.id for each in hooks.servers.got}) == 1
    assert len({each.headers["webhook-timestamp"] for each in hooks.servers.got}) == 10
    hooks.servers.answers.clear()
    (again,) = await hooks.service.resend(ACME, [delivery.id])
    assert again.status is PENDING
    await hooks.quiet()
    assert [each.status for each in await hooks.all()] == [DELIVERED]
    assert len({each.id for each in hooks.servers.got}) == 1
    assert (await hooks.service.one(ACME, made.endpoint.id)).failing_since is None
    with pytest.raises(NotFound):
        await hooks.service.resend(OTHER, [delivery.id])


async def test_a_delivery_that_a_dead_process_had_claimed_is_posted_by_another(hooks: Hooks) -> None:
    await hooks.endpoint()
    never = hooks.servers.slow[URL] = asyncio.Event()
    answered = asyncio.create_task(hooks.tell(paid()))
    await until(lambda: hooks.servers.at_once > 0)
    await hooks.service.due.stop()
    await answered
    hooks.services.pop()
    hooks.servers.slow.clear()
    hooks.start()
    await hooks.later(29)
    assert hooks.servers.got == []
    await hooks.later(2)
    assert len(hooks.servers.got) == 1
    assert [each.status for each in await hooks.all()] == [DELIVERED]
    never.set()


async def test_an_endpoint_that_is_gone_ends_though_the_store_was_away_when_it_said_so(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await hooks.endpoint(email="ops@acme.example")
    hooks.servers.answers[URL] = 410
    right, misses = hooks.store.commit, [1]

    async def away(commits: Sequence[Commit]) -> Sequence[Outcome]:
        about = {put.kind for commit in commits for put in commit.puts}
        if ENDPOINTS.kind in about and misses:
            misses.pop()
            raise StoreUnavailable("the disk is away")
        return await right(commits)

    monkeypatch.setattr(hooks.store, "commit", away)
    await hooks.tell(paid())
    for _ in range(3):  # the notice comes too early; the delivery says again that it is gone; the notice goes
        await hooks.later(DAY)
    shown = await hooks.service.one(ACME, made.endpoint.id)
    assert (shown.status, shown.stopped, misses) == (endpoints.Status.OFF, "gone", [])
    told = {each.type: each.status for each in await hooks.all()}
    assert told == {"order.paid": FAILED, "webhook.disabled": DELIVERED}
    assert len(hooks.mailer.sent) == 1


async def test_after_410_nothing_is_posted_and_who_is_named_is_told_once(hooks: Hooks) -> None:
    made = await hooks.endpoint(email="ops@acme.example")
    hooks.servers.answers[URL] = 410
    await hooks.tell(paid())
    await hooks.later(30)
    await hooks.tell(paid("order-2", at=hooks.clock.now()))
    await hooks.later(10 * DAY)
    assert len(hooks.servers.got) == 1
    shown = await hooks.service.one(ACME, made.endpoint.id)
    assert (shown.status, shown.stopped) == (endpoints.Status.OFF, "gone")
    (message,) = hooks.mailer.sent
    assert message.to == "ops@acme.example"
    assert "acme.example" in message.text
    assert "/hook" not in message.text
    told = {each.type: each.status for each in await hooks.all()}
    assert told == {"order.paid": FAILED, "webhook.disabled": DELIVERED}
    with pytest.raises(WebhookOff):
        await hooks.service.ping(ACME, made.endpoint.id)
    await hooks.service.change(ACME, made.endpoint.id, EndpointChange(is_on=True))
    hooks.servers.answers.clear()
    await hooks.service.ping(ACME, made.endpoint.id)
    await hooks.quiet()
    assert len(hooks.servers.got) == 2


async def test_an_endpoint_that_takes_nothing_for_days_is_switched_off(hooks: Hooks) -> None:
    made = await hooks.endpoint(email="ops@acme.example")
    hooks.servers.answers[URL] = None
    for day in range(6):
        await hooks.tell(paid(f"order-{day}", at=hooks.clock.now()))
        await hooks.later(DAY)
        if day == 3:
            assert (await hooks.service.one(ACME, made.endpoint.id)).status is endpoints.Status.ON
    await hooks.later(60)
    shown = await hooks.service.one(ACME, made.endpoint.id)
    assert (shown.status, shown.stopped) == (endpoints.Status.OFF, "failing")
    assert len(hooks.mailer.sent) == 1
    events = [each.body for each in await hooks.store.pending(0, 100)]
    assert sum(b'"type":"WebhookStopped"' in each for each in events) == 1
    assert not any(b"acme.example" in each for each in events)


async def test_a_slow_endpoint_holds_no_other_one_up(hooks: Hooks) -> None:
    await hooks.endpoint()
    await hooks.endpoint("https://acme.example/quick")
    release = hooks.servers.slow[URL] = asyncio.Event()
    telling = asyncio.create_task(hooks.tell(*(paid(f"order-{each}") for each in range(100))))
    for _ in range(400):
        await hooks.service.sweep()
        hooks.clock.advance(0.02)
        if len(hooks.servers.to("https://acme.example/quick")) == 100:
            break
        await asyncio.sleep(0.002)
    assert len(hooks.servers.to("https://acme.example/quick")) == 100
    assert hooks.servers.to(URL) == []
    assert hooks.servers.at_once <= 8
    release.set()
    await telling
    for _ in range(20):
        await hooks.later(10)
    assert len({each.id for each in hooks.servers.to(URL)}) == 100
    assert {each.status for each in await hooks.all()} == {DELIVERED}


async def test_a_server_that_asks_for_time_gets_it(hooks: Hooks) -> None:
    await hooks.endpoint()
    hooks.servers.answers[URL], hooks.servers.retry_after = 429, 600
    await hooks.tell(paid())
    await hooks.tell(paid("order-2"))
    await hooks.later(590)
    assert len(hooks.servers.got) == 1
    hooks.servers.answers.clear()
    for _ in range(10):
        await hooks.later(30)
    assert [each.status for each in await hooks.all()] == [DELIVERED] * 2


async def test_new_secrets_sign_at_once_and_old_ones_until_the_overlap_is_over(hooks: Hooks) -> None:
    old = await hooks.endpoint(email="ops@acme.example")
    new = await hooks.service.rotate(ACME, old.endpoint.id, overlap=timedelta(hours=1))
    await hooks.tell(paid())
    verified(old, hooks)
    verified(new, hooks)
    hooks.clock.advance(3_601)
    await hooks.tell(paid("order-2"))
    verified(new, hooks)
    with pytest.raises(AssertionError):
        verified(old, hooks)
    last = await hooks.service.rotate(ACME, old.endpoint.id, overlap=timedelta())
    await hooks.tell(paid("order-3"))
    verified(last, hooks)
    assert " " not in hooks.servers.got[-1].headers["webhook-signature"]


async def test_of_two_requests_for_new_secrets_at_once_only_one_gives_some_and_they_are_in_force(hooks: Hooks) -> None:
    id = (await hooks.endpoint()).endpoint.id
    asked = (hooks.service.rotate(ACME, id, overlap=timedelta()) for _ in range(2))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    (made,) = (each for each in answers if isinstance(each, Made))
    (refused,) = (each for each in answers if not isinstance(each, Made))
    assert isinstance(refused, Busy), refused
    await hooks.tell(paid())
    verified(made, hooks)


async def test_deliveries_are_forgotten_and_an_event_that_comes_again_then_is_not_posted_again(hooks: Hooks) -> None:
    await hooks.endpoint()
    await hooks.tell(paid())
    await hooks.later(29 * DAY)
    assert len(await hooks.all()) == 1
    await hooks.later(2 * DAY)
    assert await hooks.all() == []
    (kept,) = (
        await DELIVERIES.load(hooks.store, [deliveries.delivery_id(hooks.servers.got[0].id, "webhook-000001")])
    ).values()
    assert kept.state.body == ""
    await hooks.tell(paid())
    assert len(hooks.servers.got) == 1


async def test_secrets_and_addresses_are_sealed_and_gone_when_an_endpoint_is_deleted(hooks: Hooks) -> None:
    made = await hooks.endpoint(email="ops@acme.example")
    page = await hooks.store.find(ENDPOINTS.kind, all_endpoints(after=None))
    (stored,) = page.items
    assert b"ops@acme" not in stored.body
    assert (made.secrets.hmac or "").removeprefix("whsec_").encode() not in stored.body
    left = await hooks.service.delete(ACME, made.endpoint.id)
    assert (left.url, left.sealed, left.former) == ("", None, ())
    with pytest.raises(NotFound):
        await hooks.service.one(ACME, made.endpoint.id)


async def test_what_is_not_yours_is_not_there(hooks: Hooks) -> None:
    made = await hooks.endpoint()
    assert await hooks.service.all(OTHER) == []
    for act in (
        hooks.service.one(OTHER, made.endpoint.id),
        hooks.service.change(OTHER, made.endpoint.id, EndpointChange(is_on=False)),
        hooks.service.rotate(OTHER, made.endpoint.id, overlap=timedelta()),
        hooks.service.delete(OTHER, made.endpoint.id),
        hooks.service.ping(OTHER, made.endpoint.id),
    ):
        with pytest.raises(NotFound):
            await act
    narrow = msgspec.structs.replace(ACME, concert_id="concert-1")
    assert await hooks.service.all(narrow) == []
    assert narrow.kind is PrincipalKind.KEY
    with pytest.raises(Invalid):
        await hooks.endpoint("https://inside.example/")
    for _ in range(MOST_ENDPOINTS - 1):
        await hooks.endpoint()
    with pytest.raises(TooManyWebhooks):
        await hooks.endpoint()


async def test_a_cart_is_told_to_whoever_wants_one_of_its_concerts(hooks: Hooks) -> None:
    await hooks.endpoint("https://acme.example/second", "cart.paid", concert="concert-2")
    await hooks.endpoint("https://acme.example/third", "cart.paid", concert="concert-3")
    lines = tuple(
        CartLine(
            order_id=f"order-1.ca0{number}",
            total=Money(100, "EUR"),
            seats=allocation(f"reservation-1.ca0{number}", 1, concert_id=f"concert-{number}"),
        )
        for number in (1, 2)
    )
    fact = CartPaid(cart_id="cart-1", total=Money(200, "EUR"), reachable=False, lines=lines)
    for id in ("event-1", "event-2"):  # told again, it is the same
        assert await hooks.tell(wrapped(fact, id)) == [Acknowledgement.SUCCESS]
    (got,) = hooks.servers.got
    assert got.url == "https://acme.example/second"
    body = msgspec.json.decode(got.body)
    assert (body["type"], body["data"]["cartId"]) == ("cart.paid", "cart-1")
    assert [each["orderId"] for each in body["data"]["lines"]] == ["order-1.ca01", "order-1.ca02"]
