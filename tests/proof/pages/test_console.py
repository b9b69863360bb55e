"""The console in a real browser: live, by keyboard, without scripts, in the dark at 320 px; and what axe says of it."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import Page, expect
from tests.parts import need
from tests.proof.pages.conftest import HASTE, Visit
from tests.proof.pages.looking import faults, violations
from tests.proof.pages.test_desk import bought, sign_in
from tests.proof.pages.undelivered import bury
from tests.served import Served, serve

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """With dead letters, and a concert that sells."""
    need("chromium")
    folder = tmp_path_factory.mktemp("shop")
    with ThreadPoolExecutor(1) as elsewhere:  # playwright has the loop of this thread
        elsewhere.submit(lambda: asyncio.run(bury(folder))).result()
    with serve(folder, settings=HASTE) as served:
        served.concert("arena", artist="فيروز", seats=40)
        time.sleep(1.1)  # the first second of its sale has no order
        bought(served, "arena", 3)
        yield served


@pytest.fixture
def console(visit: Visit) -> Page:
    page = visit("/staff/sign-in")
    sign_in(page)
    page.goto("/staff/console")
    return page


def test_states_that_no_picture_has_pass_axe(console: Page) -> None:
    """All others are in test_every_state.py."""
    wrong = []
    console.click("#minutes summary")
    expect(console.locator("#minutes tbody tr").first).to_be_visible()
    wrong += violations(console)
    console.goto("/staff/console/events?type=OrderPaid")
    console.click(".stream summary >> nth=0")
    wrong += violations(console)
    console.goto("/staff/console/letters")
    wrong += violations(console)
    console.click('a[href^="/staff/console/letters/"] >> nth=0')
    expect(console.locator("main")).to_contain_text("its handler broke")
    wrong += violations(console)
    console.goto("/staff/console/rehearsal")
    console.fill("#buyers", "many")
    console.click("text=Start the rehearsal")
    expect(console.locator("#buyers-wrong")).to_be_visible()
    wrong += violations(console)
    assert wrong == []


def test_a_small_dark_phone_in_german_passes_axe_and_nothing_is_too_wide(visit: Visit, shop: Served) -> None:
    order = bought(shop, "arena")
    page = visit("/staff/sign-in", color_scheme="dark", viewport={"width": 320, "height": 640}, locale="de")
    sign_in(page)
    wrong: list[str] = []
    with_axe = ("", "/sale?concert=arena")
    for path in (*with_axe, f"/order?id={order}", "/events", "/letters", "/chain", "/rehearsal"):
        page.goto(f"/staff/console{path}")
        wrong += faults(page, axe=path in with_axe)
    assert page.evaluate("document.documentElement.lang") == "de"
    assert wrong == []


def test_everything_works_without_scripts(visit: Visit, shop: Served) -> None:
    order = bought(shop, "arena")
    page = visit("/staff/sign-in", java_script_enabled=False)
    sign_in(page)
    page.goto("/staff/console")
    expect(page.locator(".tile")).to_have_count(6)
    page.click("text=Dead letters >> nth=0")
    page.click("tbody a >> nth=0")
    page.click("text=Deliver it again")
    expect(page.locator("[role=status]")).to_contain_text("0 of 1 were taken")
    page.click("text=Back to the dead letters")
    page.click("text=/Deliver all of/")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.click("nav.parts >> text=One order")
    page.fill("#id", order)
    page.click("main form button")
    expect(page.locator(".story")).to_contain_text("The money was taken")
    page.click("nav.parts >> text=Chain")
    page.click("text=Check all of it")
    expect(page.locator("#check")).to_contain_text("The chain holds")
    page.click("nav.parts >> text=Time travel")
    page.select_option("#concert", "arena")
    page.click("main form button >> nth=0")
    expect(page.locator("#then .numbers strong").nth(2)).not_to_have_text("40")
    page.fill("#day", "2020-01-01")
    page.click("main form button >> nth=0")
    expect(page.locator("#then h2")).to_contain_text("2020-01-01")
    expect(page.locator("#then .numbers strong").nth(2)).to_have_text("0")


def test_events_come_by_themselves_and_stop_when_somebody_pauses(console: Page, shop: Served) -> None:
    console.goto("/staff/console/events?type=OrderPaid")
    before = console.locator(".stream li").count()
    bought(shop, "arena", 1)
    expect(console.locator(".stream li")).to_have_count(before + 1)
    console.focus("#pause")
    console.keyboard.press("Enter")
    expect(console.locator("#pause")).to_have_text("Go on")
    bought(shop, "arena", 1)
    console.wait_for_timeout(1_500)
    expect(console.locator(".stream li")).to_have_count(before + 1)
    console.keyboard.press("Enter")
    expect(console.locator(".stream li")).to_have_count(before + 2)


def test_time_travels_by_the_arrow_keys(console: Page, shop: Served) -> None:
    bought(shop, "arena", 1)
    console.goto("/staff/console/sale?concert=arena")
    expect(console.locator("#then .numbers strong").first).not_to_have_text("0")
    console.focus("#at")
    console.keyboard.press("Home")
    expect(console.locator("#then .numbers strong").first).to_have_text("0")
    expect(console.locator("#then .numbers strong").nth(2)).to_have_text("40")
    assert "at=" in console.url
