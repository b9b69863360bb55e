"""Pages as a service of their own, in a real browser: all that they show and do goes through the others' APIs.

Over one process, pages are tested in tests/proof/pages.
"""

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from tests.parts import need
from tests.proof.journeys.box_office import BoxOffice
from tests.proof.pages.test_browser import choose, is_at, pay
from tests.proof.pages.test_desk import sign_in
from tests.proof.pages.test_door import ready, says, scan
from tests.served import KEY
from tools.screens.browser import chromium

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        not {"JOURNEYS_SHAPE", "JOURNEYS_URL"} & os.environ.keys(), reason="tests/proof/pages has it over one process"
    ),
]

Visit = Callable[[], Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """For one file: while it is open, playwright runs the event loop of this process, and no other test could."""
    need("chromium")
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(office: BoxOffice, browser: Browser) -> Iterator[Visit]:
    """Opens pages for visitors with browsers of their own; a script's error or a forbidden load fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opened() -> Page:
        context = browser.new_context(base_url=office.url, reduced_motion="reduce")
        context.set_default_timeout(30_000)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield opened
    for each in contexts:
        each.close()
    assert complaints == []


def test_tickets_are_bought_shown_and_given_back_while_another_window_sees_the_seats_go(
    office: BoxOffice, visit: Visit
) -> None:
    concert = office.put_on(seats=5)["id"]
    watching, buying = visit(), visit()
    watching.goto(f"/shop/concerts/{concert}")
    expect(watching.locator(".seats")).to_contain_text("Seats left: 5")
    choose(buying, concert)
    pay(buying, "card-declined")
    is_at(buying, "failed", within_seconds=30)
    expect(watching.locator(".seats")).to_contain_text("Seats left: 3")
    buying.check("input[value=card-ok]")
    buying.click(".state form.once button")
    is_at(buying, "paid", within_seconds=30)
    order = buying.url
    buying.click("text=Show your tickets")
    expect(buying.locator("ul.tickets img")).to_have_count(2)
    buying.goto(order)
    buying.click("#cancel summary")
    buying.click("#cancel button")
    is_at(buying, "cancelled", within_seconds=30)
    expect(watching.locator(".seats")).to_contain_text("Seats left: 5", timeout=30_000)


def test_an_organizer_signs_in_at_the_desk_and_reads_an_orders_story(office: BoxOffice, visit: Visit) -> None:
    concert = office.put_on(seats=9)["id"]
    order = office.buy(concert)
    office.end(order, "Paid")
    office.story(order, "PaymentCompleted")
    page = visit()
    sign_in(page, os.environ.get("JOURNEYS_KEY", KEY))
    page.goto(f"/staff/concerts/{concert}")
    expect(page.locator(".numbers strong").first).to_have_text("2")
    page.goto(f"/staff/orders/{order['id']}")
    expect(page.locator(".story")).to_contain_text("The money was taken")


def test_a_door_lets_a_ticket_in_once(office: BoxOffice, visit: Visit) -> None:
    tonight = (datetime.now(UTC) + timedelta(hours=2)).isoformat(timespec="seconds")
    concert = office.put_on(seats=9, date=tonight)["id"]
    order = office.end(office.buy(concert, quantity=1), "Paid")
    at = f"/tickets?order={order['id']}"
    issued = office.until(lambda: office.http.get(at, headers=office.organizer), lambda answer: answer.is_success)
    (ticket,) = issued.json()["items"]
    asked = {"name": "north door", "concertId": concert}
    answer = office.http.post("/concerts/-/door/codes", json=asked, headers=office.organizer).raise_for_status()
    page = visit()
    page.goto("/door")
    page.fill("#code", answer.json()["code"])
    page.click("main form button")
    ready(page)
    scan(page, ticket["code"])
    says(page, "IN", "Ticket 1 of 1", good=True)
    scan(page, ticket["code"])
    says(page, "STOP", "Somebody was let in with it", good=False)
