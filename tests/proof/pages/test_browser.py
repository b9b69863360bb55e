"""The shop in a real browser: by keyboard, without scripts, in two windows, live; and what axe says on the way."""

import re

import pytest
from playwright.sync_api import Page, expect
from tests.proof.pages.conftest import HOLD_SECONDS, Visit
from tests.proof.pages.looking import faults, violations
from tests.served import Served

pytestmark = pytest.mark.timeout(120)


def choose(page: Page, concert: str, quantity: str = "2") -> None:
    page.goto(f"/shop/concerts/{concert}")
    page.select_option("#quantity", quantity)
    page.click("#tickets form button")
    page.wait_for_selector("#email")


def pay(page: Page, card: str = "card-ok") -> None:
    page.fill("#email", "ada@example.com")
    page.check(f"input[value={card}]")
    page.click("form.once button")
    page.wait_for_selector("#state")


def is_at(page: Page, standing: str, *, within_seconds: float = 10) -> None:
    expect(page.locator(".state")).to_have_attribute("data-standing", standing, timeout=within_seconds * 1000)


def orders_of(shop: Served, concert: str) -> int:
    return len(shop.http.get(f"/orders?concertId={concert}&limit=100", headers=shop.organizer).json()["items"])


def test_a_small_dark_phone_in_german_passes_axe_and_nothing_is_too_wide(visit: Visit) -> None:
    page = visit(color_scheme="dark", viewport={"width": 320, "height": 640}, locale="de")
    wrong: list[str] = []

    def look() -> None:
        wrong.extend(faults(page))

    for path in ("/shop?artist=nobody&from=x", "/shop/orders", "/shop/concerts/later", "/shop/concerts/names"):
        page.goto(path)
        look()
    choose(page, "names", "1")
    expect(page.locator("#street")).to_be_hidden()
    page.check("input[name=invoice]")
    look()
    page.uncheck("input[name=invoice]")
    pay(page, "card-declined")
    is_at(page, "failed")
    look()
    assert page.evaluate("document.documentElement.lang") == "de"
    assert wrong == []


def test_tickets_are_bought_by_keyboard(visit: Visit) -> None:
    page = visit("/shop/concerts/arena")

    def tab_to(selector: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
                return
        pytest.fail(f"{selector} is not reached by Tab")

    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    tab_to("input[name=section]")
    page.keyboard.press("ArrowUp")
    tab_to("#tickets form button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#email")
    tab_to("#email")
    page.keyboard.type("ada@example.com")
    tab_to("input[name=card]")
    page.keyboard.press("ArrowDown")
    tab_to("form.once button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#state")
    is_at(page, "failed")
    tab_to(".state input[name=card]")
    page.keyboard.press("ArrowUp")
    page.check("input[value=card-ok]")
    tab_to(".state form.once button")
    page.keyboard.press("Enter")
    is_at(page, "paid")


def test_the_whole_purchase_works_without_scripts(visit: Visit) -> None:
    page = visit(java_script_enabled=False)
    page.click("text=The Paper Lanterns")
    page.click("#tickets form button")
    page.check("input[name=invoice]")
    for name, text in (("name", "فيروز"), ("street", "Hauptstr. 1"), ("place", "Berlin")):
        page.fill(f"#{name}", text)
    page.select_option("#country", "DE")
    pay(page, "card-declined")
    page.reload()
    is_at(page, "failed")
    page.check("input[value=card-ok]")
    page.click(".state form.once button")
    page.wait_for_load_state()
    page.reload()
    is_at(page, "paid")
    page.click("#cancel summary")
    page.click("#cancel button")
    is_at(page, "cancelled")


def test_a_double_click_the_back_button_and_a_second_tab_buy_once(shop: Served, visit: Visit) -> None:
    page = visit()
    choose(page, "names")
    second = page.context.new_page()
    second.goto(page.url)
    before = orders_of(shop, "names")
    page.fill("#email", "ada@example.com")
    page.dblclick("form.once button")
    page.wait_for_selector("#state")
    is_at(page, "paid")
    at = page.url.partition("?")[0]
    page.go_back()
    page.wait_for_url(re.compile("/shop/orders/"))
    assert page.url.startswith(at)
    pay(second)
    assert second.url.startswith(at)
    assert orders_of(shop, "names") == before + 1


def test_who_comes_second_sees_the_last_seats_go_without_reloading(visit: Visit) -> None:
    watching, buying = visit("/shop/concerts/last"), visit()
    expect(watching.locator(".seats")).to_contain_text("Seats left: 2")
    choose(watching, "last")
    looking = visit("/shop/concerts/last")
    choose(buying, "last", "1")
    pay(buying)
    is_at(buying, "paid")
    expect(looking.locator(".seats")).to_contain_text("Seats left: 1")
    expect(looking.locator("#said")).to_contain_text("Seats left: 1")
    watching.fill("#email", "eve@example.com")
    watching.click("form.once button")
    expect(watching.locator("#refusal")).to_contain_text("Others were faster")
    assert watching.input_value("#email") == "eve@example.com"


def test_a_hold_is_counted_down_through_a_reload_and_in_a_second_tab_and_its_end_is_seen(visit: Visit) -> None:
    page = visit()
    choose(page, "arena")
    pay(page, "card-declined")
    is_at(page, "failed")

    def left(tab: Page) -> int:
        shown = tab.locator(".state .left")
        expect(shown).to_be_visible()
        return int(shown.inner_text().rpartition(":")[2])

    first = left(page)
    assert 0 < first <= HOLD_SECONDS + 1  # a hold ends at a whole second
    page.reload()
    second = page.context.new_page()
    second.goto(page.url)
    assert left(second) <= first
    assert left(page) <= first
    for tab in (page, second):
        is_at(tab, "cancelled", within_seconds=HOLD_SECONDS + 10)
    expect(page.locator("#said")).to_contain_text("cancelled")


def test_a_basket_is_bought_by_keyboard_and_passes_axe(visit: Visit) -> None:
    page = visit()
    wrong: list[str] = []
    page.goto("/shop/basket")
    wrong += violations(page)
    for concert in ("arena", "names"):
        page.goto(f"/shop/concerts/{concert}")
        page.focus("text=Add to basket")
        page.keyboard.press("Enter")
        page.wait_for_selector("form.once #email")
    wrong += violations(page)
    page.focus("#quantity-1")
    page.keyboard.press("Control+A")
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(page.locator("#quantity-1")).to_have_value("1")
    page.focus("form.once button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#refusal")
    wrong += violations(page)
    page.fill("#email", "ada@example.com")
    page.check("input[value=card-declined]")
    page.focus("form.once button")
    page.keyboard.press("Enter")
    is_at(page, "failed")
    wrong += violations(page)
    page.check("input[value=card-slow]")
    page.click(".state form.once button")
    is_at(page, "paid", within_seconds=15)
    wrong += violations(page)
    page.click("#cancel summary")
    page.click("#cancel button")
    is_at(page, "cancelled")
    assert wrong == []


def test_seats_are_chosen_on_the_map_and_in_the_list_and_pass_axe(shop: Served, visit: Visit) -> None:
    lines = ["section,row,seat,x,y,category,flags"]
    lines += [f"Stalls,{row},{seat},{seat * 10},{ord(row) * 12},Stalls," for row in "ABCD" for seat in range(1, 31)]
    section = {"id": "stalls", "name": "Stalls", "zone": "Stalls", "price": {"amount": 4500, "currency": "EUR"}}
    body = {"id": "seated", "artist": "Ada", "date": "2099-06-05", "seatPlan": "\n".join(lines), "maxPerOrder": 3}
    shop.http.post("/concerts", json={**body, "sections": [section]}, headers=shop.organizer).raise_for_status()
    dark = {"color_scheme": "dark", "viewport": {"width": 320, "height": 640}, "locale": "fr"}
    small = visit("/shop/concerts/seated/choose?section=stalls", **dark)
    expect(small.locator("#map use")).to_have_count(120)
    assert small.evaluate("document.documentElement.scrollWidth <= innerWidth")
    wrong = violations(small)

    page = visit("/shop/concerts/seated")
    page.click("text=Choose seats: Stalls")
    expect(page.locator("#map use[href='#map-free']")).to_have_count(120)
    page.locator("#map use").nth(15).click()
    expect(page.locator("input[value='15']")).to_be_checked()
    expect(page.locator("#sum")).to_have_text("Your seats: A 16 (1/3)")
    page.focus("input[value='16']")
    page.keyboard.press("Space")
    page.locator("summary").nth(1).focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#map use[href='#map-chosen']")).to_have_count(3)
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#sum")).to_contain_text("At most 3 seats")
    wrong += violations(page)
    order = {
        "concertId": "seated",
        "userId": "eve",
        "section": "stalls",
        "seats": ["Stalls-B-1"],
        "email": "e@example.com",
    }
    shop.http.post("/orders", json=order, headers={"idempotency-key": "eve"}).raise_for_status()
    expect(page.locator("#sum")).to_contain_text("Others were faster", timeout=9_000)
    expect(page.locator("#map use").nth(30)).to_have_attribute("href", "#map-taken")
    expect(page.locator("input[value='30']")).to_be_hidden()
    page.focus("text=Go on with these seats")
    page.keyboard.press("Enter")
    page.wait_for_selector("#email")
    expect(page.locator("#seats")).to_contain_text("A 16, 17")
    wrong += violations(page)
    pay(page)
    is_at(page, "paid")
    assert wrong == []
