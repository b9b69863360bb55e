"""Several organizers on one platform: what isn't yours looks as if it weren't there, and lists show what is yours."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.product.wiring.organizers import FIRST_KEY, Office, office

ALL = ("catalogue", "sell", "read", "refund")


class Two(NamedTuple):
    """Two organizers, each with a concert and a paid order; their keys; the office that they call."""

    office: Office
    acme: str
    order: dict[str, Any]
    theirs: dict[str, Any]


@pytest.fixture
async def two(tmp_path: Path) -> AsyncIterator[Two]:
    async with office(tmp_path) as here:
        acme = await here.new_key(*ALL, organizer="acme")
        await here.concert("ours", acme)
        await here.concert("theirs")
        yield Two(here, acme, await here.order("ours"), await here.order("theirs"))


async def test_a_concert_is_of_the_organizer_whose_key_put_it_on(two: Two) -> None:
    assert [
        (await two.office.ask("GET", f"/concerts/{id}", None)).json()["organizer"] for id in ("ours", "theirs")
    ] == [
        "acme",
        "default",
    ]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/concerts/theirs/reserve", {"quantity": 1}),
        ("GET", "/orders/{order}", None),
        ("POST", "/orders/{order}/cancel", None),
        ("POST", "/orders/{order}/payment", {"paymentMethod": "card-ok"}),
        ("POST", "/payments", {"orderId": "{order}"}),
        ("POST", "/notifications/retry", {"ids": ["confirmation-{hex}"]}),
        ("GET", "/audit/orders/{order}", None),
    ],
)
async def test_what_is_not_yours_is_not_there(two: Two, method: str, path: str, body: dict[str, Any] | None) -> None:
    async def answered(order_id: str) -> tuple[int, str]:
        def filled(text: str) -> str:
            return text.replace("{order}", order_id).replace("{hex}", order_id.partition("-")[2])

        sent = {} if body is None else {"json": {name: _each(filled, value) for name, value in body.items()}}
        answer = await two.office.ask(method, filled(path), two.acme, **sent)
        return answer.status_code, answer.json()["type"]

    hidden = await answered(two.theirs["id"])
    assert hidden[0] == 404
    if "theirs" not in path:
        assert hidden == await answered("order-of-nobody")
        own = await answered_own(two, method, path, body)
        assert own != 404, own


async def answered_own(two: Two, method: str, path: str, body: dict[str, Any] | None) -> int:
    """The status for the same thing of one's own."""
    for _ in range(100):  # the log and the message come a little later than the order
        order = two.order["id"]
        filled = {"{order}": order, "{hex}": order.partition("-")[2]}

        def fill(text: str, by: dict[str, str] = filled) -> str:
            return text.replace("{order}", by["{order}"]).replace("{hex}", by["{hex}"])

        sent = {} if body is None else {"json": {name: _each(fill, value) for name, value in body.items()}}
        status = (await two.office.ask(method, fill(path), two.acme, **sent)).status_code
        if status != 404:
            return status
        await asyncio.sleep(0.05)
    return 404


def _each(filled: Any, value: Any) -> Any:
    if isinstance(value, list):
        return [filled(each) for each in value]
    return filled(value) if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("path", "field"), [("/orders", "concertId"), ("/payments", "orderId"), ("/notifications", "orderId")]
)
async def test_lists_show_what_is_yours(two: Two, path: str, field: str) -> None:
    mine = {"ours", two.order["id"]}
    for key, wanted in ((two.acme, mine), (FIRST_KEY, {"theirs", two.theirs["id"]})):
        for _ in range(100):
            items = (await two.office.ask("GET", path, key)).json()["items"]
            if items:
                break
            await asyncio.sleep(0.05)
        assert len(items) == 1
        assert items[0][field] in wanted


async def test_a_list_about_anothers_concert_or_order_is_empty(two: Two) -> None:
    theirs = two.theirs["id"]
    for path in ("/orders?concertId=theirs", f"/payments?orderId={theirs}", f"/notifications?orderId={theirs}"):
        assert (await two.office.ask("GET", path, two.acme)).json()["items"] == []


async def test_the_log_shows_the_events_of_ones_own_concerts(two: Two) -> None:
    for _ in range(100):
        shown = (await two.office.ask("GET", "/audit/events?limit=200", two.acme)).json()["items"]
        if any(each["eventType"] == "OrderPaid" for each in shown):
            break
        await asyncio.sleep(0.05)
    assert {each["payload"]["concertId"] for each in shown} == {"ours"}
    first = (await two.office.ask("GET", "/audit/events?limit=200")).json()["items"]
    assert {each["payload"].get("concertId") for each in first} == {"theirs", None}
    assert {each["eventType"] for each in first if "concertId" not in each["payload"]} == {"KeyCreated"}


async def test_unlisted_concerts_are_found_by_their_own_organizer(two: Two) -> None:
    await two.office.concert("ours-unlisted", two.acme, listed=False)
    await two.office.concert("theirs-unlisted", listed=False)

    async def found(key: str | None) -> set[str]:
        return {each["id"] for each in (await two.office.ask("GET", "/concerts", key)).json()["items"]}

    assert await found(None) == {"ours", "theirs"}
    assert await found(two.acme) == {"ours", "theirs", "ours-unlisted"}
    assert await found(FIRST_KEY) == {"ours", "theirs", "theirs-unlisted"}


async def test_a_key_for_one_concert_opens_that_one_alone(two: Two) -> None:
    await two.office.concert("ours-too", two.acme)
    other = await two.office.order("ours-too")
    one = await two.office.new_key(*ALL, organizer="acme", concertId="ours")
    assert [each["concertId"] for each in (await two.office.ask("GET", "/orders", one)).json()["items"]] == ["ours"]
    assert (await two.office.ask("GET", "/orders?concertId=ours-too", one)).json()["items"] == []
    assert (await two.office.ask("GET", f"/orders/{two.order['id']}", one)).status_code == 200
    assert (await two.office.ask("GET", f"/orders/{other['id']}", one)).status_code == 404
    assert (await two.office.ask("POST", "/concerts/ours-too/reserve", one, json={"quantity": 1})).status_code == 404
    made = await two.office.ask("POST", "/concerts", one, json={"artist": "A", "date": "2099-01-01", "totalSeats": 1})
    assert made.status_code == 403


async def test_the_same_idempotency_key_of_two_organizers_is_two(two: Two) -> None:
    body = {"artist": "A", "date": "2099-01-01", "totalSeats": 1}
    made = [
        await two.office.client.post(
            "/concerts", json=body, headers={"authorization": f"Bearer {key}", "idempotency-key": "k"}
        )
        for key in (two.acme, FIRST_KEY, two.acme)
    ]
    assert [each.status_code for each in made] == [201, 201, 201]
    assert [each.json()["organizer"] for each in made] == ["acme", "default", "acme"]
    assert made[0].json()["id"] == made[2].json()["id"] != made[1].json()["id"]
