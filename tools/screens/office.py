"""The desk's pages of the office: webhooks, prices, box office, guests, reports, invoices, and the events behind."""

import httpx
from tests.served import KEY
from tools.screens.camera import Camera
from tools.screens.desk import sign_in
from tools.screens.door import CONCERT, codes_of

_KEY = {"authorization": f"Bearer {KEY}"}
_FILE = "name,tickets,note\nGrace Hopper,2,Press\nMary Lark,1,Crew\nOtto Sand,20,\nPia Wells,2,Label"


def prepare(http: httpx.Client) -> str:
    """What these pages show; the id of a webhook."""
    pricing = {
        "categories": [{"id": "adult", "name": "Adult"}, {"id": "child", "name": "Child"}],
        "prices": [
            {"section": "floor", "category": "adult", "amount": 3900, "name": "Early bird", "first": 50},
            {"section": "floor", "category": "child", "amount": 1900},
        ],
        "fees": [{"id": "booking", "name": "Booking fee", "percent": 5.0}],
        "tax": {"name": "VAT", "percent": 19.0},
    }
    http.patch("/concerts/harbour", json={"pricing": pricing}, headers={**_KEY, "if-match": "*"}).raise_for_status()
    http.put(
        "/orders/invoices/settings",
        json={"on": True, "name": "Acme Concerts", "address": "1 Main Street\nHamburg", "taxName": "VAT"},
        headers=_KEY,
    ).raise_for_status()
    guests = [
        {"name": "Ann Bee", "tickets": 2, "note": "Press"},
        {"name": "Grace Hopper", "tickets": 2, "note": "Press"},
    ]
    body = {"concertId": CONCERT, "guests": guests}
    added = http.post("/orders/guests", json=body, headers=_KEY).raise_for_status().json()["items"]
    for code in codes_of(http, added[0]["id"])[:1]:
        scan = {"code": code, "door": "north", "concertId": CONCERT, "direction": "in"}
        http.post("/tickets/admissions", json=scan, headers=_KEY).raise_for_status()
    block = {"section": "floor", "purpose": "Sponsors", "seats": 40, "hoursBefore": 24}
    http.post("/concerts/harbour/blocks", json=block, headers=_KEY).raise_for_status()
    report = {"report": "sales", "to": "boss@example.com", "every": "weekly", "zone": "Europe/Berlin"}
    http.post("/orders/reports/schedules", json=report, headers=_KEY).raise_for_status()
    hook = {"url": "https://hooks.example/tickets", "about": "Accounts"}
    made: str = http.post("/notifications/webhooks", json=hook, headers=_KEY).raise_for_status().json()["id"]
    return made


def office(camera: Camera, http: httpx.Client) -> None:
    """All of them, after the desk's and the door's."""
    hook, page = prepare(http), camera.visitor().new_page()
    sign_in(page)
    page.goto("/staff/concerts/harbour/box-office")
    camera.take(page, "desk-box-office")
    page.fill("#tickets-adult", "2")
    page.fill("#tickets-child", "1")
    page.click("main form button")
    page.wait_for_selector("input[name=sure]", state="attached")
    camera.take(page, "desk-box-office-sure")
    page.click("main form button")
    page.wait_for_selector("text=Take ")
    camera.take(page, "desk-sold")
    page.goto(f"/staff/concerts/{CONCERT}/guests")
    camera.take(page, "desk-guests")
    page.fill("#csv", _FILE)
    page.click("text=Look at it first")
    page.wait_for_selector("text=What happens")
    camera.take(page, "desk-guests-file")
    for path, name in (
        ("/staff/concerts/harbour/prices", "desk-prices"),
        ("/staff/concerts/harbour/events?kind=money", "desk-events"),
        ("/staff/concerts/harbour/blocks", "desk-blocks"),
        ("/staff/concerts/sold-out/waiting", "desk-waiting"),
        ("/staff/webhooks", "desk-webhooks"),
        (f"/staff/webhooks/{hook}", "desk-webhook"),
        ("/staff/reports", "desk-reports"),
        ("/staff/tills", "desk-tills"),
        ("/staff/invoices", "desk-invoices"),
        ("/staff/invoice-settings", "desk-invoice-settings"),
        ("/staff/concerts/nowhere", "desk-missing"),
    ):
        page.goto(path)
        page.wait_for_timeout(300)
        camera.take(page, name)
    page = camera.visitor(phone=True, dark=True, language="fr").new_page()
    sign_in(page)
    page.goto(f"/staff/concerts/{CONCERT}/guests")
    camera.take(page, "phone-desk-guests-fr")
