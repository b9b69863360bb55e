"""The desk in a real browser: by keyboard, without scripts, live, in the dark at 320 px; and what axe says of it."""

import pytest
from playwright.sync_api import Page, expect
from tests.product.pages.test_shop_seats import put_on, table
from tests.proof.pages.conftest import Visit
from tests.proof.pages.looking import faults, violations
from tests.served import KEY, Served

pytestmark = pytest.mark.timeout(120)


def sign_in(page: Page, key: str = KEY) -> None:
    page.goto("/staff/sign-in")
    page.fill("#key", key)
    page.click("main form button")
    page.wait_for_url("**/staff")


def bought(shop: Served, concert: str, quantity: int = 2) -> str:
    """A paid order."""
    sent = {"concertId": concert, "userId": "ada", "quantity": quantity, "email": "ada@example.com", "name": "Ada Lark"}
    id: str = shop.http.post("/orders", json=sent).json()["id"]
    assert shop.http.get(f"/orders/{id}?wait=10", headers=shop.organizer).json()["status"] == "Paid"
    return id


def test_a_small_dark_phone_in_german_passes_axe_and_nothing_is_too_wide(visit: Visit, shop: Served) -> None:
    order = bought(shop, "names")
    page = visit("/staff/sign-in", color_scheme="dark", viewport={"width": 320, "height": 640}, locale="de")
    sign_in(page)
    wrong: list[str] = []
    with_axe = ("/staff/concerts/names", "/staff/orders")
    beside = ("/staff", f"/staff/orders/{order}", "/staff/new-concert", "/staff/concerts/arena/sales", "/staff/exports")
    for path in (*with_axe, *beside):
        page.goto(path)
        wrong += faults(page, axe=path in with_axe)
    assert page.evaluate("document.documentElement.lang") == "de"
    assert wrong == [], "\n".join(wrong)


def test_a_phone_has_the_way_around_behind_a_button_that_needs_no_script(visit: Visit) -> None:
    for scripts in (True, False):
        page = visit("/staff/sign-in", viewport={"width": 320, "height": 640}, java_script_enabled=scripts)
        sign_in(page)
        ways = page.locator("#menu")
        expect(ways).to_be_hidden()
        page.get_by_role("button", name="Menu").press("Enter")
        expect(ways).to_be_visible()
        assert not scripts or violations(page) == []
        page.keyboard.press("Tab")
        expect(ways.get_by_role("link", name="Concerts")).to_be_focused()
        page.keyboard.press("Escape")
        expect(ways).to_be_hidden()
        page.get_by_role("button", name="Menu").press("Enter")
        ways.get_by_role("link", name="Orders").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_have_text("Orders")
        page.set_viewport_size({"width": 1000, "height": 640})
        expect(page.get_by_role("button", name="Menu")).to_be_hidden()
        expect(ways).to_be_visible()


def office(shop: Served) -> list[str]:
    """A concert with a price list, a guest, a webhook, a report by mail and invoices; the pages of all that."""

    def post(path: str, **body: object) -> str:
        return str(shop.http.post(path, json=body, headers=shop.organizer).raise_for_status().json().get("id", ""))

    section = shop.concert("office", seats=40)["sections"][0]["id"]
    prices = [{"section": section, "category": "child", "amount": 900, "first": 10, "name": "Early bird"}]
    pricing = {
        "categories": [{"id": "adult", "name": "Adult"}, {"id": "child", "name": "Child"}],
        "prices": [*prices, {"section": section, "category": "child", "amount": 1900}],
        "fees": [{"id": "booking", "name": "Booking fee", "percent": 5.0}],
        "tax": {"name": "VAT", "percent": 19.0},
    }
    head = {**shop.organizer, "if-match": "*"}
    shop.http.patch("/concerts/office", json={"pricing": pricing}, headers=head).raise_for_status()
    hook = post("/notifications/webhooks", url="https://hooks.example/in", about="Accounts")
    post("/orders/guests", concertId="office", guests=[{"name": "Ann Bee", "tickets": 2, "note": "Press"}])
    post("/orders/reports/schedules", report="sales", to="boss@example.com", every="weekly", zone="Europe/Berlin")
    said = {"on": True, "name": "Acme", "address": "1 Main Street", "taxName": "VAT", "taxPercent": 19}
    shop.http.put("/orders/invoices/settings", json=said, headers=shop.organizer).raise_for_status()
    post("/orders/box-office", concertId="office", quantity=1, method="cash")
    one = "/staff/concerts/office"
    return [
        f"{one}/prices", f"{one}/box-office", f"{one}/guests", f"{one}/events?kind=sold", "/staff/webhooks",
        f"/staff/webhooks/{hook}", "/staff/reports", "/staff/tills", "/staff/invoices", "/staff/invoice-settings",
    ]  # fmt: skip


def test_the_office_passes_axe_on_a_small_dark_phone_in_german(visit: Visit, shop: Served) -> None:
    paths = office(shop)
    page = visit("/staff/sign-in", color_scheme="dark", viewport={"width": 320, "height": 640}, locale="de")
    sign_in(page)
    wrong: list[str] = []

    def look() -> None:
        wrong.extend(faults(page))

    for path in paths:
        page.goto(path)
        look()
    page.goto("/staff/concerts/office/guests")
    page.fill("#csv", "name,tickets\nBo,2\nCy,20\nDi,20")
    page.click("text=Erst ansehen")
    expect(page.locator("[role=alert]")).to_be_visible()
    look()
    page.goto("/staff/concerts/office/guests")
    page.fill("#csv", "name,tickets\nBo,2")
    page.click("text=Erst ansehen")
    page.click("text=Auf die Liste setzen")
    expect(page.locator("[role=status]")).to_contain_text("Auf die Liste gesetzt: 1")
    look()
    page.goto("/staff/concerts/office/box-office")
    page.fill("#tickets-child", "1")
    page.click("text=Weiter")
    expect(page.locator("h1")).to_have_text("Diese Tickets verkaufen?")
    look()
    page.dblclick("text=Ja, ")
    expect(page.locator("h1")).to_have_text("Verkauft")
    look()
    assert wrong == [], "\n".join(wrong)
    assert shop.http.get("/concerts/office").json()["soldSeats"] == 6


def test_a_concert_is_made_changed_sold_and_called_off_without_scripts(visit: Visit, shop: Served) -> None:
    page = visit("/staff/sign-in", java_script_enabled=False)
    sign_in(page)
    page.click("text=New concert")
    for field, value in (
        ("#artist", "Nina & the <b>Waves</b>"), ("#zone", "Europe/Berlin"), ("#date", "2099-06-05"),
        ("#date-time", "19:30"), ("#venue", "Kellerbar"), ("#section-0-name", "Floor"), ("#section-0-seats", "10"),
        ("#section-0-price", "45,5"),
    ):  # fmt: skip
        page.fill(field, value)
    page.click("text=Make the concert")
    expect(page.locator("h1")).to_have_text("Nina & the <b>Waves</b>")
    page.click("text=Put it into the shop")
    expect(page.locator("main .tag").first).to_have_text("In the shop")
    id = page.url.rpartition("/")[2]
    assert shop.http.get(f"/concerts/{id}").json()["date"] == "2099-06-05T19:30:00+02:00"
    page.click("text=Seats and prices")
    page.fill("#section-0-seats", "12")
    page.click("main form button")
    order = bought(shop, id, 4)
    page.click("text=Its orders")
    page.click("tbody th a")
    page.click("text=Give a part back")
    page.fill("#quantity", "1")
    page.click("text=Go on")
    expect(page.locator("table")).to_contain_text("€45.50")
    page.dblclick("text=Yes, do it")
    expect(page.locator("[role=status]")).to_contain_text("on its way back")
    expect(page.locator(".story")).to_contain_text("The money was taken")
    assert len(shop.http.get(f"/orders/{order}", headers=shop.organizer).json()["refunds"]) == 1
    page.goto(f"/staff/concerts/{id}")
    page.click("text=Call it off")
    page.fill("#reason", "Nina is ill")
    page.click("text=Go on")
    page.click("text=Yes, do it")
    expect(page.locator("text=Nina is ill")).to_be_visible()
    shop.http.get(f"/orders/{order}?wait=5", headers=shop.organizer)
    page.reload()
    assert shop.http.get(f"/concerts/{id}").json()["status"] == "cancelled"


def test_sales_come_by_themselves_and_an_order_is_found_by_keyboard(visit: Visit, shop: Served) -> None:
    shop.concert("seen", seats=30)
    page = visit("/staff/sign-in")
    page.clock.install()
    sign_in(page)
    page.goto("/staff/concerts/seen")
    expect(page.locator(".numbers strong").first).to_have_text("0")
    order = bought(shop, "seen", 3)
    page.clock.run_for(6_000)
    expect(page.locator(".numbers strong").first).to_have_text("3")
    page.goto("/staff/orders")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "email"
    page.keyboard.type("ada@example.com")
    page.keyboard.press("Enter")
    page.wait_for_selector(f"a[href='/staff/orders/{order}']")
    assert "ada" not in page.url


def test_numbered_seats_at_the_desk_pass_axe_on_a_small_dark_phone_and_go_by_keyboard(
    visit: Visit, shop: Served
) -> None:
    put_on(shop, "plans", table(3, 6, apart=2))
    page = visit("/staff/sign-in", color_scheme="dark", viewport={"width": 320, "height": 640}, locale="de")
    sign_in(page)
    wrong: list[str] = []

    def look(*, axe: bool = True) -> None:
        wrong.extend(faults(page, axe=axe))

    page.goto("/staff/concerts/plans/seat-plan")
    page.wait_for_function("document.querySelector('.plan-map').naturalWidth > 0")
    look()
    page.set_input_files("#file", {"name": "h.csv", "mimeType": "text/csv", "buffer": table(4, 6).encode()})
    page.keyboard.press("Tab")
    page.locator("form[enctype] button").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Ist das der Saal?")
    look(axe=False)
    page.get_by_role("button", name="Diesen Plan verwenden").press("Enter")
    expect(page.get_by_role("heading", name="Plan: 24 Plätze")).to_be_visible()
    page.goto("/staff/new-seat-plan")
    page.fill("#text", "section,row\n1")
    page.locator("form[enctype] button").press("Enter")
    expect(page.locator("#refusal")).to_be_focused()
    look()
    page.goto("/staff/concerts/plans/box-office")
    page.get_by_text("Freie Plätze").press("Enter")
    look()
    page.fill("#seats", "2 3-4")
    page.check("input[value=cash]")
    page.locator("main form button").press("Enter")
    expect(page.get_by_role("cell", name="2 3-4")).to_be_visible()
    page.get_by_role("button", name="Ja").press("Enter")
    expect(page.locator("main")).to_contain_text("90,00")
    page.goto("/staff/concerts/plans/guests")
    look(axe=False)
    assert wrong == [], "\n".join(wrong)
