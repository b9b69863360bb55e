"""`python -m tools.screens`: starts a shop with concerts in every state, and pictures its pages into docs/screens/.

Each picture has few colours, so it stays small. Looked at before a change is called done.
"""

import asyncio
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Page
from tests.proof.pages.undelivered import bury
from tests.served import KEY, Served, serve
from tools.screens.browser import chromium
from tools.screens.camera import Camera
from tools.screens.console import LIVELY, Pace, console
from tools.screens.desk import desk
from tools.screens.door import door
from tools.screens.office import office
from tools.screens.rest import rest
from tools.screens.rounds import Rounds
from tools.screens.seats import seats, seats_at_the_desk

from cludale.pages.shop.programme import FRESH_SECONDS

FOLDER = Path(__file__).parents[2] / "docs/screens"
SETTINGS = {"CLUDALE_DEMO": "1", "CLUDALE_PAYMENT_SLOW_SECONDS": "4"}


def concerts(http: httpx.Client, now: datetime) -> None:
    """Concerts in every state, beside the demo's."""

    def put(id: str, artist: str, venue: str, days: int, seats: int, **more: Any) -> None:
        body = {
            "id": id,
            "artist": artist,
            "venue": venue,
            "date": (now + timedelta(days=days)).strftime("%Y-%m-%dT19:30:00+02:00"),
            "totalSeats": seats,
            "price": {"amount": 3200, "currency": "EUR"},
            **more,
        }
        http.post("/concerts", json=body, headers={"authorization": f"Bearer {KEY}"}).raise_for_status()

    opens = (now + timedelta(hours=3)).isoformat()
    put("quartet", "Quartetto Lumière", "Salle Cortot, Paris", 21, 14)
    put("sold-out", "Mira & the Tides", "Teatro Real, Madrid", 35, 2)
    put("soon", "Nils Okafor Trio", "Elbphilharmonie, Hamburg", 48, 900, onSaleAt=opens)


def buy(page: Page, concert: str, *, card: str = "card-ok", quantity: str = "2") -> None:
    """From a concert's page to the order's."""
    page.goto(f"/shop/concerts/{concert}")
    page.select_option("#quantity", quantity)
    page.click("text=/Choose|wählen|Choisir|Elegir/")
    page.fill("#email", "ada@example.com")
    page.check(f"input[value={card}]")
    page.click("form.once button")
    page.wait_for_url("**/shop/orders/**")


def shop(camera: Camera) -> None:
    """The shop's pages and their states."""
    page = camera.visitor().new_page()
    page.goto("/shop")
    camera.take(page, "shop-concerts")
    page.goto("/shop?artist=nobody")
    camera.take(page, "shop-nothing-found")
    page.goto("/shop/concerts/demo-arena")
    page.wait_for_timeout(300)
    camera.take(page, "shop-concert")
    page.click("text=Choose these tickets")
    page.click("form.once button")
    page.wait_for_selector("#refusal")
    camera.take(page, "shop-checkout-wrong")
    buy(page, "demo-club", card="card-declined")
    page.wait_for_selector(".state[data-standing=failed] .left:not([hidden])")
    camera.take(page, "shop-order-declined")
    page.check("input[value=card-ok]")
    page.click(".state form.once button")
    page.wait_for_selector(".state[data-standing=paid]")
    camera.take(page, "shop-order-paid")
    order = page.url
    page.click("text=Show your tickets")
    page.wait_for_selector("ul.tickets img")
    camera.take(page, "shop-tickets")
    page.click("text=Show or give away")
    page.click(".cancel summary")
    camera.take(page, "shop-ticket")
    page.fill("#holder", "Grace Hopper")
    page.click(".cancel button")
    page.wait_for_selector("#link")
    camera.take(page, "shop-ticket-given")
    page.goto(order)
    page.click("#give-back summary")
    page.click("#give-back button")
    page.wait_for_selector("text=Given back")
    camera.take(page, "shop-order-part-given-back")
    page.click("text=Cancel this order")
    page.click("text=Yes, cancel it")
    page.wait_for_selector(".state[data-standing=cancelled]")
    camera.take(page, "shop-order-cancelled")
    buy(page, "sold-out")
    page.wait_for_selector(".state[data-standing=paid]")
    page.goto("/shop/orders")
    camera.take(page, "shop-orders")
    page.goto("/shop/concerts/nothing")
    camera.take(page, "shop-missing")


def sold_out(camera: Camera) -> None:
    """Nothing is left, and who waits for what comes back."""
    page = camera.visitor().new_page()
    page.goto("/shop/concerts/sold-out")
    camera.take(page, "shop-sold-out")
    page.click("#wait a")
    page.fill("#email", "ada@example.com")
    camera.take(page, "shop-wait")
    page.click("form.once button")
    page.wait_for_selector(".state[data-standing=waiting]")
    camera.take(page, "shop-waiting")


def basket(camera: Camera) -> None:
    """Tickets of two concerts, bought at once."""
    page = camera.visitor().new_page()
    page.goto("/shop/basket")
    camera.take(page, "shop-basket-empty")
    for concert in ("demo-club", "demo-arena"):
        page.goto(f"/shop/concerts/{concert}")
        page.click("text=Add to basket")
        page.wait_for_url("**/shop/basket")
    camera.take(page, "shop-basket")
    page.fill("#email", "ada@example.com")
    page.check("input[value=card-ok]")
    page.click("form.once .wide-button")
    page.wait_for_selector(".state[data-standing=paid]")
    camera.take(page, "shop-cart-paid")


def invoiced(camera: Camera, http: httpx.Client) -> None:
    """A checkout where there are invoices, with an address that lacks something."""
    at, key = "/orders/invoices/settings", {"authorization": f"Bearer {KEY}"}
    said = {"on": True, "name": "Cludale Concerts", "address": "1 Main Street"}
    http.put(at, json=said, headers=key).raise_for_status()
    page = camera.visitor().new_page()
    page.wait_for_timeout(1_000 * FRESH_SECONDS)  # so old may be what the shop knows of it
    page.goto("/shop/concerts/demo-arena")
    page.click("text=Choose these tickets")
    page.fill("#email", "ada@example.com")
    page.check("input[name=invoice]")
    page.fill("#name", "Lovelace & Daughters")
    page.fill("#street", "12 Analytical Row")
    page.click("form.once button")
    page.wait_for_selector("#place-wrong")
    camera.take(page, "shop-checkout-invoice")
    http.put(at, json={**said, "on": False}, headers=key).raise_for_status()


def elsewhere(camera: Camera) -> None:
    """On a phone, in the dark, in other languages."""
    page = camera.visitor(phone=True, dark=True, language="de").new_page()
    page.goto("/shop")
    camera.take(page, "phone-concerts-de")
    page.goto("/shop/concerts/soon")
    page.wait_for_selector(".left:not([hidden])")
    camera.take(page, "phone-before-the-sale-de")
    page = camera.visitor(phone=True, language="fr").new_page()
    page.goto("/shop/concerts/quartet")
    page.click("main form button")
    page.wait_for_selector("#email")
    camera.take(page, "phone-checkout-fr")
    buy(page, "quartet")
    page.wait_for_selector(".state[data-standing=paid]")
    page.click("a[href$='/tickets']")
    page.wait_for_selector("ul.tickets img")
    camera.take(page, "phone-tickets-fr")
    page = camera.visitor(phone=True, dark=True, language="es").new_page()
    buy(page, "quartet", card="card-slow")
    camera.take(page, "phone-paying-es")


def every_state(camera: Rounds, served: Served, pace: Pace) -> None:
    """All pages in all states, of a new shop with the demo's concerts and some dead letters."""
    http = served.http
    now = datetime.now(UTC).replace(microsecond=0)
    concerts(http, now)
    shop(camera)
    sold_out(camera)
    basket(camera)
    invoiced(camera, http)
    elsewhere(camera)
    seats(camera, http)
    door(camera, http)
    desk(camera, http, now)
    office(camera, http)
    seats_at_the_desk(camera, http)
    console(camera, http, pace)
    rest(camera, served)


def main(folder: Path) -> int:
    """Take all of them."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        asyncio.run(bury(Path(data)))
        with serve(Path(data), settings=SETTINGS) as served, chromium() as browser:
            every_state(Rounds(browser, served.url, folder), served, LIVELY)
    return 0


if __name__ == "__main__":
    sys.exit(main(FOLDER))
