"""The important journeys in a second browser: Debian's Firefox."""

import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.parts import need
from tests.proof.pages import test_browser, test_desk, test_door
from tests.proof.pages.conftest import Visit
from tests.proof.pages.firefox import launch
from tests.proof.pages.test_browser import choose, is_at, pay
from tests.served import Served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

# The same as in Chromium.
test_tickets_are_bought_by_keyboard = test_browser.test_tickets_are_bought_by_keyboard
test_a_phone_has_the_way_around_behind_a_button = (
    test_desk.test_a_phone_has_the_way_around_behind_a_button_that_needs_no_script
)
test_who_comes_second_sees_the_last_seats_go = (
    test_browser.test_who_comes_second_sees_the_last_seats_go_without_reloading
)
test_seats_are_chosen_on_the_map_and_in_the_list = (
    test_browser.test_seats_are_chosen_on_the_map_and_in_the_list_and_pass_axe
)
test_sales_come_by_themselves_at_the_desk = test_desk.test_sales_come_by_themselves_and_an_order_is_found_by_keyboard
test_a_door_without_network_goes_on = (
    test_door.test_a_phone_without_network_goes_on_through_a_reload_and_two_doors_merge
)
served, phone = test_door.served, test_door.phone


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    need("firefox-esr")
    with sync_playwright() as playwright:
        browser = launch(playwright.firefox)
        yield browser
        browser.close()


def test_an_orders_page_shows_its_tickets_gives_one_away_and_is_cancelled(visit: Visit) -> None:
    page = visit()
    choose(page, "names")
    pay(page)
    is_at(page, "paid")
    order = page.url
    page.click("text=Show your tickets")
    page.wait_for_selector("ul.tickets img")
    page.click("text=Show or give away")
    page.click(".cancel summary")
    page.fill("#holder", "Grace")
    page.click(".cancel button")
    page.wait_for_selector("#link")
    page.goto(order)
    page.click("#cancel summary")
    page.click("#cancel button")
    is_at(page, "cancelled")


def test_the_whole_purchase_works_without_scripts_and_by_keyboard(browser: Browser, shop: Served) -> None:
    without = launch(browser.browser_type, scripts=False)
    page = without.new_context(base_url=shop.url).new_page()
    page.goto("data:text/html,<p>off<script>document.body.textContent = 'on'</script>")
    assert page.inner_text("body") == "off"
    page.goto("/shop")
    press(page, "a[href*='/concerts/arena']")
    until_there(page, "#tickets")
    press(page, "#tickets form button")
    until_there(page, "#email")
    type_into(page, "#email", "ada@example.com")
    press(page, "input[value=card-declined]", key="Space")
    press(page, "form.once button")
    until_there(page, "[data-standing=failed]")
    press(page, ".state input[value=card-ok]", key="Space")
    press(page, ".state form.once button")
    until_there(page, "[data-standing=paid]")
    press(page, "#cancel summary")
    press(page, "#cancel button")
    until_there(page, "[data-standing=cancelled]")
    without.close()


def press(page: Page, selector: str, *, key: str = "Enter") -> None:
    page.focus(selector)
    page.keyboard.press(key)


def type_into(page: Page, selector: str, text: str) -> None:
    page.focus(selector)
    page.keyboard.type(text)


def until_there(page: Page, selector: str) -> None:
    """The order's page loads itself again every three seconds until it is decided."""
    deadline = time.monotonic() + 20
    while page.locator(selector).count() == 0:
        assert time.monotonic() < deadline, page.inner_text("main")
        time.sleep(0.1)
