"""A shop with concerts in every state, and Debian's Chromium that looks at it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from tests.parts import need
from tests.served import Served, serve
from tools.screens.browser import chromium

HOLD_SECONDS = 15
HASTE = {
    "CLUDALE_HOLD_SECONDS": str(HOLD_SECONDS),
    "CLUDALE_SWEEP_SECONDS": "0.1",
    "CLUDALE_PAYMENT_SLOW_SECONDS": "3",
}

expect.set_options(timeout=30_000)  # where other tests take the machine, what shows up soon does not within 5 s

Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one file: while it is open, playwright runs the event loop of this process, and no other test could."""
    need("chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    need("chromium")
    with serve(tmp_path_factory.mktemp("shop"), settings=HASTE) as served:
        prices = [
            {"id": id, "name": name, "totalSeats": seats, "price": {"amount": price, "currency": "EUR"}}
            for id, name, seats, price in (("floor", "Floor", 400, 6500), ("tier", "Upper tier", 3, 3900))
        ]
        served.http.post(
            "/concerts",
            json={
                "id": "arena",
                "artist": "The Paper Lanterns",
                "date": "2099-06-05T19:30:00+02:00",
                "venue": "Harbour Arena, Hamburg",
                "sections": prices,
            },
            headers=served.organizer,
        ).raise_for_status()
        said = {"on": True, "name": "Issuer", "address": "1 Main Street"}
        served.http.put("/orders/invoices/settings", json=said, headers=served.organizer).raise_for_status()
        served.concert("last", artist="Last Seats", seats=2)
        served.concert("gone", artist="Mira & the Tides", seats=2)
        served.concert("names", artist="فيروز", venue="بيروت", seats=50)
        later = (datetime.now(UTC) + timedelta(hours=3)).isoformat()
        served.concert("later", artist="Northern Lights", seats=5, onSaleAt=later)
        yield served


@pytest.fixture
def visit(browser: Browser, shop: Served) -> Iterator[Visit]:
    """Opens pages for visitors with browsers of their own; a script's error or a forbidden load fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and "status of 4" not in message.text:
            complaints.append(message.text)

    def opened(path: str = "/shop", **options: object) -> Page:
        context = browser.new_context(base_url=shop.url, reduced_motion="reduce", **options)  # type: ignore[arg-type]
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(path)
        return page

    yield opened
    for each in contexts:
        each.close()
    assert complaints == []
