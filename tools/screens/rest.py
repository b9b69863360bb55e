"""All other pages, and what comes of each form that is sent with mistakes: as a browser without scripts sees them."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page
from tests.served import Served
from tools.screens.desk import sign_in
from tools.screens.door import phone
from tools.screens.rounds import Rounds

NONSENSE = """(form) => {
    for (const each of form.querySelectorAll("input:not([type=hidden]), textarea"))
        if (!["checkbox", "radio", "file"].includes(each.type)) each.value = each.type === "date" ? "" : "?";
    HTMLFormElement.prototype.submit.call(form);
}"""
"""Sends a form as a browser without scripts does, and without asking the browser whether it is all right."""
FORMS = "main form[method=post]"


CONCERT = "the-rest"
CHOOSE = "Choose these tickets"


def rest(camera: Rounds, served: Served) -> None:
    """All of them. It comes last, so that a form that was sent for a picture of its own is not sent again."""
    served.concert(CONCERT, seats=50)
    served.concert("the-rest-gone", seats=1)
    _paid(served, "the-rest-gone", quantity=1)
    _invoices(served, on=False)
    without_invoice = _paid(served)
    _invoices(served, on=True)
    of_the_shop(camera)
    of_the_door(camera, served)
    of_the_staff(camera, served, without_invoice)


def of_the_shop(camera: Rounds) -> None:
    """A cart and an order whose cards are declined, a ticket, the address of an invoice; each form with mistakes."""
    page = camera.visitor().new_page()
    cart = _buys(page, "Add to basket")
    order = _buys(page, CHOOSE)
    page.check("input[value=card-ok]")
    page.click(".state form.once button")
    page.wait_for_selector(".state[data-standing=paid]")
    ticket = f"/shop/tickets/ticket-{order.rpartition('/order-')[2]}.1"
    _look_at(camera, page, f"{order}/invoice-address", f"{ticket}/google")
    page.goto(f"/shop/concerts/{CONCERT}")
    page.click("text=Add to basket")
    page.wait_for_url("**/shop/basket")
    wait = "/shop/concerts/the-rest-gone/wait"
    _send_each(camera, page, "/shop/basket", f"{order}/invoice-address", ticket, wait, order, cart)
    _send_each(camera, page, _buys(page, CHOOSE))


def _buys(page: Page, by: str) -> str:
    """Where the order, or the cart, is that this browser has placed with a card that is declined."""
    page.goto(f"/shop/concerts/{CONCERT}")
    page.click(f"text={by}")
    page.fill("#email", "ada@example.com")
    page.check("input[value=card-declined]")
    page.click("form.once .wide-button")
    page.wait_for_selector(".state[data-standing=failed]")
    return urlsplit(page.url).path


def of_the_door(camera: Rounds, served: Served) -> None:
    """What a phone without scripts gets, and one that is not paired any more."""
    page = phone(camera, served.http, "east door")
    _send_each(camera, page, "/door")
    _look_at(camera, page, "/door/conflicts")


def of_the_staff(camera: Rounds, served: Served, order: str) -> None:
    """The desk, the console and the office: signed out, each page, each form with mistakes, and what ends things."""
    page = camera.visitor().new_page()
    _look_at(camera, page, "/staff/sign-in/go", "/staff/sign-in/back", "/staff/orders", "/staff/sign-in")
    _send_each(camera, page, "/staff/sign-in")
    sign_in(page)
    served.http.post("/concerts/-/keys", json={"name": "a", "scopes": ["read"]}, headers=served.organizer)
    paths = [*_of_concerts_and_orders(served, order), *_of_the_office(served), *_of_the_console(served)]
    sessions = ("/staff/session", "/staff/sessions", "/staff/people")
    _look_at(camera, page, *paths, *sessions)
    _rehearse(camera, page)
    _send_each(camera, page, *paths)
    _erase(camera, page)
    _send_each(camera, page, *sessions)
    _visit(page, "/staff")
    page.click("form.out button")
    camera.take(page, "rest-signed-out")


def _of_concerts_and_orders(served: Served, order_id: str) -> list[str]:
    concert, order = f"/staff/concerts/{CONCERT}", f"/staff/orders/{order_id}"
    guests = {"concertId": CONCERT, "guests": [{"name": "Ann Bee", "tickets": 1}]}
    guest = _made(served, "/orders/guests", guests)["items"][0]["id"]
    _made(served, f"/concerts/{CONCERT}/codes", {"code": "LESS", "percent": 10})
    block = {"section": "general", "purpose": "Sponsors", "seats": 4, "hoursBefore": 24}
    _made(served, f"/concerts/{CONCERT}/blocks", block)
    found = served.http.get("/orders?concertId=seated&limit=1", headers=served.organizer)
    seated = found.raise_for_status().json()["items"][0]["id"]
    return [
        "/staff/new-concert", "/staff/new-seat-plan", "/staff/concerts/seated/seat-plan",
        "/staff/orders", f"/staff/orders/{seated}/move", f"/staff/guests/{guest}/remove",
        order, *(f"{order}/{each}" for each in ("amend", "refund", "resend", "billing", "cancel")),
        *(f"{concert}/{each}" for each in ("seats", "change", "prices", "codes", "blocks", "guests", "box-office")),
        *(f"{concert}/{each}" for each in ("sales", "waiting", "postpone", "call-off")), concert,
    ]  # fmt: skip


def _of_the_office(served: Served) -> list[str]:
    hooks, reports = "/notifications/webhooks", "/orders/reports/schedules"
    hook = f"/staff/webhooks/{_made(served, hooks, {'url': 'https://hooks.example/in', 'about': 'Accounts'})['id']}"
    report = {"report": "sales", "to": "boss@example.com", "every": "weekly", "zone": "Europe/Berlin"}
    ping = _made(served, f"{hooks}/{hook.rpartition('/')[2]}/ping", {})
    return [
        *(f"/staff/{each}" for each in ("keys", "door", "privacy", "exports", "reports", "webhooks")),
        "/staff/invoice-settings", f"/staff/reports/{_made(served, reports, report)['id']}/end",
        f"/staff/webhook-deliveries/{ping['id']}", hook, f"{hook}/end",
    ]  # fmt: skip


def _of_the_console(served: Served) -> list[str]:
    letters = served.http.get("/orders/-/dead-letters", headers=served.organizer).raise_for_status().json()
    letter = f"/staff/console/letters/{letters['items'][0]['id']}?service=orders"
    return ["/staff/console/chain", "/staff/console/letters", letter, "/staff/console/rehearsal"]


def _rehearse(camera: Rounds, page: Page) -> None:
    """One that is ended while it sells."""
    page.goto("/staff/console/rehearsal")
    page.fill("#buyers", "50000")
    page.click("text=Start the rehearsal")
    page.wait_for_selector("#end")
    camera.take(page, "rest-rehearsal-under-way")
    page.click("#end button")
    camera.take(page, "rest-rehearsal-ended")


def _erase(camera: Rounds, page: Page) -> None:
    """What is kept of a buyer is shown, and erased."""
    _visit(page, "/staff/privacy")
    page.fill("#email", "ada@example.com")
    page.click("text=Show what is kept")
    page.wait_for_selector("form[action='/staff/privacy/erase']")
    camera.take(page, "rest-privacy-shown")
    page.click("form[action='/staff/privacy/erase'] button")
    camera.take(page, "rest-privacy-erase")


def _invoices(served: Served, *, on: bool) -> None:
    said = {"on": on, "name": "Issuer", "address": "1 Main Street"}
    served.http.put("/orders/invoices/settings", json=said, headers=served.organizer).raise_for_status()


def _paid(served: Served, concert: str = CONCERT, quantity: int = 2) -> str:
    """A paid order."""
    wanted = {"concertId": concert, "userId": "ada", "quantity": quantity, "email": "ada@example.com"}
    id: str = served.http.post("/orders", json=wanted).raise_for_status().json()["id"]
    served.http.get(f"/orders/{id}?wait=10", headers=served.organizer)
    return id


def _made(served: Served, at: str, body: Mapping[str, Any]) -> Any:
    return served.http.post(at, json=body, headers=served.organizer).raise_for_status().json()


def _visit(page: Page, path: str) -> None:
    """Go there; who was signed out meanwhile signs in again."""
    page.goto(path)
    if page.url.partition("?")[0].endswith("/staff/sign-in") and path.startswith("/staff") and "sign-in" not in path:
        sign_in(page)
        page.goto(path)


def _look_at(camera: Rounds, page: Page, *paths: str) -> None:
    for path in paths:
        page.goto(path)
        camera.take(page, _named(camera, "GET", path))


def _send_each(camera: Rounds, page: Page, *paths: str) -> None:
    """Every form of these pages, full of nonsense, and look at what comes of it; forms alike are sent once."""
    for path in paths:
        _visit(page, path)
        for action in page.locator(FORMS).evaluate_all("(forms) => forms.map((each) => each.getAttribute('action'))"):
            if camera.routes.of("POST", (action or path).partition("?")[0]) in camera.seen:
                continue
            _visit(page, path)
            with page.expect_navigation():
                page.locator(FORMS + (f"[action='{action}']" if action else ":not([action])")).first.evaluate(NONSENSE)
            camera.take(page, _named(camera, "POST", action or path))


def _named(camera: Rounds, method: str, target: str) -> str:
    """What the picture is called: by its route, for ids are others each time."""
    said = camera.routes.of(method, target.partition("?")[0]).lower().replace("post ", "sent ")
    return "-".join(["rest", *re.findall("[a-z0-9]+", said.removeprefix("get "))])
