"""The console's pages and their states: an on-sale a minute ago, an order's lanes, a sale as it stood."""

from typing import NamedTuple

import httpx
from tests.served import KEY
from tools.screens.camera import Camera
from tools.screens.desk import sign_in

_KEY = {"authorization": f"Bearer {KEY}"}
METHODS = ("card-ok", "card-ok", "card-ok", "card-slow", "card-declined")


def sell(http: httpx.Client) -> str:
    """A concert that sells out within some steps of the figures; the id of an order that was paid."""
    sections = [
        {"id": id, "name": name, "totalSeats": seats, "price": {"amount": price, "currency": "EUR"}}
        for id, name, seats, price in (("stalls", "Stalls", 90, 5200), ("circle", "Circle", 40, 3400))
    ]
    body = {"id": "rush", "artist": "The Night Trams", "date": "2099-06-05T20:00:00+02:00", "sections": sections}
    http.post("/concerts", json=body, headers=_KEY).raise_for_status()
    orders = []
    for i in range(110):
        order = {
            "concertId": "rush", "section": ("stalls", "circle")[i % 4 == 0], "userId": f"u{i}", "quantity": 1 + i % 2,
            "paymentMethod": METHODS[i % 5],
        }  # fmt: skip
        answer = http.post("/orders", json=order)
        if answer.status_code == 201:
            orders.append(answer.json()["id"])
    http.get(f"/orders/{orders[0]}?wait=10", headers=_KEY)
    http.post(f"/orders/{orders[0]}/cancel", headers=_KEY).raise_for_status()
    story: str = orders[1]
    return story


class Pace(NamedTuple):
    """How long the console watches before and after the sale, in milliseconds, and how large its rehearsal is."""

    before: int
    after: int
    buyers: int
    seats: int


LIVELY = Pace(before=6_000, after=12_000, buyers=1_500, seats=200)
"""So long that there is something to see in each figure."""


def console(camera: Camera, http: httpx.Client, pace: Pace) -> None:
    """All of them."""
    page = camera.visitor().new_page()
    sign_in(page)
    page.goto("/staff/console")
    page.wait_for_timeout(pace.before)
    order = sell(http)
    page.wait_for_timeout(pace.after)
    page.click("#pause")
    camera.take(page, "console-overview")
    for path, name in (
        ("/events?type=OrderPaid", "console-events"),
        ("/letters", "console-letters"),
        (f"/order?id={order}", "console-order"),
        ("/sale?concert=rush", "console-sale"),
    ):
        page.goto(f"/staff/console{path}")
        page.wait_for_timeout(300)
        camera.take(page, name)
    page.goto("/staff/console/chain")
    page.click("text=Check all of it")
    page.wait_for_selector("text=The chain holds")
    camera.take(page, "console-chain")
    page.goto("/staff/console/rehearsal")
    page.fill("#seats", str(pace.seats))
    page.fill("#buyers", str(pace.buyers))
    page.click("text=Start the rehearsal")
    page.wait_for_selector("text=All of it holds")
    camera.take(page, "console-rehearsal")
    page = camera.visitor(phone=True, dark=True, language="de").new_page()
    sign_in(page)
    page.goto("/staff/console")
    page.wait_for_timeout(300)
    camera.take(page, "phone-console-de")
