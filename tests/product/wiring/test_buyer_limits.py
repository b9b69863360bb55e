"""Limits of buyers over HTTP, in one process and between two, and whose address counts."""

import asyncio
from pathlib import Path

from tests.product.wiring.organizers import FIRST_KEY, office

CONCERT = {
    "artist": "The Larks",
    "date": "2099-06-05",
    "totalSeats": 100,
    "price": {"amount": 4500, "currency": "EUR"},
}
DECLINED = {"quantity": 1, "paymentMethod": "card-declined"}
"""It stays unpaid."""


async def test_fifty_orders_of_one_buyer_at_once_get_the_limit_and_a_clear_answer(tmp_path: Path) -> None:
    async with office(tmp_path) as here:
        concert = (await here.ask("POST", "/concerts", FIRST_KEY, json={**CONCERT, "maxPerBuyer": 4})).json()
        assert concert["maxPerBuyer"] == 4
        order = {"concertId": concert["id"], "userId": "anne", "quantity": 1, "email": "anne@example.org"}
        answers = await asyncio.gather(*(here.client.post("/orders", json=order) for _ in range(50)))
        statuses = [each.status_code for each in answers]
        assert (statuses.count(201), statuses.count(409)) == (4, 46)
        problem = next(each.json() for each in answers if each.status_code == 409)
        assert problem["type"] == "/problems/buyer-limit-reached"
        assert (problem["limit"], problem["has"], problem["wanted"], problem["knownBy"]) == (4, 4, 1, "user")
        first = next(each.json() for each in answers if each.status_code == 201)
        token = {"authorization": f"Bearer {first['accessToken']}"}
        assert (await here.client.post(f"/orders/{first['id']}/cancel", headers=token)).status_code == 200
        for _ in range(50):  # the seats go back with the event
            again = await here.client.post("/orders", json={**order, "userId": "b", "email": "Anne+x@Example.org"})
            if again.status_code == 201:
                break
            await asyncio.sleep(0.05)
        assert again.status_code == 201


async def test_orders_of_an_address_are_counted_by_what_a_trusted_proxy_says_of_it(tmp_path: Path) -> None:
    async with office(tmp_path, holds_per_address=1, trusted_proxies="127.0.0.0/8") as here:
        concert = (await here.ask("POST", "/concerts", FIRST_KEY, json=CONCERT)).json()
        statuses = []
        for number, forwarded in enumerate(("198.51.100.1", "198.51.100.1", "6.6.6.6, 198.51.100.1", "198.51.100.2")):
            order = {"concertId": concert["id"], "userId": f"u{number}", **DECLINED}
            headers = {"x-forwarded-for": forwarded, "forwarded": "for=9.9.9.9"}
            statuses.append((await here.client.post("/orders", json=order, headers=headers)).status_code)
        assert statuses == [201, 409, 409, 201]


async def test_who_buys_is_said_by_services_only(tmp_path: Path) -> None:
    async with office(tmp_path, ("concerts",), service_key="service") as here:
        concert = (await here.ask("POST", "/concerts", FIRST_KEY, json={**CONCERT, "maxPerBuyer": 1})).json()
        path, buyer = f"/concerts/{concert['id']}/reserve", {"cludale-buyers": "user-" + "a" * 20}
        statuses = []
        for key in ("service", "service", FIRST_KEY):
            headers = {"authorization": f"Bearer {key}", **buyer}
            statuses.append((await here.client.post(path, json={"quantity": 1}, headers=headers)).status_code)
        assert statuses == [201, 409, 201]
        wrong = {"authorization": "Bearer service", "cludale-buyers": "anne@example.org"}
        assert (await here.client.post(path, json={"quantity": 1}, headers=wrong)).status_code == 422
