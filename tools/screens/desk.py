"""The desk's pages and their states: a concert that sells, its orders, what is done about both."""

from datetime import datetime, timedelta
from typing import Any

import httpx
from playwright.sync_api import Page
from tests.served import KEY
from tools.screens.camera import Camera

_KEY = {"authorization": f"Bearer {KEY}"}


def sell(http: httpx.Client, now: datetime) -> str:
    """A concert with orders, one of them with a story; its id."""
    sections = [
        {"id": id, "name": name, "totalSeats": seats, "price": {"amount": price, "currency": "EUR"}}
        for id, name, seats, price in (("floor", "Floor", 120, 4500), ("balcony", "Balcony", 60, 6200))
    ]
    body = {
        "id": "harbour", "artist": "Nina & the Waves", "title": "Harbour Lights", "venue": "Fischhalle, Hamburg",
        "date": (now + timedelta(days=40)).strftime("%Y-%m-%dT20:00"), "zone": "Europe/Berlin", "sections": sections,
    }  # fmt: skip
    http.post("/concerts", json=body, headers=_KEY).raise_for_status()
    story = ""
    for i, name in enumerate(("Ada Lark", "Ben Ito", "Cyd Moreau", "Dot Okafor", "Eve Sand")):
        order: dict[str, Any] = {
            "concertId": "harbour", "section": ("floor", "balcony")[i % 2], "userId": f"buyer-{i}",
            "quantity": (4, 2, 3, 1, 5)[i], "name": name, "email": f"buyer{i}@example.com",
        }  # fmt: skip
        id: str = http.post("/orders", json=order).json()["id"]
        http.get(f"/orders/{id}?wait=10", headers=_KEY)
        story = story or id
    http.post(f"/orders/{story}/refunds", json={"quantity": 1, "reason": "One is ill"}, headers=_KEY).raise_for_status()
    return story


def sign_in(page: Page, key: str = KEY) -> None:
    """As whoever has this key."""
    page.goto("/staff/sign-in")
    page.fill("#key", key)
    page.click("main form button")
    page.wait_for_url("**/staff")


def desk(camera: Camera, http: httpx.Client, now: datetime) -> None:
    """All of them."""
    order = sell(http, now)
    page = camera.visitor().new_page()
    sign_in(page)
    page.goto("/staff?artist=nobody")
    camera.take(page, "desk-nothing-found")
    for path, name in (
        ("/staff", "desk-concerts"),
        ("/staff/new-concert", "desk-new-concert"),
        ("/staff/concerts/harbour", "desk-concert"),
        ("/staff/concerts/harbour/seats", "desk-seats"),
        ("/staff/concerts/harbour/sales?beside=demo-club", "desk-sales"),
        ("/staff/concerts/harbour/codes", "desk-codes"),
        ("/staff/orders?concert=harbour", "desk-orders"),
        (f"/staff/orders/{order}", "desk-order"),
        (f"/staff/orders/{order}/cancel", "desk-order-cancel"),
    ):
        page.goto(path)
        page.wait_for_timeout(300)
        camera.take(page, name)
    page.goto("/staff/new-concert")
    page.fill("#artist", "Nina & the Waves")
    page.fill("#date", "2099-01-01")
    page.fill("#section-0-price", "much")
    page.click("text=Make the concert")
    page.wait_for_selector("#refusal")
    camera.take(page, "desk-new-concert-wrong")
    page.goto("/staff/concerts/harbour/change")
    page.fill("#venue", "Elsewhere")
    body = {"venue": "Große Freiheit, Hamburg"}
    http.patch("/concerts/harbour", json=body, headers={**_KEY, "if-match": "*"}).raise_for_status()
    page.click("main form button")
    page.wait_for_selector("#refusal")
    camera.take(page, "desk-changed-meanwhile")
    page = camera.visitor(phone=True, dark=True, language="de").new_page()
    sign_in(page)
    page.goto("/staff/concerts/harbour")
    page.wait_for_timeout(300)
    camera.take(page, "phone-desk-concert-de")
    asked = {"name": "Acme Concerts", "scopes": ["catalogue"], "organizer": "acme"}
    key = http.post("/concerts/-/keys", json=asked, headers=_KEY).json()["key"]
    page = camera.visitor().new_page()
    sign_in(page, key)
    camera.take(page, "desk-nothing-yet")
    page.goto("/staff/orders")
    camera.take(page, "desk-forbidden")
