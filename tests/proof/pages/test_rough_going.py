"""A purchase over a slow network, at 200 %, whose server is killed in its middle: once, and no hold is lost."""

import signal
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect
from tests.parts import need
from tests.proof.pages.conftest import HASTE
from tests.served import serve

from cludale_operations.local.free_ports import free_port

pytestmark = pytest.mark.timeout(120)

SLOW = {"offline": False, "latency": 300, "downloadThroughput": 50_000, "uploadThroughput": 25_000}
"""Milliseconds, and bytes a second: a phone at the edge of a hall."""
LAPTOP_AT_200_PERCENT = ViewportSize(width=640, height=400)
"""What is left of 1,280 by 800, in the pixels of a page that is shown twice as large."""


def is_not_too_wide(page: Page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def test_a_slow_network_and_a_server_that_is_killed_in_the_middle_buy_once(browser: Browser, tmp_path: Path) -> None:
    need("chromium")
    # The hold is long enough for a start of the server on a machine that is busy.
    settings = {**HASTE, "CLUDALE_PORT": str(free_port()), "CLUDALE_HOLD_SECONDS": "120"}
    context = browser.new_context(viewport=LAPTOP_AT_200_PERCENT, device_scale_factor=2, reduced_motion="reduce")
    context.set_default_timeout(30_000)
    page = context.new_page()
    context.new_cdp_session(page).send("Network.emulateNetworkConditions", SLOW)
    with serve(tmp_path, settings=settings) as served:
        served.concert("club", artist="فيروز", seats=2)
        page.goto(f"{served.url}/shop/concerts/club")
        is_not_too_wide(page)
        page.click("#tickets form button")
        page.wait_for_selector("#email")
        is_not_too_wide(page)
        page.fill("#email", "ada@example.com")
        served.stop(signal.SIGKILL)
    page.click("form.once button")  # to nobody: the browser says so
    page.wait_for_url("chrome-error://**")
    with serve(tmp_path, settings=settings) as served:
        page.reload()  # which sends the form again
        page.wait_for_selector("#state")
        held = page.locator(".state")
        expect(held).to_have_attribute("data-standing", "paid", timeout=20_000)
        served.stop(signal.SIGKILL)
    with serve(tmp_path, settings=settings) as served:
        page.reload()
        expect(page.locator(".state")).to_have_attribute("data-standing", "paid")
        is_not_too_wide(page)
        page.click("text=فيروز >> nth=0")
        expect(page.locator("#sale")).to_contain_text("Sold out")
        sold = served.http.get("/orders?concertId=club", headers=served.organizer).json()["items"]
        assert [(each["status"], each["quantity"]) for each in sold] == [("Paid", 2)]
    context.close()
