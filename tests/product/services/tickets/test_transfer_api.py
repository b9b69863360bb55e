"""A ticket that is given away over HTTP: once for a key, whoever loses the answer."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.product.wiring.organizers import FIRST_KEY, bearer
from tests.product.wiring.platforms import running
from tests.served_here import served_here

from cludale.web.app import WebApp


class Buyer:
    """Somebody with two tickets."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self.http = http
        self.order: dict[str, Any] = {}
        self.first = self.second = ""

    async def buy(self) -> "Buyer":
        concert = {"id": "ours", "artist": "The Larks", "date": "2099-06-05", "totalSeats": 50}
        await self.http.post("/concerts", json=concert, headers=bearer(FIRST_KEY))
        wanted = {"concertId": "ours", "userId": "me", "quantity": 2}
        self.order = (await self.http.post("/orders", json=wanted)).json()
        own = bearer(self.order["accessToken"])
        for _ in range(500):
            found = await self.http.get(f"/tickets?order={self.order['id']}", headers=own)
            if found.status_code == 200:
                self.first, self.second = (each["id"] for each in found.json()["items"])
                return self
            await asyncio.sleep(0.02)
        raise AssertionError(found.text)

    async def give(self, ticket: str, token: str = "", key: str | None = None, holder: str = "Zoë") -> httpx.Response:
        own = bearer(token or self.order["accessToken"])
        sent = own if key is None else {**own, "idempotency-key": key}
        return await self.http.post(f"/tickets/{ticket}/transfer", json={"holder": holder}, headers=sent)


@pytest.fixture
async def buyer(tmp_path: Path) -> AsyncIterator[Buyer]:
    async with running(tmp_path) as platform:
        app = WebApp(platform.services, is_ready=lambda: True, gauges=platform.gauges, version="0")
        async with served_here(app) as http:
            yield await Buyer(http).buy()
    assert not [each for each in kept(tmp_path) if b"Zo\\u00eb" in each or "Zoë".encode() in each]


def kept(folder: Path) -> list[bytes]:
    """All that is on the disk."""
    return [each.read_bytes() for each in folder.glob("cludale.db*")]


async def test_who_loses_the_answer_asks_again_and_the_ticket_was_given_once(buyer: Buyer) -> None:
    key = secrets.token_urlsafe()
    given = await buyer.give(buyer.first, key=key)
    again = await buyer.give(buyer.first, key=key)
    assert (given.status_code, again.status_code, again.content) == (200, 200, given.content)
    assert again.headers["cache-control"] == "private, no-store"
    assert (await buyer.give(buyer.first, key=key, holder="Bo")).status_code == 422
    assert (await buyer.give(buyer.first, key="another")).json()["type"].endswith("ticket-is-transferred")
    assert (await buyer.give(buyer.first)).status_code == 409
    assert (await buyer.give(buyer.second, key=key)).status_code == 200  # a key is one ticket's

    theirs = given.json()["accessToken"]
    on = await buyer.give(buyer.first, theirs, key=key)  # and one giver's
    assert on.status_code == 200
    assert on.json()["accessToken"] != theirs
    assert (await buyer.give(buyer.first, theirs, key=key)).content == on.content
    assert (await buyer.give(buyer.first, theirs)).status_code == 409
    assert (await buyer.give(buyer.first, key=key)).status_code == 409  # it was given on: this answer opens nothing
    stranger = await buyer.give(buyer.first, secrets.token_urlsafe(), key=key)
    assert stranger.status_code == 404


async def test_one_request_that_comes_many_times_at_once_gives_the_ticket_once(buyer: Buyer) -> None:
    answers = await asyncio.gather(*(buyer.give(buyer.first, key="k") for _ in range(8)))
    assert {each.status_code for each in answers} <= {200, 409}
    last = await buyer.give(buyer.first, key="k")
    assert {each.content for each in answers if each.status_code == 200} == {last.content}
    opened = await buyer.http.get(f"/tickets/{buyer.first}", headers=bearer(last.json()["accessToken"]))
    assert opened.json()["code"] == last.json()["code"]
