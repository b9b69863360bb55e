"""The door's page in its states, as phones have it."""

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
from playwright.sync_api import Page
from tests.served import KEY
from tools.screens.camera import Camera

CONCERT = "door"
ZONE = "Europe/Vienna"
_ORGANIZER = {"authorization": f"Bearer {KEY}"}


def sold(http: httpx.Client, quantity: int) -> list[str]:
    """The codes of an order of a concert that begins soon."""
    wanted = {"concertId": CONCERT, "userId": "u", "quantity": quantity}
    return codes_of(http, http.post("/orders", json=wanted).raise_for_status().json()["id"])


def codes_of(http: httpx.Client, order: str) -> list[str]:
    """The codes of an order's tickets, once there are some."""
    for _ in range(100):
        answer = http.get("/tickets", params={"order": order}, headers=_ORGANIZER)
        if answer.is_success:
            return [each["code"] for each in answer.json()["items"]]
        time.sleep(0.05)
    raise TimeoutError(answer.text)


def phone(camera: Camera, http: httpx.Client, name: str, *, language: str = "en", dark: bool = False) -> Page:
    """A phone that is paired, with what it needs without network."""
    page = camera.visitor(phone=True, language=language, dark=dark).new_page()
    body = {"name": name, "concertId": CONCERT}
    code = http.post("/concerts/-/door/codes", json=body, headers=_ORGANIZER).raise_for_status().json()["code"]
    page.goto("/door")
    page.fill("#code", code)
    page.click("main form button")
    page.wait_for_selector("#door[data-ready]")
    page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
    page.reload()
    page.wait_for_selector("#door[data-ready]")
    return page


def scan(page: Page, code: str) -> None:
    """As a hand scanner does."""
    page.fill("#code", code)
    page.press("#code", "Enter")
    page.wait_for_selector("#answer .says")
    page.wait_for_timeout(200)


def door(camera: Camera, http: httpx.Client) -> None:
    """Pairing, good and bad, without network and merged."""
    date = (datetime.now(ZoneInfo(ZONE)) + timedelta(hours=2)).isoformat(timespec="seconds")
    price = {"amount": 3200, "currency": "EUR"}
    concert = {"id": CONCERT, "artist": "Quartetto Lumière", "venue": "Kellerbar, Vienna", "date": date, "zone": ZONE}
    body = {**concert, "totalSeats": 20, "price": price}
    http.post("/concerts", json=body, headers=_ORGANIZER).raise_for_status()
    codes = sold(http, 3)
    page = camera.visitor(phone=True).new_page()
    page.goto("/door")
    page.fill("#code", "WRONG")
    page.click("main form button")
    camera.take(page, "door-pairing-wrong")
    north = phone(camera, http, "north door")
    camera.take(north, "door-ready")
    scan(north, codes[0])
    camera.take(north, "door-in")
    scan(north, codes[0])
    camera.take(north, "door-used-before")
    south = phone(camera, http, "south door", language="de", dark=True)
    for each in (north, south):
        each.context.set_offline(True)
        scan(each, codes[1])
    camera.take(south, "door-offline-de")
    for each in (north, south):
        each.context.set_offline(False)
        each.wait_for_selector("#waits", state="hidden")
    south.wait_for_selector("#merged:not([hidden])")
    camera.take(south, "door-merged-de")
    south.click("#merged a")
    camera.take(south, "door-double-entries-de")
    north.context.clear_cookies(name="form")
    north.evaluate("document.querySelector('#unpair').submit()")
    north.wait_for_selector("main a.button")
    camera.take(north, "door-error")
